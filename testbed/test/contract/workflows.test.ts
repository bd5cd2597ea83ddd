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
const oursOf = ({ uses }: Step) => /(?:^\.\/(?:\.base\/)?|\/gbo\/)(action-[a-z-]+)(?:@v1)?$/.exec(uses ?? '')?.[1];

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
      // Others' actions by address, ours from the base, and programs of the base bring nothing of the pull request.
      const brought = job.steps.filter(
        ({ uses, run = '' }) => !(uses ? /^https:|^\.\/\.base\// : /^node \.base\/[\w./-]+$/).test(uses ?? run),
      );
      if (brought.length > 0) expect(job.if).toContain('.head.repo.full_name == github.repository');
    }
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
