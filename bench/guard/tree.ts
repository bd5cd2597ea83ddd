import { families } from '../../action-guard/src/families.js';
import {
  type Contender,
  excesses,
  type Figure,
  figures,
  goal,
  interleave,
  most,
  type Part,
  ratios,
  type Settings,
} from '../measure.js';
import { blobsRead, ours, type Ran, startUp } from './ours.js';
import { makeRepository, type Repository } from './repository.js';
import { botTools } from './tools.js';

const WORKFLOWS = 8;

/** Time and memory by the number of files, and what a pull request of three files costs in the largest of the trees. */
export async function tree(settings: Settings): Promise<Part> {
  const [small, large] = settings.quick ? [200, 1_000] : [1_000, 10_000];
  const repositories: Repository[] = [];
  try {
    const [few, many] = [await makeRepository(), await makeRepository()];
    repositories.push(few, many);
    await few.commit(filesOf(small));
    const base = await many.commit(filesOf(large));
    const source = await many.commit([
      ['.forgejo/workflows/build0.yml', workflow('make all')],
      ['src/file-1.rs', `${rust(1)}// changed\n`],
      ['README.md', '# Acme, changed\n'],
    ]);
    const bots = await many.commit([
      ['bots/bot0.gbai/bot0.gbdialog/ask-0.bas', 'DESCRIPTION "New"\nTALK "new"\n'],
      [
        'bots/bot0.gbai/bot0.gbdialog/ask-0.mcp.json',
        '{"name":"ask-0","description":"New","input_schema":{"type":"object","properties":{},"required":[]}}\n',
      ],
      ['src/file-2.rs', `${rust(2)}// changed\n`],
    ]);
    const names = {
      small: `${small} files`,
      large: `${large} files`,
      start: 'start-up of the bundle',
      source: 'pull request: a workflow, a source, a README',
      bots: 'pull request: a tool, its .mcp.json, a source',
    };
    const peaks = new Map<string, number[]>();
    const blobs = new Map<string, number[]>();
    const contender = (name: string, run: () => Promise<Ran>, count?: () => Promise<number>): Contender => ({
      name,
      before: async () => {
        if (count) blobs.set(name, [...(blobs.get(name) ?? []), await count()]);
      },
      run: async () => {
        const { ms, peak } = await run();
        peaks.set(name, [...(peaks.get(name) ?? []), peak]);
        return { [name]: ms };
      },
    });
    const inMany = (name: string, commits: Record<string, string>) => {
      const inputs = { repository: many.folder, ...commits };
      return contender(
        name,
        () => ours(inputs),
        () => blobsRead(inputs),
      );
    };
    const samples = await interleave(settings, [
      contender(names.start, startUp),
      contender(names.small, () => ours({ repository: few.folder })),
      inMany(names.large, { head: base }),
      inMany(names.source, { base, head: source }),
      inMany(names.bots, { base: source, head: bots }),
    ]);
    const without = new Map(
      [names.small, names.large].map((name) => [name, excesses(samples, name, names.start)] as const),
    );
    const memory: Figure[] = [...peaks].map(([name, values]) => ({ name: `${name}, memory`, unit: 'MB', values }));
    const read = [...blobs].map(([name, values]): Figure => ({ name: `${name}, files read`, unit: '', values }));
    const goals = [
      goal(`time without start-up, ${large} / ${small} files`, ratios(without, names.large, names.small), {
        atMost: (1.1 * large) / small,
      }),
      goal('memory, any run', [...peaks.values()].flat(), { atMost: 300 }, { unit: 'MB', counts: most }),
      // The workflows before and after, and the two others before and after.
      goal(
        `${names.source}: files read`,
        blobs.get(names.source) ?? [],
        { atMost: 2 * (WORKFLOWS + 2) + 3 },
        { counts: most },
      ),
      goal(`${names.bots}: files read, of those of the whole tree`, ratios(blobs, names.bots, names.large), {
        atMost: 0.5,
      }),
      ...[names.source, names.bots].map((name) =>
        goal(`${name} / whole tree, time`, ratios(samples, name, names.large), {
          atMost: settings.quick ? 1.5 : 0.5,
        }),
      ),
    ];
    return {
      title: `A tree of ${small} and of ${large} files, and pull requests of three files in the latter`,
      figures: [...figures(samples), ...memory, ...read],
      goals,
      notes: [
        'A fifth of the files are bot tools, a fifth the good samples of all rules, each in a folder of its own; the rest are sources of 2 KB.',
        'Memory is that of node, resident, at its most. Files read is what git cat-file --batch was asked for.',
        'A pull request is compared with its base, so a file that differs is read twice. A rule that compares files with each other reads all of its kind.',
      ],
    };
  } finally {
    for (const repository of repositories) repository.remove();
  }
}

function* filesOf(count: number): Generator<readonly [string, string]> {
  let made = 0;
  const one = (path: string, text: string) => {
    made++;
    return [path, text] as const;
  };
  yield one('README.md', '# Acme\n');
  for (let index = 0; index < WORKFLOWS; index++) yield one(`.forgejo/workflows/build${index}.yml`, workflow('make'));
  for (const [path, text] of botTools(Math.floor(count / 10), 'bots/')) yield one(path, text);
  const enough = made + Math.floor(count / 5);
  for (const [path, text] of samples()) {
    if (made >= enough) break;
    yield one(path, text);
  }
  for (let index = 1; made < count; index++) yield one(`src/file-${index}.rs`, rust(index));
}

/** Of all rules, again and again. Workflows and bots are there already. */
function* samples(): Generator<readonly [string, string]> {
  const own = families.filter(({ name }) => !['bot', 'ci', 'vault'].includes(name));
  const good = own.flatMap(({ rules }) => rules.flatMap(({ samples }) => samples.good));
  for (let round = 0; ; round++)
    for (const [index, { files }] of good.entries())
      for (const [path, text] of Object.entries(files)) yield [`hosts/${round}-${index}/${path}`, text];
}

function rust(index: number): string {
  return Array.from({ length: 40 }, (_, line) => `pub fn f${index}_${line}(vault: &Vault) -> u32 { ${line} }\n`).join(
    '',
  );
}

function workflow(run: string): string {
  return `on:\n  push:\njobs:\n  build:\n    runs-on: gbo\n    steps:\n      - uses: https://code.forgejo.org/actions/checkout@v4\n      - run: ${run}\n`;
}
