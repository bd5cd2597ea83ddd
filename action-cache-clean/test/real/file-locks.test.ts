import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hold } from '../../src/file-locks.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'locks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lockAt = (name: string, create = true) => ({ path: join(folder, name), create });
/** Whether another process could have it now. */
const isFree = (name: string, kind: '-x' | '-s' = '-s') =>
  new Promise<boolean>((resolve) =>
    execFile('flock', ['-n', kind, join(folder, name), 'true'], (error) => resolve(!error)),
  );
/** Our own open files below the folder: one that stays open would be a lock that stays. */
const open = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  });

describe('locks', () => {
  test('are held, all of them, from then on until they are let go, and at once', async () => {
    const held = await hold([lockAt('first'), lockAt('second')], 0);
    expect(held).toBeDefined();
    expect(await Promise.all([isFree('first'), isFree('second')])).toEqual([false, false]);
    held?.release();
    expect(open()).toEqual([]);
    expect(await Promise.all([isFree('first', '-x'), isFree('second', '-x')])).toEqual([true, true]);
  });

  test('that are busy leave none held', async () => {
    const other = await hold([lockAt('second')], 0);
    expect(await hold([lockAt('first'), lockAt('second')], 0)).toBeUndefined();
    expect(await isFree('first', '-x')).toBe(true);
    other?.release();
    const held = await hold([lockAt('first'), lockAt('second')], 0);
    expect(held).toBeDefined();
    held?.release();
  });

  test('that become free in time are had', async () => {
    const other = await hold([lockAt('one')], 0);
    setTimeout(() => other?.release(), 200);
    const held = await hold([lockAt('one')], 20_000);
    expect(held).toBeDefined();
    held?.release();
  });

  test('are not inherited by what is started meanwhile', async () => {
    const held = await hold([lockAt('one')], 0);
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    held?.release();
    expect(await isFree('one', '-x')).toBe(true);
    child.kill();
  });

  test('go with the process, however it ends', async () => {
    const source = pathToFileURL(join(import.meta.dirname, '../../src/file-locks.ts'));
    const script = join(folder, 'holder.mts');
    writeFileSync(
      script,
      `import { hold } from ${JSON.stringify(source)};
       await hold([{ path: ${JSON.stringify(join(folder, 'one'))}, create: true }], 0);
       console.log('held');
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(await isFree('one')).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await isFree('one', '-x')).toBe(true);
  });

  test('that are not there and may not be made guard nothing', async () => {
    const held = await hold([lockAt('one', false)], 0);
    expect(held).toBeDefined();
    expect(readdirSync(folder)).toEqual([]);
    held?.release();
  });

  test('that may only be read are locked all the same', async () => {
    writeFileSync(join(folder, 'one'), '');
    chmodSync(join(folder, 'one'), 0o444);
    const held = await hold([lockAt('one')], 0);
    expect(await isFree('one')).toBe(false);
    held?.release();
  });

  test.each([
    ['a link', () => symlinkSync('/nowhere', join(folder, 'one')), /is no regular file/],
    ['in a folder that is not there', () => rmSync(folder, { recursive: true }), /could not be taken.*ENOENT/],
  ])('%s: one sentence, and nothing stays open', async (_, make, message) => {
    writeFileSync(join(folder, 'zero'), '');
    make();
    await expect(hold([lockAt('one')], 0)).rejects.toThrow(message);
    expect(open()).toEqual([]);
  });

  test('without flock(1): what to install is said', async () => {
    const { PATH } = process.env;
    process.env.PATH = folder;
    try {
      await expect(hold([lockAt('one')], 0)).rejects.toThrow('The program flock is not there.');
    } finally {
      process.env.PATH = PATH;
    }
    expect(open()).toEqual([]);
  });
});
