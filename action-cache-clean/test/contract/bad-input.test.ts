import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAction } from '../../../testbed/run-action.js';
import { inputs as declared } from '../../src/inputs.js';

const bundle = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gbo-bad-input-')));
const at = (path: string) => join(folder, path);
const files: Record<string, string> = {
  'home/.cargo/registry/index/r-1949cf8c6b5b557f/config.json': '{}',
  'home/.cargo/registry/src/r-1949cf8c6b5b557f/a-1.0.0/lib.rs': 'broken: its unpacking never ended',
  'home/.cargo/registry/cache/r-1949cf8c6b5b557f/a-1.0.0.crate': '',
  'home/notes.txt': 'mine',
  'sccache/a/b/0123456789abcdef0123456789abcdef': 'x',
  'act/0a1b2c3d4e5f6071/hostexecutor/x': 'x',
  'act/1a1b2c3d4e5f6071/hostexecutor/x': 'x',
  'act/1a1b2c3d4e5f6071/hostexecutor/x-dead/Cargo.lock': '[[package]]\nname = ',
  'ws/target/CACHEDIR.TAG': 'Signature: 8a477f597d28d172789f06886806bc55',
  'ws/target/.rustc_info.json': '{}',
  'ws/Cargo.lock': 'version = 4\n',
  'ws/broken/Cargo.lock': '<<<<<<< HEAD\n',
};
let sound: Record<string, string>;
const env = { HOME: at('home'), GITHUB_WORKSPACE: at('act/0a1b2c3d4e5f6071/hostexecutor') };

beforeAll(() => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  }
  symlinkSync('circle', at('circle'));
  symlinkSync('/', at('link-to-all'));
  // Everything is old, so that whatever is wrongly looked at would also go.
  execFileSync('find', [folder, '-exec', 'touch', '-h', '-d', '90 days ago', '{}', '+']);
  sound = {
    'cargo-home': at('home/.cargo'),
    targets: at('ws/target'),
    'sccache-dir': at('sccache'),
    'runner-dir': at('act'),
    'state-dir': at('state'),
    toolchains: 'any',
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Everything there is, with times that change when anything is done to it. */
const manifest = () => execFileSync('find', [folder, '-printf', '%p %y %s %T@ %C@\n'], { encoding: 'utf8' });

/** Inputs that differ from sound ones; undefined takes one away. */
const table: [title: string, change: Record<string, string | undefined>, says: RegExp][] = [
  ['a dry-run that is neither', { 'dry-run': 'maybe' }, /input dry-run: "maybe" is neither true nor false/],
  ['a relative cargo-home', { 'cargo-home': '.cargo' }, /input cargo-home: "\.cargo" is not an absolute path/],
  ["a cargo-home of somebody else's home", { 'cargo-home': '~ci/.cargo' }, /"~ci\/\.cargo" is not an absolute path/],
  ['a variable that nobody filled in', { 'cargo-home': '$CARGO_HOME' }, /"\$CARGO_HOME" is not an absolute path/],
  ['the root as cargo-home', { 'cargo-home': '/' }, /cargo-home \/ is no cache: it belongs to the system/],
  ['the root in a roundabout way', { 'cargo-home': '/usr/..' }, /is no cache: it belongs to the system/],
  ['the root behind a link', { 'cargo-home': at('link-to-all') }, /is no cache: it belongs to the system/],
  ['the home folder as cargo-home', { 'cargo-home': '~' }, /is no cache: it is the home folder, or contains it/],
  ['a folder around the home folder', { 'cargo-home': folder }, /is no cache: it is the home folder, or contains it/],
  ['a cargo-home that is none of cargo', { 'cargo-home': at('sccache') }, /is no home of cargo: it has neither/],
  ['a cargo-home that is a file', { 'cargo-home': at('home/notes.txt') }, /cannot be used: it is not a folder/],
  ['a cargo-home that is a circle of links', { 'cargo-home': at('circle') }, /cannot be used: .*ELOOP/],
  ['a cargo-home in lines', { 'cargo-home': '/a\n/b' }, /is not an absolute path/],
  ['the temporary folder as sccache-dir', { 'sccache-dir': '/tmp' }, /sccache-dir \/tmp is no cache: it belongs/],
  ['the system as sccache-dir', { 'sccache-dir': '/etc' }, /sccache-dir \/etc is no cache: it belongs to the system/],
  ['programs as sccache-dir', { 'sccache-dir': '/bin' }, /sccache-dir \/bin is no cache: it belongs to the system/],
  ['a relative sccache-dir', { 'sccache-dir': 'sccache' }, /input sccache-dir: "sccache" is not an absolute path/],
  ["the runner's folder as sccache-dir", { 'sccache-dir': at('act') }, /is this job's workspace, or contains it/],
  ["this job's workspace as runner-dir", { 'runner-dir': env.GITHUB_WORKSPACE }, /is this job's workspace/],
  ['the home folder as runner-dir', { 'runner-dir': '~' }, /it is the home folder, or contains it/],
  ['a relative state-dir', { 'state-dir': 'state' }, /input state-dir: "state" is not an absolute path/],
  ['no state-dir', { 'state-dir': 'none' }, /input state-dir: "none" is not an absolute path/],
  ['relative targets', { targets: 'target' }, /targets: "target" is not an absolute path or glob/],
  ['the root as targets', { targets: '/' }, /targets: "" is not an absolute path or glob|belongs to the system/],
  ['targets of two slashes', { targets: '//srv/target' }, /targets: "\/\/srv\/target" is not an absolute path/],
  ['targets by a glob without a root', { targets: '**/target' }, /targets: "\*\*\/target" is not an absolute path/],
  ['a size without a unit', { 'max-size': '20' }, /input max-size: "20" is not a size such as 20GB/],
  ['a size of nothing', { 'max-size': 'registry =' }, /input max-size: "" is not a size/],
  ['a negative size', { 'max-size': '-5GB' }, /input max-size: "-5GB" is not a size/],
  ['a limit of no category', { 'max-size': 'targets = 5GB' }, /"targets" is none of all, registry, git/],
  ['a limit twice', { 'max-size': 'git = 5GB, git = 6GB' }, /input max-size: git stands there twice/],
  ['two limits in one', { 'max-size': 'git = 5GB = 6GB' }, /"5GB = 6GB" is not a size/],
  ['limits of nothing', { 'max-size': ',' }, /input max-size: "," names no limit/],
  ['a part as a size', { 'max-size': '15%' }, /"15%" is not a size/],
  ['an age without a unit', { 'max-age': '30' }, /input max-age: "30" is not an age such as 14d/],
  ['an age in seconds', { 'max-age': '30s' }, /"30s" is not an age/],
  ['an age of ages', { 'max-age': '99999d' }, /is longer than ten years/],
  ['an age below min-age', { 'max-age': '2d', 'min-age': '3d' }, /max-age: all is shorter than min-age/],
  ['a min-age below an hour', { 'min-age': '5m' }, /input min-age: it must be at least 1h/],
  ['a free-disk of words', { 'free-disk': 'half' }, /"half" is neither a size such as 20GB nor a part such as 15%/],
  ['a free-disk of more than there can be', { 'free-disk': '120%' }, /"120%" is neither a size/],
  ['free-disk-until alone', { 'free-disk-until': '20GB' }, /free-disk-until needs free-disk/],
  ['free-disk-until below it', { 'free-disk': '20%', 'free-disk-until': '10%' }, /until is less than free-disk/],
  ['an unknown protect', { protect: 'all' }, /input protect: "all" is not one of last, locked, none/],
  ['unknown toolchains', { toolchains: 'stable' }, /input toolchains: "stable" is not one of installed, any/],
  ['a wait of words', { wait: 'long' }, /input wait: "long" is not a duration/],
  ['a wait of more than a day', { wait: '25h' }, /input wait: "25h" is longer than a day/],
  [
    'locked by lock files that are not there',
    { protect: 'locked', 'lock-files': '/nonexistent/Cargo.lock' },
    /lock-files: nothing matches \/nonexistent\/Cargo\.lock/,
  ],
  [
    'locked by nothing at all',
    { protect: 'locked', targets: 'none' },
    /protect: locked has nothing to go by: No Cargo\.lock was found .* Check the repository out before this step/,
  ],
  [
    'locked by a lock file that is none',
    { protect: 'locked', 'lock-files': at('ws/broken/Cargo.lock') },
    /The lock file .*broken\/Cargo\.lock cannot be read/,
  ],
  ['a mistyped input', { 'cargo-hom': '/srv' }, /there is no input cargo-hom \(did you mean cargo-home\?\)/],
  ['an input that nothing resembles', { flavour: 'x' }, /there is no input flavour[^(]/],
];

const run = (change: Record<string, string | undefined>) => {
  const given = Object.entries({ ...sound, ...change }).filter(
    (each): each is [string, string] => each[1] !== undefined,
  );
  return startAction(bundle, Object.fromEntries(given), env).finished;
};

describe('bad input', () => {
  it.each(table)('%s is answered with one clear sentence, and nothing is touched', async (_title, change, says) => {
    const before = manifest();
    const { code, log, outputs, summary } = await run(change);
    const said = log.split('\n').filter(Boolean);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^Error: [^\n]*\./);
    expect(said[0]).toMatch(says);
    expect(said[0]).toMatch(/Nothing was touched\./);
    expect(log).not.toMatch(/\n\s+at .*:\d+:\d+|Unexpected/);
    expect([code, outputs, summary]).toEqual([1, {}, '']);
    expect(manifest()).toBe(before);
  });

  it('several mistakes are named at once', async () => {
    const { log } = await run({ 'max-size': '5', 'max-age': '5', protect: 'x' });
    expect(log).toMatch(/3 bad inputs: .*max-size.*max-age.*protect/s);
  });

  it('what a dry run finds is there as before', async () => {
    const before = manifest();
    const { code, outputs, log } = await run({ 'dry-run': 'true', 'max-size': '0' });
    expect(log).not.toMatch(/Error/);
    expect([code, outputs.result]).toEqual([0, 'dry-run']);
    expect(Number(outputs.planned)).toBeGreaterThan(0);
    expect(manifest()).toBe(before);
  });

  it.each([
    [
      'a cache that is not there is a note, and no mistake',
      { 'sccache-dir': '/nonexistent/x' },
      /sccache-dir \/nonexistent\/x is not there/,
    ],
    [
      'a target that cargo has not made is left alone, and no mistake',
      { targets: at('ws') },
      /cargo has not marked it as a target/,
    ],
    [
      'a target that is not there is a note',
      { targets: '/nonexistent/target' },
      /targets: there is no \/nonexistent\/target/,
    ],
    [
      'what protects nothing is a note with protect: last',
      { targets: 'none' },
      /No Cargo\.lock was found .*: protect holds nothing back\. Check the repository out/,
    ],
    [
      'how many lock files protect how much is said',
      { protect: 'locked' },
      /Cargo\.lock files protect: 0 crates and 0 git repositories, by 1 different file, .*\(read now: 1\)/,
    ],
    [
      'a lock file that a dead job left half written does not stop locked',
      { protect: 'locked' },
      /x-dead\/Cargo\.lock: it cannot be read/,
    ],
    [
      'a lock file that is none is said',
      { 'lock-files': at('ws/broken/Cargo.lock') },
      /Cargo\.lock: it cannot be read/,
    ],
  ])('%s', async (_, change, says) => {
    const { code, log } = await run({ 'dry-run': 'true', ...change });
    expect(log).toMatch(says);
    expect(code).toBe(0);
  });

  it.each([
    ['the workspace of the job', {}, /targets: there is no .*\/hostexecutor\/target\./],
    ['nothing that is known', { GITHUB_WORKSPACE: '' }, /CARGO_TARGET_DIR target is relative, .* left alone/],
  ])('a CARGO_TARGET_DIR relative to %s is no mistake of the inputs', async (_, more, says) => {
    const { targets: _targets, ...rest } = sound;
    const around = { ...env, CARGO_TARGET_DIR: 'target', ...more };
    const { code, log } = await startAction(bundle, { ...rest, 'dry-run': 'true' }, around).finished;
    expect(log).toMatch(says);
    expect(code).toBe(0);
  });
});

describe('on the command line', () => {
  const type = (...args: string[]) =>
    spawnSync(process.execPath, [bundle, ...args], { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });

  it('--help names every input with its default and touches nothing', () => {
    const before = manifest();
    const { status, stdout, stderr } = type('--help');
    for (const { name, default: value } of declared.declared) {
      expect(stdout).toMatch(new RegExp(`^--${name} `, 'm'));
      expect(stdout).toContain(value);
    }
    expect([status, stderr]).toEqual([0, '']);
    expect(manifest()).toBe(before);
  });

  it.each([
    ['an option that is none', ['--cargo-hom', '/x'], /Unknown option '--cargo-hom'/],
    ['a word too many', ['now'], /Unexpected argument 'now'/],
    ['an option without its value', ['--max-size'], /--max-size/],
    ['a file that is not there', ['--max-size', '@/nonexistent'], /the file \/nonexistent cannot be read/],
  ])('%s is one sentence', (_, args, says) => {
    const before = manifest();
    const { status, stdout } = type(...args);
    expect(stdout.split('\n').filter(Boolean)).toHaveLength(1);
    expect(stdout).toMatch(/^Error: .*Nothing was touched/);
    expect(stdout).toMatch(says);
    expect(status).toBe(1);
    expect(manifest()).toBe(before);
  });
});

it('the files of the test are what they were', () => {
  for (const [path, text] of Object.entries(files)) expect(readFileSync(at(path), 'utf8')).toBe(text);
});
