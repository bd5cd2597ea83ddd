// The table and the pictures at the end of the demo. Pure: acts in, text out.
//
// An act: {title, result, began, ended, bytesSent, downtimeMs, steps: [{step, began, ended, ok}], outages: [{from, to}]},
// times in epoch ms; `steps` is the timeline in the action's own report, `outages` is what the service's users saw.

const rows = [
  { name: 'upload', steps: ['upload'], color: '#3b82f6', ansi: 34 },
  { name: 'verify', steps: ['verify', 'probe', 'check'], color: '#06b6d4', ansi: 36 },
  { name: 'switch', steps: ['arm', 'switch', 'activate'], color: '#a855f7', ansi: 35 },
  { name: 'down-time', steps: [], color: '#ef4444', ansi: 31 },
  { name: 'prove', steps: ['prove'], color: '#84cc16', ansi: 32 },
  { name: 'soak', steps: ['soak'], color: '#22c55e', ansi: 32 },
  { name: 'undo', steps: ['undo'], color: '#f59e0b', ansi: 33 },
];

/** `68 ms`, `1.2 s`. */
export function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** The spans of each row of one act, in ms from its beginning; rows without any are left out. */
export function spansOf({ began, steps, outages }) {
  const relative = ({ from, to, ok = true }) => ({ from: from - began, to: to - began, ok });
  return rows.flatMap(({ name, steps: kinds }) => {
    const own = steps
      .filter(({ step }) => kinds.includes(step.split(':')[0]))
      .map((step) => ({ from: step.began, to: step.ended, ok: step.ok }));
    const spans = (name === 'down-time' ? outages : own).map(relative);
    if (spans.length === 0) return [];
    return [{ name, spans, ms: spans.reduce((sum, { from, to }) => sum + to - from, 0) }];
  });
}

/** One column an act: what took how long, and the down-time by the action's own account and as its users saw it. */
export function table(acts) {
  const phases = ['upload', 'verify', 'switch', 'prove', 'soak', 'undo'];
  const cell = (ms) => (ms === undefined ? '-' : duration(ms));
  const columns = acts.map((act) => [
    act.title,
    act.result,
    act.bytesSent ? `${Math.round(act.bytesSent / 1024 / 1024)} MiB` : '-',
    ...phases.map((name) => cell(spansOf(act).find((row) => row.name === name)?.ms)),
    cell(act.downtimeMs),
    outageText(act.outages),
    duration(act.ended - act.began),
  ]);
  const names = ['', 'result', 'sent', ...phases, 'down, by the action', 'down, as users saw it', 'in all'];
  const widths = [names, ...columns].map((texts) => Math.max(...texts.map((text) => text.length)));
  return names.map((name, row) =>
    [name, ...columns.map((column) => column[row])]
      .map((text, column) => text.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
}

/** `71 ms`, or `71 + 240 + 80 ms` where it was away several times. */
function outageText(outages) {
  return outages.length === 0 ? '-' : `${outages.map(({ from, to }) => Math.round(to - from)).join(' + ')} ms`;
}

/** The acts as bars over one common time axis. */
export function picture(acts, { columns = 52, unicode = true, color = false } = {}) {
  const longest = Math.max(...acts.map(({ began, ended }) => ended - began));
  const [full, broken] = unicode ? ['█', '▓'] : ['#', '!'];
  const paint = (text, ansi) => (color && text.trim() ? `\x1b[${ansi}m${text}\x1b[0m` : text);
  const at = (ms) => Math.min(columns - 1, Math.floor((ms / longest) * columns));
  const lines = acts.flatMap((act) => [
    paint(`${act.title}: ${act.result}`, 1),
    ...spansOf(act).map(({ name, spans, ms }) => {
      const cells = Array(columns).fill(' ');
      for (const { from, to, ok } of spans) cells.fill(ok ? full : broken, at(from), Math.max(at(from), at(to)) + 1);
      const note = name === 'down-time' ? outageText(act.outages) : duration(ms);
      const failed = spans.some(({ ok }) => !ok) ? ', failed' : '';
      const { ansi } = rows.find((row) => row.name === name);
      return `  ${name.padEnd(10)}${paint(cells.join(''), ansi)}  ${note}${failed}`;
    }),
    '',
  ]);
  return [...lines, `  ${'seconds'.padEnd(10)}${axis(longest, columns, at)}`];
}

function axis(longest, columns, at) {
  const cells = Array(columns + 4).fill(' ');
  for (const second of ticks(longest)) cells.splice(at(second * 1000), `${second}`.length, ...`${second}`);
  return cells.join('').trimEnd();
}

/** Whole seconds, some ten of them at most. */
function ticks(longestMs) {
  const seconds = Math.floor(longestMs / 1000);
  const step = [1, 2, 5, 10, 20, 60].find((size) => seconds / size <= 12) ?? 600;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}

/** The same picture as a drawing that stands by itself. */
export function svg(acts) {
  const longest = Math.max(...acts.map(({ began, ended }) => ended - began));
  const [left, width, rowHeight] = [110, 700, 20];
  const x = (ms) => left + (ms / longest) * width;
  const parts = [];
  let y = 50;
  for (const act of acts) {
    parts.push(`<text x="20" y="${y}" class="act">${xml(`${act.title}: ${act.result}`)}</text>`);
    y += 10;
    for (const { name, spans, ms } of spansOf(act)) {
      const { color } = rows.find((row) => row.name === name);
      parts.push(`<text x="100" y="${y + 13}" class="name">${name}</text>`);
      for (const { from, to, ok } of spans) {
        const size = Math.max(2, x(to) - x(from)).toFixed(1);
        const style = ok ? `fill="${color}"` : `fill="${color}" fill-opacity="0.35" stroke="${color}"`;
        parts.push(`<rect x="${x(from).toFixed(1)}" y="${y + 3}" width="${size}" height="${rowHeight - 6}" ${style}/>`);
      }
      const failed = spans.some(({ ok }) => !ok) ? ', failed' : '';
      const note = name === 'down-time' ? outageText(act.outages) : duration(ms);
      parts.push(`<text x="${left + width + 10}" y="${y + 13}">${note}${failed}</text>`);
      y += rowHeight;
    }
    y += 30;
  }
  for (const second of ticks(longest)) {
    const at = x(second * 1000).toFixed(1);
    parts.unshift(`<line x1="${at}" x2="${at}" y1="34" y2="${y - 25}" stroke="#e5e7eb"/>`);
    parts.push(`<text x="${at}" y="${y - 8}" class="tick">${second} s</text>`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 ${y + 10}" font-family="sans-serif" font-size="12">
<title>What took the time in each deploy</title>
<style>.act { font-weight: bold; font-size: 14px } .name { text-anchor: end } .tick { text-anchor: middle; fill: #6b7280 }</style>
<rect width="1000" height="${y + 10}" fill="#ffffff"/>
<text x="20" y="24" font-size="16">What took the time, in seconds from the start of each deploy</text>
${parts.join('\n')}
</svg>
`;
}

function xml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
