import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// A stand-in, because ZFS needs its kernel module. Whatever the action sends travels over real SSH and through a real shell.

/** A snapshot, as `zfs list` shows it. */
export interface StandInSnapshot {
  name: string;
  guid: string;
  /** Epoch seconds; undefined is shown as a dash. */
  creation?: number;
  createtxg: number;
  used?: number;
  holds?: string[];
  clones?: string[];
  /** Being sent or mounted: cannot be destroyed, without a sign of it in any list. */
  busy?: boolean;
}

export interface StandInDataset {
  snapshots: StandInSnapshot[];
  /** Bytes that nobody's `used` has, as several snapshots share them. */
  shared?: { by: string[]; bytes: number }[];
  /** What a list of its snapshots prints in place of them, or fails with. */
  garbage?: string;
  fails?: string;
  /** What `destroy -nvp` prints in place of the truth. */
  dryRun?: string;
  /** Refuses several at once without a name; refuses all; says yes and does nothing. */
  unnamed?: boolean;
  suspended?: boolean;
  lies?: boolean;
}

/**
 * What happens at a moment such as `destroy tank/ci`, `dry-run tank/ci`, `list tank/ci`, `delete ci/snap0`: once, and at one
 * such moment the first that has not happened yet.
 */
export interface StandInHook {
  on: string;
  /** By full name: what changes of a snapshot; null removes it. */
  set?: Record<string, Partial<StandInSnapshot> | null>;
  /** A file to make in the folder, one to wait for, and a time to wait. */
  touch?: string;
  waitFor?: string;
  ms?: number;
}

export interface StandInState {
  pools: Record<string, { free: number; freeing: number }>;
  datasets: Record<string, StandInDataset>;
  hooks?: StandInHook[];
  /** Epoch seconds, or any text, that `date +%s` gives. Default: the true time. */
  clock?: number | string;
  uid?: number;
  /** Destroying needs root; even looking needs root; there is no kernel module. */
  denied?: boolean;
  closed?: boolean;
  noModule?: boolean;
  /** Regular expressions for the command lines that sudo allows. */
  sudo?: string[];
  lxd?: {
    tool: 'lxc' | 'incus';
    storage: { name: string; driver: string; config: Record<string, string> }[];
    /** By `project/name`. */
    instances: Record<
      string,
      { dataset: string; garbage?: string; snapshots: { name: string; expires_at?: string; busy?: boolean }[] }
    >;
    rootOnly?: boolean;
  };
}

export interface ZfsStandIn {
  /** Lines for sshd_config that put the programs first on the PATH of every session, whose home is the folder. */
  readonly sshdConfig: string[];
  readonly folder: string;
  /** Replaces the state, and forgets the calls; waits for what still runs, as it would write the state of before. */
  set(state: StandInState): Promise<void>;
  state(): Promise<StandInState>;
  /** Every call since `set` of zfs, zpool, lxc, incus and sudo: the program and its arguments. */
  calls(): Promise<string[][]>;
  stop(): Promise<void>;
}

const script = fileURLToPath(new URL('./zfs-stand-in.cjs', import.meta.url));
const programs = ['zfs', 'zpool', 'lxc', 'incus', 'sudo'];

/** They only print what is in a file of the folder; a shell does that in a tenth of the time Node takes to start. */
const printers: Record<string, string> = {
  id: 'if [ "$1" = -u ]; then cat uid; else echo somebody; fi',
  date: 'if [ -s clock ]; then cat clock; else exec /bin/date "$@"; fi',
};

/** Installs the programs into a folder of their own, without those in `without`. */
export async function startZfsStandIn({ without = [] }: { without?: string[] } = {}): Promise<ZfsStandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'testbed-zfs-'));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  for (const program of programs.filter((name) => !without.includes(name))) {
    const path = join(bin, program);
    await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${script}' '${folder}' ${program} "$@"\n`);
    await chmod(path, 0o755);
  }
  for (const [program, sh] of Object.entries(printers)) {
    await writeFile(join(bin, program), `#!/bin/sh\ncd '${folder}' || exit 1\n${sh}\n`);
    await chmod(join(bin, program), 0o755);
  }
  const calls = join(folder, 'calls.jsonl');
  return {
    folder,
    sshdConfig: [`SetEnv PATH=${bin}:/usr/bin:/bin HOME=${folder}`],
    set: async (state) => {
      for (const end = Date.now() + 10_000; await isRunning(folder); await pause(20))
        if (Date.now() > end) throw new Error('a program of the stand-in does not end');
      await writeFile(join(folder, 'state.json.new'), JSON.stringify(state));
      await rename(join(folder, 'state.json.new'), join(folder, 'state.json'));
      await writeFile(join(folder, 'uid'), `${state.uid ?? 0}\n`);
      await writeFile(join(folder, 'clock'), state.clock === undefined ? '' : `${state.clock}\n`);
      await writeFile(calls, '');
    },
    state: async () => JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')),
    calls: async () =>
      (await readFile(calls, 'utf8'))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Whether any of its programs runs: each has the folder in its command line. */
async function isRunning(folder: string): Promise<boolean> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(processes.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.some((line) => line.includes(script) && line.includes(folder));
}
