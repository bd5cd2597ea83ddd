import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { namesIn } from './disk-usage.js';
import { isBelow } from './mounts.js';

/** A process, as far as we may look at it. */
export interface Process {
  pid: number;
  /** Undefined when it is somebody else's. */
  exe?: string;
  cwd?: string;
}

/** A cargo that is running. What is undefined could not be told. */
export interface Cargo {
  pid: number;
  cargoHome?: string;
  /** Where it builds: every folder that may be its target. Undefined: could be any. */
  targets?: string[];
  /** The Cargo.lock files that it may work by. Undefined or empty: it may need anything. */
  lockFiles?: string[];
}

const link = (path: string): string | undefined => {
  try {
    return readlinkSync(path).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
};

const text = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** All processes, from /proc, but this one and what it started: the holders of our own locks have the lock files open. */
export function processes(): Process[] {
  const known = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), statusOf(name)]),
  );
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid, steps = 0; at && steps < 1000; at = known.get(at)?.parent, steps++) {
      if (at === process.pid) return true;
    }
    return false;
  };
  return [...known]
    .filter(([pid, status]) => !status?.idle && !isOurs(pid))
    .map(([pid]) => ({ pid, exe: link(`/proc/${pid}/exe`), cwd: link(`/proc/${pid}/cwd`) }));
}

/** PF_KTHREAD of Linux: a thread of the kernel, which uses no file. Asking for its program would take long to fail. */
const KERNEL = 0x00200000;

/**
 * proc(5): the name before it may hold anything, brackets too. `idle`: uses nothing, for it is the kernel's, or has ended and
 * nobody waits for it, as in a container without an init; such a one looks like somebody else's.
 */
function statusOf(pid: string): { parent: number; idle: boolean; started: number } | undefined {
  const stat = text(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Its first thread may have ended before the others, which hold all that they share.
  const ended = fields[0] === 'Z' && namesIn(`/proc/${pid}/task`).length <= 1;
  const idle = ended || (Number(fields[6]) & KERNEL) !== 0;
  return { parent: Number(fields[1]), idle, started: Number(fields[19]) };
}

/**
 * When a process started, in clock ticks since boot, as long as it uses anything: on its way out it loses its memory, and with
 * it its variables, before its sockets and files. Undefined when it has ended.
 */
export function startOf(pid: number): number | undefined {
  const status = statusOf(String(pid));
  return status?.idle ? undefined : status?.started;
}

function variables(pid: number): Map<string, string> | undefined {
  const all = text(`/proc/${pid}/environ`);
  if (all === undefined) return undefined;
  return new Map(
    all.split('\0').map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
}

/**
 * A cargo by its name: a rustup shim has it too, and hands over to the real one under the same process id; so does cargo to
 * a cargo-nextest or its like, which works on in the target without any lock.
 */
function isCargo({ pid, exe }: Process): boolean {
  const name = exe === undefined || basename(exe) === 'rustup' ? commandOf(pid) : basename(exe);
  return name !== undefined && /^cargo(-|$)/.test(name);
}

/** Its name, which everybody may read. */
export function commandOf(pid: number): string | undefined {
  return text(`/proc/${pid}/comm`)?.trim();
}

/** Every cargo that is running. */
export function runningCargos(all: Process[] = processes()): Cargo[] {
  return all.filter(isCargo).map((each) => describe(each));
}

function describe({ pid, cwd }: Process): Cargo {
  const env = variables(pid);
  const args = text(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
  if (!env || cwd === undefined) return { pid };
  const home = env.get('HOME');
  const cargoHome = env.get('CARGO_HOME') || (home ? join(home, '.cargo') : undefined);
  const manifest = option(args, '--manifest-path');
  const start = manifest ? dirname(resolve(cwd, manifest)) : cwd;
  // What these work by is downloaded or made by themselves, wherever they were started.
  const itsOwn = ['install', 'package', 'publish', 'init', 'new'].some((name) => args.includes(name));
  return {
    pid,
    cargoHome,
    targets: targetsOf(start, cwd, env, args, cargoHome),
    lockFiles: itsOwn ? undefined : lockFilesOf(start),
  };
}

function option(args: string[], name: string): string | undefined {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  return at < 0 ? undefined : args[at] === name ? args[at + 1] : args[at]?.slice(name.length + 1);
}

function upwards(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...upwards(parent)];
}

/** Which of them is that of its workspace, only cargo knows. */
function lockFilesOf(start: string): string[] {
  return upwards(start)
    .map((folder) => join(folder, 'Cargo.lock'))
    .filter((path) => existsSync(path));
}

function targetsOf(
  start: string,
  cwd: string,
  env: Map<string, string>,
  args: string[],
  cargoHome: string | undefined,
): string[] | undefined {
  const given = [
    option(args, '--target-dir'),
    ...['CARGO_TARGET_DIR', 'CARGO_BUILD_TARGET_DIR', 'CARGO_BUILD_BUILD_DIR'].map((name) => env.get(name)),
  ].filter((path): path is string => Boolean(path));
  const configs = [...upwards(cwd).map((folder) => join(folder, '.cargo')), ...(cargoHome ? [cargoHome] : [])].flatMap(
    (folder) => [join(folder, 'config.toml'), join(folder, 'config')],
  );
  // Where a configuration leads, with its templates and includes, only cargo knows.
  const configured = configs.some((path) => /target-dir|build-dir|include/.test(text(path) ?? ''));
  if (configured || args.includes('--config') || args.some((arg) => arg.startsWith('--config='))) return undefined;
  return [
    ...given.filter((path) => !path.includes('{')).map((path) => (isAbsolute(path) ? path : resolve(cwd, path))),
    ...upwards(start).map((folder) => join(folder, 'target')),
  ];
}

/**
 * The first process that uses something below a folder: runs it, works in it, has it open or mapped, or was given it as its
 * workspace. Tests run without any of cargo's locks.
 */
export function userOf(folder: string, all: Process[] = processes()): Process | undefined {
  const inside = (path: string | undefined) => path !== undefined && (path === folder || isBelow(path, folder));
  return all.find(({ pid, exe, cwd }) => {
    if (inside(exe) || inside(cwd)) return true;
    const open = namesIn(`/proc/${pid}/fd`).some((fd) => inside(link(`/proc/${pid}/fd/${fd}`)));
    if (open) return true;
    return text(`/proc/${pid}/maps`)?.includes(` ${folder}/`) ?? false;
  });
}

/** Whether a process was started with a variable that leads into the folder, as every step of a job is. */
export function wasGiven({ pid }: Process, folder: string): boolean {
  return text(`/proc/${pid}/environ`)?.includes(folder) ?? false;
}
