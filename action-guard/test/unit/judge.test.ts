import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readBaseline, writeBaseline } from '../../src/baseline.js';
import { inputs } from '../../src/inputs.js';
import { type Case, judge } from '../../src/judge.js';
import { junit } from '../../src/junit.js';
import { readPolicy } from '../../src/policy.js';
import { counting, report } from '../../src/report.js';
import type { Family, Finding, Severity } from '../../src/rule.js';
import { suppressionsIn } from '../../src/suppressions.js';
import { type SourceFile, treeOf } from '../../src/tree.js';

/** Every line with BAD in it is wrong, every line with MAYBE cannot be told; a line MILD or OTHERWISE says how. */
function family(severity: Severity = 'error', suppressible = true): Family {
  const finding = (status: Finding['status'], path: string, line: number, text: string): Finding => ({
    status,
    at: { path, line, column: 1 },
    message: `It is ${text.includes('OTHERWISE') ? 'wrong' : 'bad'} (${text.length}).`,
    ...(text.includes('MILD') ? { severity: 'warning' } : {}),
  });
  return {
    name: 'demo',
    schema: z.object({ word: z.string() }) as Family['schema'],
    presets: { 'guide-lxd': { word: 'BAD' }, 'infra-incus': { word: 'WORSE' } },
    rules: [
      {
        id: 'demo/bad',
        severity,
        title: 'Nothing is bad.',
        reason: 'Because.',
        suppressible,
        files: () => ['conf/**'],
        check: ({ head, options }) =>
          head.matching(['conf/**']).flatMap(({ path, text }) =>
            text.split('\n').flatMap((line, index) => {
              if (line.includes('THROW')) throw new Error('it broke');
              if (line.includes((options as { word: string }).word)) return [finding('fail', path, index + 1, text)];
              return line.includes('MAYBE') ? [finding('unknown', path, index + 1, text)] : [];
            }),
          ),
        samples: { good: [], bad: [] },
      },
    ],
  };
}

interface Given {
  head: Record<string, string>;
  base?: Record<string, string>;
  policy?: string;
  baseline?: string;
  today?: string;
  severity?: Severity;
  suppressible?: boolean;
}

function judged({ head, base, policy, baseline, today = '2026-11-24', severity, suppressible }: Given) {
  const families = [family(severity, suppressible)];
  const tree = treeOf(head);
  const all = tree.matching(['**']).map(suppressionsIn);
  const before = base && treeOf(base);
  const allBefore = before?.matching(['**']).map(suppressionsIn);
  const paths = new Set([...tree.paths, ...(before?.paths ?? [])]);
  const of: Case = {
    families,
    policy: readPolicy(policy, '.forgejo/gbo-guard.yml', families),
    head: tree,
    base: before,
    tools: new Map(),
    baseTools: new Map(),
    changed: base && new Set([...paths].filter((path) => head[path] !== base[path])),
    suppressions: all.flatMap(({ found }) => found),
    badSuppressions: all.flatMap(({ bad }) => bad),
    baseBadSuppressions: allBefore?.flatMap(({ bad }) => bad),
    baseline: readBaseline(baseline, 'baseline.json'),
    today,
  };
  return judge(of);
}

/** `rule line: how`, as short as a table needs it. */
function told(given: Given): string[] {
  return judged(given).findings.map(({ rule, at, old, excused, severity, status }) =>
    [
      rule,
      at.line,
      status === 'unknown' ? 'unknown' : severity,
      ...(old ? ['old'] : []),
      ...(excused ? [excused.by] : []),
    ].join(' '),
  );
}

const ALLOW = '# gbo-guard: allow demo/bad -- the hoster asked for it';

describe('what counts', () => {
  const table: [title: string, given: Given, findings: string[], status: string][] = [
    ['nothing wrong passes', { head: { 'conf/a': 'fine' } }, [], 'pass'],
    ['no file to judge is not green', { head: { other: 'BAD' } }, [], 'nothing-matched'],
    ['a broken rule fails', { head: { 'conf/a': 'x\nBAD' } }, ['demo/bad 2 error'], 'fail'],
    ['what could not be told is unknown', { head: { 'conf/a': 'MAYBE' } }, ['demo/bad 1 unknown'], 'unknown'],
    [
      'a failure outweighs an unknown',
      { head: { 'conf/a': 'MAYBE\nBAD' } },
      ['demo/bad 1 unknown', 'demo/bad 2 error'],
      'fail',
    ],
    [
      'what the base had is old',
      { head: { 'conf/a': 'BAD\nnew' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 1 error old'],
      'pass',
    ],
    [
      'it stays old when lines move',
      { head: { 'conf/a': 'x\ny\nBAD' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 3 error old'],
      'pass',
    ],
    [
      'a second one like it is new',
      { head: { 'conf/a': 'BAD\nBAD' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 2 error', 'demo/bad 1 error old'],
      'fail',
    ],
    [
      'the same in another file is new',
      { head: { 'conf/a': 'BAD', 'conf/b': 'BAD' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 1 error', 'demo/bad 1 error old'],
      'fail',
    ],
    [
      'an error is new where the same line was worth a warning',
      { head: { 'conf/a': 'BAD' }, base: { 'conf/a': 'BAD\nMILD' } },
      ['demo/bad 1 error'],
      'fail',
    ],
    [
      'a warning is old where the same line was worth an error',
      { head: { 'conf/a': 'BAD\nMILD' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 1 warning old'],
      'pass',
    ],
    [
      'what is wrong with a line in another way is new',
      { head: { 'conf/a': 'BAD\nOTHERWISE' }, base: { 'conf/a': 'BAD' } },
      ['demo/bad 1 error'],
      'fail',
    ],
    [
      'a rule whose files are not touched is not asked',
      { head: { 'conf/a': 'BAD', x: '2' }, base: { 'conf/a': 'BAD', x: '1' } },
      [],
      'unchanged',
    ],
    ['a comment above excuses', { head: { 'conf/a': `${ALLOW}\nBAD` } }, ['demo/bad 2 error comment'], 'pass'],
    ['a comment on the line excuses', { head: { 'conf/a': `BAD ${ALLOW}` } }, ['demo/bad 1 error comment'], 'pass'],
    ['a comment two lines above does not', { head: { 'conf/a': `${ALLOW}\nx\nBAD` } }, ['demo/bad 3 error'], 'fail'],
    [
      'comments between are skipped',
      { head: { 'conf/a': `${ALLOW}\n# more\nBAD` } },
      ['demo/bad 3 error comment'],
      'pass',
    ],
    [
      'a comment excuses one line',
      { head: { 'conf/a': `${ALLOW}\nBAD\nBAD` } },
      ['demo/bad 2 error comment', 'demo/bad 3 error'],
      'fail',
    ],
    [
      'allow-file excuses the file',
      { head: { 'conf/a': `${ALLOW.replace('allow', 'allow-file')}\nx\nBAD` } },
      ['demo/bad 3 error comment'],
      'pass',
    ],
    [
      'a comment about another rule does not',
      { head: { 'conf/a': `${ALLOW.replace('bad', 'other')}\nBAD` } },
      ['demo/bad 2 error'],
      'fail',
    ],
    [
      'a whole family can be excused',
      { head: { 'conf/a': `${ALLOW.replace('demo/bad', 'demo/*')}\nBAD` } },
      ['demo/bad 2 error comment'],
      'pass',
    ],
    [
      'the mark inside a text is no exception',
      { head: { 'conf/a': `BAD "gbo-guard: allow demo/bad -- no"` } },
      ['demo/bad 1 error'],
      'fail',
    ],
    [
      'no reason, no exception',
      { head: { 'conf/a': '# gbo-guard: allow demo/bad\nBAD' } },
      ['demo/bad 2 error', 'guard/suppression 1 error'].sort(
        (a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]),
      ),
      'fail',
    ],
    [
      'an exception without a reason that the base has is old',
      { head: { 'conf/a': '# gbo-guard: allow demo/bad\nfine\n' }, base: { 'conf/a': '# gbo-guard: allow demo/bad' } },
      ['guard/suppression 1 error old'],
      'pass',
    ],
    [
      'the policy says how grave one without a reason is',
      { head: { 'conf/a': '# gbo-guard: allow demo/bad' }, policy: 'rules: {guard/suppression: warning}' },
      ['guard/suppression 1 warning'],
      'pass',
    ],
    [
      'or that nobody wants to know',
      { head: { 'conf/a': '# gbo-guard: allow demo/bad' }, policy: 'rules: {guard/suppression: off}' },
      [],
      'pass',
    ],
    [
      'until its last day it holds',
      { head: { 'conf/a': `${ALLOW} until 2026-11-24\nBAD` } },
      ['demo/bad 2 error comment'],
      'pass',
    ],
    ['after it, it is over', { head: { 'conf/a': `${ALLOW} until 2026-11-23\nBAD` } }, ['demo/bad 2 error'], 'fail'],
    [
      'a rule that cannot be silenced is not',
      { head: { 'conf/a': `${ALLOW}\nBAD` }, suppressible: false },
      ['demo/bad 2 error'],
      'fail',
    ],
    [
      'nor one that the policy protects',
      { head: { 'conf/a': `${ALLOW}\nBAD` }, policy: "unsuppressible: ['demo/*']" },
      ['demo/bad 2 error'],
      'fail',
    ],
    [
      'a file beside it excuses what holds no comments',
      { head: { 'conf/a.json': 'BAD', 'conf/a.json.gbo-guard': 'gbo-guard: allow demo/bad -- imported' } },
      ['demo/bad 1 error comment'],
      'pass',
    ],
    [
      'the policy excuses by glob',
      { head: { 'conf/a/b': 'BAD' }, policy: 'exceptions: [{rule: demo/bad, path: "conf/a/**", reason: known}]' },
      ['demo/bad 1 error policy'],
      'pass',
    ],
    [
      'for its paths only',
      { head: { 'conf/c': 'BAD' }, policy: 'exceptions: [{rule: demo/bad, path: "conf/a/**", reason: known}]' },
      ['demo/bad 1 error'],
      'fail',
    ],
    [
      'and until its day',
      {
        head: { 'conf/a/b': 'BAD' },
        policy: 'exceptions: [{rule: demo/bad, path: "**", reason: known, until: "2026-11-01"}]',
      },
      ['demo/bad 1 error'],
      'fail',
    ],
    [
      'the policy changes severity',
      { head: { 'conf/a': 'BAD' }, policy: 'rules: {demo/bad: info}' },
      ['demo/bad 1 info'],
      'fail',
    ],
    [
      'of whole families too',
      { head: { 'conf/a': 'BAD' }, policy: "rules: {'demo/*': warning}" },
      ['demo/bad 1 warning'],
      'fail',
    ],
    ['it switches rules off', { head: { 'conf/a': 'BAD' }, policy: 'rules: {demo/bad: off}' }, [], 'off'],
    [
      'it gives options',
      { head: { 'conf/a': 'BAD\nHUH' }, policy: 'options: {demo: {word: HUH}}' },
      ['demo/bad 2 error'],
      'fail',
    ],
    [
      'a preset gives others',
      { head: { 'conf/a': 'BAD\nWORSE' }, policy: 'preset: infra-incus' },
      ['demo/bad 2 error'],
      'fail',
    ],
  ];
  it.each(table)('%s', (_, given, findings, status) => {
    expect(told(given)).toEqual(findings);
    expect(judged(given).rules.map((rule) => rule.status)).toEqual([status]);
  });
});

describe('what could not be told', () => {
  const red = (given: Given, more: Record<string, string> = {}) => {
    const { outputs, failed } = report(inputs.parse(new Map(Object.entries(more))), 'c0ffee', judged(given), [], 1);
    return [judged(given).rules[0]?.status, outputs.result, failed === undefined ? 'exit 0' : 'exit 1'].join(', ');
  };
  const fails = { 'on-unknown': 'fail' };
  const old = { head: { 'conf/a': 'MAYBE\nnew' }, base: { 'conf/a': 'MAYBE' } };
  const added = { head: { 'conf/a': 'MAYBE' }, base: { 'conf/a': 'fine' } };
  const broken = { head: { 'conf/a': 'THROW\nnew' }, base: { 'conf/a': 'THROW' } };

  it.each<[string, Given, Record<string, string>, string]>([
    ['is shown where it is new', added, {}, 'unknown, unknown, exit 0'],
    ['is red where it is new and on-unknown says so', added, fails, 'unknown, unknown, exit 1'],
    ['is no pass where it was there before', old, {}, 'unknown, unknown, exit 0'],
    ['is not red for having been there before', old, fails, 'unknown, unknown, exit 0'],
    ['is a pass when somebody accepts it', { head: { 'conf/a': `MAYBE ${ALLOW}` } }, fails, 'pass, pass, exit 0'],
    ['by a rule that broke is new each time', broken, fails, 'unknown, unknown, exit 1'],
    ['without any file is red too', { head: { x: 'BAD' } }, fails, 'nothing-matched, unknown, exit 1'],
  ])('%s', (_, given, more, told) => expect(red(given, more)).toBe(told));

  it('before is said in no comment a second time', () => {
    expect(told(old)).toEqual(['demo/bad 1 unknown old']);
    expect(counting(judged(old))).toEqual([]);
  });

  it('before stands in JUnit as neither green nor red', () => {
    expect(junit(judged(old))).toMatch(/errors="0" skipped="1"[\s\S]*<skipped message="unknown, as before"\/>/);
    expect(junit(judged(added))).toMatch(/errors="1" skipped="0"[\s\S]*<error /);
  });
});

describe('a baseline', () => {
  const accept = (head: Record<string, string>) => writeBaseline(judged({ head }).findings);

  it('accepts what was there when it was written, wherever it moves', () => {
    const baseline = accept({ 'conf/a': 'BAD' });
    expect(told({ head: { 'conf/a': 'x\n\nBAD' }, baseline })).toEqual(['demo/bad 3 error baseline']);
  });

  it('accepts it as often as it was there, and not once more', () => {
    const baseline = accept({ 'conf/a': 'BAD\nBAD' });
    expect(told({ head: { 'conf/a': 'BAD\nBAD\nBAD' }, baseline })).toEqual([
      'demo/bad 1 error baseline',
      'demo/bad 2 error baseline',
      'demo/bad 3 error',
    ]);
  });

  it('of a warning accepts no error of the same line', () => {
    expect(told({ head: { 'conf/a': 'BAD' }, baseline: accept({ 'conf/a': 'BAD\nMILD' }) })).toEqual([
      'demo/bad 1 error',
    ]);
  });

  it('holds no text of the files', () => {
    expect(accept({ 'conf/a': 'BAD k7Qw2ZpX' })).not.toMatch(/BAD|k7Qw2ZpX/);
  });

  it('is about its file', () => {
    expect(told({ head: { 'conf/b': 'BAD' }, baseline: accept({ 'conf/a': 'BAD' }) })).toEqual(['demo/bad 1 error']);
  });

  it('lapses when the line changes, and says so', () => {
    const given = { head: { 'conf/a': 'BAD changed' }, baseline: accept({ 'conf/a': 'BAD' }) };
    expect(told(given)).toEqual(['demo/bad 1 error']);
    expect(judged(given).notes.join()).toMatch(/1 of the baseline's findings are no longer there/);
  });

  it('that is damaged judges nothing', () => {
    expect(() => judged({ head: {}, baseline: '{"version": 2}' })).toThrow(/cannot be read\. Nothing was judged\./);
  });
});

describe('exceptions that are for nothing are told', () => {
  it.each([
    ['a comment', { head: { 'conf/a': `${ALLOW}\nfine` } }, /^conf\/a:1: the exception is for nothing/],
    [
      'a comment that is over',
      { head: { 'conf/a': `${ALLOW} until 2020-01-01\nBAD` } },
      /^conf\/a:1: the exception ended on 2020-01-01/,
    ],
    [
      'an entry of the policy',
      { head: { 'conf/a': 'fine' }, policy: 'exceptions: [{rule: demo/bad, path: "conf/**", reason: known}]' },
      /exception of demo\/bad for conf\/\*\* is for nothing/,
    ],
  ] as [string, Given, RegExp][])('%s', (_, given, says) => {
    expect(judged(given).notes.join('\n')).toMatch(says);
  });

  it('but not on a pull request, where not every rule was asked', () => {
    const head = { 'conf/a': `${ALLOW}\nfine` };
    expect(judged({ head, base: { 'conf/a': 'fine' } }).notes).toEqual([]);
  });
});

describe('a comment is what begins as one in a file of its kind', () => {
  const says = 'gbo-guard: allow demo/bad -- why';
  it.each<[path: string, line: string, comment: boolean]>([
    ['etc/default/ufw', `# ${says}`, true],
    ['conf/Caddyfile', `log # ${says}`, true],
    ['a.sh', `echo "# ${says}"`, false],
    ['a.sh', `; ${says}`, false],
    ['a.sh', `' ${says}`, false],
    ['a.yml', `say: 'gbo-guard: allow RULE'`, false],
    ['a.service', `; ${says}`, true],
    ['jail.local', `# ${says}`, true],
    ['db.zone', `; ${says}`, true],
    ['db.zone', `# ${says}`, false],
    ['a.bas', `' ${says}`, true],
    ['a.BAS', `REM ${says}`, true],
    ['a.bas', `# ${says}`, false],
    ['a.json', `{} // ${says}`, true],
    ['a.json', `"# ${says}"`, false],
    ['README.md', `# ${says}`, false],
    ['README.md', `\`# gbo-guard: allow RULE -- why\``, false],
    ['README.md', `<!-- ${says} -->`, true],
    ['a.json.gbo-guard', says, true],
  ])('%s: %s', (path, line, comment) => {
    const { found, bad } = suppressionsIn(treeOf({ [path]: line }).file(path) as SourceFile);
    expect([found.map(({ reason }) => reason), bad]).toEqual([comment ? ['why'] : [], []]);
  });
});

describe('a policy that is not sound judges nothing and names what is wrong', () => {
  it.each([
    ['an unknown key', 'rule: {}', /Unrecognized key/],
    ['an unknown rule', 'rules: {demo/bed: off}', /there is no rule demo\/bed \(did you mean demo\/bad\?\)/],
    ['an unknown family', 'options: {dem: {}}', /there is no family dem \(did you mean demo\?\)/],
    ['an unknown severity', 'rules: {demo/bad: fatal}', /rules\.demo\/bad/],
    ['a wrong option', 'options: {demo: {word: 5}}', /options\.demo: word/],
    ['an exception without a reason', 'exceptions: [{rule: demo/bad, path: x}]', /exceptions\.0\.reason/],
    ['a day that is none', 'exceptions: [{rule: demo/bad, path: x, reason: why, until: soon}]', /is not a day/],
    ['no YAML', 'rules: {', /not sound/],
    ['a list', '- a', /not sound/],
    ['a bomb of aliases', `a: &a [x]\nb: [${'*a, '.repeat(50)}*a]`, /not sound|alias/i],
  ])('%s', (_, policy, says) => {
    expect(() => judged({ head: {}, policy })).toThrow(says);
  });
});

it('a rule of ours that fails has told nothing, and is not green', () => {
  const broken = family();
  broken.rules = broken.rules.map((rule) => ({
    ...rule,
    check: () => {
      throw new Error('oh');
    },
  }));
  const tree = treeOf({ 'conf/a': 'x' });
  const policy = readPolicy(undefined, 'policy', [broken]);
  const none = { tools: new Map(), baseTools: new Map(), suppressions: [], badSuppressions: [], baseline: [] };
  const { rules, findings } = judge({ families: [broken], policy, head: tree, today: '2026-11-24', ...none });
  expect(rules[0]?.status).toBe('unknown');
  expect(findings[0]?.message).toMatch(/The rule demo\/bad failed \(oh\); please report it\./);
});
