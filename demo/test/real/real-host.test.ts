import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Sshd, startSshd } from '../../../testbed/sshd.js';

const demo = fileURLToPath(new URL('../../demo.mjs', import.meta.url));

let sshd: Sshd;
let home: string;

beforeAll(async () => {
  sshd = await startSshd();
  home = mkdtempSync(join(tmpdir(), 'gbo-demo-home-'));
  mkdirSync(join(home, '.ssh'));
  mkdirSync(join(home, 'target'));
  writeFileSync(join(home, '.ssh', 'known_hosts'), sshd.knownHosts);
  writeFileSync(join(home, '.ssh', 'id_ed25519'), sshd.privateKey, { mode: 0o600 });
});

afterAll(async () => {
  await sshd.stop();
  rmSync(home, { recursive: true, force: true });
});

function check(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [demo, ...args], { env: { PATH: process.env.PATH, HOME: home, TMPDIR: home } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

it('tells whether a real host is ready, with its default key and known_hosts, and changes nothing there', async () => {
  const target = join(home, 'target');
  const before = statSync(target).mtimeMs;
  const { code, output } = await check(
    '--host',
    `${sshd.user}@127.0.0.1:${sshd.port}`,
    '--path',
    join(target, 'bin', 'botserver'),
    '--unit',
    'no-such-unit.service',
  );
  expect(output).toContain('Nothing was changed on the host');
  expect(output).toMatch(/logged in as +\S+ \(uid \d+\)/);
  expect(output).toContain('Unit no-such-unit.service is not known on the target');
  expect(output).not.toContain('PRIVATE KEY');
  expect(code).toBe(1);
  expect(readdirSync(target)).toEqual([]);
  expect(statSync(target).mtimeMs).toBe(before);
});

it.each([
  ['no such key', ['--host', 'root@127.0.0.1', '--key', '/nonexistent/key'], /\/nonexistent\/key cannot be read/],
  ['an address without a user', ['--host', '127.0.0.1'], /--host 127\.0\.0\.1 is not user@target or user@target:port/],
])('says in a sentence what is wrong with %s', async (_, args, sentence) => {
  const { code, output } = await check(...args);
  expect(code).toBe(1);
  expect(output).toMatch(sentence);
  expect(output).not.toContain('    at ');
});
