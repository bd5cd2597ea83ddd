import { describe, expect, it } from 'vitest';
import { outagesIn } from '../../prober.mjs';
import { duration, picture, spansOf, svg, table } from '../../timeline.mjs';

const began = 1_000_000;
const step = (name: string, from: number, to: number, ok = true) => ({
  step: name,
  began: began + from,
  ended: began + to,
  ok,
});

const deployed = {
  title: 'v2.0.0',
  result: 'deployed',
  began,
  ended: began + 5000,
  bytesSent: 94 * 1024 * 1024,
  downtimeMs: 120,
  steps: [
    step('lock', 100, 120),
    step('upload:shop', 200, 1200),
    step('verify:shop', 1200, 1400),
    step('probe:shop', 1400, 1450),
    step('arm', 1450, 1460),
    step('switch', 1460, 1500),
    step('activate', 1500, 1520),
    step('prove', 1520, 1700),
    step('soak', 1700, 4700),
    step('confirm', 4700, 4720),
  ],
  outages: [{ from: began + 1505, to: began + 1565 }],
};
const rolledBack = {
  ...deployed,
  title: 'v3 <broken>',
  result: 'rolled-back',
  downtimeMs: undefined,
  steps: [step('switch', 1460, 1500), step('soak', 1700, 2700, false), step('undo', 2700, 4000)],
  outages: [
    { from: began + 1505, to: began + 1565 },
    { from: began + 2600, to: began + 2850 },
  ],
};
const refused = {
  ...deployed,
  title: 'changed key',
  result: 'refused',
  bytesSent: 0,
  downtimeMs: undefined,
  steps: [],
  outages: [],
};

describe('the rows of an act', () => {
  it('hold the steps of one kind together, in ms from the start, and leave out what did not happen', () => {
    const rows = spansOf(deployed);
    expect(rows.map(({ name }) => name)).toEqual(['upload', 'verify', 'switch', 'down-time', 'prove', 'soak']);
    expect(rows.find(({ name }) => name === 'verify')).toEqual({
      name: 'verify',
      ms: 250,
      spans: [
        { from: 1200, to: 1400, ok: true },
        { from: 1400, to: 1450, ok: true },
      ],
    });
    expect(rows.find(({ name }) => name === 'down-time')?.ms).toBe(60);
  });

  it('are none for a refused host', () => {
    expect(spansOf(refused)).toEqual([]);
  });
});

describe('the table', () => {
  it('puts the down-time that users saw below the one that the action measured', () => {
    const lines = table([deployed, rolledBack, refused]);
    expect(lines[0]?.trim().split(/\s{2,}/)).toEqual(['v2.0.0', 'v3 <broken>', 'changed key']);
    const at = lines.findIndex((line) => line.startsWith('down, by the action'));
    expect(lines[at]?.split(/\s{2,}/).slice(1)).toEqual(['120 ms', '-', '-']);
    expect(lines[at + 1]?.split(/\s{2,}/)).toEqual(['down, as users saw it', '60 ms', '60 + 250 ms', '-']);
  });

  it('fits a terminal of 80 columns with the acts of the demo', () => {
    const acts = ['v1.0.0', 'v2.0.0', 'v3.0.0', 'changed key'].map((title) => ({ ...rolledBack, title }));
    for (const line of table(acts)) expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe('the picture for a terminal', () => {
  const row = (lines: string[], name: string) => lines.find((line) => line.startsWith(`  ${name}`)) ?? '';

  it('draws each row at its time on one axis for all acts', () => {
    const lines = picture([deployed], { columns: 50, unicode: false });
    // 100 ms a column, from column 12 on.
    expect(row(lines, 'upload').slice(12, 62)).toBe(`${' '.repeat(2)}${'#'.repeat(11)}`.padEnd(50));
    expect(row(lines, 'down-time').slice(12, 62)).toBe(`${' '.repeat(15)}#`.padEnd(50));
    expect(row(lines, 'soak').slice(12, 62)).toBe(`${' '.repeat(17)}${'#'.repeat(31)}`.padEnd(50));
    expect(row(lines, 'soak').endsWith('3.0 s')).toBe(true);
    expect(row(lines, 'seconds').slice(12)).toBe('0         1         2         3         4        5');
  });

  it('shows that a step failed', () => {
    const lines = picture([deployed, rolledBack], { unicode: false });
    const failed = lines.slice(lines.indexOf('v3 <broken>: rolled-back'));
    expect(row(failed, 'soak')).toMatch(/!+ +1\.0 s, failed$/);
    expect(row(failed, 'undo')).toMatch(/#+ +1\.3 s$/);
  });

  it('has color only when asked', () => {
    const escapes = (lines: string[]) => lines.join('').includes('\x1b');
    expect(escapes(picture([deployed]))).toBe(false);
    expect(escapes(picture([deployed], { color: true }))).toBe(true);
  });
});

describe('the drawing', () => {
  it('is one well-formed SVG with a bar for each span', () => {
    const drawing = svg([deployed, rolledBack]);
    expect(drawing).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>/);
    expect(drawing.match(/<rect x=/g)).toHaveLength(9 + 5);
    expect(drawing).toContain('v3 &lt;broken>: rolled-back');
    expect(drawing).not.toContain('NaN');
  });
});

describe('an outage', () => {
  const answers = (...versions: (string | undefined)[]) => versions.map((version, at) => ({ at, version }));

  it.each([
    ['no question failed', answers('1', '1', '2'), []],
    ['questions failed between two answers', answers('1', undefined, undefined, '2', '2'), [{ from: 0, to: 3 }]],
    ['nothing ran before', answers(undefined, undefined, '1'), []],
    [
      'it was away twice',
      answers('1', undefined, '2', undefined, '1'),
      [
        { from: 0, to: 2 },
        { from: 2, to: 4 },
      ],
    ],
  ])('is told right when %s', (_, given, outages) => {
    expect(outagesIn(given)).toEqual(outages);
  });
});

describe('a duration', () => {
  it.each([
    [0.4, '0 ms'],
    [68.2, '68 ms'],
    [1234, '1.2 s'],
  ])('of %d ms reads %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});
