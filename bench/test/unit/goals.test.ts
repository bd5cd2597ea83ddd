import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chart } from '../../chart.js';
import { type Goal, goal, isMet, least, margin, most, ratios } from '../../measure.js';
import { resultsPage } from '../../results.js';
import { goalsMarkdown, goalsText, type OwnedGoal, timesGoal } from '../../table.js';

const owned = (each: Goal, action = 'guard'): OwnedGoal => ({ action, ...each });
const row = (each: Goal) =>
  goalsText([owned(each)])
    .split('\n')[4]
    ?.trim()
    .split(/ {2,}/);

const cases: { name: string; goal: Goal; row: string[] }[] = [
  {
    name: 'a ratio that is high enough',
    goal: goal('scp / ours', [2.1, 1.9, 2, 2.5, 1.2], { atLeast: 1.3 }),
    row: ['guard', 'scp / ours', '2', '1.20x .. 2.50x', '5', '>= 1.30x', '1.54x', 'met'],
  },
  {
    name: 'a ratio that is too low in most of its runs',
    goal: goal('scp / ours', [1.1, 1.25, 1.4], { atLeast: 1.3 }),
    row: ['guard', 'scp / ours', '1.25x', '1.10x .. 1.40x', '3', '>= 1.30x', '0.96x', 'MISSED'],
  },
  {
    name: 'a time that is short enough',
    goal: goal('wait', [20, 30, 25], { atMost: 50 }, { unit: 'ms' }),
    row: ['guard', 'wait', '25 ms', '20 ms .. 30 ms', '3', '<= 50 ms', '2.00x', 'met'],
  },
  {
    name: 'a memory of which the worst run counts',
    goal: goal('memory', [100, 310, 120], { atMost: 300 }, { unit: 'MB', counts: most }),
    row: ['guard', 'memory', '310.00 MB', '100.00 MB .. 310.00 MB', '3', '<= 300.00 MB', '0.97x', 'MISSED'],
  },
  {
    name: 'answers that are all right but in one run',
    goal: goal('right answers', [22, 21, 22], { atLeast: 22 }, { counts: least }),
    row: ['guard', 'right answers', '21', '21 .. 22', '3', '>= 22', '0.95x', 'MISSED'],
  },
  {
    name: 'nothing where nothing may be, which is no ratio',
    goal: goal('restarts', [0, 0, 0], { atMost: 0 }, { counts: most }),
    row: ['guard', 'restarts', '0', '0 .. 0', '3', '<= 0', '-', 'met'],
  },
  {
    name: 'a down-time that is shorter than that of what it is compared with',
    goal: goal('beyond the bare restart', [-4, -2, 1], { atMost: 150 }, { unit: 'ms' }),
    row: ['guard', 'beyond the bare restart', '-2.0 ms', '-4.0 ms .. 1.0 ms', '3', '<= 150 ms', 'nothing left', 'met'],
  },
];

describe('the table of all goals', () => {
  it.each(cases)('shows $name', ({ goal, row: wanted }) => expect(row(goal)).toEqual(wanted));

  it('shows no spread of what has no chance in it, and no runs', () => {
    expect(row(goal('bundle', [2], { atMost: 2.5 }, { unit: 'MB', fixed: true }))).toEqual([
      ...['guard', 'bundle', '2.00 MB', 'fixed', '<= 2.50 MB', '1.25x', 'met'],
    ]);
  });

  it('leaves out what is only told', () => {
    expect(goalsText([owned(goal('told only', [1]))])).not.toContain('told only');
  });

  const missed = goal('slow', [1], { atLeast: 2 }, { reason: 'a disk that is shared' });
  const met = goal('quick', [3], { atLeast: 2 }, { reason: 'never told' });

  it.each([
    { name: 'the reason of a missed goal', goals: [missed], told: '- guard, slow: a disk that is shared', not: 'yet' },
    {
      name: 'that a missed goal has no reason',
      goals: [{ ...missed, reason: undefined }],
      told: 'nobody has said why yet',
    },
    { name: 'no reason of a goal that is met', goals: [met, missed], told: 'Missed:', not: 'never told' },
    { name: 'no list when all are met', goals: [met], told: 'quick', not: 'Missed' },
  ])('tells $name', ({ goals, told, not }) => {
    for (const text of [goalsText, goalsMarkdown]) {
      const said = text(goals.map((each) => owned(each)));
      expect(said).toContain(told);
      if (not) expect(said).not.toContain(not);
    }
  });
});

it('the results that are kept here say of each missed goal why', () => {
  const kept = readFileSync(new URL('../../RESULTS.md', import.meta.url), 'utf8');
  expect(kept.split('\n').filter((line) => line.includes('nobody has said why'))).toEqual([]);
});

it('takes a ratio within each round', () => {
  const samples = new Map([
    ['slow', [10, 40]],
    ['fast', [5, 10]],
  ]);
  expect(ratios(samples, 'slow', 'fast')).toEqual([2, 4]);
});

it.each([
  [2.6, { atLeast: 1.3 }, 2],
  [0.65, { atLeast: 1.3 }, 0.5],
  [25, { atMost: 50 }, 2],
  [100, { atMost: 50 }, 0.5],
  [0, { atMost: 50 }, Number.POSITIVE_INFINITY],
  [0, { atMost: 0 }, undefined],
] as const)('%s against %j is %s times the goal, above 1 when it is met', (value, limit, times) => {
  expect(margin(value, limit)).toBe(times);
  expect(isMet(goal('', [value], limit))).toBe((times ?? 1) >= 1);
});

describe('the chart', () => {
  const bars = (svg: string) =>
    [...svg.matchAll(/<rect class="(met|missed)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map(
      ([, kind, x, width]) => ({ kind, from: Number(x), to: Number(x) + Number(width) }),
    );
  const one = Number(/<line class="goal" x1="([\d.]+)"/.exec(chart([owned(goal('a', [1], { atLeast: 1 }))], ''))?.[1]);

  it.each(cases)('shows $name', ({ goal }) => {
    const svg = chart([owned(goal)], 'a machine');
    const [bar] = bars(svg);
    const line = Number(/<line class="goal" x1="([\d.]+)"/.exec(svg)?.[1]);
    expect(bar?.kind).toBe(isMet(goal) ? 'met' : 'missed');
    // From the line of the goal to the right, or to the left of it.
    expect(isMet(goal) ? bar?.from : bar?.to).toBeCloseTo(line, 0);
    expect(svg).toContain(`${timesGoal(goal)} the goal`);
  });

  it('is as far to the right for twice as good as to the left for half as good', () => {
    const [good, bad] = bars(chart([owned(goal('a', [4], { atLeast: 2 })), owned(goal('b', [1], { atLeast: 2 }))], ''));
    expect((good?.to ?? 0) - one).toBeCloseTo(one - (bad?.from ?? 0), 0);
  });

  it('stays within its edges, whatever the values', () => {
    const limits = [{ atLeast: 1 }, { atMost: 1 }, { atMost: 0 }];
    const values = [-1, 0, 1e-9, 1, 1e9];
    const svg = chart(
      limits.flatMap((limit) =>
        values.map((value) => owned(goal('a', [value, 1], limit, { counts: ([each = 0]) => each }))),
      ),
      '',
    );
    expect(svg).not.toMatch(/NaN|Infinity/);
    for (const { from, to } of bars(svg)) {
      expect(from).toBeGreaterThanOrEqual(0);
      expect(to).toBeLessThanOrEqual(900);
    }
    expect(bars(svg)).toHaveLength(15);
  });

  it('is well-formed whatever the names', () => {
    const svg = chart([owned(goal('a <b> & "c"', [1], { atMost: 2 }))], '<machine> & co');
    expect(svg).toContain('a &lt;b&gt; &amp; &quot;c&quot;');
    expect(svg).not.toContain('<machine>');
  });

  it('has colours for light and for dark, and a title for those who cannot see it', () => {
    const svg = chart([owned(goal('a', [1], { atMost: 2 }))], 'a machine');
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).toMatch(/role="img"[^>]*aria-labelledby="title subtitle"/);
    expect(svg).toMatch(/<title id="title">.+<\/title>\n<desc id="subtitle">a machine<\/desc>/);
  });

  it('names an action once, above its goals', () => {
    const some = goal('a', [1], { atMost: 2 });
    const svg = chart([owned(some, 'deploy'), owned(some, 'deploy'), owned(some, 'guard')], '');
    expect([...svg.matchAll(/class="action">([^<]+)/g)].map(([, name]) => name)).toEqual(['deploy', 'guard']);
  });
});

it('the page of results says on what and of what it was run, how many goals are met, and shows table and chart', () => {
  const page = resultsPage(
    {
      time: '2026-11-24T15:00:00.000Z',
      commit: '0123456789ab',
      machine: { cpu: 'Acme 9000', cores: 2, memory: '8 GiB', kernel: '6.1.0', node: 'v20.20.2' },
      seconds: 1200,
    },
    [owned(goal('a', [1], { atMost: 2 })), owned(goal('b', [3], { atMost: 2 })), owned(goal('c', [3]))],
    'results.svg',
  );
  for (const told of [
    '2026-11-24, commit 0123456789ab, node v20.20.2, 2 cores of Acme 9000, 8 GiB, Linux 6.1.0',
    '1 of 2 goals met, in 20 min.',
    '](results.svg)',
    '| guard | b | 3 |',
    '- guard, b: nobody has said why yet.',
  ])
    expect(page).toContain(told);
});
