import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { namesIn } from './disk-usage.js';

const run = promisify(execFile);

/** A toolchain: the folder that holds its cargo and rustc. */
export function installedToolchains(env: NodeJS.ProcessEnv, home: string): string[] {
  const rustup = env.RUSTUP_HOME || join(home, '.rustup');
  // `rustup toolchain link` makes a symbolic link, and what it leads to is installed all the same.
  const folders = namesIn(join(rustup, 'toolchains')).map((name) => join(rustup, 'toolchains', name, 'bin'));
  // Rustup's own links in a bin folder lead to one of those above.
  const onPath = (env.PATH ?? '').split(delimiter).filter((folder) => folder && !existsSync(join(folder, 'rustup')));
  return [...new Set([...folders, ...onPath])].filter((bin) =>
    ['cargo', 'rustc'].every((name) => existsSync(join(bin, name))),
  );
}

/**
 * The number that cargo writes into every fingerprint for a compiler, asked of that toolchain itself: it checks an empty
 * crate, in a folder and a home of its own. (The number is a hash that cargo has changed before; no port of it stays right.)
 *
 * @returns undefined when the toolchain does not work
 */
export async function compilerNumber(bin: string): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-calibrate-'));
  try {
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'Cargo.toml'), '[package]\nname = "calibrate"\nversion = "0.0.0"\n\n[workspace]\n');
    writeFileSync(join(folder, 'src/lib.rs'), '');
    // Nothing of the environment: a wrapper (sccache) would be started, and another target written to.
    const env = {
      PATH: `${bin}:/usr/bin:/bin`,
      HOME: folder,
      CARGO_HOME: join(folder, 'home'),
      CARGO_TARGET_DIR: join(folder, 'target'),
      RUSTC: join(bin, 'rustc'),
    };
    await run(join(bin, 'cargo'), ['check', '--offline', '--quiet'], { cwd: folder, env, timeout: 60_000 });
    return numberIn(join(folder, 'target'));
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function numberIn(target: string): string | undefined {
  const file = readdirSync(target, { recursive: true, encoding: 'utf8' }).find((path) =>
    /calibrate-?[^/]*\.json$/.test(path),
  );
  return file && /"rustc":([1-9]\d*)/.exec(readFileSync(join(target, file), 'latin1'))?.[1];
}

/**
 * The numbers of all installed compilers.
 *
 * @returns undefined when one of them could not be told: then it may be the one that built everything
 */
export async function compilerNumbers(env: NodeJS.ProcessEnv, home: string): Promise<Set<string> | undefined> {
  const numbers = await Promise.all(installedToolchains(env, home).map(compilerNumber));
  if (numbers.length === 0 || numbers.includes(undefined)) return undefined;
  return new Set(numbers.filter((each) => each !== undefined));
}
