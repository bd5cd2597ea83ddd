import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Repository, run } from '../../../action-guard/test/harness.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, string | number | boolean>;
}
interface Workflow {
  on: unknown;
  concurrency?: { 'cancel-in-progress': boolean };
  jobs: Record<string, { if?: string; 'runs-on': string; steps: Step[] }>;
}

const places = ['.forgejo/workflows', 'examples/workflows'].map((place) => ({
  place,
  files: readdirSync(join(root, place)).map((name) => {
    const text = readFileSync(join(root, place, name), 'utf8');
    return { path: `${place}/${name}`, text, workflow: parse(text) as Workflow };
  }),
}));
const all = places.flatMap(({ files }) => files);
const stepsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps }) => steps);
/** The folder here of an action of ours, however it is named. */
const oursOf = ({ uses }: Step) => /(?:^\.\/|\/gbo\/)(action-[a-z-]+)(?:@v1)?$/.exec(uses ?? '')?.[1];

/**
 * The steps that run what a pull request brings, or write where it says: others' actions by address do neither, nor do programs
 * and checkouts outside the folders that hold it. npx looks for programs upwards, and a folder can be a link to anywhere.
 */
function brought(steps: Step[]): Step[] {
  const foreign: string[] = [];
  const isForeign = (path: string) => foreign.some((folder) => !folder || `${path}/`.startsWith(`${folder}/`));
  return steps.filter(({ uses, run = '', with: given = {} }) => {
    if (!uses?.startsWith('https:')) {
      const path = /^(?:node |\.\/)([\w./-]+)$/.exec(uses ?? run)?.[1];
      return path === undefined || path.includes('..') || isForeign(path);
    }
    if (!uses.includes('/checkout@')) return false;
    const path = String(given.path ?? '');
    const isBad = isForeign(path);
    if (given.ref !== `\${{ github.base_ref }}`) foreign.push(path);
    return isBad;
  });
}

describe('a step runs what a pull request brings', () => {
  const checkout = (given?: Step['with']): Step => ({
    uses: 'https://data.forgejo.org/actions/checkout@v4',
    with: given,
  });
  const base = `\${{ github.base_ref }}`;
  const build = { run: 'node scripts/bootstrap.mjs' };
  it.each<[string, number[], Step[]]>([
    ['when it is a program of its checkout', [1], [checkout(), build]],
    ['when it is any command', [1], [checkout(), { run: 'make' }]],
    ['when it is an action of its checkout', [1], [checkout(), { uses: './action-guard' }]],
    [
      'when the base lies below it, where a link may stand and npx looks upwards',
      [1, 2, 3],
      [
        checkout(),
        checkout({ ref: base, path: '.base' }),
        { run: 'node .base/x.mjs' },
        { uses: './.base/action-guard' },
      ],
    ],
    [
      'when it leaves the base upwards',
      [2],
      [checkout({ ref: base }), checkout({ path: 'h' }), { run: 'node x/../h/y' }],
    ],
    [
      'not when it is an action by address',
      [],
      [checkout(), { uses: 'https://forge.example.com/gbo/action-guard@v1' }],
    ],
    ['not when it is of the base, beside it', [], [checkout({ ref: base }), checkout({ path: '.head' }), build]],
  ])('%s', (_, found, steps) => {
    expect(brought(steps).map((step) => steps.indexOf(step))).toEqual(found);
  });
});

describe.each(places)('the workflows in $place', ({ files }) => {
  it('keep the rules that the guard has for workflows, without any exception', async () => {
    const repository = new Repository();
    try {
      const head = repository.commit(
        Object.fromEntries(files.map(({ path, text }) => [`.forgejo/workflows/${basename(path)}`, text])),
      );
      const env = { GITHUB_EVENT_NAME: 'push', GITHUB_SHA: head, GITHUB_WORKSPACE: repository.folder };
      const { code, report } = await run({ tools: 'false' }, env);
      expect(report?.findings.map(({ at, rule, message }) => `${at.path}:${at.line} ${rule} ${message}`)).toEqual([]);
      expect(code).toBe(0);
      const judged = report?.rules.filter(({ id }) => id.startsWith('ci/')) ?? [];
      expect(judged.length).toBeGreaterThan(5);
      expect(judged.filter(({ status, files: count }) => status !== 'pass' || count !== files.length)).toEqual([]);
    } finally {
      repository.remove();
    }
  });

  it('use each of the four actions', () => {
    const used = new Set(files.flatMap(({ workflow }) => stepsOf(workflow).map(oursOf)));
    expect([...used].filter(Boolean).sort()).toEqual(
      readdirSync(root)
        .filter((name) => name.startsWith('action-'))
        .sort(),
    );
  });
});

describe.each(all)('$path', ({ path, workflow }) => {
  it('runs on the label of the platform, and gives its actions only inputs that they have, and all they require', () => {
    expect(Object.values(workflow.jobs).map((job) => job['runs-on'])).toEqual(['gbo']);
    for (const step of stepsOf(workflow)) {
      const action = oursOf(step);
      if (!action) continue;
      const { inputs } = parse(readFileSync(join(root, action, 'action.yml'), 'utf8')) as {
        inputs: Record<string, { required?: boolean }>;
      };
      const given = Object.keys(step.with ?? {});
      expect(given.filter((key) => !(key in inputs))).toEqual([]);
      expect(Object.keys(inputs).filter((key) => inputs[key]?.required && !given.includes(key))).toEqual([]);
    }
  });

  // Which event each condition lets through, a runner is asked (test/real/runner.test.ts).
  it('runs what a pull request brings only of branches of this repository', () => {
    if (!JSON.stringify(workflow.on).includes('pull_request')) return;
    for (const job of Object.values(workflow.jobs)) {
      if (brought(job.steps).length > 0) expect(job.if).toContain('.head.repo.full_name == github.repository');
    }
  });

  it('has the history in which a pull request left its base, where an action looks for it', () => {
    if (!JSON.stringify(workflow.on).includes('pull_request')) return;
    if (!stepsOf(workflow).some((step) => /guard|submodule-sync/.test(oursOf(step) ?? ''))) return;
    const heads = stepsOf(workflow).filter(({ uses, with: given }) => uses?.includes('/checkout@') && !given?.ref);
    expect(heads.map(({ with: given }) => given?.['fetch-depth'])).toEqual([0]);
  });

  it('leaves no token that somebody made where the steps after the checkout find it', () => {
    for (const { uses, with: given = {} } of stepsOf(workflow)) {
      if (uses?.includes('/checkout@') && given.token) expect(given['persist-credentials']).toBe(false);
    }
  });

  it('uses actions by their full address, or from its own checkout', () => {
    const uses = stepsOf(workflow).flatMap((step) => step.uses ?? []);
    expect(uses.filter((each) => !/^(https:\/\/[a-z.]+\/[\w-]+\/[\w-]+@v\d+|\.\/[\w./-]+)$/.test(each))).toEqual([]);
    if (path.startsWith('examples/')) expect(uses.filter((each) => each.startsWith('./'))).toEqual([]);
  });
});

it('the guard of this repository is that of the base, and judges the pull request', () => {
  const [job] = all
    .filter(({ path }) => path === '.forgejo/workflows/guard.yml')
    .map(({ workflow }) => workflow.jobs.guard);
  expect(job?.if).toBeUndefined();
  expect(brought(job?.steps ?? [])).toEqual([]);
  const [head] = job?.steps.filter(({ uses, with: given }) => uses?.includes('/checkout@') && !given?.ref) ?? [];
  expect(head?.with?.path).toBeTruthy();
  expect(job?.steps.at(-1)).toMatchObject({ uses: './action-guard', with: { repository: head?.with?.path } });
});

it('a release is made with the history in which main is looked for', () => {
  const release = all.find(({ path }) => path.endsWith('/release.yml'));
  const depths =
    release && stepsOf(release.workflow).flatMap(({ uses, with: given }) => (uses && given ? [given] : []));
  expect(depths).toEqual([{ 'fetch-depth': 0 }]);
});

it('the guard is green over this repository, as its self-test asks', async () => {
  const { code, log } = await run({ tools: 'false' }, { GITHUB_EVENT_NAME: 'push', GITHUB_WORKSPACE: root });
  expect(code, log.slice(-2000)).toBe(0);
});
