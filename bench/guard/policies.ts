import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { families } from '../../action-guard/src/families.js';
import type { Sample } from '../../action-guard/src/rule.js';
import { figures, interleave, type Part, type Settings } from '../measure.js';
import { conftest, installConftest, packageOf, policies as rego } from './conftest.js';
import { ours } from './ours.js';
import { makeRepository } from './repository.js';
import { tally } from './samples.js';
import { botTools } from './tools.js';

/** What five rules find of their bad samples, and what the same rules in Rego find by conftest; and the time both take. */
export async function policies(settings: Settings): Promise<Part> {
  const here = await installConftest(settings.say);
  const folder = mkdtempSync(join(tmpdir(), 'gbo-bench-policies-'));
  const repository = await makeRepository();
  try {
    for (const [id, policy] of Object.entries(rego))
      write(join(folder, 'policy', `${packageOf(id)}.rego`), `package ${packageOf(id)}\n\n${policy.rego}`);
    let made = 0;
    /** Whether it says anything of the files of a sample that the rule is about. */
    const complains = async (id: string, { files }: Sample): Promise<boolean> => {
      const { parser, files: kind } = rego[id] as (typeof rego)[string];
      const root = `sample-${made++}`;
      for (const [path, text] of Object.entries(files)) write(join(folder, root, path), text);
      const paths = Object.keys(files).filter((path) => kind.test(path));
      if (paths.length === 0) return false;
      const found = paths.map((path) => join(root, path));
      return (await conftest(folder, found, parser, [packageOf(id)])) > 0;
    };
    const rules = families.flatMap((family) =>
      family.rules.filter(({ id }) => Object.hasOwn(rego, id)).map((rule) => ({ family, rule })),
    );
    const found = await tally(rules, 'conftest', here ? ({ id }, sample) => complains(id, sample) : undefined);

    const count = settings.quick ? 20 : 200;
    const files = [...filesOf(count)];
    await repository.commit(files);
    for (const [path, text] of files) write(join(folder, path), text);
    const names = {
      ours: `ours, all rules, ${files.length} files`,
      theirs: `conftest, five rules, ${files.length} files`,
    };
    const samples = await interleave(settings, [
      { name: 'ours', run: async () => ({ [names.ours]: (await ours({ repository: repository.folder })).ms }) },
      ...(here
        ? [
            {
              name: 'conftest',
              run: async () => {
                const began = performance.now();
                // One parser for one run.
                for (const parser of new Set(Object.values(rego).map((each) => each.parser))) {
                  const own = Object.entries(rego).filter(([, each]) => each.parser === parser);
                  const paths = files
                    .map(([path]) => path)
                    .filter((path) => own.some(([, each]) => each.files.test(path)));
                  await conftest(
                    folder,
                    paths,
                    parser,
                    own.map(([id]) => packageOf(id)),
                  );
                }
                return { [names.theirs]: performance.now() - began };
              },
            },
          ]
        : []),
    ]);
    return {
      title: 'Five rules: what ours find of their bad samples, and what the same in Rego finds by conftest',
      figures: [...figures(samples), ...found.figures],
      goals: found.goals,
      notes: [
        here
          ? 'conftest "finds" a bad sample when the policy of that rule complains of any file of it, at any place, or it cannot be read. It names no lines.'
          : 'conftest is not here and could not be installed (go install): there is nothing to compare with.',
        "The samples are this repository's own, and lean towards it. The policies in Rego are this repository's, too: what one file says is judged, and nothing across files or against the base, which conftest does not know of.",
        'Ours reads the objects of a commit and judges by all its rules; conftest reads files, by five, and is run once for each of its parsers.',
        ...(here ? [`Not found by conftest: ${found.missed.join('; ')}.`] : []),
      ],
    };
  } finally {
    repository.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function* filesOf(count: number): Generator<readonly [string, string]> {
  for (let index = 0; index < count; index++) {
    yield [
      `.forgejo/workflows/w${index}.yml`,
      'on:\n  push:\njobs:\n  build:\n    runs-on: gbo\n    steps:\n      - uses: https://code.forgejo.org/actions/checkout@v4\n      - run: make\n',
    ];
    yield [
      `hosts/${index}/ui.service`,
      '[Unit]\nDescription=botui\n[Service]\nExecStart=/opt/gbo/bin/botui\nEnvironment=BOTSERVER_URL=http://localhost:5858\n[Install]\nWantedBy=multi-user.target\n',
    ];
  }
  yield* botTools(count);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
