import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Contender,
  figures,
  goal,
  interleave,
  output,
  type Part,
  ratios,
  type Settings,
  timed,
} from '../measure.js';
import { ours, startUp } from './ours.js';
import { makeRepository } from './repository.js';

/** As many as the largest of the users' repositories has. */
const TOOLS = 155;

const names = {
  cat: 'cat of all files',
  start: 'start-up of the bundle',
  ours: 'ours, all rules',
  both: 'ours / (cat + start-up)',
};

/** Every tool of a repository of bots, against a program that only reads the files. */
export async function tools(settings: Settings): Promise<Part> {
  const repository = await makeRepository();
  try {
    const count = settings.quick ? 20 : TOOLS;
    await repository.commit(botTools(count));
    await output('git', ['-C', repository.folder, 'checkout', '--quiet', '--force', 'main']);
    const files = readdirSync(repository.folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(bas|mcp\.json)$/.test(path))
      .map((path) => join(repository.folder, path));
    const contenders: Contender[] = [
      { name: 'cat', run: async () => ({ [names.cat]: await timed('cat', files) }) },
      { name: 'start-up', run: async () => ({ [names.start]: (await startUp()).ms }) },
      {
        name: 'ours',
        run: async () => {
          const { ms, report } = await ours({ repository: repository.folder });
          const judged = report?.rules.find(({ id }) => id === 'bot/mcp-stale');
          if (report?.result !== 'pass' || judged?.files !== files.length)
            throw new Error(`not all of ${files.length} files passed: ${JSON.stringify(report).slice(0, 2000)}`);
          return { [names.ours]: ms };
        },
      },
    ];
    const samples = await interleave(settings, contenders);
    const values = (name: string) => samples.get(name) ?? [];
    const times = values(names.ours).map(
      (ms, round) => ms / ((values(names.cat)[round] ?? 0) + (values(names.start)[round] ?? 0)),
    );
    return {
      title: `${count} bot tools, each with its .mcp.json: the whole run, against cat over the same files`,
      figures: figures(samples),
      goals: [
        goal(names.both, times, { atMost: 5 }),
        goal(`${names.ours} / ${names.start}`, ratios(samples, names.ours, names.start)),
      ],
      notes: [
        'Every contender is a whole process. The start-up loads all that the whole run loads, and prints the page of one rule.',
        "cat reads the work tree, ours the commit's objects through git.",
        'All tools are sound, and pass: every rule about bots has looked at every file.',
      ],
    };
  } finally {
    repository.remove();
  }
}

/** Sound tools of ten bots, as the compiler writes them, with a start script that uses them all. */
export function* botTools(count: number, below = ''): Generator<readonly [string, string]> {
  const bots = Math.ceil(count / 16);
  for (let bot = 0; bot < bots; bot++) {
    const dialog = `${below}bot${bot}.gbai/bot${bot}.gbdialog`;
    const own = Array.from({ length: Math.min(16, count - bot * 16) }, (_, index) => `ask-${index}`);
    for (const name of own) {
      yield [`${dialog}/${name}.bas`, script(name)];
      yield [`${dialog}/${name}.mcp.json`, compiled(name)];
    }
    yield [`${dialog}/start.bas`, `${own.map((name) => `USE TOOL "${name}"\n`).join('')}TALK "How can I help?"\n`];
    yield [
      `${dialog}/start.mcp.json`,
      `${JSON.stringify({ name: 'start', description: '', input_schema: { type: 'object', properties: {}, required: [] } }, undefined, 2)}\n`,
    ];
  }
}

const params = ['customer', 'product', 'quantity', 'remark'];

function script(name: string): string {
  return [
    ...params.map((param) => `PARAM ${param} AS STRING LIKE "some ${param}" DESCRIPTION "The ${param} of ${name}"`),
    `DESCRIPTION "Answers ${name}"`,
    '',
    ...Array.from(
      { length: 25 },
      (_, line) => `row${line} = FIND "orders.csv", "customer=" + customer\nTALK "Line ${line}: " + row${line}`,
    ),
    '',
  ].join('\n');
}

function compiled(name: string): string {
  const properties = Object.fromEntries(
    params.map((param) => [
      param,
      { type: 'string', description: `The ${param} of ${name}`, example: `some ${param}` },
    ]),
  );
  const tool = { name, description: `Answers ${name}`, input_schema: { type: 'object', properties, required: params } };
  return `${JSON.stringify(tool, undefined, 2)}\n`;
}
