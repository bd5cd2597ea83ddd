import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { output } from '../measure.js';

const folder = join(homedir(), '.cache/gbo-actions/peers');
const program = (name: string) => join(folder, 'bin', name);

/** What cargo's own collector is called with: its options are on no stable channel, and are taken nevertheless so. */
const gc = { RUSTC_BOOTSTRAP: '1' };

/** Installs the peers that are not here yet, once for all times; which of them are here. */
export async function installPeers(say: (line: string) => void): Promise<Set<string>> {
  const peers = ['cargo-cache', 'cargo-sweep'];
  const missing = peers.filter((name) => !existsSync(program(name)));
  if (missing.length > 0) {
    say(`  installing ${missing.join(', ')}: some minutes, once`);
    mkdirSync(folder, { recursive: true });
    await output('cargo', ['install', ...missing, '--locked', '--quiet', '--root', folder]).catch((error: unknown) =>
      say(`  ${String(error).split('\n')[0]}`),
    );
  }
  return new Set(peers.filter((name) => existsSync(program(name))));
}

export const peers = {
  du: (path: string) => output('du', ['-s', path]),

  /** Says what cargo itself would delete, and counts its files. */
  cargoGc: (home: string, days: number, dryRun = true) => {
    const ages = [`--max-src-age=${days} days`, `--max-crate-age=${days} days`];
    return output('cargo', ['clean', 'gc', '-Zgc', ...(dryRun ? ['--dry-run'] : []), ...ages], {
      ...gc,
      CARGO_HOME: home,
    });
  },

  /** Its clock is the access times of all files. */
  cargoCache: (home: string, days: number) => {
    const date = new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '.');
    const what = ['--remove-dir', 'registry-sources,registry-crate-cache'];
    return output(program('cargo-cache'), ['--dry-run', '--remove-if-older-than', date, ...what], { CARGO_HOME: home });
  },

  /** Knows targets alone. By a size it looks at every file, as ours does for its budgets; by an age at those of victims. */
  cargoSweep: (project: string, limit: { days: number } | { megabytes: number }) => {
    const by = 'days' in limit ? ['--time', String(limit.days)] : ['--maxsize', `${limit.megabytes}MB`];
    return output(program('cargo-sweep'), ['sweep', '--dry-run', ...by, project]);
  },
};
