import { badInputs } from '@gbo/shared/inputs';
import { readKey } from '@gbo/shared/ssh/key-input';
import type { ZfsSpec } from './zfs-input.js';

/**
 * The same with its key in the form that ssh2 reads. Not done with the other inputs, since it loads ssh2: a tenth of a run
 * that has no ZFS host.
 *
 * @throws ExpectedError when the key cannot be used
 */
export function withReadKey(zfs: ZfsSpec): ZfsSpec {
  const problems: string[] = [];
  const { privateKey, passphrase } = zfs.endpoint;
  const key = readKey('zfs-private-key', privateKey, passphrase, (text) => problems.push(text));
  if (problems.length > 0) throw badInputs(problems);
  return { ...zfs, endpoint: { ...zfs.endpoint, ...key }, jumps: zfs.jumps.map((jump) => ({ ...jump, ...key })) };
}
