import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { families } from '../../action-guard/src/families.js';
import type { Family, Sample } from '../../action-guard/src/rule.js';
import { figures, interleave, type Part, type Settings } from '../measure.js';
import { actionlint, installActionlint } from './actionlint.js';
import { ours } from './ours.js';
import { makeRepository } from './repository.js';
import { tally } from './samples.js';

/** What the rules on workflows find of their bad samples, and what actionlint finds; and the time both take. */
export async function workflows(settings: Settings): Promise<Part> {
  const ci = families.find(({ name }) => name === 'ci') as Family;
  const here = await installActionlint(settings.say);
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-workflows-'));
  const repository = await makeRepository();
  try {
    const config = join(folder, 'actionlint.yaml');
    writeFileSync(config, 'self-hosted-runner:\n  labels: ["*"]\n');
    let made = 0;
    const found = await tally(
      ci.rules.map((rule) => ({ family: ci, rule })),
      'actionlint',
      // It need not mean the same, nor point at the same line: that leans towards it.
      here ? (_rule, sample) => complains(join(folder, `sample-${made++}`), sample, config) : undefined,
    );

    const count = settings.quick ? 20 : 200;
    const files = Array.from({ length: count }, (_, index): [string, string] => [
      `.forgejo/workflows/w${index}.yml`,
      workflow(index),
    ]);
    await repository.commit(files);
    for (const [path, text] of files) write(join(repository.folder, path), text);
    const names = { ours: `ours, ${count} workflows`, theirs: `actionlint, ${count} workflows` };
    const samples = await interleave(settings, [
      { name: 'ours', run: async () => ({ [names.ours]: (await ours({ repository: repository.folder })).ms }) },
      ...(here
        ? [
            {
              name: 'actionlint',
              run: async () => {
                const began = performance.now();
                await actionlint(
                  repository.folder,
                  files.map(([path]) => path),
                  config,
                );
                return { [names.theirs]: performance.now() - began };
              },
            },
          ]
        : []),
    ]);
    return {
      title: 'Workflows: what the rules of ci find of their bad samples, and what actionlint finds of them',
      figures: [...figures(samples), ...found.figures],
      goals: found.goals,
      notes: [
        here
          ? 'actionlint "finds" a bad sample when it says anything of it, at any line. It knows any runner label, is told of `uses:` by address and of the `forgejo` context, and is without ShellCheck.'
          : 'actionlint is not here and could not be installed (go install): there is nothing to compare with.',
        "The samples are this repository's own, and lean towards it: they are what Forgejo's runner and this platform do to a workflow. actionlint is about GitHub's syntax and types of expressions, of which ours knows little; use both.",
        ...(here ? [`Not found by actionlint: ${found.missed.join('; ')}.`] : []),
      ],
    };
  } finally {
    repository.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether it says anything of the workflows of a sample. */
async function complains(root: string, { files }: Sample, config: string): Promise<boolean> {
  for (const [path, text] of Object.entries(files)) write(join(root, path), text);
  const paths = Object.keys(files).filter((path) => /\.ya?ml$/.test(path));
  return paths.length > 0 && (await actionlint(root, paths, config)).length > 0;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function workflow(index: number): string {
  const step = (name: string) =>
    `      - name: ${name}\n        run: |\n          make ${name}\n          echo "done with ${name}"\n`;
  const job = (id: string) =>
    `  ${id}:\n    runs-on: gbo\n    steps:\n      - uses: https://code.forgejo.org/actions/checkout@v4\n${['lint', 'build', 'test'].map(step).join('')}`;
  return `name: Build ${index}\non:\n  push:\n    branches: [main]\njobs:\n${['amd64', 'arm64', 'docs'].map(job).join('')}`;
}
