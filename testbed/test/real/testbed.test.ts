import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProxy } from '../../proxy.js';
import { type Behaviour, standIn, unitFile } from '../../stand-in.js';
import { cacheDir, type SystemdHost, startSystemdHost, testbedAvailable } from '../../systemd.js';

const run = promisify(execFile);
const available = await testbedAvailable();

if (process.env.CI === 'true')
  test('a machine of the CI can start systemd hosts', () => {
    expect(available).toEqual({ ok: true });
  });

describe.runIf(available.ok)('a systemd host', () => {
  let host: SystemdHost;
  let work: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'testbed-'));
    host = await startSystemdHost();
  }, 600_000);
  afterAll(async () => {
    await host?.stop();
    await rm(work, { recursive: true, force: true });
  });

  test.each([
    ['systemd is pid 1 and nothing has failed', 'cat /proc/1/comm; systemctl is-system-running', 'systemd\nrunning\n'],
    ['its C library is that of Debian 12', 'getconf GNU_LIBC_VERSION', 'glibc 2.36\n'],
    ['it has Caddy, not running', 'caddy version; systemctl is-active caddy', '2.6.2\ninactive\n'],
    ['a unit file can be verified', 'systemd-analyze verify --man=no ssh.service && echo good', 'good\n'],
    [
      'the user deploy may do nothing as root',
      'runuser -u deploy -- sudo -n -l 2>&1',
      'sudo: a password is required\n',
    ],
    [
      'a timer fires when it is due',
      'systemd-run -q --on-active=200ms --timer-property=AccuracySec=1ms touch /run/fired; sleep 1; ls /run/fired',
      '/run/fired\n',
    ],
    [
      'the journal tells one start of a service from another',
      `systemd-run -q --unit=talk -p Type=oneshot -p RemainAfterExit=yes echo first; systemctl restart talk
       id=$(systemctl show -P InvocationID talk); journalctl --sync
       journalctl -q -o cat _SYSTEMD_INVOCATION_ID=$id | grep -c first; journalctl -q -o cat -t echo | grep -c first`,
      '1\n2\n',
    ],
    ['it has neither curl nor openssl, as a minimal target', 'which curl openssl || echo none', 'none\n'],
  ])('%s', async (_, command, stdout) => {
    expect((await host.exec(command)).stdout).toBe(stdout);
  });

  test.each([
    ['root', 'privateKey'],
    ['deploy', 'deployUserKey'],
  ] as const)('%s logs in with its key, the host key being pinned', async (user, key) => {
    const keyFile = join(work, `key-${user}`);
    const knownHosts = join(work, 'known_hosts');
    await writeFile(keyFile, host[key], { mode: 0o600 });
    await writeFile(knownHosts, host.knownHosts);
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${knownHosts}`,
      'IdentitiesOnly=yes',
    ];
    const args = ['-F', 'none', ...options.flatMap((o) => ['-o', o]), '-i', keyFile, '-p', String(host.port)];
    expect((await run('ssh', [...args, `${user}@${host.host}`, 'id -un'])).stdout).toBe(`${user}\n`);
  });

  test('its temp folder is not that of this machine', async () => {
    expect((await host.exec(`findmnt -no FSTYPE /tmp; ls ${work} 2>&1`)).stdout).toMatch(/^tmpfs\nls: cannot access/);
  });

  test('a command tells its exit code, and a slow one is given up', async () => {
    expect(await host.exec('echo out; echo err >&2; exit 7')).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
    await expect(host.exec('sleep 60', { timeoutMs: 200 })).rejects.toThrow(/sleep 60: ended by SIGKILL/);
  });

  test('two hosts side by side share no port, no file and no service', async () => {
    const other = await startSystemdHost({ name: 'other' });
    try {
      const serve = 'systemd-run -q --unit=same /opt/botserver --port 5858 && sleep 0.3; systemctl is-active same';
      for (const each of [host, other]) await cp(await standIn(), `${each.rootDir}/opt/botserver`);
      for (const each of [host, other]) expect((await each.exec(serve)).stdout).toBe('active\n');
      await other.exec('touch /opt/here');
      expect(existsSync(`${host.rootDir}/opt/here`)).toBe(false);
    } finally {
      await other.stop();
    }
    expect((await host.exec('systemctl is-active same; cat /etc/hostname')).stdout).toBe('active\ntarget\n');
  }, 60_000);

  test('a service of a stand-in restarts when it crashes', async () => {
    await cp(await standIn({ name: 'botui', behaviour: 'crash-late' }), `${host.rootDir}/opt/botui`);
    await writeFile(
      `${host.rootDir}/etc/systemd/system/botui.service`,
      unitFile({ name: 'botui', path: '/opt/botui', port: 5859, extra: ['Environment=RUST_LOG=info'] }),
    );
    expect(await host.exec('systemd-analyze verify botui.service')).toMatchObject({ code: 0, stderr: '' });
    await host.exec('systemctl daemon-reload && systemctl start botui');
    await sleep(2500);
    expect((await host.exec('systemctl show -P NRestarts botui; systemctl is-active botui')).stdout).toBe(
      '1\nactive\n',
    );
  });

  test('stopped, it leaves no mount, interface, control group or file behind', async () => {
    const other = await startSystemdHost();
    const traces = tracesOf(other);
    expect(traces.map((path) => [path, existsSync(path)])).toEqual(traces.map((path) => [path, true]));
    await other.stop();
    await other.stop();
    expect(traces.filter((path) => existsSync(path))).toEqual([]);
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(cacheDir);
  }, 60_000);

  test('it ends when the process that started it is killed, and the next start sweeps up', async () => {
    const script = join(work, 'start.mts');
    const module = JSON.stringify(fileURLToPath(new URL('../../systemd.ts', import.meta.url)));
    await writeFile(
      script,
      `import { startSystemdHost } from ${module};
       const { pid, host } = await startSystemdHost();
       console.log(JSON.stringify({ pid, host }));
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const started = JSON.parse(String((await once(child.stdout, 'data'))[0])) as { pid: number; host: string };
    const traces = tracesOf(started);
    expect(traces.filter((path) => !existsSync(path))).toEqual([]);
    child.kill('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${started.pid}`), { timeout: 5000 }).toBe(false);
    await (await startSystemdHost()).stop();
    expect(traces.filter((path) => existsSync(path))).toEqual([]);
  }, 60_000);
});

/** All that a host has on this machine outside of its namespaces, as paths. */
function tracesOf({ pid, host }: { pid: number; host: string }): string[] {
  const id = readFileSync(`/proc/${pid}/cgroup`, 'utf8').match(/gbo-testbed-(\w+)/)?.[1];
  const [a, b, c, last] = host.split('.').map(Number);
  const near = [a, b, c, Number(last) - 1].join('.');
  const links = Object.entries(networkInterfaces()).filter(([, addresses]) =>
    addresses?.some((x) => x.address === near),
  );
  const trees = ['', ...readdirSync('/sys/fs/cgroup')].map((tree) => join('/sys/fs/cgroup', tree, `gbo-testbed-${id}`));
  return [
    `/proc/${pid}`,
    join(cacheDir, 'hosts', String(id)),
    ...links.map(([name]) => `/sys/class/net/${name}`),
    ...trees.filter((path) => existsSync(path)),
  ];
}

describe.runIf(available.ok)('a stand-in', () => {
  /** Starts it, asks it over HTTP after `afterMs`, ends it; port 0 is replaced by a free one. */
  async function observe(behaviour: Behaviour, afterMs: number) {
    const path = await standIn({ behaviour, version: '2.3.4' });
    const port = await freePort();
    const child = spawn(path, { env: { PORT: String(port) }, stdio: 'ignore' });
    const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
    await sleep(afterMs);
    const status = await fetch(`http://127.0.0.1:${port}/health`).then(
      async (response) => `${response.status} ${await response.text()}`.trim(),
      () => 'refused',
    );
    child.kill('SIGTERM');
    const ended = await Promise.race([exit, sleep(500)]);
    child.kill('SIGKILL');
    return [status, ended ? (ended[0] ?? ended[1]) : 'runs on'];
  }
  const body = '{"name":"botserver","version":"2.3.4"}';

  test.each<[Behaviour, number, string, number | string]>([
    ['healthy', 200, `200 ${body}`, 'SIGTERM'],
    ['crash', 500, 'refused', 1],
    ['crash-late', 300, `200 ${body}`, 'SIGTERM'],
    ['crash-late', 2000, 'refused', 1],
    ['unhealthy', 200, `503 ${body}`, 'SIGTERM'],
    ['never-listens', 200, 'refused', 'SIGTERM'],
    ['slow-start', 500, 'refused', 'SIGTERM'],
    ['slow-start', 2500, `200 ${body}`, 'SIGTERM'],
    ['ignores-sigterm', 200, `200 ${body}`, 'runs on'],
    ['bad-version', 200, `200 ${body}`, 'SIGTERM'],
  ])(
    'that is %s, asked after %i ms, answers %s, and SIGTERM shows: %s',
    async (behaviour, afterMs, status, ended) => {
      expect(await observe(behaviour, afterMs)).toEqual([status, ended]);
    },
    30_000,
  );

  test('tells its version, or fails to', async () => {
    expect((await run(await standIn({ name: 'botui', version: '7.0.1' }), ['--version'])).stdout).toBe('botui 7.0.1\n');
    await expect(run(await standIn({ behaviour: 'bad-version' }), ['--version'])).rejects.toMatchObject({ code: 3 });
  });

  test('is as big as asked for, inside the ELF file, does not compress, and still runs', async () => {
    const path = await standIn({ sizeMiB: 8, version: 'big' });
    const { size } = await stat(path);
    expect(size).toBeGreaterThanOrEqual(8 * 1024 * 1024);
    const sectionHeaders = (await readFile(path)).readBigUInt64LE(40);
    expect(Number(sectionHeaders)).toBeGreaterThan(8 * 1024 * 1024);
    const { stdout } = await run('sh', ['-c', 'gzip -1 < "$1" | wc -c', 'sh', path]);
    expect(Number(stdout)).toBeGreaterThan(0.99 * size);
    expect((await run(path, ['--version'])).stdout).toBe('botserver big\n');
    expect(await standIn({ sizeMiB: 8, version: 'big' })).toBe(path);
  }, 30_000);

  test.each([
    ['other-machine', /ENOEXEC|Exec format error|errno: -8|UNKNOWN/],
    ['future-glibc', /version `GLIBC_9\.99' not found/],
  ] as const)('built as %s does not start here', async (build, reason) => {
    await expect(run('sh', ['-c', 'exec "$1" --version', 'sh', await standIn({ build })])).rejects.toThrow(reason);
  });

  test('built as static names no loader, and runs', async () => {
    const path = await standIn({ build: 'static' });
    expect((await readFile(path)).includes('.interp')).toBe(false);
    expect((await readFile(await standIn())).includes('.interp')).toBe(true);
    expect((await run(path, ['--version'])).stdout).toBe('botserver 1.0.0\n');
  });
});

describe('a proxy', () => {
  const echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  let to: { host: string; port: number };
  beforeAll(async () => {
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    to = { host: '127.0.0.1', port: (echo.address() as AddressInfo).port };
  });
  afterAll(() => echo.close());

  async function dial(port: number): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return socket;
  }

  test('delays a round trip, and keeps the order, the bytes and the bandwidth', async () => {
    const proxy = await startProxy({ to, delayMs: 200 });
    const socket = await dial(proxy.port);
    const start = performance.now();
    socket.write('ping');
    await once(socket, 'data');
    expect(performance.now() - start).toBeGreaterThanOrEqual(199);

    const sent = Buffer.alloc(32 * 1024 * 1024, 'abcdefg');
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    const began = performance.now();
    socket.end(sent);
    await once(socket, 'end');
    // A window of 2 MiB for each round trip, as of one SSH channel, would take 3.2 s.
    expect(performance.now() - began).toBeLessThan(2500);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    expect(proxy.counters).toMatchObject({ connections: 1, up: sent.length + 4, down: sent.length + 4 });
    await expect.poll(() => proxy.counters.open).toBe(0);
    await proxy.stop();
  }, 20_000);

  test('cut resets connections and refuses new ones, until it is restored on the same port', async () => {
    const proxy = await startProxy({ to });
    const socket = await dial(proxy.port);
    socket.write('x');
    await once(socket, 'data');
    const error = once(socket, 'error');
    await proxy.cut();
    expect(await error.catch((e) => [e])).toMatchObject([{ code: 'ECONNRESET' }]);
    await expect(dial(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.restore();
    const again = await dial(proxy.port);
    again.end('back');
    expect(String((await once(again, 'data'))[0])).toBe('back');
    await proxy.stop();
  });

  test('a black hole keeps connections open and says nothing; after it, what was held back arrives', async () => {
    const proxy = await startProxy({ to });
    const socket = await dial(proxy.port);
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    proxy.blackhole();
    socket.write('held');
    const late = await dial(proxy.port);
    late.write('late');
    const lateHeard = once(late, 'data');
    await sleep(200);
    expect([heard, socket.destroyed, late.destroyed]).toEqual(['', false, false]);
    await proxy.restore();
    expect(String((await lateHeard)[0])).toBe('late');
    await expect.poll(() => heard).toBe('held');
    socket.on('error', () => {});
    late.on('error', () => {});
    await proxy.stop();
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
