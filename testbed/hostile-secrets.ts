import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * All that breaks masks, quotes, URLs and lines, in one line: `tokens` holds one a line. Another one in each test file, as
 * process lists show what others run at the same time.
 */
export const hostileToken = `${randomBytes(8).toString('hex')}ö%en%0A☃"'\\$(id)\`&<x>=+/`;

/** The same with a line break of the old kind in its middle, which only a passphrase can have. */
export const hostilePassphrase = `${hostileToken}\rand a second line`;

/** A key without a passphrase, encrypted with one. */
export function encrypted(privateKey: string, passphrase: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-key-'));
  try {
    const file = join(folder, 'key');
    writeFileSync(file, privateKey, { mode: 0o600 });
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', file], { stdio: 'pipe' });
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
