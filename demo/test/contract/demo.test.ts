import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const NOBODY = 65534;
/** Root would hide what an ordinary user lacks; util-linux has the way down. */
const stepDown = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;

let folder: string;
let repository: string;
let temp: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'gbo-demo-test-')));
  temp = join(folder, 'temp');
  repository = join(folder, 'repository');
  mkdirSync(temp);
  chmodSync(folder, 0o755);
  // What the demo uses, where nobody may read it: the repository itself can lie in a home that is closed to others.
  cpSync(join(root, 'demo'), join(repository, 'demo'), { recursive: true });
  for (const path of ['package.json', 'action-deploy/package.json', 'action-deploy/dist']) {
    cpSync(join(root, path), join(repository, path), { recursive: true });
  }
  copyModule('ssh2', join(root, 'package.json'));
  if (stepDown) for (const path of [folder, temp, repository]) chownSync(path, NOBODY, NOBODY);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A module with its own dependencies, out of pnpm's folders into a flat one. */
function copyModule(name: string, from: string): void {
  const to = join(repository, 'node_modules', name);
  if (existsSync(to)) return;
  const manifest = createRequire(from).resolve(`${name}/package.json`);
  cpSync(dirname(manifest), to, { recursive: true });
  const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'));
  for (const dependency of Object.keys(dependencies)) copyModule(dependency, manifest);
}

function startDemo(): { child: ChildProcess; output: () => string } {
  const down = stepDown ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
  const [program = '', ...args] = [...down, process.execPath, join(repository, 'demo', 'demo.mjs')];
  const env = { PATH: process.env.PATH, HOME: temp, TMPDIR: temp };
  const child = spawn(program, args, { cwd: repository, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return { child, output: () => output };
}

async function untilItSays(demo: ReturnType<typeof startDemo>, words: RegExp): Promise<void> {
  for (const end = Date.now() + 60_000; !words.test(demo.output()); await pause(20)) {
    if (Date.now() > end || demo.child.exitCode !== null) throw new Error(`It never said ${words}:\n${demo.output()}`);
  }
}

/** Processes that run a program or a script of this test's folder, or work in it. */
function processes(): string[] {
  const look = (read: () => string) => {
    try {
      return read();
    } catch {
      return ''; // It has ended meanwhile.
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) =>
      [
        pid,
        look(() => readlinkSync(`/proc/${pid}/exe`)),
        look(() => readlinkSync(`/proc/${pid}/cwd`)),
        look(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')),
      ].join(' '),
    )
    .filter((line) => line.includes(folder));
}

it('plays every act in less than a minute, without root, and leaves no process and no temp file', async () => {
  const began = Date.now();
  const { child, output } = startDemo();
  const [code] = await once(child, 'close');
  const said = output();
  expect(code, said).toBe(0);
  expect(Date.now() - began).toBeLessThan(60_000);
  for (const promise of [
    'Kept: v1.0.0 is deployed.',
    'Kept: v2.0.0 is deployed.',
    'Kept: v3.0.0 is rolled back, and the step is red.',
    'Kept: v2.0.0 is what runs again (/proc/PID/exe).',
    'Kept: the changed host key is refused.',
    'Kept: no file on the target was touched.',
    'Kept: the same process of v2.0.0 still runs.',
    'Every act went as promised.',
  ]) {
    expect(said).toContain(promise);
  }
  expect(said).toMatch(/table orders has no column currency/);
  expect(said).toMatch(/upload acme-shop: done in .* \((?:[6-9]\d|\d{3}) MiB sent\)/);
  expect(said).toMatch(/^down, as users saw it +- +\d+ ms +\d+ \+ /m);
  expect(said).not.toContain('PRIVATE KEY');
  expect(readFileSync(join(repository, 'build', 'demo-timeline.svg'), 'utf8')).toContain('</svg>');
  expect(processes()).toEqual([]);
  expect(readdirSync(temp)).toEqual([]);
}, 120_000);

it('puts the old version back when it is interrupted in the middle of a deploy, and leaves nothing', async () => {
  const demo = startDemo();
  await untilItSays(demo, /== 2\.[\s\S]*prove that the new bytes run: done/);
  demo.child.kill('SIGINT');
  const [code] = await once(demo.child, 'close');
  expect(code).toBe(130);
  expect(demo.output()).toMatch(/rolled-back\. Cancelled by SIGINT\. Rolled back: \S+ runs again, proven/);
  expect(processes()).toEqual([]);
  expect(readdirSync(temp)).toEqual([]);
}, 120_000);

it('leaves nothing even when it is killed', async () => {
  const demo = startDemo();
  await untilItSays(demo, /arm the dead-man: done/);
  demo.child.kill('SIGKILL');
  await once(demo.child, 'close');
  // The target has to notice, and then the action that it is gone.
  for (const end = Date.now() + 40_000; Date.now() < end && processes().length > 0; ) await pause(100);
  expect(processes()).toEqual([]);
  expect(readdirSync(temp)).toEqual([]);
}, 120_000);
