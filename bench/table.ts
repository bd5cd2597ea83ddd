import { type Figure, type Goal, isMet, median, type Part } from './measure.js';

/** One part as text: its figures, its goals, what to know about them. */
export function partText({ title, figures, goals, notes }: Part): string {
  const rows = figures.map((figure) => [figure.name, number(median(figure.values), figure.unit), spread(figure)]);
  return [
    `\n${title}`,
    ...columns(['figure', 'median', 'least .. most'], rows),
    '',
    ...columns(
      ['comparison', 'is', 'goal', ''],
      goals.map((goal) => [goal.text, number(goal.value, goal.unit), wanted(goal), verdict(goal)]),
    ),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []),
  ].join('\n');
}

function columns(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: string[]) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}

function verdict(goal: Goal): string {
  const met = isMet(goal);
  return met === undefined ? '' : met ? 'met' : 'MISSED';
}

function wanted({ limit, unit }: Goal): string {
  if (!limit) return '';
  return 'atLeast' in limit ? `>= ${number(limit.atLeast, unit)}` : `<= ${number(limit.atMost, unit)}`;
}

function spread({ values, unit }: Figure): string {
  return values.length < 2 ? '' : `${number(Math.min(...values), unit)} .. ${number(Math.max(...values), unit)}`;
}

/** A number without a unit is a ratio or a count. */
function number(value: number, unit: Figure['unit']): string {
  if (unit === 'ms') return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
  if (unit === 'KB') return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} KB`;
  if (unit === 'MB') return `${value.toFixed(2)} MB`;
  return Number.isInteger(value) ? String(value) : `${value.toFixed(2)}x`;
}
