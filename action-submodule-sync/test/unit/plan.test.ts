import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Facts, Row } from '../../src/facts.js';
import { makePlan, stateOf } from '../../src/plan.js';
import type { Probe, Reason, State } from '../../src/states.js';
import { factsOf, inputsOf, laggingOf, probeOf, rowOf, SHA, TIP } from './facts-of.js';

const trouble = { reason: 'unreachable' as Reason, said: 'fatal: x' };
const away = { tip: TIP, onBranch: 'no', exists: 'no' } as const;

/** The state of `probe`, which is on alm, where origin found `other`. */
function state(probe: Partial<Probe>, other: Partial<Probe> = {}): State {
  const own = probeOf({ remote: 'alm', ...probe });
  return stateOf(own, { probes: [probeOf(other), own] });
}

describe('the state of a commit on a remote', () => {
  const table: [title: string, probe: Partial<Probe>, other: Partial<Probe>, state: State][] = [
    ['the tip of the branch', {}, {}, 'PUSHED'],
    ['behind the tip', { tip: TIP }, {}, 'PUSHED'],
    ['on the branch of this remote only', {}, { ...away }, 'PUSHED'],
    ['on the branch, while the other remote has no answer', {}, { trouble }, 'PUSHED'],
    ['not asked to the end', { onBranch: 'unknown', exists: 'yes' }, {}, 'COULD-NOT-CHECK'],
    ['no answer', { trouble, onBranch: 'unknown', exists: 'unknown' }, {}, 'COULD-NOT-CHECK'],
    ['an answer that was cut off after a yes', { trouble }, {}, 'COULD-NOT-CHECK'],
    ['an answer that was cut off after a no', { ...away, trouble }, {}, 'COULD-NOT-CHECK'],
    [
      'no such branch, though it exists',
      { ...away, tip: undefined, branchMissing: true, exists: 'yes' },
      {},
      'BRANCH-MISSING',
    ],
    ['no such branch, and not there', { ...away, tip: undefined, branchMissing: true }, { ...away }, 'BRANCH-MISSING'],
    ['on another branch', { ...away, exists: 'yes', elsewhere: ['dev'] }, {}, 'OTHER-BRANCH'],
    [
      'on another branch of a remote that is behind',
      { ...away, exists: 'yes', elsewhere: ['dev'], relation: { remoteOnly: 0, pinOnly: 1 } },
      {},
      'OTHER-BRANCH',
    ],
    [
      'ahead of the branch, and on the other remote',
      { ...away, relation: { remoteOnly: 0, pinOnly: 1 } },
      {},
      'LAGGING',
    ],
    [
      'ahead, and already there without a branch',
      { ...away, exists: 'yes', relation: { remoteOnly: 0, pinOnly: 1 } },
      {},
      'LAGGING',
    ],
    [
      'beside the branch, and on the other remote',
      { ...away, relation: { remoteOnly: 3, pinOnly: 1 } },
      {},
      'DIVERGED',
    ],
    [
      'ahead, but on no branch of any remote',
      { ...away, exists: 'yes', relation: { remoteOnly: 0, pinOnly: 1 } },
      { ...away, exists: 'yes' },
      'DANGLING',
    ],
    [
      'beside, but on no branch of any remote',
      { ...away, exists: 'yes', relation: { remoteOnly: 1, pinOnly: 1 } },
      { ...away },
      'DANGLING',
    ],
    [
      'ahead, where the other remote has no answer',
      { ...away, relation: { remoteOnly: 0, pinOnly: 1 } },
      { trouble, onBranch: 'unknown' },
      'MISSING',
    ],
    [
      'ahead, where the answer of the other remote was cut off',
      { ...away, relation: { remoteOnly: 0, pinOnly: 1 } },
      { trouble },
      'MISSING',
    ],
    ['on no branch', { ...away, exists: 'yes' }, {}, 'DANGLING'],
    ['nowhere', { ...away }, { ...away }, 'MISSING'],
    ['nowhere, as far as an old server tells', { ...away, exists: 'unknown' }, { ...away }, 'MISSING'],
    ['no commit', { ...away, exists: 'yes', notACommit: true }, {}, 'NOT-A-COMMIT'],
    ['no commit, as the other remote says', { ...away }, { ...away, exists: 'yes', notACommit: true }, 'NOT-A-COMMIT'],
    [
      'no commit, as the other remote says, and no answer here',
      { trouble, onBranch: 'unknown' },
      { ...away, notACommit: true },
      'COULD-NOT-CHECK',
    ],
  ];
  it.each(table)('%s', (_title, probe, other, expected) => {
    expect(state(probe, other)).toBe(expected);
  });

  const probes = fc.record({
    trouble: fc.option(fc.constant(trouble), { nil: undefined }),
    notACommit: fc.boolean(),
    onBranch: fc.constantFrom('yes', 'no', 'unknown' as const),
    exists: fc.constantFrom('yes', 'no', 'unknown' as const),
    branchMissing: fc.boolean(),
    elsewhere: fc.constantFrom<string[]>([], ['dev']),
    tip: fc.constantFrom(SHA, TIP, undefined),
    relation: fc.constantFrom(undefined, { remoteOnly: 0, pinOnly: 1 }, { remoteOnly: 2, pinOnly: 1 }),
  });
  /** Every combination there is, three remotes each. */
  const some = fc
    .array(probes, { minLength: 1, maxLength: 3 })
    .map((found) =>
      found.map((each, index) => probeOf({ ...(each as Partial<Probe>), remote: ['origin', 'alm', 'third'][index] })),
    );

  it('keeps its promises for every combination', () => {
    fc.assert(
      fc.property(some, (found) => {
        for (const probe of found) {
          const is = stateOf(probe, { probes: found });
          const vouched = found.some((other) => other !== probe && other.onBranch === 'yes' && !other.trouble);
          // No answer is never a yes or a no.
          if (probe.trouble) expect(is).toBe('COULD-NOT-CHECK');
          if (is === 'COULD-NOT-CHECK') expect(probe.trouble !== undefined || probe.onBranch === 'unknown').toBe(true);
          // Only the branch of this very remote makes it pushed.
          if (is === 'PUSHED') expect(probe).toMatchObject({ onBranch: 'yes', trouble: undefined, notACommit: false });
          // A lag and a divergence are vouched for by the branch of another remote.
          if (is === 'LAGGING') expect([vouched, probe.onBranch, probe.relation?.remoteOnly]).toEqual([true, 'no', 0]);
          if (is === 'DIVERGED') expect([vouched, probe.onBranch, probe.relation?.remoteOnly]).toEqual([true, 'no', 2]);
          if (is === 'MISSING') expect(probe.exists).not.toBe('yes');
          if (is === 'DANGLING') expect(probe.exists).toBe('yes');
        }
      }),
      { numRuns: 2000 },
    );
  });

  const event = fc.constantFrom('push', 'pull_request', 'other' as const);
  const paths = fc.uniqueArray(fc.constantFrom('.', 'a', 'b', 'c'), { minLength: 1 });
  /** What else a survey may have found: that not all that the root pins is known. */
  const blind = fc.record({
    unreadable: fc.constantFrom<Facts['unreadable']>(undefined, 'bad config line 3'),
    orphans: fc.constantFrom<Facts['orphans']>([], [{ path: 'o', sha: SHA }]),
    unknowns: fc.constantFrom<Facts['unknowns']>(undefined, [], [{ path: 'u', why: 'no answer' }]),
    earlier: fc.constantFrom<Facts['earlier']>(
      undefined,
      [],
      [{ path: '.', why: 'not here' }],
      [{ path: 'g', commit: TIP }],
    ),
    leftOut: fc.constantFrom<Facts['leftOut']>(undefined, [], ['l']),
  });
  const seldom = fc.option(blind, { nil: {}, freq: 1 });
  const worlds = fc.tuple(paths, fc.infiniteStream(some), event, fc.subarray(['origin', 'alm', 'third']), seldom);

  it('decides what is pushed: nothing but a lag, that is vouched for, where it is allowed, the root last', () => {
    fc.assert(
      fc.property(worlds, ([names, stream, kind, allowed, more]) => {
        const rows: Row[] = names.map((path) => rowOf(path, stream.next().value));
        const inputs = inputsOf({
          remotes: 'origin = https://o.example.com/\nalm = https://alm.example.com/\nthird = https://t.example.com/',
          push: allowed.join(',') || 'none',
        });
        const { pushes, findings, cells } = makePlan(inputs, factsOf(rows, { event: { kind, commit: SHA }, ...more }));
        if (kind === 'pull_request') expect(pushes).toEqual([]);
        for (const { path, remote, sha, tip, from } of pushes) {
          const row = rows.find((each) => each.path === path);
          const probe = row?.probes.find((each) => each.remote === remote);
          const source = row?.probes.find((each) => each.remote === from.remote);
          expect(allowed).toContain(remote);
          expect(row && probe && stateOf(probe, row)).toBe('LAGGING');
          expect(source).toMatchObject({ onBranch: 'yes', trouble: undefined });
          expect([sha, tip]).toEqual([row?.sha, probe?.tip]);
        }
        const firstRoot = pushes.findIndex(({ path }) => path === '.');
        if (firstRoot >= 0) expect(pushes.slice(firstRoot).every(({ path }) => path === '.')).toBe(true);
        // Nor anywhere while something that it pins was not asked about.
        if (firstRoot >= 0) expect(Object.values(more).flat().filter(Boolean)).toEqual([]);
        // The root goes nowhere where a pin is missing that does not go along.
        for (const { remote } of pushes.filter(({ path }) => path === '.')) {
          for (const { path, state: is } of cells.filter((cell) => cell.path !== '.' && cell.remote === remote))
            expect(is === 'PUSHED' || pushes.some((push) => push.path === path && push.remote === remote)).toBe(true);
        }
        // Whatever is not PUSHED is told, once for each remote.
        const ofCells = findings.filter(({ remote }) => remote !== undefined);
        expect(ofCells.map(({ path, remote, state: is }) => [path, remote, is])).toEqual(
          cells.filter(({ state: is }) => is !== 'PUSHED').map(({ path, remote, state: is }) => [path, remote, is]),
        );
      }),
      { numRuns: 400 },
    );
  });
});

describe('the plan', () => {
  const lagging = (path: string, more: Partial<Row> = {}) => rowOf(path, [probeOf(), laggingOf()], more);

  it('pushes nowhere unless it is told where', () => {
    expect(makePlan(inputsOf(), factsOf([lagging('x')])).pushes).toEqual([]);
    expect(makePlan(inputsOf({ push: 'origin' }), factsOf([lagging('x')])).pushes).toEqual([]);
    expect(makePlan(inputsOf({ push: 'alm' }), factsOf([lagging('x')])).pushes).toHaveLength(1);
  });

  it('pushes submodules before the root', () => {
    const { pushes } = makePlan(inputsOf({ push: 'alm' }), factsOf([lagging('.'), lagging('b'), lagging('a')]));
    expect(pushes.map(({ path }) => path)).toEqual(['b', 'a', '.']);
  });

  it('pushes the root only where it is the commit that runs', () => {
    const { pushes } = makePlan(inputsOf({ push: 'alm' }), factsOf([lagging('.', { sha: TIP })]));
    expect(pushes).toEqual([]);
  });

  it('pushes to the remotes in the order they are named', () => {
    const rows = ['.', 'a', 'b'].map((path) =>
      rowOf(path, [laggingOf({ remote: 'origin' }), laggingOf(), probeOf({ remote: 'third' })]),
    );
    const remotes = 'origin = https://o.example.com/\nalm = https://alm.example.com/\nthird = https://t.example.com/';
    const { pushes } = makePlan(inputsOf({ remotes, push: 'alm, origin' }), factsOf(rows));
    expect(pushes.map(({ path, remote }) => `${path} ${remote}`)).toEqual([
      'a alm',
      'b alm',
      'a origin',
      'b origin',
      '. alm',
      '. origin',
    ]);
  });

  it('pushes the nearer of two pins of one submodule first', () => {
    const rows = [4, 1].map((pinOnly) =>
      rowOf('x', [probeOf(), laggingOf({ relation: { remoteOnly: 0, pinOnly } })], { sha: String(pinOnly).repeat(40) }),
    );
    expect(makePlan(inputsOf({ push: 'alm' }), factsOf(rows)).pushes.map(({ ahead }) => ahead)).toEqual([1, 4]);
  });

  it('keeps the root back where one of its pins stays away, and says so', () => {
    const diverged = rowOf('x', [probeOf(), laggingOf({ relation: { remoteOnly: 1, pinOnly: 1 } })]);
    const { pushes, notes } = makePlan(inputsOf({ push: 'alm' }), factsOf([lagging('.'), diverged]));
    expect(pushes).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/root is not pushed to alm.*x at 111111111111/)]);
  });

  it.each<[string, Partial<Facts>, RegExp]>([
    ['an unreadable .gitmodules', { unreadable: 'bad config line 3' }, /its \.gitmodules cannot be read/],
    ['a gitlink without an entry', { orphans: [{ path: 'o', sha: SHA }] }, /o has no entry/],
    ['unknown nested pins', { unknowns: [{ path: 'u', why: 'no answer' }] }, /the submodules of u are not known/],
    ['a pin that exclude leaves out', { leftOut: ['vendor/a'] }, /vendor\/a was left out/],
    [
      'earlier commits that cannot be read',
      { earlier: [{ path: '.', why: 'not here' }] },
      /not all commits of the push/,
    ],
  ])('keeps the root back, but not its submodules, because of %s, and says so', (_title, more, why) => {
    const facts = factsOf([lagging('.'), lagging('x')], more);
    const { pushes, notes } = makePlan(inputsOf({ push: 'alm' }), facts);
    expect(pushes.map(({ path }) => path)).toEqual(['x']);
    expect(notes).toEqual([expect.stringMatching(/^The root is not pushed to alm, because .*\.$/)]);
    expect(notes[0]).toMatch(why);
  });

  it('pushes nothing on a pull request, and says so', () => {
    const event = { kind: 'pull_request' as const, commit: SHA, pullRequest: 7 };
    const { pushes, notes } = makePlan(inputsOf({ push: 'alm' }), factsOf([lagging('x')], { event }));
    expect(pushes).toEqual([]);
    expect(notes).toEqual(['Nothing is ever pushed on a pull request.']);
  });

  const pull = { kind: 'pull_request' as const, commit: SHA, pullRequest: 7 };
  const nowhere = { ...away, remote: 'alm' };
  it.each<[string, Probe[], Facts['event'], 'commands' | 'a warning']>([
    ['nobody has', [probeOf(away), probeOf(nowhere)], pull, 'a warning'],
    ['a server holds on no branch', [probeOf({ ...away, exists: 'yes' }), probeOf(nowhere)], pull, 'a warning'],
    [
      'a server holds on no branch, beside main',
      [probeOf({ ...away, exists: 'yes', relation: { remoteOnly: 1, pinOnly: 1 } }), probeOf(nowhere)],
      pull,
      'a warning',
    ],
    [
      'nobody has, where the branch is missing',
      [probeOf({ ...away, branchMissing: true }), probeOf(nowhere)],
      pull,
      'a warning',
    ],
    ['a branch vouches for', [probeOf(), probeOf(nowhere)], pull, 'commands'],
    ['another branch vouches for', [probeOf({ ...away, elsewhere: ['topic'] }), probeOf(nowhere)], pull, 'commands'],
    ['nobody has, outside pull requests', [probeOf(away), probeOf(nowhere)], factsOf([]).event, 'commands'],
  ])('of a commit that %s', (_title, probes, event, expected) => {
    const { findings } = makePlan(inputsOf(), factsOf([rowOf('x', probes)], { event }));
    expect(findings.length).toBeGreaterThan(0);
    for (const { mend, hint } of findings) {
      expect(mend.length > 0).toBe(expected === 'commands');
      if (expected === 'a warning') expect(hint).toMatch(/may come from a fork. Read it first/);
    }
  });

  it('of a .gitmodules that cannot be read is never that all is well', () => {
    const { findings } = makePlan(inputsOf(), factsOf([], { unreadable: 'bad config line 3' }));
    expect(findings).toMatchObject([{ state: 'COULD-NOT-CHECK', path: '.gitmodules' }]);
  });

  it('names gitlinks without an entry, entries without a gitlink, and what is not known of nested ones', () => {
    const facts = factsOf([], {
      orphans: [{ path: 'a', sha: SHA }],
      strays: [{ name: 'b', path: 'c', line: 4 }, { name: 'd' }],
      unknowns: [{ path: 'e', why: 'no answer' }],
    });
    expect(makePlan(inputsOf(), facts).findings.map(({ state: is, path, line }) => [is, path, line])).toEqual([
      ['COULD-NOT-CHECK', 'e', undefined],
      ['ORPHAN-GITLINK', 'a', undefined],
      ['NO-GITLINK', 'c', 4],
      ['NO-GITLINK', 'd', undefined],
    ]);
  });

  it.each([
    ['a pin that is there', { behind: 0 }, undefined],
    ['a pin that is behind', { behind: 2 }, 'ROOT-BEHIND'],
    ['no pin at all', { behind: 1, pin: undefined }, 'ROOT-BEHIND'],
    ['no answer', { trouble }, 'COULD-NOT-CHECK'],
    ['an answer without a count', {}, 'COULD-NOT-CHECK'],
  ] as const)('from the side of a submodule: %s', (_title, found, expected) => {
    const facts = factsOf([], { rootPins: [{ remote: 'alm', path: 'x', pin: TIP, ...found }] });
    const { findings } = makePlan(inputsOf({ mode: 'submodule', root: 'gb' }), facts);
    expect(findings.map(({ state: is }) => is)).toEqual(expected ? [expected] : []);
  });

  it('from the side of a submodule: what keeps the root from being read is told with what helps there', () => {
    const unauthorised = { reason: 'unauthorised' as const, said: 'fatal: x' };
    const facts = factsOf([], { rootPins: [{ remote: 'alm', path: 'x', trouble: unauthorised }] });
    const { findings } = makePlan(inputsOf({ mode: 'submodule', root: 'gb' }), facts);
    expect(findings[0]?.hint).toMatch(/Add a token for alm to `tokens`/);
  });

  it.each([
    ['23 h behind', 23, undefined],
    ['24 h behind', 24, 'PIN-BEHIND'],
    ['a date of the future', -5, undefined],
  ] as const)('by the clock: %s', (_title, hours, expected) => {
    const facts = factsOf([rowOf('x', [probeOf({ remote: 'alm', tip: TIP })])], {
      rootPins: [{ remote: 'alm', path: 'x', pin: SHA, behind: 3, oldest: factsOf([]).now - hours * 3_600_000 }],
    });
    const { findings } = makePlan(inputsOf({ mode: 'schedule' }), facts);
    expect(findings.map(({ state: is }) => is)).toEqual(expected ? [expected] : []);
  });

  it.each([
    ['3d', 71, []],
    ['3d', 72, ['PIN-BEHIND']],
    ['72h', 71, []],
    ['1 day', 24, ['PIN-BEHIND']],
  ])('by the clock, with behind-for %s, after %s h', (behindFor, hours, expected) => {
    const facts = factsOf([rowOf('x', [probeOf({ remote: 'alm', tip: TIP })])], {
      rootPins: [{ remote: 'alm', path: 'x', pin: SHA, behind: 3, oldest: factsOf([]).now - hours * 3_600_000 }],
    });
    const { findings } = makePlan(inputsOf({ mode: 'schedule', 'behind-for': behindFor }), facts);
    expect(findings.map(({ state: is }) => is)).toEqual(expected);
  });

  it('by the clock: no answer is not all well', () => {
    const facts = factsOf([], { rootPins: [{ remote: 'alm', path: 'x', trouble }] });
    expect(makePlan(inputsOf({ mode: 'schedule' }), facts).findings).toMatchObject([{ state: 'COULD-NOT-CHECK' }]);
  });

  it('says what to do about everything', () => {
    const reasons: Reason[] = [
      'unauthorised',
      'forbidden',
      'not found or no access',
      'moved',
      'rate limited',
      'unreachable',
      'unknown host key',
      'not a git server',
      'too large',
      'took too long',
      'invalid address',
      'certificate',
      'other',
    ];
    const rows = [
      lagging('lag'),
      rowOf('missing', [probeOf({ ...away }), probeOf({ ...away, remote: 'alm' })]),
      rowOf('tree', [probeOf({ ...away, notACommit: true })]),
      rowOf('tree-without-tip', [probeOf({ ...away, tip: undefined, notACommit: true })]),
      ...reasons.map((reason) => rowOf(reason, [probeOf({ onBranch: 'unknown', trouble: { reason, said: 'x' } })])),
    ];
    const facts = factsOf(rows, {
      unreadable: 'x',
      orphans: [{ path: 'a', sha: SHA }],
      strays: [{ name: 'b' }],
      unknowns: [{ path: 'e', why: 'y' }],
      earlier: [
        { path: '.', why: 'z' },
        { path: 'f', commit: TIP },
        { path: '.gitmodules', commit: TIP, why: 'z' },
      ],
    });
    for (const { mend, hint, what } of makePlan(inputsOf(), facts).findings) {
      expect(mend.length > 0 || Boolean(hint)).toBe(true);
      expect(what).toMatch(/\.$/);
    }
  });
});
