import { stringify } from 'yaml';
import { tenantEntries } from './artifacts.js';
import type { TenantOptions } from './options.js';

/** A workflow of a tenant, and where it belongs. */
export interface Workflow {
  /** Repository it goes to: the root, or each submodule. */
  repository: 'root' | 'submodule';
  path: string;
  /** What it is for, in half a sentence. */
  what: string;
  text: string;
}

const checkout = 'https://data.forgejo.org/actions/checkout@v4';
/** A text in YAML, quoted where it would be read as something else. */
const scalar = (text: string) => stringify(text, { lineWidth: 0 }).trimEnd();
/** An expression of a workflow. */
const x = (inner: string) => `\${{ ${inner} }}`;

/** Every workflow of a tenant: all their texts are here. */
export function workflows(tenant: TenantOptions): Workflow[] {
  return [deploy(tenant), submodules(tenant), clean(tenant), guard(tenant), rootPin(tenant)].map((workflow) => ({
    ...workflow,
    path: `.forgejo/workflows/${workflow.path}`,
  }));
}

function deploy(tenant: TenantOptions): Workflow {
  return {
    repository: 'root',
    path: 'deploy.yml',
    what: 'builds botserver and botui and deploys both together',
    text: `# A push to main is built and deployed. It is rolled back, and red, when what was deployed is not healthy.
name: deploy
on:
  push:
    branches: [main]
  workflow_dispatch:
# Forgejo's default would cancel the deploy that is under way.
concurrency:
  group: deploy-${tenant.tenant}
  cancel-in-progress: false
jobs:
  deploy:
    # By hand it may be started on any branch; what runs in production is main.
    if: github.ref == 'refs/heads/main'
    runs-on: ${scalar(tenant.label)}
    timeout-minutes: 120
    steps:
      - uses: ${checkout}
        with:
          submodules: true
          # The token of the run is valid for this repository alone.
          token: ${x('secrets.READ_TOKEN')}
          # What is built below may read .git/config, and a job that is killed leaves it on the runner.
          persist-credentials: false
      - name: Build
        run: |
          # What was built stays from run to run; clean.yml keeps it within bounds.
          mkdir -p "$HOME/.cache/gbo-target/${tenant.tenant}"
          ln -sfn "$HOME/.cache/gbo-target/${tenant.tenant}" target
          cargo build --release --locked --bin botserver --bin botui
      - name: Deploy
        uses: ${use(tenant, 'action-deploy')}
        with:
          host: ${scalar(tenant.host)}
${tenant.port === 22 ? '' : `          port: ${tenant.port}\n`}          user: ${scalar(tenant.user)}
          private-key: ${x('secrets.DEPLOY_KEY')}
          known-hosts: ${x('vars.DEPLOY_KNOWN_HOSTS')}
          artifacts: |
${indent(stringify(tenantEntries(tenant), { lineWidth: 0 }), 12)}`,
  };
}

function submodules(tenant: TenantOptions): Workflow {
  return {
    repository: 'root',
    path: 'submodules.yml',
    what: 'finds the push that somebody forgot: is every pinned submodule commit on both remotes',
    text: `# Is every submodule commit that this root pins, and the root itself, on both remotes? Prints the command that mends it.
name: submodules
on:
  push:
    branches: [main]
  pull_request:
jobs:
  submodules:
    runs-on: ${scalar(tenant.label)}
    timeout-minutes: 15
    steps:
      - uses: ${checkout}
        with:
          fetch-depth: 0 # where a pull request left its base
${syncStep(tenant, 'Submodules', '1m')}`,
  };
}

function rootPin(tenant: TenantOptions): Workflow {
  return {
    repository: 'submodule',
    path: 'root-pin.yml',
    what: 'in every submodule: does the root pin this commit yet (a root that was not pushed starts no workflow)',
    text: `# Does the root pin this commit yet? A root that was never pushed starts no workflow, so only the submodule can tell.
# It waits for that push up to \`grace\`, and holds a place of the runner meanwhile: give the runner a capacity of 2 or more, or
# this job a label of its own, or a deploy waits behind it.
name: root-pin
on:
  push:
    branches: [main]
jobs:
  root-pin:
    runs-on: ${scalar(tenant.label)}
    timeout-minutes: 30
    steps:
      - uses: ${checkout}
${syncStep(tenant, 'Root', '10m', '          mode: submodule\n')}`,
  };
}

/** @param grace how long a push to the second remote may take */
function syncStep(tenant: TenantOptions, name: string, grace: string, mode = ''): string {
  return `      - name: ${name}
        uses: ${use(tenant, 'action-submodule-sync')}
        with:
${mode}          root: ${scalar(tenant.root)}
          remotes: |
            origin = ${tenant.origin}
            alm = ${tenant.forge}/${tenant.owner}/
          tokens: |
            alm = ${x('secrets.READ_TOKEN')}
          grace: ${grace}
`;
}

function clean(tenant: TenantOptions): Workflow {
  return {
    repository: 'root',
    path: 'clean.yml',
    what: 'each night, keeps the caches of the runner within bounds while builds go on',
    text: `# Each night: cargo's home, targets, sccache and leftovers of dead jobs on the runner, under cargo's own locks.
name: clean
on:
  schedule:
    - cron: "17 3 * * *"
  workflow_dispatch:
jobs:
  clean:
    runs-on: ${scalar(tenant.label)}
    timeout-minutes: 60
    steps:
      # What its Cargo.lock names is evicted last.
      - uses: ${checkout}
        with:
          persist-credentials: false
      - name: Clean
        uses: ${use(tenant, 'action-cache-clean')}
        with:
          targets: ~/.cache/gbo-target/*
          max-size: registry = 10GB, git = 5GB, target = 60GB, sccache = 20GB
`,
  };
}

function guard(tenant: TenantOptions): Workflow {
  return {
    repository: 'root',
    path: 'guard.yml',
    what: "judges pull requests by the platform's rules, at the deciding line",
    text: `# Judges what a pull request changes by the platform's rules. It reads files and runs none of them.
name: guard
on:
  pull_request:
jobs:
  guard:
    runs-on: ${scalar(tenant.label)}
    timeout-minutes: 15
    steps:
      - uses: ${checkout}
        with:
          fetch-depth: 0
      - name: Guard
        uses: ${use(tenant, 'action-guard')}
`,
  };
}

/** The full address: the short form is the own Forgejo only where its administrator said so. */
function use({ forge, actions }: TenantOptions, action: string): string {
  return `${forge}/${actions}/${action}@v1`;
}

function indent(text: string, spaces: number): string {
  return text.replaceAll(/^(?=.)/gm, ' '.repeat(spaces));
}
