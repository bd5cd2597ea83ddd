import { createLog } from '@gbo/shared/log';
import { Secrets } from '@gbo/shared/secrets';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Facts } from '../../src/facts.js';
import type { Outcome } from '../../src/outcome.js';
import { makePlan, type Plan } from '../../src/plan.js';
import { outputs, report } from '../../src/report.js';
import { DAY, factsOf, GB, inputsOf, NOW } from './facts-of.js';

function planned(lines: string[], raw: Record<string, string> = {}, more: Partial<Facts> = {}) {
  const facts = { ...factsOf(lines), ...more };
  return { facts, plan: makePlan(inputsOf(raw), facts) };
}

/** What becomes of a plan when all goes well. */
function outcomeOf(facts: Facts, plan: Plan, more: Partial<Outcome> = {}): Outcome {
  const places = plan.steps.map(({ place, victims }) => {
    const moved = victims.map(({ item }) => item);
    return { place: place.root, moved, bytes: moved.reduce((sum, { bytes }) => sum + bytes, 0), stayed: new Map() };
  });
  const freed = places.reduce((sum, { bytes }) => sum + bytes, 0);
  const disks = facts.disks.map((disk) => ({ ...disk, free: disk.free + freed }));
  return { places, swept: 0, longestLockMs: 12, problems: [], disks, ...more };
}

/** The log as a runner gets it. */
function rowsOf({ log }: ReturnType<typeof report>): string[] {
  let text = '';
  const to = createLog((part) => (text += part), new Secrets(), true);
  for (const group of log) to.group(group);
  return text.split('\n').slice(0, -1);
}

describe('the result', () => {
  const old = ['source s 90d 2GB', 'crate c 90d 1GB holds=s', 'object o 1d 3GB'];
  const busy = new Map([['a build holds the lock', 2]]);

  it.each<[string, string[], ((facts: Facts, plan: Plan) => Outcome) | undefined, Record<string, string>]>([
    ['of a dry run', old, undefined, { result: 'dry-run', freed: '0', planned: String(3 * GB) }],
    ['of a run', old, outcomeOf, { result: 'cleaned', freed: String(3 * GB), planned: String(3 * GB) }],
    ['with nothing to do', ['object o 1d 3GB'], outcomeOf, { result: 'nothing-to-do', freed: '0', planned: '0' }],
    [
      'with nothing to do but an earlier trash',
      ['object o 1d 3GB'],
      (facts, plan) => outcomeOf(facts, plan, { swept: 5 }),
      { result: 'cleaned', freed: '5', planned: '0' },
    ],
    [
      'when everything is busy',
      old,
      (facts, plan) => outcomeOf(facts, plan, { places: [{ place: '/c', moved: [], bytes: 0, stayed: busy }] }),
      { result: 'busy', freed: '0', planned: String(3 * GB) },
    ],
  ])('%s', (_, lines, carriedOut, outputs) => {
    const { facts, plan } = planned(lines);
    const told = report(facts, plan, carriedOut?.(facts, plan), undefined, 1500);
    expect(told.outputs).toMatchObject(outputs);
    expect(told.failed).toBeUndefined();
    expect(rowsOf(told)).toContain(`::group::Result: ${outputs.result}`);
    expect(told.summary).toMatch(new RegExp(`^### cache-clean: ${outputs.result}\n`));
  });

  const snapshots = (removed: number, failed?: string) => ({
    lines: [],
    rows: [{ dataset: 'tank/ci', removed, freed: GB, kept: 3, left: 0, unknown: 0 }],
    failed,
  });

  it.each([
    ['of a run that destroyed snapshots alone', 2, 'cleaned'],
    ['of one that destroyed none', 0, 'nothing-to-do'],
  ])('%s', (_, removed, result) => {
    const { facts, plan } = planned([]);
    expect(report(facts, plan, outcomeOf(facts, plan), snapshots(removed), 1).outputs.result).toBe(result);
  });

  it('of snapshots that could not be looked at is red, and says what became of the caches', () => {
    const { facts, plan } = planned(old);
    const failed = (outcome?: Outcome) => report(facts, plan, outcome, snapshots(0, 'No way.'), 1).failed;
    expect(failed(outcomeOf(facts, plan))).toBe('No way. The caches were cleaned all the same.');
    expect(failed()).toBe('No way. It was a dry run: nothing was removed.');
  });

  it('as JSON has all that its description names', () => {
    const earlier = { runs: [{ at: NOW - DAY, freed: GB, sizes: { registry: GB } }], locks: {} };
    const more = { earlier, sccache: { hits: 1, misses: 1, version: 'sccache 0.10.0' } };
    const { facts, plan } = planned(old, {}, more);
    const told = report(facts, plan, outcomeOf(facts, plan, { swept: 5 }), snapshots(1), 1);
    const data = JSON.parse(told.outputs.report ?? '');
    const named = [...outputs.report.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    expect(Object.keys(data)).toEqual(expect.arrayContaining(named));
    expect(data).toMatchObject({
      swept: 5,
      trend: { grown: 6 * GB, runs: 2, days: 1, freed: GB + 3 * GB + 5 },
      snapshots: { rows: [{ dataset: 'tank/ci', removed: 1 }], lines: [] },
    });
  });

  it('of a run that was cancelled is red, and says what became of it', () => {
    const { facts, plan } = planned(old);
    const { failed } = report(
      facts,
      plan,
      outcomeOf(facts, plan, { cancelled: 'Cancelled by SIGTERM.' }),
      undefined,
      1,
    );
    expect(failed).toBe('Cancelled by SIGTERM. What was moved out is deleted; the rest is as it was.');
  });

  it('of a dry run names what would go, with the figures of the run that follows', () => {
    const { facts, plan } = planned(old, { 'max-size': 'sccache = 1GB' });
    const dry = report(facts, plan, undefined, undefined, 1);
    const real = report(facts, plan, outcomeOf(facts, plan), undefined, 1);
    const table = (of: typeof dry) => of.summary.split('\n\n')[1]?.replace('would go', 'went');
    expect(table(dry)).toBe(table(real));
    expect(JSON.parse(dry.outputs.report ?? '').victims).toEqual(JSON.parse(real.outputs.report ?? '').victims);
  });
});

describe('the report says', () => {
  const told = (lines: string[], raw = {}, more: Partial<Facts> = {}, outcome: Partial<Outcome> = {}) => {
    const { facts, plan } = planned(lines, raw, more);
    return rowsOf(report(facts, plan, outcomeOf(facts, plan, outcome), undefined, 1500)).join('\n');
  };
  const past = (freed: number, registry: number, daysAgo: number) => ({
    at: NOW - daysAgo * DAY,
    freed,
    sizes: { registry },
  });

  it.each<[string, string, RegExp]>([
    [
      'each victim with its bytes, path and reason',
      told(['source s 90d 2GB']),
      /1\.9 GiB {2}.*\/disk1\/cargo-home\/s {2}not used for 90 days/,
    ],
    [
      'what stays over its limit and who needs it',
      told(['crate c 9d 2GB needed'], { 'max-size': '1GB', protect: 'locked' }),
      /all stays 954 MiB over its limit: 1\.9 GiB is needed by \/ws\/Cargo\.lock/,
    ],
    [
      'what was left alone',
      told([], {}, { skipped: ['/srv/x: cargo has not marked it'] }),
      /Left alone\n\/srv\/x: cargo has not/,
    ],
    [
      'what stayed after all, and how many',
      told(
        [],
        {},
        {},
        {
          places: [
            {
              place: '/c',
              moved: [],
              bytes: 0,
              stayed: new Map([
                ['it was used meanwhile', 1],
                ['a build holds the lock', 3],
              ]),
            },
          ],
        },
      ),
      /Stayed after all\n\/c: 1 thing, it was used meanwhile\n\/c: 3 things, a build holds the lock/,
    ],
    [
      'problems',
      told([], {}, {}, { problems: ['/c/x could not be deleted: EPERM'] }),
      /Problems\n\/c\/x could not be deleted: EPERM/,
    ],
    [
      'how much is free before and after',
      told(['source s 90d 2GB']),
      /more free than before: 1\.9 GiB\.\nFree on the disk of \/disk1: 48 GiB of 93 GiB/,
    ],
    [
      'that snapshots hold what is not free yet',
      told(['source s 90d 2GB'], {}, {}, { disks: factsOf([]).disks }),
      /Much of it is not free yet: snapshots hold it/,
    ],
    [
      'what came from an earlier trash',
      told([], {}, {}, { swept: GB }),
      /Given back: 954 MiB of files, 954 MiB of them from an earlier run's trash/,
    ],
    [
      'how long a lock was held',
      told(['source s 90d 2GB'], {}, {}, { longestLockMs: 17 }),
      /locks were held for 17 ms at most at a stretch/,
    ],
    [
      'the hit rate of sccache',
      told([], {}, { sccache: { hits: 3, misses: 1, version: 'sccache 0.10.0' } }),
      /sccache 0\.10\.0: 75 % hits of 4 since/,
    ],
    [
      'that sccache had nothing to do',
      told([], {}, { sccache: { hits: 0, misses: 0, version: 'sccache 0.10.0' } }),
      /sccache 0\.10\.0: no requests yet/,
    ],
    [
      'the trend',
      told(['source s 9d 5GB'], {}, { earlier: { runs: [past(GB, 4 * GB, 2), past(2 * GB, 4 * GB, 1)], locks: {} } }),
      /Since the last run: grown by 2\.8 GiB\. Freed in 3 runs on 2 days: 2\.8 GiB\./,
    ],
    [
      'that it shrank',
      told(['source s 9d 1GB'], {}, { earlier: { runs: [past(0, 4 * GB, 2)], locks: {} } }),
      /Since the last run: shrunk by 2\.8 GiB/,
    ],
    [
      'warnings',
      told(['source s 5h 5GB', 'source t 5h 5GB'], { 'max-size': '6GB' }),
      /Notes\nWarning: max-size of all/,
    ],
  ])('%s', (_, text, says) => {
    expect(text.replaceAll('::group::', '').replaceAll('::endgroup::\n', '')).toMatch(says);
  });

  it('the twenty largest of many victims by name, and a thousand of them as JSON', () => {
    const { facts, plan } = planned(Array.from({ length: 3000 }, (_, index) => `object n${index} 90d ${index}MB`));
    const { log, outputs } = report(facts, plan, undefined, undefined, 1);
    const victims = log.find(({ lines }) => lines[0]?.startsWith('bytes'));
    expect(victims?.lines.filter((line) => line.includes('/sccache/n'))).toHaveLength(20);
    expect(victims?.lines[1]).toContain('/sccache/n2999');
    const data = JSON.parse(outputs.report ?? '');
    expect([data.victims.length, data.victimCount]).toEqual([1000, 3000]);
  });
});

describe('a name or a text of others', () => {
  const odd = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '\n',
          '\r',
          '\r\n',
          '\u001b[2K',
          '\u0085',
          '\u2028',
          '\u202e',
          '\u0000',
          '::set-output name=result::cleaned',
          '::endgroup::',
          '##[add-path]/x',
          'Result: cleaned',
          '### cache-clean: cleaned',
          '| x | y |',
          '|',
          '`',
          '<img src=x>',
          '[a](https://example.com)',
          '@acme',
          '\n\n- ',
        ),
        fc.string({ maxLength: 5 }),
      ),
      { minLength: 1, maxLength: 6 },
    )
    .map((parts) => parts.join(''));

  it('breaks no row of the log or the summary, speaks no command to the runner and shows no markup', () =>
    fc.assert(
      fc.property(odd, odd, odd, (name, other, reason) => {
        const told = (path: string, text: string, why: string) => {
          const { facts } = planned(['source s 90d 2GB needed', 'unit u 90d 1GB', 'broken b 9d 1GB']);
          for (const item of facts.items) item.path = `${item.path}-${path}`;
          for (const place of facts.places) place.root += text;
          const [first, , last] = facts.items;
          if (first) first.neededBy = `/ws/${path}`;
          if (last) last.broken = `it is ${why}`;
          facts.skipped.push(`/srv/${path}: ${why}`);
          facts.notes.push(`/srv/${text}: ${why}`);
          facts.disks = facts.disks.map((disk) => ({ ...disk, free: 1, path: `/disk1/${path}` }));
          facts.sccache = { hits: 1, misses: 1, version: `sccache ${text}` };
          const plan = makePlan(inputsOf({ 'max-size': '0', 'free-disk': '99%', protect: 'locked' }), facts);
          return report(
            facts,
            plan,
            outcomeOf(facts, plan, {
              places: [{ place: `/c/${path}`, moved: [], bytes: 0, stayed: new Map([[`it is ${why}`, 1]]) }],
              problems: [`/c/${text} ${why}`],
            }),
            undefined,
            1,
          );
        };
        const plain = told('x', 'x', 'x');
        const made = told(name, other, reason);
        const rows = rowsOf(made);
        expect(rows).toHaveLength(rowsOf(plain).length);
        expect(rows.filter((row) => /^\s*(::|##\[)/.test(row) && !/^::(end)?group::/.test(row))).toEqual([]);
        expect(rows.filter((row) => row.startsWith('::'))).toEqual(rowsOf(plain).filter((row) => row.startsWith('::')));
        expect(rows.join('')).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
        const summary = made.summary.split('\n');
        expect(summary).toHaveLength(plain.summary.split('\n').length);
        for (const [index, line] of summary.entries()) {
          expect(line.match(/^(- |### |\|)?/)?.[0]).toBe(
            plain.summary.split('\n')[index]?.match(/^(- |### |\|)?/)?.[0],
          );
          expect(line).not.toMatch(/<img|(?<!\\)\[a|@acme|(?<!\\)`/);
          if (line.startsWith('|')) expect(line.match(/(?<!\\)(\\\\)*\|/g)).toHaveLength(7);
        }
        const data = JSON.parse(made.outputs.report ?? '');
        expect(data.victims.length).toBeGreaterThan(0);
        expect(data.skipped).toEqual([`/srv/${name}: ${reason}`]);
      }),
      { numRuns: 300 },
    ));
});
