import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ssh2 from 'ssh2';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const unit = 'acme-shop.service';

/** Starts the target in `root`, with a unit that has no program yet. It ends with this process, however that ends. */
export async function startTarget(root) {
  const folder = join(root, 'target');
  const path = join(folder, 'opt', 'acme', 'acme-shop');
  const boot = join(folder, 'opt', 'acme', 'boot.cjs');
  const servicePort = await freePort();
  await mkdir(join(folder, 'opt', 'acme'), { recursive: true });
  await mkdir(join(folder, 'etc', 'systemd', 'system'), { recursive: true });
  await copyFile(here('boot.cjs'), boot);
  await writeFile(join(folder, 'etc', 'systemd', 'system', unit), unitFile(path, boot, servicePort));

  // A group of its own: Ctrl-C is for the demo, which still needs the target to undo what it began.
  const child = fork(here('target.mjs'), [root], { detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const user = ssh2.utils.generateKeyPairSync('ed25519');
  const call = caller(child, exited);
  const listen = async (port) => {
    const hostKey = ssh2.utils.generateKeyPairSync('ed25519');
    const at = await call('listen', { hostKey: hostKey.private, userKey: user.public, port });
    return { port: at, knownHosts: `[127.0.0.1]:${at} ${hostKey.public.split(' ').slice(0, 2).join(' ')}\n` };
  };
  const { port, knownHosts } = await listen(0);
  return {
    folder,
    path,
    unit,
    url: `http://127.0.0.1:${servicePort}/`,
    port,
    knownHosts,
    privateKey: user.private,
    mainPid: () => call('mainPid', unit),
    /** The same address answers with another host key from now on. */
    changeHostKey: () => listen(port),
    async end() {
      await call('end').catch(() => {});
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

function unitFile(path, boot, port) {
  return `[Unit]
Description=A small HTTP service

[Service]
Type=exec
ExecStart=${path} ${boot}
Environment=PORT=${port}
Restart=always
RestartSec=100ms

[Install]
WantedBy=multi-user.target
`;
}

/** Questions to the child, each with its answer. */
function caller(child, exited) {
  const waiting = new Map();
  let asked = 0;
  child.on('message', ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  });
  const gone = exited.then(([code, signal]) => {
    throw new Error(`The target ended by itself (${signal ?? `exit status ${code}`}).`);
  });
  gone.catch(() => {});
  return (call, argument) => {
    const id = asked++;
    const answer = new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      child.send({ id, call, argument }, (error) => error && reject(error));
    });
    return Promise.race([answer, gone]);
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
