import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { told } from '../harness.js';
import { addresses, tokenless } from './hostile/addresses.js';
import { branches, files } from './hostile/files.js';
import {
  checkoutState,
  entry,
  ground,
  type Part,
  type Row,
  RUN_TOKEN,
  remotes,
  rootCommit,
  startGround,
  stopGround,
  TOKEN,
  type Trap,
} from './hostile/ground.js';
import { machines } from './hostile/machines.js';
import { paths } from './hostile/paths.js';
import { answers, replies } from './hostile/replies.js';
import { createPlace, type Place, removePlace, type Watched, watched } from './hostile/watched.js';

const basic = (token: string) => Buffer.from(`x-access-token:${token}`).toString('base64');
const forms = (token: string) => [
  token,
  encodeURIComponent(token),
  Buffer.from(token).toString('base64'),
  basic(token),
];
/** What a mask may be the spelling of. */
const spellings = (mask: string) => [mask, decodeURIComponent(mask), Buffer.from(mask, 'base64').toString()];
const secrets = [...forms(TOKEN), ...forms(RUN_TOKEN)];

let checkoutBefore: string;
beforeAll(async () => {
  await startGround();
  checkoutBefore = await checkoutState();
});
afterAll(stopGround);

const together: Record<string, Part[]> = {
  address: addresses,
  branch: branches,
  answer: answers.map(([title, handler]): Part => [title, (trap) => trap.answers(handler)]),
};

describe.each(Object.entries(together))('hostile: many submodules by their %s:', (kind, parts) => {
  let run: Watched | undefined;
  const pathOf = (index: number) => `${kind}/${index}`;

  it('nothing is executed, nobody else is asked, nothing is left', async () => {
    run = await inPlace(`${kind}-all`, (trap) => ({
      gitmodules: parts
        .map(([, url, more], index) => {
          const own = trapOf(`${trap.word}-${index}z`, trap.place);
          return entry(pathOf(index), url(own), { more: more?.(own) });
        })
        .join(''),
      pins: Object.fromEntries(parts.map((_, index) => [pathOf(index), ground.lib])),
    }));
  });

  it.each(parts.map(([title], index) => [title, index] as const))('%s', (_title, index) => {
    const found = run?.report?.findings.filter(({ path }) => path === pathOf(index));
    expect(found?.map(({ state }) => state)).toEqual([
      kind === 'branch' ? expect.stringMatching(/COULD-NOT-CHECK|BRANCH-MISSING/) : 'COULD-NOT-CHECK',
    ]);
    if (kind === 'address') expect(found?.[0]?.what).toContain('invalid address');
    expect(run?.log).not.toMatch(/^Result: pushed/m);
  });
});

const table: Record<string, Row[]> = { tokenless, file: files, path: paths, reply: replies, machine: machines };

describe.each(Object.entries(table))('hostile: by %s:', (kind, rows) => {
  it.concurrent.each(rows.map(([title, lay], index) => [title, lay, index] as const))(
    '%s',
    async (_title, lay, index) => void (await inPlace(`${kind}-${index}z`, lay)),
  );
});

async function inPlace(word: string, lay: Row[1]): Promise<Watched> {
  const place = createPlace();
  try {
    return await play(trapOf(word, place), lay);
  } finally {
    removePlace(place);
  }
}

it('the checkout is as it was before all of this', async () => {
  expect(await checkoutState()).toBe(checkoutBefore);
});

it('no token ever reached the other host', () => {
  for (const secret of secrets) expect(ground.stranger.everything()).not.toContain(secret);
  expect(ground.stranger.everything()).not.toMatch(/authorization/i);
});

function trapOf(word: string, place: Place): Trap {
  const { world, stranger } = ground;
  const { alm, origin } = world.homes;
  return {
    word,
    place,
    alm: alm?.base ?? '',
    otherHost: `http://localhost:${stranger.port}/${word}/`,
    otherPort: `http://127.0.0.1:${stranger.port}/${word}/`,
    answers(handler) {
      for (const home of [alm, origin]) home?.http?.answer(word, handler);
      return `../${word}.git`;
    },
  };
}

async function play(trap: Trap, lay: Row[1]): Promise<Watched> {
  const { world, stranger, lib } = ground;
  const { word, place } = trap;
  const { told: expected = [], code = 1, within = 30_000, ...row } = await lay(trap);
  const commit =
    row.commit ??
    (await rootCommit({
      gitmodules: row.gitmodules ?? (row.pins && !row.url ? undefined : entry('x', row.url ?? '')),
      pins: row.pins ?? { x: lib },
    }));
  const inputs = {
    remotes: remotes('alm'),
    tokens: `alm = ${TOKEN}`,
    root: 'gb',
    exclude: '.',
    repository: world.checkout,
    'max-time': '10s',
    comment: 'false',
    ...row.inputs,
  };
  const run = await watched(
    place,
    inputs,
    {
      GITHUB_EVENT_NAME: 'push',
      GITHUB_REF: 'refs/heads/main',
      GITHUB_REPOSITORY: 'acme/gb',
      GITHUB_SHA: commit,
      GITHUB_TOKEN: RUN_TOKEN,
      ...row.env,
    },
    row.stopWhen,
  );
  const { log, outputs, summary, seen } = run;

  // It says what it is, and never that all is well.
  expect(log).not.toMatch(/Unexpected:|\n\s+at .*:\d+:\d+/);
  if (expected.length > 0 || code === 0) expect(told(run).sort()).toEqual([...expected].sort());
  expect({ code: run.code, signal: run.signal }).toEqual({ code, signal: null });
  if (row.says) expect(log).toMatch(row.says);
  await row.also?.(run);

  // Nothing was executed, nobody else was asked, nothing is left.
  expect(existsSync(place.marker) ? readFileSync(place.marker, 'utf8') : 'nothing was executed').toBe(
    'nothing was executed',
  );
  if (!row.welcome) expect(stranger.asked(word)).toEqual([]);
  expect(run.left).toEqual([]);
  expect(run.files).toEqual([]);
  expect(run.ms).toBeLessThan(within);

  // The tokens are where they belong: announced to the runner, and nowhere else.
  const lines = log.split('\n');
  const masks = lines
    .filter((line) => line.startsWith('::add-mask::'))
    .map((line) => line.slice('::add-mask::'.length));
  const others = lines.filter((line) => !line.startsWith('::add-mask::'));
  if (!row.inputs?.tokens) expect(masks).toEqual(expect.arrayContaining([TOKEN, basic(TOKEN)]));
  const written = { log: others.join('\n'), summary, outputs: JSON.stringify(outputs), ...leftFiles(place), seen };
  const leaks = Object.entries(written).filter(([, text]) => secrets.some((secret) => text.includes(secret)));
  expect(leaks.map(([name]) => name)).toEqual([]);

  // Nothing that others wrote can be taken for something we said, or that we said to the runner.
  const own = /^::(group::|endgroup::$)/;
  expect(masks.filter((mask) => !spellings(mask).some((text) => text.includes(TOKEN)))).toEqual([]);
  expect(others.filter((line) => /^\s*(::|##\[)/.test(line) && !own.test(line))).toEqual([]);
  const texts = row.env?.DEBUG ? [] : [log, summary, outputs.commands ?? ''];
  for (const text of texts) expect(text).not.toMatch(/[\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\t\n])\p{Cc}/u);
  return run;
}

function leftFiles({ folder }: Place): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((path) => statSync(path).isFile())
      .map((path) => [path, readFileSync(path, 'latin1')]),
  );
}
