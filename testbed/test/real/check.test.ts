import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gbo-check-test-'));
const note = join(folder, '.git/gbo-tested');

function put(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** A program of a dependency, which `npm test` finds by its package.json. */
function program(dependency: string, name: string, text: string): void {
  put(`node_modules/${dependency}/package.json`, JSON.stringify({ bin: { [name]: 'run.cjs' } }));
  put(`node_modules/${dependency}/run.cjs`, text);
}

/** `npm test`, with a vitest that says this. */
function check(result: { failed?: number; pending?: number }, args: string[] = [], env: Record<string, string> = {}) {
  const { failed = 0, pending = 0 } = result;
  const json = JSON.stringify({ numPassedTests: 7, numFailedTests: failed, numPendingTests: pending });
  program(
    'vitest',
    'vitest',
    `const file = process.argv.find((arg) => arg.startsWith('--outputFile.json=')).split('=')[1];
require('node:fs').writeFileSync(file, ${JSON.stringify(json)});
process.exitCode = ${failed > 0 ? 1 : 0};`,
  );
  const { status, stdout } = spawnSync(process.execPath, ['scripts/check.mjs', ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  });
  return { code: status, out: stdout };
}

describe('npm test, whose note is what a release asks for,', () => {
  beforeAll(() => {
    cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
    put('package.json', '{}');
    put('.gitignore', 'node_modules\n');
    program('typescript', 'tsc', '');
    program('@biomejs/biome', 'biome', '');
    const who = ['-c', 'user.name=Acme', '-c', 'user.email=acme@example.com'];
    for (const args of [
      ['init', '--quiet'],
      ['add', '.'],
      ['commit', '--quiet', '-m', 'Begin'],
    ])
      execFileSync('git', ['-C', folder, ...who, ...args]);
  });
  beforeEach(() => rmSync(note, { force: true }));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('notes the commit when everything passed', () => {
    expect(check({})).toMatchObject({ code: 0, out: expect.stringContaining('7 passed, 0 failed') });
    expect(readFileSync(note, 'utf8')).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each<[string, Parameters<typeof check>, number, RegExp]>([
    ['tests were skipped, and says how many', [{ pending: 3 }], 0, /^Skipped tests: 3\..*^7 passed, 0 failed/ms],
    ['tests were skipped with CI=true', [{ pending: 3 }, [], { CI: 'true' }], 1, /^7 passed, 3 failed/m],
    ['a test failed', [{ failed: 1 }], 1, /^7 passed, 1 failed/m],
    ['only some were asked for', [{}, ['--project', 'unit']], 0, /^7 passed, 0 failed/m],
  ])('notes nothing when %s', (_, args, code, says) => {
    const run = check(...args);
    expect([run.code, run.out]).toEqual([code, expect.stringMatching(says)]);
    expect(existsSync(note)).toBe(false);
  });
});
