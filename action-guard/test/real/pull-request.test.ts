import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ForgeStandIn } from '../../../testbed/forge.js';
import { hostilePassphrase, hostileToken } from '../../../testbed/hostile-secrets.js';
import { watchProcesses } from '../../../testbed/process-watch.js';
import { bundle, Repository, run, told } from '../harness.js';

let repository: Repository;
let forge: ForgeStandIn;
let base: string;

/** A workflow whose jobs have these bodies; a job without steps breaks ci/no-steps at its line. */
const workflow = (...jobs: string[]) =>
  `on:\n  push:\njobs:\n${jobs.map((body, index) => `  job${index}:\n    runs-on: gbo\n${body}`).join('')}`;
const GOOD = '    steps:\n      - run: make\n';
const PATH = '.forgejo/workflows/build.yml';

beforeAll(async () => {
  repository = new Repository();
  base = repository.commit({ [PATH]: workflow(GOOD), 'src/main.rs': 'fn main() {}\n' });
});
beforeEach(async () => {
  forge?.stop();
  forge = await new ForgeStandIn('acme/gb').start();
});
afterAll(() => {
  forge?.stop();
  repository?.remove();
});

const check = (head: string, inputs: Record<string, string> = {}, env: Record<string, string> = {}) =>
  run(
    { tools: 'false', ...inputs },
    { ...repository.pullRequest(base, head), GITHUB_API_URL: forge.apiUrl, GITHUB_TOKEN: 't0ken', ...env },
  );

/** Commits upon the base alone, as a branch of its own. */
function branch(files: Parameters<Repository['commit']>[0]): string {
  repository.git('checkout', '--quiet', '--force', '--detach', base);
  return repository.commit(files);
}

describe('a pull request', () => {
  it('over five pushes has exactly the right comments, one sum, and a status for each commit', async () => {
    const pushes: [jobs: string[], lines: number[], state: string][] = [
      [[GOOD, ''], [8], 'failure'],
      [['', ''], [4, 6], 'failure'],
      [['', GOOD], [4], 'failure'],
      [[GOOD, GOOD], [], 'success'],
      [[GOOD, GOOD, ''], [12], 'failure'],
    ];
    for (const [jobs, lines, state] of pushes) {
      const head = branch({ [PATH]: workflow(...jobs) });
      const { code } = await check(head);
      expect(code).toBe(state === 'failure' ? 1 : 0);
      expect(forge.shown.map(({ new_position }) => new_position)).toEqual(lines);
      expect(forge.comments.length).toBe(lines.length > 0 ? 1 : 0);
      expect(forge.reviews.length).toBe(lines.length > 0 ? 1 : 0);
      expect(forge.statuses.at(-1)).toMatchObject({ commit: head, context: 'gbo/guard', state });
    }
  });

  it.each(['pull_request', 'pull_request_target'])(
    'is judged by its head, which gets the status, on %s',
    async (name) => {
      const head = branch({ [PATH]: workflow('') });
      const sha = name === 'pull_request' ? head : base;
      const { code, report } = await check(head, {}, { GITHUB_EVENT_NAME: name, GITHUB_SHA: sha });
      expect([code, report?.commit, forge.shown.length]).toEqual([1, head, 1]);
      expect(forge.statuses.at(-1)).toMatchObject({ commit: head, state: 'failure' });
    },
  );

  it('is red where pull_request_target left only its base in the checkout, and told how to have its head too', async () => {
    const env = { GITHUB_EVENT_NAME: 'pull_request_target', GITHUB_SHA: base };
    const { code, log } = await check('a'.repeat(40), {}, env);
    expect([code, forge.statuses]).toEqual([1, []]);
    expect(log).toMatch(/no commit a{40} .*Nothing was judged\..*`ref: refs\/pull\/7\/head`/s);
  });

  it('with a file of more than 4 MiB, also one that a later commit took away, is not green', async () => {
    const large = 'x'.repeat(4 * 1024 * 1024 + 1);
    const there = branch({ 'data/dump.env': large });
    const gone = repository.commit({ 'data/dump.env': undefined });
    for (const [head, says] of [
      [there, /it is larger than 4 MiB/],
      [gone, new RegExp(`commit ${there.slice(0, 12)} holds it with more than 4 MiB`)],
    ] as const) {
      const { code, report } = await check(head);
      const found = report?.findings.filter(({ rule }) => rule === 'vault/secret') ?? [];
      expect([code, report?.result, found.map(({ status, at }) => `${status} ${at.path}`)]).toEqual([
        0,
        'unknown',
        ['unknown data/dump.env'],
      ]);
      expect(found[0]?.message).toMatch(says);
      expect((await check(head, { 'on-unknown': 'fail' })).code).toBe(1);
    }
  });

  it('of a fork has its comments; that it gets no status is said, and changes nothing', async () => {
    forge.tokens.t0ken = 'reads';
    const { code, log } = await check(branch({ [PATH]: workflow('') }));
    expect([code, forge.shown.length, forge.statuses.length]).toEqual([1, 1, 0]);
    expect(log).toMatch(/The status of the commit was not written: .* 403/);
  });

  it('whose token may not even review is told by a comment, and failing that by the log', async () => {
    forge.refuse.add('POST /pulls/7/reviews');
    const head = branch({ [PATH]: workflow('') });
    await check(head);
    expect([forge.shown.length, forge.comments.length]).toEqual([0, 1]);
    forge.refuse.add('PATCH /issues/comments/1000').add('POST /issues/7/comments');
    forge.comments = [];
    const { code, log } = await check(head);
    expect([code, forge.comments.length]).toEqual([1, 0]);
    expect(log).toContain(`${PATH}:4:3: error ci/no-steps`);
  });

  it('whose review failed half-way has no comment twice afterwards', async () => {
    forge.failAfter = 1;
    const head = branch({ [PATH]: workflow('', '', '') });
    expect((await check(head)).log).toMatch(/The review on the pull request was not written: .*500/);
    expect(forge.shown).toEqual([]);
    await check(head);
    expect(forge.shown.map(({ new_position }) => new_position)).toEqual([4, 6, 8]);
  });

  it('with 300 findings gets the 50 gravest at lines, and the number of the rest', async () => {
    const head = branch({ [PATH]: workflow(...Array.from({ length: 300 }, () => '')) });
    const finished = await check(head);
    expect([forge.shown.length, finished.outputs.findings]).toEqual([50, '300']);
    expect(forge.reviews[0]?.body).toMatch(/and at 250 more/);
    expect(finished.log.split('\n').length).toBeLessThan(500);
  });

  it('that changes nothing a rule is about is green and reads nothing', async () => {
    const { code, report } = await check(branch({ 'src/main.rs': 'fn main() { }\n' }));
    expect([code, report?.result]).toEqual([0, 'pass']);
    expect(report?.rules.filter(({ id }) => id.startsWith('ci/')).every(({ status }) => status === 'unchanged')).toBe(
      true,
    );
  });

  it('is not blamed for what the base had already', async () => {
    const old = branch({ [PATH]: workflow('') });
    repository.git('checkout', '--quiet', '--force', '--detach', old);
    const head = repository.commit({ [PATH]: `# A comment that moves the lines\n${workflow('')}` });
    const finished = await run({ tools: 'false' }, { ...repository.pullRequest(old, head) });
    expect([finished.code, told(finished)]).toEqual([0, []]);
    expect(finished.log).toMatch(/ci\/no-steps.*\(it was there before\)/);
  });

  it('cannot switch its own guard off', async () => {
    const off = { '.forgejo/gbo-guard.yml': 'rules: {"*/*": off}\n', 'baseline.json': '{"version":1,"accepted":[]}' };
    const { code } = await check(branch({ [PATH]: workflow(''), ...off }));
    expect(code).toBe(1);
  });

  it('may carry an exception in the file, which the log then shows', async () => {
    const text = workflow('').replace('  job0:', '  # gbo-guard: allow ci/no-steps -- generated\n  job0:');
    const { code, log } = await check(branch({ [PATH]: text }));
    expect(code).toBe(0);
    expect(log).toMatch(/accepted by a comment: generated/);
  });

  it('may show in a document and in a program how an exception is written', async () => {
    const example = 'Write\n\n# gbo-guard: allow RULE -- why\n\nor `gbo-guard: allow`.\n';
    const { code, report } = await check(branch({ 'README.md': example, 'docs/a.txt': example, 'src/a.py': example }));
    expect([code, report?.findings]).toEqual([0, []]);
  });

  it('is told of an exception that does not count, once', async () => {
    const written = branch({ [PATH]: `# gbo-guard: allow RULE -- why\n${workflow(GOOD)}` });
    expect(told(await check(written))).toEqual([`${PATH}:1 guard/suppression`]);
    const later = repository.commit({ [PATH]: `# more\n# gbo-guard: allow RULE -- why\n${workflow(GOOD)}` });
    const finished = await run({ tools: 'false' }, repository.pullRequest(written, later));
    expect([finished.code, told(finished)]).toEqual([0, []]);
  });

  it('whose base is not in the checkout says so in one sentence', async () => {
    const env = repository.pullRequest('f'.repeat(40), base);
    const { code, log } = await run({ tools: 'false' }, env);
    expect(code).toBe(1);
    expect(log).toMatch(/The base of the pull request, f{40}, is not in this checkout .*fetch-depth: 0/);
    expect(log).not.toContain('    at ');
  });

  it('whose checkout is a partial clone says so in one sentence', async () => {
    const head = branch({ [PATH]: workflow('') });
    repository.git('branch', '--force', 'shown', head);
    repository.git('config', 'uploadpack.allowFilter', 'true');
    const copy = new Repository();
    try {
      const folder = join(copy.folder, 'clone');
      copy.git('clone', '--quiet', '--no-checkout', '--filter=blob:none', `file://${repository.folder}`, folder);
      const { code, log } = await run(
        { tools: 'false' },
        { ...repository.pullRequest(base, head), GITHUB_WORKSPACE: folder },
      );
      expect([code, log]).toEqual([1, expect.stringMatching(/This is a partial clone.*Check out without `filter`/s)]);
      expect(log).not.toMatch(/Unexpected|^ +at /m);
    } finally {
      copy.remove();
    }
  });

  it('that holds a secret in a commit which the next one removes is found', async () => {
    const token = `hvs.${'CAESIJ4n8r2sYq7PzKd0'.repeat(5)}`;
    branch({ 'deploy.env': `VAULT_TOKEN=${token}\n` });
    const head = repository.commit({ 'deploy.env': undefined });
    const finished = await check(head);
    expect(told(finished).map((each) => each.split(' ')[1])).toContain('vault/secret');
    expect(finished.log + JSON.stringify(forge.comments) + JSON.stringify(forge.reviews)).not.toContain(token);
  });
});

describe('files for other programs', () => {
  it('are written where asked for, and say the same', async () => {
    const head = branch({ [PATH]: workflow('') });
    const files = {
      json: 'out/guard.json',
      sarif: 'out/guard.sarif',
      junit: 'out/guard.xml',
      patch: 'out/guard.patch',
    };
    const { report } = await check(head, files);
    const read = (path: string) => readFileSync(join(repository.folder, path), 'utf8');
    expect(JSON.parse(read(files.json)).findings).toHaveLength(report?.findings.length ?? -1);
    expect(JSON.parse(read(files.sarif)).runs[0].results).toHaveLength(report?.findings.length ?? -1);
    expect(read(files.junit)).toContain('<failure');
    expect(existsSync(join(repository.folder, files.patch))).toBe(true);
  });

  it('never through a link that the pull request brought', async () => {
    const outside = join(repository.folder, '.git', 'outside');
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, 'precious'), 'precious');
    const head = branch({ 'report.json': { to: '.git/outside/precious' }, out2: { to: '.git/outside' } });
    await check(head, { json: 'report.json' });
    expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('precious');
  });
});

describe('the whole tree', () => {
  it('is judged where there is no base; a baseline accepts what is there', async () => {
    repository.git('checkout', '--quiet', '--force', '--detach', base);
    repository.commit({ [PATH]: workflow('') });
    const env = { GITHUB_WORKSPACE: repository.folder };
    expect(told(await run({ tools: 'false' }, env))).toContain(`${PATH}:4 ci/no-steps`);
    const written = await run({ tools: 'false', mode: 'baseline', baseline: 'guard-baseline.json' }, env);
    expect(written.code).toBe(0);
    repository.git('add', 'guard-baseline.json');
    repository.git('commit', '--quiet', '-m', 'Accept');
    const after = await run({ tools: 'false', baseline: 'guard-baseline.json' }, env);
    expect([after.code, told(after)]).toEqual([0, []]);
  });

  it('generate writes what each bot tool should have, and the patch applies', async () => {
    repository.git('checkout', '--quiet', '--force', '--detach', base);
    repository.commit({ 'sales.gbai/sales.gbdialog/price.bas': 'DESCRIPTION "Price of a thing"\nUSE KB "prices"\n' });
    const env = { GITHUB_WORKSPACE: repository.folder };
    const { code, report } = await run({ mode: 'generate', patch: 'tools.patch' }, env);
    expect(code).toBe(0);
    const [path = '', text = ''] =
      Object.entries((report as unknown as { generated: Record<string, string> }).generated)[0] ?? [];
    expect(path).toMatch(/price\.mcp\.json$/);
    expect(JSON.parse(text)).toMatchObject({ name: 'price', description: 'Price of a thing' });
    execFileSync('git', ['-C', repository.folder, 'apply', 'tools.patch']);
    expect(readFileSync(join(repository.folder, path), 'utf8')).toBe(text);
  });

  it('explain prints the page of a rule, and names the nearest of one that is not there', async () => {
    const page = await run({ explain: 'caddy/storage' });
    expect([page.code, page.log]).toEqual([0, expect.stringMatching(/# caddy\/storage/)]);
    const none = await run({ explain: 'caddy/storag' });
    expect([none.code, none.log]).toEqual([1, expect.stringMatching(/did you mean caddy\/storage\?/)]);
  });
});

describe('a token', () => {
  // Only bytes of ASCII can be in a header; the second is refused before it is sent, by an error that quotes it.
  const ascii = hostileToken.replaceAll(/[^ -~]/g, '');
  const cases: {
    name: string;
    /** What the forge knows. */
    token: string;
    inputs: Record<string, string>;
    env?: string;
    comments: number;
  }[] = [
    { name: 'that works', token: ascii, inputs: { token: ascii }, comments: 1 },
    { name: 'that no header can hold', token: 'n0ne', inputs: { token: hostilePassphrase }, comments: 0 },
    { name: 'of the run that no header can hold', token: 'n0ne', inputs: {}, env: hostilePassphrase, comments: 0 },
    { name: 'that the forge does not know', token: 'n0ne', inputs: { token: ascii }, comments: 0 },
  ];

  it.each(cases)(
    '$name is in no process list, and in nothing that is written',
    async ({ token, inputs, env, comments }) => {
      forge.tokens = { [token]: 'writes' };
      const variables: Record<string, string> = env ? { GITHUB_TOKEN: env } : {};
      const watch = await watchProcesses({ ...inputs, ...variables }, bundle, ['git']);
      const { code } = await check(
        branch({ [PATH]: workflow('') }),
        { ...inputs, tools: 'true', json: 'r.json', sarif: 'r.sarif', junit: 'r.xml' },
        { ...variables, PATH: watch.PATH },
      );
      const { hits, called } = await watch.stop();
      expect([code, forge.comments.length, hits]).toEqual([1, comments, []]);
      expect(called).toEqual(['git']);
    },
  );
});
