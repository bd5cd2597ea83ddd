import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { installMissing } from './systemd.js';

export type Backend = 'nft' | 'legacy';
export type Family = 4 | 6;

export interface PacketFilter {
  /** Takes all rules away, then loads a file with iptables-restore. `error`: what it said when it refused. */
  load(backend: Backend, family: Family, text: string): Promise<{ error?: string }>;
  /** Takes all rules away, then runs a script in which `iptables` is the one of that backend. */
  script(backend: Backend, text: string): Promise<{ error?: string }>;
  /** What `iptables -S` prints. */
  list(backend: Backend, family: Family): Promise<string>;
  /**
   * For each port whether a real tcp connection on lo comes about and carries a byte there and back. On lo a packet that is
   * not dropped has arrived when the call returns, so that `patience` (ms) may be short where the answer is expected.
   */
  connects(family: Family, ports: number[], patience?: number): Promise<boolean[]>;
  /** Ends the namespace and all in it. */
  stop(): Promise<void>;
}

/** Runs within the namespace. Echo servers on the ports it is asked for; iptables; connections. */
const inside = `
const net = require('node:net'), { execFile } = require('node:child_process');
const { mkdirSync, symlinkSync } = require('node:fs');
const folder = (backend) => '/run/' + backend;
for (const backend of ['nft', 'legacy']) {
  mkdirSync(folder(backend));
  for (const name of ['iptables', 'ip6tables', 'iptables-restore', 'ip6tables-restore'])
    symlinkSync('/usr/sbin/xtables-' + backend + '-multi', folder(backend) + '/' + name);
}
const run = (backend, command, args, input) => new Promise((resolve) => {
  const env = { PATH: folder(backend) + ':/usr/sbin:/usr/bin:/sbin:/bin' };
  const child = execFile(command, args, { env, timeout: 20000 }, (error, stdout, stderr) =>
    resolve({ error: error ? String(stderr || error) : undefined, stdout }));
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
});
const empty = '*raw\\n:PREROUTING ACCEPT\\n:OUTPUT ACCEPT\\nCOMMIT\\n*mangle\\n:PREROUTING ACCEPT\\n:INPUT ACCEPT\\n:FORWARD ACCEPT\\n' +
  ':OUTPUT ACCEPT\\n:POSTROUTING ACCEPT\\nCOMMIT\\n*filter\\n:INPUT ACCEPT\\n:FORWARD ACCEPT\\n:OUTPUT ACCEPT\\nCOMMIT\\n';
const used = new Set();
const restore = (family) => (family === 6 ? 'ip6tables' : 'iptables') + '-restore';
const reset = async () => {
  for (const each of used) {
    const [backend, family] = each.split(' ');
    const { error } = await run(backend, restore(Number(family)), [], empty);
    if (error) throw new Error('cannot reset: ' + error);
  }
  used.clear();
};
const servers = new Map();
const serve = (port) => new Promise((resolve, reject) => {
  if (servers.has(port)) return resolve();
  const server = net.createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket); });
  server.once('error', reject).listen(port, '::', resolve);
  servers.set(port, server);
});
const connect = (family, port, patience) => new Promise((resolve) => {
  const socket = net.connect(port, family === 6 ? '::1' : '127.0.0.1', () => socket.write('x'));
  const done = (answer) => { clearTimeout(timer); socket.resetAndDestroy(); resolve(answer); };
  const timer = setTimeout(() => done(false), patience);
  socket.once('data', () => done(true)).on('error', () => done(false));
});
const jobs = {
  async load({ backend, family, text }) {
    await reset();
    used.add(backend + ' ' + family);
    return { error: (await run(backend, restore(family), [], text)).error };
  },
  async script({ backend, text }) {
    await reset();
    used.add(backend + ' 4').add(backend + ' 6');
    return { error: (await run(backend, 'sh', ['-s'], text)).error };
  },
  async list({ backend, family }) {
    return (await run(backend, family === 6 ? 'ip6tables' : 'iptables', ['-S'])).stdout;
  },
  async connects({ family, ports, patience }) {
    // Listening needs no packets; connections are made one after the other, so that none waits for the event loop.
    for (const port of ports) await serve(port);
    return Promise.all(ports.map((port) => connect(family, port, patience)));
  },
};
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, job, ...rest } = JSON.parse(line);
  let answer;
  try { answer = { id, value: await jobs[job](rest) }; } catch (error) { answer = { id, fault: String(error) }; }
  process.stdout.write(JSON.stringify(answer) + '\\n');
}).on('close', () => process.exit());
process.stdout.write(JSON.stringify({ id: 0 }) + '\\n');
`;

/** Whether iptables can filter packets in a namespace of this machine; `why` is one sentence. */
export async function packetFilterAvailable(): Promise<{ ok: true; backends: Backend[] } | { ok: false; why: string }> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { ok: false, why: 'A network namespace needs Linux and root.' };
  try {
    await installMissing(['iptables', 'ip', 'unshare', 'setpriv']);
  } catch (error) {
    return { ok: false, why: `iptables cannot be installed: ${String(error).trim()}` };
  }
  const backends: Backend[] = [];
  let why = '';
  for (const backend of ['nft', 'legacy'] as const) {
    try {
      await promisify(execFile)('unshare', ['--net', `/usr/sbin/xtables-${backend}-multi`, 'iptables', '-S']);
      backends.push(backend);
    } catch (error) {
      why = String(error).trim();
    }
  }
  return backends.length > 0 ? { ok: true, backends } : { ok: false, why: `iptables does not run here: ${why}` };
}

/** Starts a network namespace of its own with a loopback device. It ends with this process, however that ends. */
export async function startPacketFilter(): Promise<PacketFilter> {
  const setUp = 'ip link set lo up && mount -t tmpfs tmpfs /run && exec "$0" -e "$1"';
  const command = ['--net', '--mount', 'sh', '-c', setUp, process.execPath, inside];
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdin?.on('error', () => {});
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  let next = 0;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  void gone.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`the namespace has ended: ${errors}`));
    waiting.clear();
  });
  const expect = <T>(id: number) =>
    new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
  const ready = expect<void>(next++);
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, value, fault } = JSON.parse(line) as { id: number; value: never; fault?: string };
      if (fault) waiting.get(id)?.reject(new Error(fault));
      else waiting.get(id)?.resolve(value);
      waiting.delete(id);
    });
  }
  await ready;
  const ask = <T>(job: string, rest: object): Promise<T> => {
    const id = next++;
    const answer = expect<T>(id);
    child.stdin?.write(`${JSON.stringify({ id, job, ...rest })}\n`);
    return answer;
  };
  return {
    load: (backend, family, text) => ask('load', { backend, family, text }),
    script: (backend, text) => ask('script', { backend, text }),
    list: (backend, family) => ask('list', { backend, family }),
    connects: (family, ports, patience = 60) => ask('connects', { family, ports, patience }),
    stop: async () => {
      child.stdin?.end();
      await gone;
    },
  };
}
