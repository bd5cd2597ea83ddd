import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';

type Samples = Rule<CiOptions>['samples'];

const path = '.forgejo/workflows/botserver.yaml';
/** An expression of a workflow. */
const x = (inner: string) => `\${{ ${inner} }}`;
const flow = (text: string) => ({ [path]: text });
const steps = `jobs:
  build:
    runs-on: gbo
    steps:
      - uses: https://data.forgejo.org/actions/checkout@v4
      - name: Build
        run: cargo build --release
`;
const good = `name: BotServer CI
on:
  push:
    branches: [main]
${steps}`;
const script = (...lines: string[]) => `on: push
jobs:
  build:
    runs-on: gbo
    steps:
      - name: Run
        run: |
${lines.map((line) => `          ${line}`).join('\n')}
`;

/** As the platform's own workflow is built: see facts (j). */
const upstream = `name: BotServer CI

on:
push:
  branches: [main]
  paths:
  - "botserver/**"

jobs:
  build:
    runs-on: gbo
    env:
      CARGO_INCREMENTAL: 1
steps:
- name: Setup
  run: |
    cd /opt/gbo/work/generalbots
    git log --oneline -1

- name: Build BotServer and BotUI
  run: |
    cargo build -p botserver --bin botserver

      - name: Deploy to Stage
        run: |
          echo "=== Deploying to Stage ==="
          scp -i /home/gbuser/.ssh/id_ed25519 -o StrictHostKeyChecking=no \\
        /opt/gbo/work/generalbots/target/fast/botserver \\
        gbuser@system:/opt/gbo/bin/botserver-new
          ssh gbuser@system \\
            "curl -sf http://localhost:5858/api/health && echo 'BotServer OK' || echo 'BotServer FAILED'; \\
            curl -sf http://localhost:5859/ && echo 'BotUI OK' || echo 'BotUI FAILED'"
`;

export const invalidSamples: Samples = {
  good: [
    {
      name: 'a workflow of Forgejo: uses by address, runs-on gbo, the forgejo context',
      files: flow(good.replace('cargo build', `echo ${x('forgejo.ref')}; cargo build`)),
    },
    { name: 'events in one word', files: flow(`on: push\n${steps}`) },
    { name: 'events in a list', files: flow(`on: [push, pull_request]\n${steps}`) },
    { name: 'an event without more', files: flow(`on:\n  workflow_dispatch:\n${steps}`) },
    { name: 'a schedule', files: flow(`on:\n  schedule:\n    - cron: '17 3 * * *'\n${steps}`) },
    { name: 'enable-openid-connect', files: flow(`enable-openid-connect: true\n${good}`) },
    {
      name: 'a workflow that is called by another',
      files: flow('on: push\njobs:\n  all:\n    uses: ./.forgejo/workflows/all.yml\n'),
    },
    {
      name: 'an anchor and its alias',
      files: flow(good.replace('steps:', 'env: &env {A: b}\n    steps:').concat('        env: *env\n')),
    },
    {
      name: 'workflows of GitHub, where Forgejo takes its own',
      files: { ...flow(good), '.github/workflows/old.yml': 'on:\njobs:\n' },
    },
  ],
  bad: [
    {
      name: "the platform's own: empty on, and push and steps beside it",
      files: flow(upstream),
      finds: [
        { at: `${path}:3:1`, says: /`on:` of the workflow is empty/ },
        { at: `${path}:4:1`, says: /no key "push"; it belongs below `on:`/ },
        { at: `${path}:14:1`, says: /no key "steps"; it belongs to a job/ },
      ],
    },
    { name: 'an empty file', files: flow(''), finds: [{ at: `${path}:1:1`, says: /no keys/ }] },
    { name: 'a text', files: flow('hello\n'), finds: [{ at: `${path}:1:1`, says: /no keys/ }] },
    { name: 'no YAML', files: flow(`on: push\njobs:\n  build: {runs-on: gbo\n`) },
    { name: 'a key twice', files: flow(`${good}jobs: {}\n`), finds: [{ at: `${path}:12:1`, says: /comes twice/ }] },
    { name: 'a tab for spaces', files: flow('on: push\njobs:\n\tbuild:\n\t\truns-on: gbo\n') },
    { name: 'no events', files: flow(steps), finds: [{ at: `${path}:1:1`, says: /no `on:`/ }] },
    {
      name: 'an empty list of events',
      files: flow(`on: []\n${steps}`),
      finds: [{ at: `${path}:1:1`, says: /is empty/ }],
    },
    {
      name: 'an event that is spelled wrong',
      files: flow(`on: [pull-request]\n${steps}`),
      finds: [{ at: `${path}:1:6`, says: /did you mean pull_request/ }],
    },
    {
      name: 'a schedule without time',
      files: flow(`on:\n  schedule:\n    - cron: daily\n${steps}`),
      finds: [{ at: `${path}:2:3`, says: /five fields/ }],
    },
    { name: 'no jobs', files: flow('on: push\n'), finds: [{ at: `${path}:1:1`, says: /no `jobs:`/ }] },
    { name: 'empty jobs', files: flow('on: push\njobs:\n'), finds: [{ at: `${path}:2:1`, says: /are empty/ }] },
    {
      name: 'a root key that is spelled wrong',
      files: flow(good.replace('jobs:', 'job:')),
      finds: [
        { at: `${path}:1:1`, says: /no `jobs:`/ },
        { at: `${path}:5:1`, says: /no key "job" \(did you mean jobs/ },
      ],
    },
    {
      name: 'a job without runner',
      files: flow(good.replace('    runs-on: gbo\n', '')),
      finds: [{ at: `${path}:6:3`, says: /no `runs-on:`/ }],
    },
    {
      name: 'a job key that is spelled wrong',
      files: flow(good.replace('runs-on', 'run-on')),
      finds: [
        { at: `${path}:6:3`, says: /no `runs-on:`/ },
        { at: `${path}:7:5`, says: /did you mean runs-on/ },
      ],
    },
    {
      name: 'a step with neither run nor uses',
      files: flow(good.replace('        run: cargo build --release\n', '')),
      finds: [{ at: `${path}:10:9`, says: /neither/ }],
    },
    {
      name: 'a step with both',
      files: flow(`${good}        uses: ./x\n`),
      finds: [{ at: `${path}:12:9`, says: /either/ }],
    },
    {
      name: 'a step that is a text',
      files: flow(`${good}      - cargo test\n`),
      finds: [{ at: `${path}:12:9`, says: /A step is a map/ }],
    },
    {
      name: 'a job that waits for one that is not there',
      files: flow(good.replace('runs-on: gbo', 'runs-on: gbo\n    needs: [biuld, test]')),
    },
    {
      name: 'a job that waits for itself',
      files: flow(good.replace('runs-on: gbo', 'runs-on: gbo\n    needs: build')),
      finds: [{ at: `${path}:8:12`, says: /waits for itself/ }],
    },
    { name: 'workflows of GitHub only', files: { '.github/workflows/a.yml': 'on:\njobs:\n  a:\n' } },
  ],
};

export const noStepsSamples: Samples = {
  good: [
    { name: 'a job with steps', files: flow(good) },
    {
      name: 'a job that calls a workflow',
      files: flow('on: push\njobs:\n  all:\n    uses: ./.forgejo/workflows/all.yml\n'),
    },
  ],
  bad: [
    {
      name: "the platform's own, whose steps stand beside its jobs",
      files: flow(upstream),
      finds: [{ at: `${path}:10:3`, says: /no steps.*green/ }],
    },
    {
      name: 'a job with its runner only',
      files: flow('on: push\njobs:\n  build:\n    runs-on: gbo\n'),
      finds: [{ at: `${path}:3:3`, says: /no steps/ }],
    },
    {
      name: 'empty steps',
      files: flow('on: push\njobs:\n  build:\n    runs-on: gbo\n    steps:\n'),
      finds: [{ at: `${path}:5:5`, says: /no steps/ }],
    },
    {
      name: 'a list of no steps',
      files: flow('on: push\njobs:\n  build:\n    runs-on: gbo\n    steps: []\n'),
      finds: [{ at: `${path}:5:5`, says: /no steps/ }],
    },
  ],
};

export const swallowedSamples: Samples = {
  good: [
    { name: 'a script of several lines', files: flow(script('cargo build', 'cargo test')) },
    {
      name: 'a script that writes a workflow in a here-document',
      files: flow(script("cat > x.yml <<'EOF'", '- name: Step', '  run: |', '    echo', 'EOF', 'cargo build')),
    },
    { name: 'a list in what a script prints', files: flow(script('echo "', '- name: only a name', '"')) },
    { name: 'a script that greps for a step', files: flow(script("grep -- '- name: Deploy' x.yml")) },
  ],
  bad: [
    {
      name: "the platform's own deploy, which is text of its build",
      files: flow(upstream),
      finds: [{ at: `${path}:24:7`, says: /"Deploy to Stage" is text of the script above/ }],
    },
    {
      name: 'a step that is indented as far as the script',
      files: flow(script('cargo build', '- name: Deploy', '  run: |', '    scp a b')),
      finds: [{ at: `${path}:9:11`, says: /"Deploy"/ }],
    },
    {
      name: 'a step with uses',
      files: flow(
        script('cargo build', '- uses: https://example.com/gbo/action-deploy@v1', '  with:', '    host: system'),
      ),
      finds: [{ at: `${path}:9:11`, says: /never runs/ }],
    },
    {
      name: 'a step without name',
      files: flow(script('cargo build', '- run: |', '    cargo test')),
      finds: [{ at: `${path}:9:11`, says: /never runs/ }],
    },
    {
      name: 'two of them',
      files: flow(script('cargo build', '- name: One', '  run: a', '- name: Two', '  uses: x@v1')),
      finds: [
        { at: `${path}:9:11`, says: /One/ },
        { at: `${path}:11:11`, says: /Two/ },
      ],
    },
    {
      name: 'in a script that is folded',
      files: flow(script('cargo build', '', '- name: Deploy', '  run: deploy').replace('run: |', 'run: >-')),
      finds: [{ at: `${path}:10:11`, says: /Deploy/ }],
    },
    {
      name: 'after a here-document',
      files: flow(script('cat <<EOF', 'x', 'EOF', '- name: Deploy', '  run: deploy')),
      finds: [{ at: `${path}:11:11`, says: /Deploy/ }],
    },
  ],
};

const deploy = (more: string) =>
  flow(`on: push\njobs:\n  deploy:\n    runs-on: gbo\n${more}    steps:\n      - run: ./deploy\n`);

const grouped = (group: string) => flow(`${group}${deploy('')[path]}`);

export const concurrencySamples: Samples = {
  good: [
    {
      name: 'deploys that wait for each other',
      files: grouped('concurrency: {group: deploy, cancel-in-progress: false}\n'),
    },
    { name: 'in several lines', files: grouped('concurrency:\n  group: deploy\n  cancel-in-progress: false\n') },
    { name: 'a build may run as often as it likes', files: flow(good) },
  ],
  bad: [
    { name: 'a deploy without group', files: deploy(''), finds: [{ at: `${path}:3:3`, says: /cancels it half-way/ }] },
    {
      name: 'a job whose name says that it deploys',
      files: flow(good.replace('runs-on', 'name: Deploy to Stage\n    runs-on')),
      finds: [{ at: `${path}:6:3`, says: /deploys/ }],
    },
    {
      name: 'a group of the job, which Forgejo ignores',
      files: deploy('    concurrency: {group: deploy, cancel-in-progress: false}\n'),
      finds: [{ at: `${path}:5:5`, says: /ignores/ }],
    },
    {
      name: 'a group whose newer run cancels the older, which is the default',
      files: grouped('concurrency: {group: deploy, cancel-in-progress: true}\n'),
      finds: [{ at: `${path}:1:30`, says: /cancels a deploy in progress/ }],
    },
    {
      name: 'a deploy that may be cancelled',
      files: grouped(`concurrency: {group: deploy, cancel-in-progress: "${x("forgejo.ref != 'main'")}"}\n`),
      finds: [{ at: `${path}:1:30`, says: /expression/, status: 'unknown' }],
    },
  ],
};

export const ignoredSamples: Samples = {
  good: [
    { name: 'keys that count', files: flow(good) },
    { name: 'continue-on-error of a step', files: flow(`${good}        continue-on-error: true\n`) },
  ],
  bad: [
    {
      name: 'continue-on-error of a job',
      files: flow(good.replace('runs-on: gbo', 'runs-on: gbo\n    continue-on-error: true')),
      finds: [{ at: `${path}:8:5`, says: /ignores the `continue-on-error:` of a job/ }],
    },
    {
      name: 'permissions',
      files: flow(`permissions: {contents: read}\n${good}`),
      finds: [{ at: `${path}:1:1`, says: /ignores `permissions:`/ }],
    },
  ],
};

export const usesSamples: Samples = {
  good: [
    { name: 'a tag', files: flow(good) },
    { name: 'the hash of a commit', files: flow(good.replace('@v4', `@${'0a'.repeat(20)}`)) },
    {
      name: 'an action of this repository',
      files: flow(good.replace('https://data.forgejo.org/actions/checkout@v4', './action-guard')),
    },
    {
      name: 'a container',
      files: flow(good.replace('https://data.forgejo.org/actions/checkout@v4', 'docker://alpine:3.20')),
    },
  ],
  bad: [
    {
      name: 'no version',
      files: flow(good.replace('@v4', '')),
      finds: [{ at: `${path}:9:15`, says: /names no version/ }],
    },
    {
      name: 'a branch',
      files: flow(good.replace('@v4', '@main')),
      finds: [{ at: `${path}:9:15`, says: /is a branch/ }],
    },
    {
      name: 'an empty version',
      files: flow(good.replace('@v4', '@')),
      finds: [{ at: `${path}:9:15`, says: /names no version/ }],
    },
  ],
};

export const secretSamples: Samples = {
  good: [
    {
      name: 'a secret in the environment',
      files: flow(
        `${script('curl -H "Authorization: $TOKEN" https://example.com')}        env:\n          TOKEN: ${x('secrets.TOKEN')}\n`,
      ),
    },
    { name: 'other contexts in a script', files: flow(script(`echo ${x('forgejo.sha')} ${x('env.secretsauce')}`)) },
  ],
  bad: [
    {
      name: 'a secret in a script',
      files: flow(script('echo hello', `curl -u me:${x('secrets.PASSWORD')} https://example.com`)),
      finds: [{ at: `${path}:9:22`, says: /pasted into this command line/ }],
    },
    {
      name: 'a secret in a script of one line',
      files: flow(`on: push\njobs:\n  a:\n    runs-on: gbo\n    steps:\n      - run: login ${x("secrets['KEY']")}\n`),
      finds: [{ at: `${path}:6:20`, says: /pasted/ }],
    },
  ],
};

export const untrustedSamples: Samples = {
  good: [
    {
      name: 'the title in the environment',
      files: flow(
        `${script('echo "$TITLE"')}        env:\n          TITLE: ${x('forgejo.event.pull_request.title')}\n`,
      ),
    },
    { name: 'a number that nobody chooses', files: flow(script(`echo ${x('forgejo.event.pull_request.number')}`)) },
  ],
  bad: [
    {
      name: 'the title of a pull request',
      files: flow(script(`echo "${x('github.event.pull_request.title')}"`)),
      finds: [{ at: `${path}:8:17`, says: /pull_request.title/ }],
    },
    {
      name: 'the branch of a pull request',
      files: flow(script(`git checkout ${x('forgejo.head_ref')}`)),
      finds: [{ at: `${path}:8:24`, says: /head_ref/ }],
    },
  ],
};

export const hostKeySamples: Samples = {
  good: [
    { name: 'a pinned key', files: flow(script('ssh -o StrictHostKeyChecking=yes system')) },
    { name: 'only a comment', files: flow(script('# never StrictHostKeyChecking=no', 'true')) },
  ],
  bad: [
    {
      name: "as in the platform's own deploy",
      files: flow(upstream),
      finds: [{ at: `${path}:27:50`, says: /takes any host/ }],
    },
    {
      name: 'known hosts thrown away',
      files: flow(script('ssh -o UserKnownHostsFile=/dev/null system')),
      finds: [{ at: `${path}:8:18`, says: /takes any host/ }],
    },
    {
      name: 'the same behind a letter that is longer in small',
      files: flow(script('echo İ; ssh -o UserKnownHostsFile=/dev/null system')),
      finds: [{ at: `${path}:8:26`, says: /takes any host/ }],
    },
  ],
};

export const healthSamples: Samples = {
  good: [
    { name: 'a check that fails', files: flow(script('curl -sf http://localhost:5858/api/health')) },
    {
      name: 'a check that says so and fails',
      files: flow(
        script(
          'curl -sf http://localhost:5858/api/health || { echo FAILED; exit 1; }',
          'curl -sf http://localhost:5858/health || exit 1',
        ),
      ),
    },
    { name: 'another download', files: flow(script('curl -sf https://example.com/x.tar.gz -o x || true')) },
  ],
  bad: [
    {
      name: "as in the platform's own deploy",
      files: flow(upstream),
      finds: [
        { at: `${path}:31:79`, says: /succeeds whatever/ },
        { at: `${path}:32:64`, says: /succeeds whatever/ },
      ],
    },
    {
      name: 'true',
      files: flow(script('curl -sf http://localhost:5858/health || true')),
      finds: [{ at: `${path}:8:49`, says: /succeeds whatever/ }],
    },
  ],
};
