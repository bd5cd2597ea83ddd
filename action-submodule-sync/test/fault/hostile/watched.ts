import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle, type Finished, start } from '../../harness.js';

const realGit = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();

/** The folders that a run gets, and the place where nothing may appear. */
export interface Place {
  readonly folder: string;
  readonly home: string;
  readonly temp: string;
  /** What anything that gets executed would create. */
  readonly marker: string;
  /** A program that creates the marker. */
  readonly trap: string;
}

export function createPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-hostile-'));
  const place = {
    folder,
    home: join(folder, 'home'),
    temp: join(folder, 'temp'),
    marker: join(folder, 'executed'),
    trap: join(folder, 'trap'),
  };
  for (const path of [place.home, place.temp, join(folder, 'bin')]) mkdirSync(path);
  writeFileSync(place.trap, `#!/bin/sh\necho "$0 $*" >> ${place.marker}\n`);
  // Says how git was called and with which environment; children of git are seen in /proc.
  writeFileSync(
    join(folder, 'bin', 'git'),
    `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } >> ${folder}/calls\nexec ${realGit} "$@"\n`,
  );
  for (const path of [place.trap, join(folder, 'bin', 'git')]) chmodSync(path, 0o755);
  return place;
}

export interface Watched extends Finished {
  /** Arguments and environments of every git that was called, and of every process below the action that was seen. */
  seen: string;
  /** Command lines of processes of this run that were there after its end. */
  left: string[];
  /** Files that it left in its temporary folder, and in its home. */
  files: string[];
  ms: number;
}

/**
 * Runs the bundle with a temporary folder and a home of its own, and looks at all of its processes meanwhile. They are
 * known by their PATH, which every child inherits, whatever its group or parent.
 */
export async function watched(
  { folder, home, temp }: Place,
  inputs: Record<string, string>,
  env: Record<string, string>,
  stopWhen?: Promise<void>,
): Promise<Watched> {
  const began = performance.now();
  const before = readdirSync(home, { recursive: true, encoding: 'utf8' });
  const mark = join(folder, 'bin');
  const running = start(inputs, {
    HOME: home,
    RUNNER_TEMP: temp,
    TMPDIR: temp,
    ...env,
    PATH: `${mark}:${process.env.PATH}`,
  });
  void stopWhen?.then(() => running.child.kill('SIGTERM'));
  const seen = new Set<string>();
  let over = false;
  const look = (async () => {
    while (!over) {
      for (const { pid, text } of processesOf(mark))
        if (pid !== running.child.pid && !text.includes(bundle)) seen.add(text); // a child that is not yet git has its parent's
      await sleep(100);
    }
  })();
  const finished = await running.finished;
  const ms = performance.now() - began;
  over = true;
  const left = processesOf(mark).map(({ text }) => text.split('\n')[0] ?? '');
  await look;
  const calls = join(folder, 'calls');
  const after = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => !before.includes(name));
  return {
    ...finished,
    seen: [...seen, existsSync(calls) ? readFileSync(calls, 'utf8') : ''].join('\n'),
    left,
    files: [...readdirSync(temp, { recursive: true }), ...after].map(String),
    ms,
  };
}

export function removePlace({ folder }: Place): void {
  rmSync(folder, { recursive: true, force: true });
}

function processesOf(mark: string): { pid: number; text: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // In this order: a child may become git in between, and must not be taken for one with its parent's environment.
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1');
        const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
        if (!environment.includes(mark)) return [];
        const text = `${command}\n${environment}`.replaceAll('\0', ' ');
        return [{ pid: Number(name), text }];
      } catch {
        return []; // it has ended
      }
    });
}
