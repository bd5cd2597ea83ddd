import { closest, distance } from 'fastest-levenshtein';
import type { Finding, Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { invalidSamples } from './samples.js';
import {
  entries,
  entry,
  isMap,
  isScalar,
  isSeq,
  items,
  jobsOf,
  textOf,
  type Workflow,
  workflowFiles,
  workflowsOf,
} from './workflow.js';

/** Of a file; nobody reads more. */
const MOST = 50;

const rootKeys = [
  'name',
  'run-name',
  'on',
  'env',
  'defaults',
  'concurrency',
  'permissions',
  'jobs',
  'enable-openid-connect',
];
const events = [
  'push',
  'pull_request',
  'pull_request_target',
  'pull_request_comment',
  'pull_request_review',
  'pull_request_review_comment',
  'issues',
  'issue_comment',
  'create',
  'delete',
  'fork',
  'gollum',
  'release',
  'registry_package',
  'workflow_dispatch',
  'workflow_call',
  'schedule',
  'action_run_failure',
  'action_run_recover',
  'action_run_success',
];
const jobKeys = [
  'name',
  'needs',
  'if',
  'runs-on',
  'permissions',
  'environment',
  'concurrency',
  'outputs',
  'env',
  'defaults',
  'steps',
  'timeout-minutes',
  'strategy',
  'continue-on-error',
  'container',
  'services',
  'uses',
  'with',
  'secrets',
  'enable-openid-connect',
];
const stepKeys = [
  'id',
  'if',
  'name',
  'uses',
  'run',
  'shell',
  'with',
  'env',
  'continue-on-error',
  'timeout-minutes',
  'working-directory',
];

export const invalid: Rule<CiOptions> = {
  id: 'ci/invalid',
  severity: 'error',
  title: 'Every workflow is one: it has events, jobs and steps where the runner looks for them.',
  reason: `A file that is valid YAML can be no workflow at all. The platform's own \`botserver.yaml\` had an empty \`on:\`, with \`push:\` and
\`steps:\` beside it by two spaces too few: nothing in the repository complained, and no push ever started it. The runner's own
\`validate\` knows a schema, and actionlint knows GitHub; this rule knows what Forgejo takes: \`uses:\` by address, \`runs-on: gbo\`, the
\`forgejo\` context.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) => workflowsOf(head, options).flatMap((workflow) => judge(workflow).slice(0, MOST)),
  samples: invalidSamples,
};

function judge(workflow: Workflow): Finding[] {
  const fail = (at: Finding['at'], message: string, todo?: string): Finding => ({ status: 'fail', at, message, todo });
  const start = { path: workflow.path, line: 1, column: 1 };
  if (workflow.link) {
    return [
      {
        status: 'unknown',
        at: start,
        message: 'This workflow is a symbolic link, and links are not followed.',
        todo: 'Commit the file itself.',
      },
    ];
  }
  const broken = workflow.yaml.errors.map(({ at, what, limit }): Finding => {
    const why = what.replace(/[.]$/, '');
    return limit
      ? { status: 'unknown', at, message: `This file was not judged, as ${why}.` }
      : fail(at, `This is no YAML: ${why}.`, 'Mend it; the runner cannot read the file.');
  });
  if (broken.length > 0) return broken.slice(0, 5);
  if (workflow.yaml.documents.length > 1)
    return [fail(start, 'This file holds several YAML documents, and a workflow is one.', 'Split it.')];
  if (!isMap(workflow.root))
    return [fail(start, 'This workflow has no keys: it is empty, or a list or a text.', 'Give it `on:` and `jobs:`.')];
  const findings: Finding[] = [];
  for (const { key, at } of entries(workflow, workflow.root)) {
    if (rootKeys.includes(key) || findings.length >= MOST) continue;
    const job = ['steps', 'runs-on', 'needs', 'strategy'].includes(key);
    const event = events.includes(key);
    findings.push(
      fail(
        at,
        `A workflow has no key ${show(key)}${job ? '; it belongs to a job' : event ? '; it belongs below `on:`' : guess(key, rootKeys)}.`,
        job ? 'Indent it, so that it stands in its job below `jobs:`.' : event ? 'Indent it by two spaces.' : undefined,
      ),
    );
  }
  return [...findings, ...judgeEvents(workflow, fail), ...judgeJobs(workflow, fail)];
}

type Fail = (at: Finding['at'], message: string, todo?: string) => Finding;

function judgeEvents(workflow: Workflow, fail: Fail): Finding[] {
  const start = { path: workflow.path, line: 1, column: 1 };
  const on = entry(workflow, workflow.root, 'on');
  if (!on)
    return [
      fail(start, 'The workflow has no `on:`, so nothing ever starts it.', 'Name its events, such as `on: [push]`.'),
    ];
  const empty = () =>
    fail(
      on.at,
      'The `on:` of the workflow is empty, so nothing ever starts it.',
      'Name its events below it, indented.',
    );
  if (!on.node) return [empty()];
  const unknown = (name: string, at: Finding['at']) =>
    events.includes(name)
      ? []
      : [{ ...fail(at, `Forgejo knows no event ${show(name)}${guess(name, events)}.`), severity: 'warning' as const }];
  if (isScalar(on.node)) return textOf(on.node) ? unknown(textOf(on.node) ?? '', workflow.yaml.at(on.node)) : [empty()];
  if (isSeq(on.node)) {
    const names = items(workflow, on.node);
    return names.length === 0
      ? [empty()]
      : names.flatMap((name) => unknown(textOf(name) ?? '', workflow.yaml.at(name)));
  }
  const named = entries(workflow, on.node);
  if (named.length === 0) return [empty()];
  return named.flatMap(({ key, at, node }) => {
    if (key === 'schedule') {
      const crons = items(workflow, node).map((item) => textOf(entry(workflow, item, 'cron')?.node));
      const bad =
        crons.length === 0 ||
        crons.some((cron) => !cron || (cron.trim().split(/\s+/).length !== 5 && !cron.startsWith('@')));
      return bad
        ? [
            fail(
              at,
              'The schedule has no `- cron:` of five fields, so it never comes.',
              "Write `- cron: '17 3 * * *'` below it.",
            ),
          ]
        : [];
    }
    return unknown(key, at);
  });
}

function judgeJobs(workflow: Workflow, fail: Fail): Finding[] {
  const start = { path: workflow.path, line: 1, column: 1 };
  const jobs = entry(workflow, workflow.root, 'jobs');
  if (!jobs) return [fail(start, 'The workflow has no `jobs:`.', 'Add one.')];
  const all = jobsOf(workflow);
  if (!isMap(jobs.node) || all.length === 0)
    return [fail(jobs.at, 'The `jobs:` of the workflow are empty.', 'Name a job below it, indented.')];
  const ids = all.map(({ id }) => id);
  return all.flatMap((job): Finding[] => {
    if (!isMap(job.node))
      return [fail(job.at, `The job ${show(job.id)} has no keys.`, 'Give it `runs-on:` and `steps:`, indented.')];
    const findings: Finding[] = [];
    const has = (key: string) => entry(workflow, job.node, key)?.node !== undefined;
    if (!/^[A-Za-z_][\w-]{0,99}$/.test(job.id))
      findings.push(fail(job.at, `A job cannot be called ${show(job.id)}.`, 'Use letters, digits, - and _.'));
    if (!has('runs-on') && !has('uses'))
      findings.push(
        fail(job.at, `The job ${show(job.id)} has no \`runs-on:\`, so no runner takes it.`, 'Write `runs-on: gbo`.'),
      );
    for (const { key, at } of entries(workflow, job.node)) {
      if (!jobKeys.includes(key)) findings.push(fail(at, `A job has no key ${show(key)}${guess(key, jobKeys)}.`));
    }
    findings.push(...needs(workflow, job.node, ids, job.id, fail));
    const steps = entry(workflow, job.node, 'steps');
    if (steps?.node && !isSeq(steps.node))
      findings.push(fail(steps.at, `The steps of ${show(job.id)} are no list.`, 'Begin each with `- `.'));
    for (const step of items(workflow, steps?.node))
      findings.push(...judgeStep(workflow, step, steps?.at ?? job.at, fail));
    return findings;
  });
}

function needs(workflow: Workflow, job: unknown, ids: string[], id: string, fail: Fail): Finding[] {
  const node = entry(workflow, job, 'needs')?.node;
  const wanted = isSeq(node) ? items(workflow, node) : node ? [node] : [];
  return wanted.flatMap((each) => {
    const name = textOf(each);
    if (name === undefined || name.includes('${{')) return [];
    if (name === id) return [fail(workflow.yaml.at(each), `The job ${show(id)} waits for itself.`)];
    return ids.includes(name)
      ? []
      : [
          fail(
            workflow.yaml.at(each),
            `The job ${show(id)} waits for ${show(name)}, which is no job here${guess(name, ids)}.`,
          ),
        ];
  });
}

function judgeStep(workflow: Workflow, step: unknown, steps: Finding['at'], fail: Fail): Finding[] {
  if (!isMap(step))
    return [
      fail(
        step ? workflow.yaml.at(step) : steps,
        'A step is a map with `run:` or `uses:`.',
        'Indent what belongs to it.',
      ),
    ];
  const at = workflow.yaml.at(step);
  const findings = entries(workflow, step)
    .filter(({ key }) => !stepKeys.includes(key))
    .map(({ key, at }) => fail(at, `A step has no key ${show(key)}${guess(key, stepKeys)}.`));
  const [run, uses] = ['run', 'uses'].map((key) => entry(workflow, step, key));
  if (run && uses) findings.push(fail(uses.at, 'A step has either `run:` or `uses:`.', 'Make two of it.'));
  if (!run && !uses)
    findings.push(
      fail(
        at,
        'This step has neither `run:` nor `uses:`, so it does nothing.',
        'See whether its lines are indented as they should be.',
      ),
    );
  else if (run && !run.node) findings.push(fail(run.at, 'The `run:` of this step is empty.'));
  else if (uses && !uses.node) findings.push(fail(uses.at, 'The `uses:` of this step is empty.'));
  else if (run?.node && !isScalar(run.node))
    findings.push(fail(run.at, 'The `run:` of this step is no text.', 'Write `run: |`, and the commands below it.'));
  return findings;
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function guess(name: string, all: readonly string[]): string {
  if (name.length > 60 || all.length === 0) return '';
  const near = closest(name, [...all].slice(0, 1000));
  return distance(name, near) <= 3 ? ` (did you mean ${near.slice(0, 60)}?)` : '';
}
