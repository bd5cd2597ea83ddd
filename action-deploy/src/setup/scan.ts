import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ExpectedError } from '@gbo/shared/errors';
import { fingerprint, knownHostsLine } from '@gbo/shared/ssh/known-hosts';

/**
 * What the network shows as the target's host keys, by ssh-keyscan: lines for people to compare, ed25519 first.
 *
 * @throws ExpectedError when it cannot be asked or does not answer
 */
export async function scanHostKeys(host: string, port: number): Promise<{ line: string; fingerprint: string }[]> {
  const left = 'Nothing was written.';
  let stdout = '';
  try {
    ({ stdout } = await promisify(execFile)('ssh-keyscan', ['-T', '5', '-p', String(port), '--', host], {
      timeout: 30_000,
    }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new ExpectedError('ssh-keyscan is not installed here.', left, 'Install OpenSSH, or leave --scan out.');
    const said = String((error as { stderr?: string }).stderr ?? '')
      .trim()
      .split('\n')
      .at(-1);
    throw new ExpectedError(`${host}, port ${port}, shows no host key (${said || 'nobody answers'}).`, left, advice);
  }
  const keys = stdout.split('\n').flatMap((row) => {
    const [, type, base64] = row.split(' ');
    if (row.startsWith('#') || !type || !base64) return [];
    // Made anew from the key itself: what came over the network is not printed as it came.
    const key = Buffer.from(base64, 'base64');
    return [{ line: knownHostsLine(host, port, key), fingerprint: fingerprint(key) }];
  });
  if (keys.length === 0) throw new ExpectedError(`${host}, port ${port}, shows no host key.`, left, advice);
  return keys.sort((a, b) => Number(b.line.includes(' ssh-ed25519 ')) - Number(a.line.includes(' ssh-ed25519 ')));
}

const advice = 'See whether sshd runs there, or leave --scan out and ask the target itself.';
