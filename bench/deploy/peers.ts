import { fileURLToPath } from 'node:url';
import { output, timed } from '../measure.js';
import { byHand, type Target } from './target.js';

const script = fileURLToPath(new URL('./by-hand.sh', import.meta.url));

/** Where a peer shall put a file: through sshd itself, or through a proxy on this machine. */
export interface Way {
  ssh: string[];
  login: string;
  host: string;
  port: number;
}

export const directly = ({ ssh, login, host: { host, port } }: Target): Way => ({ ssh, login, host, port });

export const through = (target: Target, port: number): Way => ({
  ssh: target.sshThrough(port),
  login: 'root@127.0.0.1',
  host: '127.0.0.1',
  port,
});

/** OpenSSH's scp with its default options. */
export function scp({ ssh, login }: Way, from: string): Promise<number> {
  return timed('scp', ['-q', ...ssh, from, `${login}:/opt/peer/scp`]);
}

/** What scp leaves to be done until one knows what upload and verify of the action know: it is on disk, and it is right. */
export async function scpVerified({ ssh, login }: Way, from: string): Promise<number> {
  const began = performance.now();
  await output('scp', ['-q', ...ssh, from, `${login}:/opt/peer/scp-verified`]);
  const ask = 'sync /opt/peer/scp-verified && sha256sum < /opt/peer/scp-verified';
  const [want, got] = await Promise.all([
    output('sh', ['-c', 'sha256sum < "$1"', 'sh', from]),
    output('ssh', [...ssh, login, ask]),
  ]);
  if (want !== got) throw new Error('scp brought other bytes');
  return performance.now() - began;
}

/** rsync over ssh as people call it; it hashes what it sends by itself. */
export function rsync({ ssh, login }: Way, from: string, rsyncPath: string, to = '/opt/peer/rsync'): Promise<number> {
  return timed('rsync', ['-a', '-e', ['ssh', ...ssh].join(' '), `--rsync-path=${rsyncPath}`, from, `${login}:${to}`]);
}

/** node-ssh's putFile with its default options, in a process of its own as every other peer. */
export function putFile({ host, port }: Way, from: string, privateKey: string): Promise<number> {
  const code = `import { NodeSSH } from ${JSON.stringify(import.meta.resolve('node-ssh'))};
const [host, port, from] = process.argv.slice(1);
const ssh = new NodeSSH();
await ssh.connect({ host, port: Number(port), username: 'root', privateKey: process.env.KEY });
await ssh.putFile(from, '/opt/peer/put-file');
ssh.dispose();`;
  return timed(process.execPath, ['--input-type=module', '-e', code, host, String(port), from], { KEY: privateKey });
}

/** The workflow step that users wrote by hand (by-hand.sh), from its start to its end. */
export function handWritten({ ssh, login }: Way, from: string): Promise<number> {
  const key = ssh[ssh.indexOf('-i') + 1] ?? '';
  return timed('sh', [script], { BINARY: from, HOST: login, KEY: key, UNIT: byHand.unit, TO: byHand.path });
}
