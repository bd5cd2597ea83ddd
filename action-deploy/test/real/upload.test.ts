import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExpectedError } from '@gbo/shared/errors';
import { type Connection, ConnectionLost, type ConnectOptions, connect } from '@gbo/shared/ssh/connection';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Proxy as Link, type ProxyOptions, startProxy } from '../../../testbed/proxy.js';
import { endpointOf, type Sshd, type SshdOptions, startSshd } from '../../../testbed/sshd.js';
import { type UploadOptions, type UploadProgress, upload, WINDOW } from '../../src/upload.js';

/** One write, as in upload.ts. */
const CHUNK = 255 * 1024;

let folder: string;
let server: Sshd;
let link: Link;
/** 20 MB, and its content: more than two windows. */
let big: string;
let bytes: Buffer;
/** Its first 12 MB: more than one window. */
let mid: string;
let half: Buffer;
/** For tests that do not harm it. */
let shared: Connection;
const parts: { stop(): Promise<void> }[] = [];
const connections: Connection[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gbo-upload-'));
  await chmod(folder, 0o755);
  server = await startSshd();
  link = await startProxy({ to: server });
  bytes = randomBytes(20_000_000);
  half = bytes.subarray(0, 12_000_000);
  [big, mid] = [await local(bytes), await local(half)];
  made.length = 0; // they stay until the end
  shared = await open();
  connections.length = 0;
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await Promise.all(parts.splice(0).map((part) => part.stop()));
  await link.restore();
  await Promise.all(made.splice(0).map((path) => rm(path, { force: true })));
});
afterAll(async () => {
  shared?.close();
  await link?.stop();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Ends with the test. */
function lasting<T extends { stop(): Promise<void> }>(part: T): T {
  parts.push(part);
  return part;
}

const sshd = async (options: SshdOptions) => lasting(await startSshd(options));
const proxy = async (options: ProxyOptions) => lasting(await startProxy(options));

/** sshd runs every command and its SFTP server behind this one. */
async function behind(command: string): Promise<string[]> {
  const script = fresh();
  await writeFile(script, `${command} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n`);
  return [`ForceCommand /bin/sh ${script}`];
}

let files = 0;
const made: string[] = [];
/** A path nothing is at; what will be there is removed after the test. */
function fresh(): string {
  const path = join(folder, `file-${files++}`);
  made.push(path);
  return path;
}

async function local(content: Buffer): Promise<string> {
  const path = fresh();
  await writeFile(path, content);
  return path;
}

/** A connection to a server, over a proxy if there is one; it is closed with the test. */
async function open(to: Sshd = server, over?: Link, options?: ConnectOptions): Promise<Connection> {
  const connection = await connect(endpointOf(to, over), options);
  connections.push(connection);
  return connection;
}

/** Uploads the big file over a link that is cut once it has carried so many bytes. Gives what the upload ended with. */
async function cutOff(to: string, carried: number, more: Partial<UploadOptions> = {}): Promise<unknown> {
  const connection = await open(server, link);
  const limit = link.counters.up + carried;
  return cutWhen(() => link.counters.up >= limit, connection, to, more);
}

async function cutWhen(
  reached: () => boolean,
  connection: Connection,
  to: string,
  more: Partial<UploadOptions>,
): Promise<unknown> {
  let over = false;
  const ended = upload(connection, { from: big, to, size: bytes.length, ...more }).then(
    () => 'complete',
    (error) => error,
  );
  void ended.then(() => {
    over = true;
  });
  while (!reached() && !over) await new Promise(setImmediate);
  await link.cut();
  const end = await ended;
  await link.restore();
  return end;
}

/** What a promise rejects with, and after how many ms. */
async function failure(promise: Promise<unknown>): Promise<{ error: ExpectedError; ms: number }> {
  const start = performance.now();
  const error = await promise.then(
    (value) => {
      throw new Error(`it succeeded, with ${JSON.stringify(value)}`);
    },
    (reason) => reason,
  );
  return { error, ms: performance.now() - start };
}

const same = (path: string, content: Buffer) => readFileSync(path).equals(content);
const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);

describe('an upload', () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, WINDOW - 1, WINDOW, WINDOW + 1, 20_000_000])(
    'of %i bytes arrives as it is, for its owner only',
    async (size) => {
      const content = bytes.subarray(0, size);
      const to = fresh();
      const ended = await upload(shared, { from: await local(content), to, size });
      expect(ended).toMatchObject({ sent: size, resumedFrom: 0 });
      expect([same(to, content), mode(to)]).toEqual([true, '600']);
    },
  );

  it.each([1, 2, 3, 4, 8])('over %i channels arrives as it is', async (channels) => {
    for (const size of [1, half.length]) {
      const content = half.subarray(0, size);
      const to = fresh();
      const ended = await upload(shared, { from: await local(content), to, size, channels });
      expect(ended).toMatchObject({ sent: size, resumedFrom: 0 });
      expect([size, same(to, content)]).toEqual([size, true]);
    }
  });

  it('arrives where the login shell ends a quoted word at a newline, as csh does', async () => {
    const script = fresh();
    await writeFile(
      script,
      '[ "$(echo "$SSH_ORIGINAL_COMMAND" | wc -l)" -eq 1 ] && exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n',
    );
    const connection = await open(await sshd({ config: [`ForceCommand /bin/sh ${script}`] }));
    const to = fresh();
    await upload(connection, { from: mid, to, size: half.length, channels: 1 });
    expect(same(to, half)).toBe(true);
  });

  it.each([1, 2])('over 4 channels arrives where the server allows only %i', async (sessions) => {
    const connection = await open(await sshd({ config: [`MaxSessions ${sessions}`] }));
    const to = fresh();
    await upload(connection, { from: mid, to, size: half.length, channels: 4 });
    expect(same(to, half)).toBe(true);
    expect((await connection.script('echo free')).stdout).toBe('free\n');
  });

  it.each([
    ['ends at once', async () => 'exit 1'],
    [
      'does not find the file',
      async () =>
        `exec /usr/bin/unshare -m /bin/sh ${await local(Buffer.from(`mount -t tmpfs tmpfs ${folder}; eval exec "$SSH_ORIGINAL_COMMAND"\n`))}`,
    ],
  ])('over 4 channels arrives where each but the first %s', async (_, further) => {
    const first = fresh();
    const config = await behind(`(set -C; : > ${first}) 2>/dev/null || ${await further()}; exec`);
    const to = fresh();
    await upload(await open(await sshd({ config })), { from: mid, to, size: half.length, channels: 4 });
    expect(same(to, half)).toBe(true);
  });

  it('of several files at once over one connection arrives', async () => {
    const targets = [fresh(), fresh(), fresh()];
    await Promise.all(targets.map((to) => upload(shared, { from: mid, to, size: half.length, channels: 3 })));
    expect(targets.map((to) => same(to, half))).toEqual([true, true, true]);
  });

  it('leaves no session open, whether it succeeds or fails', async () => {
    const connection = await open();
    const size = 3_000_000;
    const from = await local(bytes.subarray(0, size));
    await upload(connection, { from, to: fresh(), size, channels: 8 });
    await failure(upload(connection, { from, to: '/nowhere/file', size, channels: 8 }));
    const signal = AbortSignal.timeout(1);
    await failure(upload(connection, { from: big, to: fresh(), size: bytes.length, channels: 8, signal }));
    await expect
      .poll(async () => (await connection.script('cat "/proc/$PPID/task/$PPID/children"')).stdout, { timeout: 5000 })
      .toMatch(/^\d+ $/); // the script itself
  });

  it.each([1, 4])('over %i channels tells its progress, which only grows, to the end', async (channels) => {
    const slow = await proxy({ to: server, bytesPerSecond: 10_000_000 });
    const told: (UploadProgress & { at: number })[] = [];
    await upload(await open(server, slow), {
      from: big,
      to: fresh(),
      size: bytes.length,
      channels,
      onProgress: (progress) => told.push({ ...progress, at: performance.now() }),
    });
    expect(told.length).toBeGreaterThan(2);
    expect(told.length).toBeLessThan(12);
    expect(told.at(-1)).toMatchObject({ bytes: bytes.length, total: bytes.length, resumedFrom: 0 });
    for (const [index, { bytes: now, at }] of told.entries()) {
      const before = told[index - 1];
      if (!before) continue;
      expect(now).toBeGreaterThanOrEqual(before.bytes);
      if (index < told.length - 1) expect(at - before.at).toBeGreaterThanOrEqual(499);
    }
  });

  it.each([1, 4])(
    'over %i channels of a slow link that carries everything late is not taken for lost',
    async (channels) => {
      const slow = await proxy({ to: server, bytesPerSecond: 3_000_000 });
      const connection = await open(server, slow, { keepaliveMs: 200 });
      const to = fresh();
      await upload(connection, { from: mid, to, size: half.length, channels, stallMs: 3000 });
      expect(same(to, half)).toBe(true);
    },
  );

  it('whose last bytes are long on the way is not taken for stalled', async () => {
    const slow = await proxy({ to: server, bytesPerSecond: 500_000 });
    const size = 2_000_000; // less than a channel's window: it is all on the way at once
    const to = fresh();
    const from = await local(bytes.subarray(0, size));
    await upload(await open(server, slow), { from, to, size, channels: 1, stallMs: 1500 });
    expect(same(to, bytes.subarray(0, size))).toBe(true);
  });
});

describe('a cut upload', () => {
  it.each([
    [1, 300_000],
    [1, 15_000_000],
    [4, 9_000_000],
    [4, 17_500_000],
  ])('over %i channels after %i bytes goes on where it was', async (channels, carried) => {
    const to = fresh();
    expect(await cutOff(to, carried, { channels })).toBeInstanceOf(ConnectionLost);
    // Whoever makes it on the host may come to that after the link is gone.
    await expect.poll(() => existsSync(to) && mode(to), { timeout: 10_000 }).toBe('600');
    await expect.poll(() => statSync(to).size).toBeLessThanOrEqual(bytes.length);
    const told: UploadProgress[] = [];
    const onProgress = (progress: UploadProgress) => void told.push(progress);
    const { sent, resumedFrom } = await upload(shared, { from: big, to, size: bytes.length, channels, onProgress });
    expect(same(to, bytes)).toBe(true);
    expect(sent).toBe(bytes.length - resumedFrom);
    // What was under way when the link was cut may not have arrived: up to a window of it.
    expect(resumedFrom).toBeGreaterThanOrEqual(Math.max(0, carried - 2 * WINDOW));
    if (carried > 2 * WINDOW) expect(resumedFrom).toBeGreaterThan(0);
    expect(told[0]?.bytes).toBeGreaterThanOrEqual(resumedFrom);
    expect(told.at(-1)).toEqual({ bytes: bytes.length, total: bytes.length, resumedFrom });
  });

  it('may be cut again and again, and still arrives, each try going on from the one before', async () => {
    const to = fresh();
    const starts: number[] = [];
    const size = () => statSync(to, { throwIfNoEntry: false })?.size ?? 0;
    for (let i = 0; i < 4; i++) {
      // By what has arrived: what the link has carried may lie in a buffer of a busy server, and is lost with the link.
      const enough = Math.max(WINDOW, size()) + 2_000_000;
      await cutWhen(() => size() >= enough, await open(server, link), to, { channels: 2 });
      starts.push(size() - WINDOW);
    }
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const { sent } = await upload(shared, { from: big, to, size: bytes.length });
    expect(sent).toBeLessThan(bytes.length - 2_000_000);
    expect(same(to, bytes)).toBe(true);
  });

  it('at any point, over any number of channels, goes on to the same bytes', async () => {
    const file = { from: mid, size: half.length };
    const cuts = fc.array(fc.integer({ min: 4000, max: file.size }), { minLength: 1, maxLength: 2 });
    const lanes = fc.constantFrom(1, 2, 4, 8);
    const property = fc.asyncProperty(cuts, lanes, lanes, async (points, before, after) => {
      const to = fresh();
      for (const point of points) await cutOff(to, point, { ...file, channels: before });
      await upload(shared, { ...file, to, channels: after });
      expect(same(to, half)).toBe(true);
      await rm(to);
    });
    await fc.assert(property, { numRuns: 5, endOnFailure: true });
  });

  it.each([
    ['that is longer than the file is thrown away', 13_000_000, 0],
    ['that is complete is only checked at its end', 12_000_000, 12_000_000 - WINDOW],
    ['that is shorter than a window is written anew', 1_000_000, 0],
    ['that is empty is written', 0, 0],
  ])('leaves a part, and one %s', async (_, length, from) => {
    const to = fresh();
    // What lies before the last window was acknowledged once; only garbage after it can be told.
    const part = Buffer.concat([half.subarray(0, length), Buffer.alloc(Math.max(0, length - half.length))]);
    randomBytes(Math.min(part.length, WINDOW)).copy(part, Math.max(0, part.length - WINDOW));
    await writeFile(to, part, { mode: 0o600 });
    const { resumedFrom } = await upload(shared, { from: mid, to, size: half.length, channels: 2 });
    expect(resumedFrom).toBe(from);
    expect(same(to, half)).toBe(true);
  });
});

describe('an upload fails in one sentence', () => {
  it.each<[string, (path: string) => void]>([
    ['shrinks', (path) => truncateSync(path, 1000)],
    ['is emptied', (path) => truncateSync(path)],
    ['grows', (path) => appendFileSync(path, 'more')],
    ['is written anew with the same size', (path) => truncateSync(path, statSync(path).size)],
  ])('when the local file %s meanwhile', async (_, change) => {
    for (const channels of [1, 4]) {
      const from = await local(half);
      let changed = false;
      const onProgress = () => {
        if (!changed) change(from);
        changed = true;
      };
      const uploading = upload(shared, { from, to: fresh(), size: half.length, channels, onProgress });
      const { error, ms } = await failure(uploading);
      expect(changed).toBe(true);
      expect(error).toBeInstanceOf(ExpectedError);
      expect(error.message).toBe(
        `${from} changed while it was uploaded. The running version was not touched. Let the build finish before the deploy starts.`,
      );
      expect(ms).toBeLessThan(10_000);
    }
  });

  it('when the local file is not what it was when it was looked at', async () => {
    const { error } = await failure(upload(shared, { from: big, to: fresh(), size: bytes.length - 1 }));
    expect(error.what).toBe(`${big} changed while it was uploaded.`);
  });

  it('when there is no local file', async () => {
    const { error } = await failure(upload(shared, { from: '/nowhere/file', to: fresh(), size: 1 }));
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^\/nowhere\/file cannot be read: ENOENT/);
  });

  /** The tmpfs is seen by that one command and ends with it. */
  async function mounted(options: string): Promise<string[]> {
    await mkdir(join(folder, 'small'), { recursive: true });
    const mount = fresh();
    await writeFile(mount, `mount -t tmpfs -o ${options} tmpfs ${join(folder, 'small')} && exec "$@"\n`);
    return behind(`exec /usr/bin/unshare -m /bin/sh ${mount}`);
  }
  const small = () => join(folder, 'small', 'file');
  const full = /Check free space, quota and whether the file system is writable\.$/;

  it.each<[string, () => string, () => Promise<string[]>, { stream: string; sftp: string; todo: RegExp }]>([
    [
      'when the remote folder is missing',
      () => join(folder, 'missing', 'file'),
      async () => [],
      {
        stream: 'its folder does not exist',
        sftp: 'its folder does not exist',
        todo: /Create it, or correct the path\.$/,
      },
    ],
    [
      'when the user may not write to the remote folder',
      fresh,
      () => behind('exec /usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups'),
      { stream: 'permission denied', sftp: 'permission denied', todo: /Let the user write to that folder\.$/ },
    ],
    [
      'when the remote path is a folder',
      () => folder,
      async () => [],
      { stream: 'Is a directory', sftp: 'Failure', todo: full },
    ],
    [
      'when the remote disk is full',
      small,
      () => mounted('size=1m'),
      { stream: 'No space left on device', sftp: 'Failure', todo: full },
    ],
    [
      'when the remote file system is read-only',
      small,
      () => mounted('ro'),
      { stream: 'Read-only file system', sftp: 'Failure', todo: full },
    ],
  ])('%s', async (_, path, config, says) => {
    const to = path();
    const other = await sshd({ config: await config() });
    for (const channels of [1, 4]) {
      const connection = await open(other);
      const { error, ms } = await failure(upload(connection, { from: big, to, size: bytes.length, channels }));
      expect(error).toBeInstanceOf(ExpectedError);
      const why = channels === 1 ? says.stream : says.sftp;
      expect(error.what).toBe(`The upload of ${to} to ${other.user}@127.0.0.1:${other.port} failed: ${why}.`);
      expect(error.left).toBe('The running version was not touched.');
      expect(error.message).toMatch(says.todo);
      expect(ms).toBeLessThan(5000);
      expect((await connection.script('echo up')).stdout).toBe('up\n');
    }
    expect(existsSync(small())).toBe(false);
  });

  it('when the remote disk is full, by that reason and not by what the login shell complained of', async () => {
    const config = await mounted('size=1m');
    const script = config[0]?.split(' ').at(-1) ?? '';
    const complains = 'echo "bash: /opt/env: No such file or directory" >&2\n';
    await writeFile(script, complains + readFileSync(script, 'utf8'));
    const connection = await open(await sshd({ config }));
    const uploading = upload(connection, { from: big, to: small(), size: bytes.length, channels: 1 });
    expect((await failure(uploading)).error.what).toMatch(/ failed: No space left on device\.$/);
  });

  it('when the server runs another program in the place of ours', async () => {
    const connection = await open(await sshd({ config: ['ForceCommand /bin/true'] }));
    const { error } = await failure(upload(connection, { from: big, to: fresh(), size: bytes.length }));
    expect(error.message).toMatch(
      / failed: the server ran something else in its place\. .* Check ForceCommand in sshd_config/,
    );
  });

  it.each([
    [1, 'from the beginning'],
    [2, 'from the beginning'],
    [1, 'half-way'],
    [2, 'half-way'],
  ])('when over %i channels the link goes silent %s', async (channels, when) => {
    const connection = await open(server, link);
    if (when === 'from the beginning') link.blackhole();
    const uploading = upload(connection, {
      from: big,
      to: fresh(),
      size: bytes.length,
      channels,
      stallMs: 700,
      onProgress: () => link.blackhole(),
    });
    const { error, ms } = await failure(uploading);
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error.what).toMatch(/^The upload of \S+ to \S+ stalled: nothing was taken for 0\.7 s\.$/);
    expect(ms).toBeGreaterThanOrEqual(699);
    expect(ms).toBeLessThan(4000);
  });

  it('when the program that writes stands still', async () => {
    const connection = await open();
    const session = (await connection.script('echo $PPID')).stdout.trim();
    let writer = 0;
    const onProgress = () => {
      if (writer > 0) return;
      writer = Number(readFileSync(`/proc/${session}/task/${session}/children`, 'utf8').trim().split(' ')[0]);
      process.kill(writer, 'SIGSTOP');
    };
    const options = { from: big, to: fresh(), size: bytes.length, channels: 1, stallMs: 700, onProgress };
    const { error } = await failure(upload(connection, options));
    process.kill(writer, 'SIGCONT');
    expect(error.what).toMatch(/ stalled: nothing was taken for 0\.7 s\.$/);
    await expect.poll(() => existsSync(`/proc/${writer}`)).toBe(false);
  });

  it.each([
    ['the program that writes', 1, 1, 'dd on the host was ended by SIGKILL'],
    ['one of two SFTP sessions', 2, 1, 'the server ended the SFTP session'],
    ['every SFTP session', 2, 2, 'the server ended the SFTP session'],
    ['every one of 8 SFTP sessions', 8, 8, 'the server ended the SFTP session'],
  ])('when the server ends %s', async (_, channels, ended, says) => {
    const connection = await open();
    const session = (await connection.script('echo $PPID')).stdout.trim();
    let killed = 0;
    const onProgress = () => {
      const children = readFileSync(`/proc/${session}/task/${session}/children`, 'utf8').trim().split(' ').map(Number);
      for (const child of killed === 0 ? children.slice(0, ended) : []) {
        process.kill(child, 'SIGKILL');
        killed += 1;
      }
    };
    const { error, ms } = await failure(
      upload(connection, { from: big, to: fresh(), size: bytes.length, channels, onProgress }),
    );
    expect(killed).toBeGreaterThan(0);
    expect(error).toBeInstanceOf(ExpectedError);
    expect(error).not.toBeInstanceOf(ConnectionLost);
    expect(error.what.endsWith(` failed: ${says}.`)).toBe(true);
    expect(ms).toBeLessThan(5000);
    expect((await connection.script('echo up')).stdout).toBe('up\n');
  });

  it('when the connection is closed meanwhile', async () => {
    const connection = await open();
    const uploading = upload(connection, {
      from: big,
      to: fresh(),
      size: bytes.length,
      onProgress: () => connection.close(),
    });
    expect((await failure(uploading)).error).toBeInstanceOf(ConnectionLost);
  });
});

describe('a cancelled upload', () => {
  const reason = new ExpectedError('The job was cancelled.', '', '');

  it.each([
    ['says so', undefined, /^The upload of \S+ to \S+ was cancelled\. The running version was not touched\.$/],
    ['says what the signal says', reason, /^The job was cancelled\.$/],
  ])('ends at once, %s, and leaves a part for its owner only, to go on from', async (_, why, says) => {
    const control = new AbortController();
    const connection = await open();
    const to = fresh();
    const options = { from: big, to, size: bytes.length, channels: 2 };
    const onProgress = () => control.abort(why);
    const { error, ms } = await failure(upload(connection, { ...options, signal: control.signal, onProgress }));
    expect(error.message).toMatch(says);
    expect(ms).toBeLessThan(2000);
    expect(mode(to)).toBe('600');
    await sleep(100);
    const there = statSync(to).size;
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(bytes.length);
    await upload(connection, options);
    expect(same(to, bytes)).toBe(true);
  });

  it('before it began ends at once', async () => {
    const signal = AbortSignal.abort(reason);
    const { error } = await failure(upload(shared, { from: big, to: fresh(), size: bytes.length, signal }));
    expect(error).toBe(reason);
  });
});
