import { isMet, type Limit, margin } from './measure.js';
import { number, type OwnedGoal, timesGoal, wanted } from './table.js';

const WIDTH = 900;
const EDGE = 20;
const ROW = 40;
/** Beyond these a bar ends at the edge, with its number beside it. */
const [FURTHEST_LEFT, FURTHEST_RIGHT] = [0.01, 1000];

/** In colours of their own, background included: whoever shows the file may be light where the reader's system is dark. */
const STYLE = `
svg { --back: #ffffff; --text: #1f2328; --faint: #59636e; --line: #d1d9e0; --met: #1a7f37; --missed: #cf222e; }
@media (prefers-color-scheme: dark) {
  svg { --back: #0d1117; --text: #f0f6fc; --faint: #9198a1; --line: #3d444d; --met: #3fb950; --missed: #f85149; }
}
text { font: 13px system-ui, sans-serif; fill: var(--text); stroke: var(--back); stroke-width: 4px; paint-order: stroke; }
.head { font-size: 18px; font-weight: 600; } .action { font-weight: 600; } .faint { fill: var(--faint); }
.back { fill: var(--back); } .grid { stroke: var(--line); } .goal { stroke: var(--text); stroke-width: 2; }
.met { fill: var(--met); } .missed { fill: var(--missed); } .spread { stroke: var(--text); stroke-width: 1.5; }
.end { text-anchor: end; } .middle { text-anchor: middle; }`;

/**
 * Every goal as a bar on a logarithmic scale of how many times better than its limit it is: met ones go right from 1,
 * missed ones left. Ours, since it is some rectangles, and a library for charts wants a browser or a canvas.
 */
export function chart(goals: OwnedGoal[], subtitle: string): string {
  const limited = goals.filter((goal): goal is OwnedGoal & { limit: Limit } => goal.limit !== undefined);
  const ticks = ticksAround(limited.flatMap(({ value, values, limit }) => [value, ...values].map(times(limit))));
  const [first = 1, last = 1] = [ticks[0], ticks.at(-1)];
  const at = (value: number) => {
    const share = Math.log(Math.min(last, Math.max(first, value)) / first) / Math.log(last / first);
    return Math.round((EDGE + share * (WIDTH - 2 * EDGE)) * 10) / 10;
  };
  const parts: string[] = [];
  let y = 96;
  let action: string | undefined;
  for (const goal of limited) {
    if (goal.action !== action) {
      action = goal.action;
      parts.push(text(EDGE, y + 18, action, 'action'));
      y += 28;
    }
    parts.push(row(goal, y, at));
    y += ROW;
  }
  const height = y + 16;
  const grid = ticks.map((tick) => {
    const line = `<line class="${tick === 1 ? 'goal' : 'grid'}" x1="${at(tick)}" x2="${at(tick)}" y1="84" y2="${y}"/>`;
    return `${line}\n${text(at(tick), 78, tick === 1 ? 'goal' : `${tick}x`, 'faint middle')}`;
  });
  const title = 'Goals of the bench: how many times better than they have to be';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title subtitle">
<title id="title">${title}</title>
<desc id="subtitle">${escaped(subtitle)}</desc>
<style>${STYLE}
</style>
<rect class="back" width="${WIDTH}" height="${height}"/>
${text(EDGE, 30, title, 'head')}
${text(EDGE, 50, subtitle, 'faint')}
${[...grid, ...parts].join('\n')}
</svg>
`;
}

function row(goal: OwnedGoal & { limit: Limit }, y: number, at: (value: number) => number): string {
  const { text: name, value, values, unit, limit } = goal;
  const met = isMet(goal);
  const is = `${number(value, unit)} (${wanted(goal)}) ${met ? 'met' : 'MISSED'}`;
  const [from, to] = [at(1), at(times(limit)(value))];
  const bar = [Math.min(from, to), Math.max(2, Math.abs(to - from))];
  const ends = values.map(times(limit)).map(at);
  const spread =
    values.length > 1
      ? `<line class="spread" x1="${Math.min(...ends)}" x2="${Math.max(...ends)}" y1="${y + 25}" y2="${y + 25}"/>`
      : '';
  return `<g><title>${escaped(`${name}: ${is}, ${timesGoal(goal)} the goal`)}</title>
${text(EDGE, y + 14, name)}
${text(WIDTH - EDGE, y + 14, is, 'faint end')}
<rect class="${met ? 'met' : 'missed'}" x="${bar[0]}" y="${y + 20}" width="${bar[1]}" height="10"/>${spread}</g>`;
}

/** Where nothing at all may be, there is no ratio: as wanted is the goal itself, and anything else as far off as can be. */
function times(limit: Limit): (value: number) => number {
  return (value) => margin(value, limit) ?? (isMet({ text: '', values: [], value, unit: '', limit }) ? 1 : 0);
}

/** 1, 2, 5, 10, ... on both sides of 1, as far as there are values and no further than a chart can show. */
function ticksAround(values: number[]): number[] {
  const all = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
  const finite = values.filter((value) => value >= FURTHEST_LEFT && value <= FURTHEST_RIGHT);
  const [least, most] = [Math.min(0.5, ...finite), Math.max(2, ...finite)];
  const from = all.findLastIndex((tick) => tick <= least);
  const to = all.findIndex((tick) => tick >= most);
  return all.slice(from, to + 1);
}

function text(x: number, y: number, content: string, kind = ''): string {
  return `<text x="${x}" y="${y}"${kind ? ` class="${kind}"` : ''}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
