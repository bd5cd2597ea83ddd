// What the commands about releases have in common: ACTION VERSION and options, a folder of their own, one sentence when they fail.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** @param options those of node's parseArgs */
export function releaseCommand(options) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [action, version] = positionals;
  const folder = mkdtempSync(join(tmpdir(), 'gbo-release-'));
  return {
    action,
    version,
    values,
    /** Removed after `run`. */
    folder,
    /** Runs the command to its exit code. */
    run(body) {
      try {
        body();
      } catch (error) {
        console.error(`Error: ${error.message}`);
        process.exitCode = 1;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** An address stands in messages, and in the process list for everybody to read. @throws Error, without the address */
export function refuseCredentials(remotes, left) {
  for (const remote of remotes) {
    const url = URL.canParse(remote) ? new URL(remote) : undefined;
    if (url?.password || (url?.username && url.protocol !== 'ssh:'))
      throw new Error(`a --remote holds a password or token; that belongs in git's credential store. ${left}`);
  }
}
