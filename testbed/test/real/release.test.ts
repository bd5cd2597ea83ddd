import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gbo-release-'));
const checkout = join(folder, 'checkout');
const action = 'action-submodule-sync';

const git = (at: string, ...args: string[]) =>
  execFileSync('git', ['-C', at, '-c', 'user.name=Acme', '-c', 'user.email=acme@example.com', ...args], {
    encoding: 'utf8',
  }).trim();

function script(name: string, ...args: string[]): { code: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, 'scripts', name), ...args], {
    cwd: checkout,
    encoding: 'utf8',
  });
  return { code: status, out: stdout + stderr };
}

const release = (version: string, ...remotes: string[]) =>
  script('release.mjs', action, version, ...remotes.flatMap((remote) => ['--remote', remote]));

let count = 0;
function remote(): string {
  const path = join(folder, `remote-${count++}.git`);
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', path]);
  return path;
}

/** Commit by tag or branch, of a remote. */
const refs = (path: string) =>
  Object.fromEntries(
    git(path, 'for-each-ref', '--format=%(refname:short) %(objectname)')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ') as [string, string]),
  );

/** As `npm test` leaves it when all is green. */
const tested = () => writeFileSync(join(checkout, '.git', 'gbo-tested'), git(checkout, 'rev-parse', 'HEAD'));
/** As a fetch leaves it when the commit is in main. */
const merged = () => git(checkout, 'update-ref', 'refs/remotes/origin/main', 'HEAD');

function version(next: string): void {
  const path = join(checkout, action, 'package.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/"version": "[^"]+"/, `"version": "${next}"`));
  const changelog = join(checkout, action, 'CHANGELOG.md');
  if (!readFileSync(changelog, 'utf8').includes(`\n## ${next}\n`))
    appendFileSync(changelog, `\n## ${next}\n\n- More.\n`);
  git(checkout, 'commit', '--quiet', '--allow-empty', '--all', '-m', next);
  tested();
  merged();
}

beforeAll(() => {
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, checkout]);
  execFileSync(process.execPath, [join(checkout, 'scripts/bootstrap.mjs'), '--no-bundles'], {
    cwd: checkout,
    stdio: 'pipe',
  });
  merged();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a release', () => {
  it.each<[string, () => string[], RegExp]>([
    [
      'of an action that is not there',
      () => ['action-x', '1.0.0', '--remote', remote()],
      /there is no action action-x\./,
    ],
    ['of a version that is none', () => [action, 'latest', '--remote', remote()], /"latest" is not a version/],
    ['of another version than its own', () => [action, '9.9.9', '--remote', remote()], /package\.json says 1\.0\.0\./],
    ['to nowhere', () => [action, '1.0.0'], /no --remote was named/],
    [
      'to an address with a token',
      () => [action, '1.0.0', '--remote', 'https://me:token-abc@forge.example.com/x'],
      /^(?!.*token-abc).*a --remote holds a password or token/,
    ],
    ['of what was not tested', () => [action, '1.0.0', '--remote', remote()], /has not passed `npm test` here/],
    [
      'of changes that are not committed',
      () => {
        tested();
        writeFileSync(join(checkout, 'stray'), '');
        return [action, '1.0.0', '--remote', remote()];
      },
      /has changes that are not committed/,
    ],
  ])('%s is refused in one sentence', (_, args, says) => {
    const { code, out } = script('release.mjs', ...args());
    rmSync(join(checkout, 'stray'), { force: true });
    expect([code, out.trim().split('\n').length]).toEqual([1, 1]);
    expect(out).toMatch(says);
    expect(out).toContain('Nothing was published');
  });

  it.each<[string, () => void]>([
    [
      'that main does not contain',
      () => {
        merged();
        git(checkout, 'commit', '--quiet', '--allow-empty', '-m', 'On a branch');
      },
    ],
    ['whose main was not fetched', () => git(checkout, 'update-ref', '-d', 'refs/remotes/origin/main')],
  ])('of a commit %s is refused in one sentence; its dry run says so, and goes on', (_, make) => {
    const before = git(checkout, 'rev-parse', 'HEAD');
    try {
      make();
      tested();
      const to = remote();
      const { code, out } = release('1.0.0', to);
      expect([code, out.trim().split('\n').length, refs(to)]).toEqual([1, 1, {}]);
      expect(out).toMatch(
        /origin\/main, as it was last fetched here, does not contain this commit\. Nothing was published/,
      );
      // As far as the remotes: building it takes seconds.
      const dry = script('release.mjs', action, '1.0.0', '--remote', join(folder, 'nowhere.git'), '--dry-run');
      expect(dry.out).toMatch(/does not contain this commit\. A release would be refused\.\nError: .*nowhere\.git/);
    } finally {
      git(checkout, 'reset', '--quiet', '--hard', before);
      merged();
    }
  });

  it('is the same commit on every remote, with its tags, and holds what an action needs', () => {
    tested();
    const remotes = [remote(), remote()];
    expect(release('1.0.0', ...remotes)).toMatchObject({ code: 0 });
    const [first, second] = remotes.map(refs);
    expect(second).toEqual(first);
    expect(Object.keys(first ?? {}).sort()).toEqual(['main', 'v1', 'v1.0', 'v1.0.0']);
    expect(new Set(Object.values(first ?? {})).size).toBe(1);
    const files = git(remotes[0] ?? '', 'ls-tree', '-r', '--name-only', 'main').split('\n');
    for (const path of [
      'action.yml',
      'dist/index.js',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'sbom.cdx.json',
      'provenance.json',
    ])
      expect(files).toContain(path);
    expect(files.filter((path) => /^src|node_modules|test/.test(path))).toEqual([]);
    const bom = JSON.parse(git(remotes[0] ?? '', 'show', 'main:sbom.cdx.json'));
    const names = bom.components.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['simple-git', 'zod', 'yaml']));
    // Of the lock file, and not of the bundle.
    for (const name of ['undici', 'http-client', 'ssh2']) expect(names).not.toContain(name);
    const licenses = git(remotes[0] ?? '', 'show', 'main:dist/licenses.txt');
    for (const { group, name, version } of bom.components) {
      if (group !== '@gbo') expect(licenses).toContain(`${group ? `${group}/` : ''}${name}@${version}\n`);
    }
    expect(git(remotes[0] ?? '', 'log', '-1', '--format=%b', 'main')).toContain(
      `Source-Commit: ${git(checkout, 'rev-parse', 'HEAD')}`,
    );
  });

  it('that one remote refuses names it, leaves neither half-moved, and is finished by the same command', () => {
    const remotes = [remote(), remote()] as [string, string];
    const hook = join(remotes[1], 'hooks', 'pre-receive');
    writeFileSync(hook, '#!/bin/sh\necho not today >&2\nexit 1\n');
    chmodSync(hook, 0o755);
    const { code, out } = release('1.0.0', ...remotes);
    expect(code).toBe(1);
    expect(out).toContain(`${remotes[1]} did not take it`);
    expect(out).toContain('1 of 2 remotes have v1.0.0');
    expect(Object.keys(refs(remotes[0]))).toHaveLength(4);
    expect(refs(remotes[1])).toEqual({});
    rmSync(hook);
    expect(release('1.0.0', ...remotes)).toMatchObject({ code: 0 });
    expect(refs(remotes[1])).toEqual(refs(remotes[0]));
  });

  it('to a remote that is not there is known before any other has it', () => {
    const there = remote();
    const { code, out } = release('1.0.0', there, join(folder, 'nowhere.git'));
    expect([code, refs(there)]).toEqual([1, {}]);
    expect(out).toContain('nowhere.git');
  });

  it('moves v1 on, never back: a patch of an older line moves its own tags only, a refused release none', () => {
    const [to, other] = [remote(), remote()];
    const at: Record<string, string | undefined> = {};
    const hook = join(other, 'hooks', 'pre-receive');
    for (const [next, ...remotes] of [
      ['1.0.0', to, other],
      ['1.1.0', to, other],
      ['1.0.1', to],
    ] as [string, ...string[]][]) {
      version(next);
      if (next === '1.1.0') writeFileSync(hook, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      const { code, out } = release(next, ...remotes);
      expect(code, out).toBe(next === '1.1.0' ? 1 : 0);
      if (code === 1) expect(out).toContain(`${other} did not take it`);
      at[next] = refs(to)[`v${next}`];
    }
    expect(refs(to)).toMatchObject({
      main: at['1.1.0'],
      v1: at['1.1.0'],
      'v1.0': at['1.0.1'],
      'v1.1': at['1.1.0'],
    });
    const first = at['1.0.0'];
    expect(refs(other)).toEqual({ main: first, v1: first, 'v1.0': first, 'v1.0.0': first });
  });
});

describe('verify-release', () => {
  const verify = (from: string) => script('verify-release.mjs', action, '1.0.1', '--remote', from);

  // Each question installs and builds anew, which takes its time beside two other files of tests.
  it('says yes to what was released, and finds a single changed byte', { timeout: 400_000 }, () => {
    const to = remote();
    expect(release('1.0.1', to)).toMatchObject({ code: 0 });
    const yes = verify(to);
    expect(yes).toMatchObject({ code: 0, out: expect.stringMatching(/each byte as [0-9a-f]{40} gives it/) });
    expect(yes.out).toMatch(/^v1 leads to it; v1\.0 leads to it\.$/m);
    const elsewhere = git(to, 'commit-tree', '-m', 'x', 'main^{tree}');
    git(to, 'tag', '--force', '--annotate', '-m', 'x', 'v1', elsewhere);
    expect(verify(to).out).toContain(`v1 leads to ${elsewhere}, not to it; v1.0 leads to it.`);
    const copy = join(folder, 'copy');
    execFileSync('git', ['clone', '--quiet', to, copy]);
    // A branch of the same name, with what was released: a runner takes the tag.
    git(copy, 'push', '--quiet', 'origin', 'HEAD:refs/heads/v1.0.1');
    const bundle = readFileSync(join(copy, 'dist/index.js'));
    bundle[bundle.length >> 1] = (bundle[bundle.length >> 1] ?? 0) ^ 1;
    writeFileSync(join(copy, 'dist/index.js'), bundle);
    git(copy, 'commit', '--quiet', '--all', '-m', 'x');
    git(copy, 'push', '--quiet', '--force', 'origin', 'HEAD:refs/tags/v1.0.1');
    const { code, out } = verify(to);
    expect(code).toBe(1);
    expect(out).toMatch(/v1\.0\.1 is not what [0-9a-f]{40} gives: dist\/index\.js$/m);
    expect(existsSync(join(folder, 'checkout', 'published'))).toBe(false);
    execFileSync('git', ['-C', copy, 'reset', '--quiet', '--hard', 'HEAD~1']);
    symlinkSync('/etc/passwd', join(copy, 'dist/more.js'));
    git(copy, 'add', '--all');
    git(copy, 'commit', '--quiet', '-m', 'x');
    git(copy, 'push', '--quiet', '--force', 'origin', 'HEAD:refs/tags/v1.0.1');
    expect(verify(to)).toMatchObject({ code: 1, out: expect.stringMatching(/gives: dist\/more\.js$/m) });
  });

  it('says no to what comes from a commit that main does not contain', () => {
    const to = remote();
    expect(release('1.0.1', to)).toMatchObject({ code: 0 });
    try {
      git(checkout, 'update-ref', 'refs/remotes/origin/main', 'HEAD~1');
      const { code, out } = verify(to);
      expect([code, out.trim().split('\n').length]).toEqual([1, 1]);
      expect(out).toMatch(/v1\.0\.1 comes from [0-9a-f]{40}, and origin\/main, .* does not contain that\. Fetch/);
    } finally {
      merged();
    }
  });
});
