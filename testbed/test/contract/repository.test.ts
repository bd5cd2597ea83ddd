import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const actions = readdirSync(root).filter((name) => name.startsWith('action-'));
const scratch = mkdtempSync(join(tmpdir(), 'gbo-contract-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Every file that a file brings along at run time, and every module from outside; types do not count. */
function reach(file: string, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(file)) return seen;
  const outside: string[] = [];
  seen.set(file, outside);
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022);
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const typesOnly = ts.isImportDeclaration(statement) ? isTypesOnly(statement) : statement.isTypeOnly;
    if (typesOnly || !statement.moduleSpecifier) continue;
    const name = (statement.moduleSpecifier as ts.StringLiteral).text;
    if (name.startsWith('./')) reach(resolve(dirname(file), name.replace(/\.js$/, '.ts')), seen);
    else if (name.startsWith('@gbo/shared/')) reach(join(root, 'packages/shared/src', `${name.slice(12)}.ts`), seen);
    else outside.push(name);
  }
  return seen;
}

function isTypesOnly({ importClause }: ts.ImportDeclaration): boolean {
  if (!importClause) return false;
  const { namedBindings } = importClause;
  if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  if (importClause.name || !namedBindings || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

describe.each(actions)('%s keeps the rules of the house', (action) => {
  const src = join(root, action, 'src');

  it.each(['plan.ts', 'report.ts'].filter((room) => existsSync(join(src, room))))(
    '%s is pure, with all that it imports: no files, no network, no processes, no clock of the system',
    (room) => {
      const impure = [...reach(join(src, room))].flatMap(([file, outside]) =>
        outside
          .filter((name) => /^(node:(?!path$)|node-ssh|ssh2|simple-git|@actions\/)/.test(name))
          .map((name) => `${relative(root, file)} imports ${name}`),
      );
      expect(impure).toEqual([]);
    },
  );

  it('main.ts reads like a table of contents', () => {
    expect(readFileSync(join(src, 'main.ts'), 'utf8').split('\n').length).toBeLessThanOrEqual(20);
  });

  it('runs on node20, and its main file is the bundle', () => {
    expect(parse(readFileSync(join(root, action, 'action.yml'), 'utf8')).runs).toEqual({
      using: 'node20',
      main: 'dist/index.js',
    });
  });

  it('has its changelog, its README and no dist in git', () => {
    expect(existsSync(join(root, action, 'CHANGELOG.md'))).toBe(true);
    expect(execFileSync('git', ['ls-files', `${action}/dist`], { cwd: root }).toString()).toBe('');
  });

  it('no description holds an expression, which Forgejo would refuse', () => {
    expect(readFileSync(join(root, action, 'action.yml'), 'utf8')).not.toContain('${{');
  });
});

describe('what is derived from the code', () => {
  it('action.yml and the README tables are what the code says', () => {
    const { status, stderr } = spawnSync('npm', ['run', '--silent', 'docs', '--', '--check'], { cwd: root });
    expect([status, stderr.toString()]).toEqual([0, '']);
  });
});

describe('the bundles', () => {
  it('are the same bytes when built in another folder, with nothing in them that is made for one machine', () => {
    const copy = join(scratch, 'a folder with another name');
    const skip = new Set(['node_modules', 'dist', 'build', '.git']);
    cpSync(root, copy, { recursive: true, filter: (path) => !skip.has(path.slice(path.lastIndexOf('/') + 1)) });
    // As a newcomer would, with dependencies of its own.
    execFileSync(process.execPath, [join(copy, 'scripts/bootstrap.mjs')], { cwd: copy, stdio: 'pipe' });
    // Where `npm test` has not just done so.
    execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-changed'], { cwd: root, stdio: 'pipe' });
    const [here, there] = [root, copy].map(bundles) as [Record<string, string>, Record<string, string>];
    expect(Object.keys(here).filter((path) => path.endsWith('/index.js'))).toHaveLength(actions.length);
    expect(there).toEqual(here);
    expect(Object.keys(here).filter((path) => /\.node$|\.exe$/.test(path))).toEqual([]);
    // It installs and bundles from nothing, beside tests that keep both cores busy.
  }, 300_000);

  it.each(actions)('%s is at most 2.5 MB', (action) => {
    const sizes = Object.keys(listing(join(root, action, 'dist'))).map(
      (path) => statSync(join(root, action, 'dist', path)).size,
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(2.5 * 1000 * 1000);
  });
});

it('a test about the machine of the CI is not counted as skipped elsewhere, where a release may be made too', () => {
  const tests = execFileSync('git', ['ls-files', '-z', '*.test.ts'], { cwd: root, encoding: 'utf8' });
  const skips = /\b(runIf|skipIf)\(process\.env\.CI\b/;
  const found = tests.split('\0').filter((path) => path && skips.test(readFileSync(join(root, path), 'utf8')));
  expect(found).toEqual([]);
});

function bundles(folder: string): Record<string, string> {
  const each = actions.map((action) => Object.entries(listing(join(folder, action, 'dist'), folder)));
  return Object.fromEntries(each.flat());
}

/** sha256 by path. */
function listing(folder: string, from = folder): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(from, path), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}
