import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ExpectedError } from '@gbo/shared/errors';
import { type Connection, ConnectionLost, connect } from '@gbo/shared/ssh/connection';
import { shellQuote } from '@gbo/shared/ssh/quote';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Proxy as Link, startProxy } from '../../../testbed/proxy.js';
import { endpointOf, type Sshd, type SshdOptions, startSshd } from '../../../testbed/sshd.js';
import { acquire, holderScript, type Lock, type LockRequest } from '../../src/lock.js';

let folder: string;
let server: Sshd;
// All tests run at once, since one of them has to wait for half a minute; so everything ends with the last.
const parts: { stop(): Promise<void> }[] = [];
const connections: Connection[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gbo-lock-'));
  await chmod(folder, 0o755);
  server = await startSshd({ config: ['MaxStartups 100'] });
});
afterAll(async () => {
  for (const connection of connections) connection.close();
  await Promise.all(parts.map((part) => part.stop()));
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

function lasting<T extends { stop(): Promise<void> }>(part: T): T {
  parts.push(part);
  return part;
}

const sshd = async (options: SshdOptions) => lasting(await startSshd(options));
const proxy = async () => lasting(await startProxy({ to: server }));

async function open(to: Sshd = server, over?: Link): Promise<Connection> {
  const connection = await connect(endpointOf(to, over));
  connections.push(connection);
  return connection;
}

let states = 0;
/** The state folder of a tenant; it does not exist yet. */
const fresh = () => join(folder, `state-${states++}`);

function request(stateDir: string, who: string, more: Partial<LockRequest> = {}): LockRequest {
  return { stateDir, who, waitMs: 60_000, onBusy: () => {}, signal: new AbortController().signal, ...more };
}

/** Who has the lock, by what lies beside it. */
const holder = (stateDir: string) => readFileSync(join(stateDir, 'lock.holder'), 'utf8');

/** Waits for the lock and gives it back; how long that took. */
async function timeToGet(stateDir: string): Promise<number> {
  const connection = await open();
  const start = performance.now();
  const lock = await acquire(connection, request(stateDir, 'next'));
  const ms = performance.now() - start;
  await lock.release();
  return ms;
}

function failure(promise: Promise<unknown>): Promise<ExpectedError> {
  return promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error) => error,
  );
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** Whether `lost` has resolved by now, and to what. */
const lostBy = (lock: Lock) => Promise.race([lock.lost, sleep(0, 'not lost')]);

describe.concurrent('the lock of a target', () => {
  it('is had, names who has it for their own eyes only, and is given back', async () => {
    const stateDir = fresh();
    const connection = await open();
    const lock = await acquire(connection, request(stateDir, 'acme/shop run 7'));
    expect([lock.held, holder(stateDir)]).toEqual([true, 'acme/shop run 7\n']);
    const { stdout } = await connection.script(`cd ${stateDir} && stat -c '%a %n' . lock lock.holder undo`);
    expect(stdout).toBe('700 .\n600 lock\n600 lock.holder\n700 undo\n');
    await lock.release();
    expect([lock.held, holder(stateDir), await lostBy(lock)]).toEqual([false, '', 'not lost']);
    expect(await timeToGet(stateDir)).toBeLessThan(5000);
  });

  it('makes another wait, who hears who has it, and gets it when that one is done', async () => {
    const stateDir = fresh();
    const first = await acquire(await open(), request(stateDir, 'first'));
    const busy: string[] = [];
    let got = false;
    const waiting = acquire(await open(), request(stateDir, 'second', { onBusy: (name) => busy.push(name) }));
    void waiting.then(() => {
      got = true;
    });
    await expect.poll(() => busy, { timeout: 10_000 }).toEqual(['first']);
    await sleep(500);
    expect(got).toBe(false);
    await first.release();
    const second = await waiting;
    expect(holder(stateDir)).toBe('second\n');
    await second.release();
  });

  it.each([
    [0, '0 ms'],
    [1000, '1.0 s'],
  ])('is waited for no longer than %i ms, and then it is said who has it', async (waitMs, said) => {
    const stateDir = fresh();
    const lock = await acquire(await open(), request(stateDir, 'acme/shop run 7 by anna'));
    const connection = await open();
    const start = performance.now();
    const error = await failure(acquire(connection, request(stateDir, 'other', { waitMs })));
    expect(performance.now() - start).toBeGreaterThanOrEqual(waitMs);
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.message).toBe(
      `The target is locked by acme/shop run 7 by anna and stayed so for ${said}. Nothing was touched. Wait for that run to end, or raise lock-wait.`,
    );
    expect([lock.held, holder(stateDir)]).toEqual([true, 'acme/shop run 7 by anna\n']);
    await lock.release();
  });

  it('is had by one at a time, however many want it', async () => {
    const stateDir = fresh();
    const connection = await open();
    let inside = 0;
    const most = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const lock = await acquire(connection, request(stateDir, `run ${index}`));
        inside += 1;
        const together = inside;
        expect(holder(stateDir)).toBe(`run ${index}\n`);
        await sleep(50);
        inside -= 1;
        await lock.release();
        return together;
      }),
    );
    expect(most).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('has a holder of one line, whatever the name', async () => {
    const stateDir = fresh();
    const lock = await acquire(await open(), request(stateDir, 'a\nb\r\n$(id) \'"` \\n %s'));
    expect(holder(stateDir)).toBe('a b  $(id) \'"` \\n %s\n');
    await lock.release();
  });

  it('is free within two seconds after the link of its holder was cut, who is told that it is lost', async () => {
    const stateDir = fresh();
    const link = await proxy();
    const lock = await acquire(await open(server, link), request(stateDir, 'unlucky'));
    const next = timeToGet(stateDir);
    await sleep(500);
    await link.cut();
    const cut = performance.now();
    expect(await lock.lost).toMatch(/^the lock on the target was lost/);
    expect(lock.held).toBe(false);
    await next;
    expect(performance.now() - cut).toBeLessThan(2000);
    await lock.release();
  });

  it('is free within half a minute after the link of its holder went silent', async () => {
    const stateDir = fresh();
    const link = await proxy();
    await acquire(await open(server, link), request(stateDir, 'silent'));
    link.blackhole();
    const ms = await timeToGet(stateDir);
    expect(ms).toBeGreaterThan(20_000);
    expect(ms).toBeLessThan(34_000);
  });

  it('is free within half a minute when the link goes silent before the holder has said its name', async () => {
    const stateDir = fresh();
    const command = await (await open()).start(`/bin/sh -c ${shellQuote(holderScript(stateDir, 0))}`);
    await expect.poll(() => existsSync(join(stateDir, 'lock')), { timeout: 5000 }).toBe(true);
    const ms = await timeToGet(stateDir);
    expect(ms).toBeGreaterThan(20_000);
    expect(ms).toBeLessThan(34_000);
    await command.exited;
  });

  it('stays with a holder who takes longer than that', async () => {
    const stateDir = fresh();
    const lock = await acquire(await open(), request(stateDir, 'patient'));
    await sleep(34_000);
    expect([lock.held, await lostBy(lock)]).toEqual([true, 'not lost']);
    const error = await failure(acquire(await open(), request(stateDir, 'other', { waitMs: 0 })));
    expect(error.what).toMatch(/^The target is locked by patient /);
    await lock.release();
  });

  it('is free at once after the process of its holder was killed', async () => {
    const stateDir = fresh();
    const script = join(folder, 'holder.mts');
    const source = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
    await writeFile(
      script,
      `import { connect } from ${source('../../../packages/shared/src/ssh/connection.ts')};
       import { acquire } from ${source('../../src/lock.ts')};
       const { endpoint, stateDir } = JSON.parse(process.env.TEST_LOCK ?? '');
       const signal = new AbortController().signal;
       await acquire(await connect(endpoint), { stateDir, who: 'doomed', waitMs: 0, onBusy() {}, signal });
       console.log('locked');`,
    );
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TEST_LOCK: JSON.stringify({ endpoint: endpointOf(server), stateDir }) },
    });
    expect(String((await once(child.stdout, 'data'))[0])).toBe('locked\n');
    expect(holder(stateDir)).toBe('doomed\n');
    const next = timeToGet(stateDir);
    await sleep(500);
    child.kill('SIGKILL');
    const killed = performance.now();
    await next;
    expect(performance.now() - killed).toBeLessThan(2000);
  });

  it('is lost, and said to be, when somebody kills its holder on the target', async () => {
    const stateDir = fresh();
    const lock = await acquire(await open(), request(stateDir, 'victim'));
    const holders = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(stateDir));
    for (const pid of holders) process.kill(Number(pid), 'SIGKILL');
    expect(await lock.lost).toMatch(/^the lock on the target was lost/);
    expect(lock.held).toBe(false);
    expect(await timeToGet(stateDir)).toBeLessThan(5000);
    await lock.release();
  });

  it('is lost when the connection is closed before it was given back', async () => {
    const stateDir = fresh();
    const connection = await connect(endpointOf(server));
    const lock = await acquire(connection, request(stateDir, 'hasty'));
    connection.close();
    expect(await lock.lost).toMatch(/^the lock on the target was lost/);
    expect(await timeToGet(stateDir)).toBeLessThan(5000);
  });

  it('runs what is armed before it is free, when the holder is gone; and nothing when it was given back', async () => {
    const stateDir = fresh();
    const link = await proxy();
    const connection = await open(server, link);
    const lock = await acquire(connection, request(stateDir, 'half-way'));
    const undo = join(stateDir, 'undo');
    // A service it starts may live on, and must not keep the lock.
    const script = `sleep 1; echo "$1" >> ${stateDir}/undone; rm ${undo}/release.armed; sleep 60 & echo $! > ${stateDir}/service`;
    await writeFile(join(undo, 'release.sh'), script);
    await writeFile(join(undo, 'release.armed'), '');
    await writeFile(join(undo, 'other.sh'), `echo never >> ${stateDir}/undone`);
    const next = acquire(await open(), request(stateDir, 'next'));
    await sleep(500);
    await link.cut();
    const after = await next;
    expect(readFileSync(join(stateDir, 'undone'), 'utf8')).toBe('lost-contact\n');
    process.kill(Number(readFileSync(join(stateDir, 'service'), 'utf8')));
    await writeFile(join(undo, 'release.armed'), '');
    await after.release();
    await sleep(300);
    expect(existsSync(join(undo, 'release.armed'))).toBe(true);
    await lock.release();
  });

  it('that cannot be had because the link is cut meanwhile ends in a lost connection', async () => {
    const stateDir = fresh();
    const first = await acquire(await open(), request(stateDir, 'first'));
    const link = await proxy();
    const waiting = failure(acquire(await open(server, link), request(stateDir, 'second')));
    await sleep(500);
    await link.cut();
    expect(await waiting).toBeInstanceOf(ConnectionLost);
    await first.release();
    expect(await timeToGet(stateDir)).toBeLessThan(5000);
  });
});

describe.concurrent('a state folder', () => {
  it('that cannot be made is named, with the reason of the target', async () => {
    const file = fresh();
    await writeFile(file, '');
    const error = await failure(acquire(await open(), request(join(file, 'state'), 'me')));
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(new RegExp(`^The lock in ${file}/state could not be taken: .*File exists\\.$`));
    expect(error.message).toContain('Nothing was touched. Make the folder writable for the user who deploys.');
  });

  it.each([
    ['that is missing, where the user may not make one', false],
    ['that belongs to somebody else', true],
  ])('%s is named, with the reason of the target', async (_, exists) => {
    const drop = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups /bin/sh -c "$SSH_ORIGINAL_COMMAND"';
    const nobody = await open(await sshd({ config: [`ForceCommand ${drop}`] }));
    const stateDir = fresh();
    if (exists) await mkdir(stateDir);
    const error = await failure(acquire(nobody, request(stateDir, 'me')));
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(new RegExp(`^The lock in ${stateDir} could not be taken: .*Permission denied\\.$`));
  });

  it('is served behind a login shell that talks, too', async () => {
    const home = fresh();
    await mkdir(home);
    await writeFile(join(home, '.bashrc'), 'echo Welcome; echo busy bees; printf "no newline here"\n');
    const talking = await sshd({ config: [`SetEnv HOME=${home}`] });
    const stateDir = fresh();
    const lock = await acquire(await open(talking), request(stateDir, 'me'));
    const busy: string[] = [];
    const onBusy = (name: string) => void busy.push(name);
    const error = await failure(acquire(await open(talking), request(stateDir, 'other', { waitMs: 0, onBusy })));
    expect(error.what).toMatch(/^The target is locked by me and stayed so for /);
    expect(busy).toEqual(['me']);
    await lock.release();
  });
});

describe.concurrent('cancelling', () => {
  const reason = new ExpectedError('The job was cancelled.', '', '');

  it('ends the wait at once, and the lock is not taken later', async () => {
    const stateDir = fresh();
    const first = await acquire(await open(), request(stateDir, 'first'));
    const control = new AbortController();
    const busy: string[] = [];
    const onBusy = (name: string) => void busy.push(name);
    const waiting = failure(acquire(await open(), request(stateDir, 'second', { signal: control.signal, onBusy })));
    await expect.poll(() => busy, { timeout: 10_000 }).toEqual(['first']);
    control.abort(reason);
    const start = performance.now();
    expect(await waiting).toBe(reason);
    expect(performance.now() - start).toBeLessThan(500);
    expect(holder(stateDir)).toBe('first\n');
    await first.release();
    expect(await timeToGet(stateDir)).toBeLessThan(5000);
  });

  it.each([
    ['before it began', 0],
    ['while the target is asked', 1],
  ])('%s leaves the lock free, whoever has it', async (_, afterMs) => {
    for (const taken of [false, true]) {
      const stateDir = fresh();
      const first = taken ? await acquire(await open(), request(stateDir, 'first')) : undefined;
      const control = new AbortController();
      if (afterMs === 0) control.abort(reason);
      const connection = await open();
      const start = performance.now();
      const acquiring = failure(acquire(connection, request(stateDir, 'second', { signal: control.signal })));
      if (afterMs > 0) setTimeout(() => control.abort(reason), afterMs);
      expect(await acquiring).toBe(reason);
      expect(performance.now() - start).toBeLessThan(5000);
      await first?.release();
      expect(await timeToGet(stateDir)).toBeLessThan(5000);
    }
  });
});
