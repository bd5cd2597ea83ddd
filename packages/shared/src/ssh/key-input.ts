import { messageOf } from '../errors.js';
import type { Endpoint } from './endpoint.js';
import { normalisePrivateKey } from './private-key.js';

export type Key = Pick<Endpoint, 'privateKey' | 'passphrase'>;

/** The key in a form that ssh2 reads; reports one that cannot be used as a mistake in `input`. */
export function readKey(
  input: string,
  text: string | undefined,
  passphrase: string | undefined,
  problem: (text: string) => void,
): Key {
  if (!text) return { privateKey: '' };
  try {
    return { privateKey: normalisePrivateKey(text, passphrase), passphrase };
  } catch (error) {
    problem(`input ${input}: ${messageOf(error).replace(/\.$/, '')}`);
    return { privateKey: '' };
  }
}
