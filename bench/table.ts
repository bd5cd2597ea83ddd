import { markdownTable } from '../packages/shared/src/report.js';
import { type Figure, type Goal, isMet, margin, median, type Part } from './measure.js';

/** One part as text: its figures, its goals, what to know about them. */
export function partText({ title, figures, goals, notes }: Part): string {
  const rows = figures.map((figure) => [
    figure.name,
    number(median(figure.values), figure.unit),
    spread(figure),
    String(figure.values.length),
  ]);
  return [
    `\n${title}`,
    ...columns(['figure', 'median', 'least .. most', 'runs'], rows),
    '',
    ...columns(
      ['comparison', 'is', 'least .. most', 'runs', 'goal', ''],
      goals.map((goal) => [
        goal.text,
        number(goal.value, goal.unit),
        spread(goal),
        runs(goal),
        wanted(goal),
        verdict(goal),
      ]),
    ),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []),
  ].join('\n');
}

/** A goal, and whose it is. */
export interface OwnedGoal extends Goal {
  /** Such as `guard`, or `all`. */
  action: string;
}

const head = ['action', 'comparison', 'is', 'least .. most', 'runs', 'goal', 'times the goal', ''];

/** All goals of all parts in one table, and below it why those are missed that are. What is only told is left out. */
export function goalsText(goals: OwnedGoal[]): string {
  return ['\nAll goals', ...columns(head, goals.flatMap(goalRow)), ...reasons(goals)].join('\n');
}

/** The same as Markdown. */
export function goalsMarkdown(goals: OwnedGoal[]): string {
  return [markdownTable(head, goals.flatMap(goalRow)), ...reasons(goals)].join('\n');
}

function goalRow(goal: OwnedGoal): string[][] {
  const { action, text, value, unit, limit } = goal;
  if (!limit) return [];
  return [[action, text, number(value, unit), spread(goal), runs(goal), wanted(goal), timesGoal(goal), verdict(goal)]];
}

function reasons(goals: OwnedGoal[]): string[] {
  const missed = goals.filter((goal) => isMet(goal) === false);
  if (missed.length === 0) return [];
  return [
    '',
    'Missed:',
    '',
    ...missed.map(({ action, text, reason }) => `- ${action}, ${text}: ${reason ?? 'nobody has said why yet.'}`),
  ];
}

/** `1.53x`: half as good again as it has to be. */
export function timesGoal({ value, limit }: Goal): string {
  const times = limit && margin(value, limit);
  if (times === undefined) return '-';
  return Number.isFinite(times) ? `${times.toFixed(2)}x` : 'nothing left';
}

function runs({ values, fixed }: Goal): string {
  return fixed ? 'fixed' : String(values.length);
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

export function wanted({ limit, unit }: Goal): string {
  if (!limit) return '';
  return 'atLeast' in limit ? `>= ${number(limit.atLeast, unit)}` : `<= ${number(limit.atMost, unit)}`;
}

function spread({ values, unit }: Pick<Figure, 'values' | 'unit'>): string {
  return values.length < 2 ? '' : `${number(Math.min(...values), unit)} .. ${number(Math.max(...values), unit)}`;
}

/** A number without a unit is a ratio or a count. */
export function number(value: number, unit: Figure['unit']): string {
  if (unit === 'ms') return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
  if (unit === 'KB') return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} KB`;
  if (unit === 'MB') return `${value.toFixed(2)} MB`;
  return Number.isInteger(value) ? String(value) : `${value.toFixed(2)}x`;
}
