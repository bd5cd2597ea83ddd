// The target of the demo, as a process of its own: an SSH server on 127.0.0.1 that runs what it is told for real (sh,
// flock, ln, mv, sha256sum, /proc), with a small service manager in the place of systemd. Started by start-target.mjs,
// spoken to over IPC; when its parent is gone, it ends what it started, and takes its folder along.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { serveSftp } from './sftp.mjs';
import { makeShims } from './shims.mjs';
import { kill, Units } from './units.mjs';

const [root] = process.argv.slice(2);
const env = { PATH: process.env.PATH, HOME: join(root, 'target'), SHELL: '/bin/sh' };
const units = new Units(join(root, 'target', 'etc', 'systemd', 'system'), env);
const shims = makeShims(join(root, 'run'), (program, args) => units.run(program, args));
env.PATH = `${shims.bin}:${env.PATH}`;

const commands = new Set();
const sockets = new Set();
let server;

const calls = {
  /** Listens with this host key; again with another one: that is how a host is reinstalled in no time. */
  async listen({ hostKey, userKey, port }) {
    for (const socket of sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
    const ssh = new ssh2.Server({ hostKeys: [hostKey] }, (client) => serve(client, userKey));
    server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket.on('close', () => sockets.delete(socket)));
      ssh.injectSocket(socket);
    });
    await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    return server.address().port;
  },
  async mainPid(unit) {
    return units.unit(unit).pid;
  },
  async end() {
    for (const socket of sockets) socket.destroy();
    server?.close();
    for (const command of commands) kill(command);
    await units.end();
    shims.close();
  },
};

process.on('message', async ({ id, call, argument }) => {
  const answer = await calls[call](argument).then(
    (result) => ({ id, result }),
    (error) => ({ id, error: error.message }),
  );
  process.send(answer);
});
const abandoned = async () => {
  await calls.end();
  rmSync(root, { recursive: true, force: true });
  process.exit();
};
process.on('disconnect', abandoned).on('SIGTERM', abandoned);

function serve(client, userKey) {
  const expected = ssh2.utils.parseKey(userKey);
  client.on('authentication', (request) => {
    const known = request.method === 'publickey' && request.key.data.equals(expected.getPublicSSH());
    // Without a signature the client only asks whether this key would do.
    const signed = known && request.signature && expected.verify(request.blob, request.signature, request.hashAlgo);
    if (known && (signed === true || !request.signature)) request.accept();
    else request.reject(['publickey']);
  });
  client.on('session', (accept) => {
    const session = accept();
    session.on('exec', (accepted, _, { command }) => execute(command, accepted()));
    session.on('sftp', (accepted) => serveSftp(accepted()));
  });
  client.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (destIP !== '127.0.0.1' && destIP !== 'localhost') return reject();
    const socket = connect({ port: destPort, host: '127.0.0.1', noDelay: true });
    socket.once('error', () => reject());
    socket.once('connect', () => {
      const channel = accept();
      socket.removeAllListeners('error').on('error', () => channel.destroy());
      channel.on('error', () => socket.destroy()).on('close', () => socket.destroy());
      socket.pipe(channel).pipe(socket);
    });
  });
  client.on('request', (_, reject) => reject?.());
  client.on('error', () => {}); // a client that hangs up roughly is no reason to end
}

/** As sshd does: the command gets the end of its stdin when the link breaks, and is not killed. */
function execute(command, channel) {
  const child = spawn('/bin/sh', ['-c', command], { cwd: env.HOME, env, detached: true });
  commands.add(child);
  child.once('close', () => commands.delete(child));
  child.stdin.on('error', () => {});
  channel.on('error', () => {}).on('close', () => child.stdin.end());
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.once('close', (code, signal) => {
    if (signal) channel.exit(signal.replace('SIG', ''), false, '');
    else channel.exit(code);
    channel.end();
  });
}
