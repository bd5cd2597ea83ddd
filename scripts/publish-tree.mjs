// What the public repository of an action holds at a release, made from one commit of this repository: the same bytes each
// time, on every machine.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './actions.mjs';

/**
 * Assembles `folder` from the checkout `source`, which is at `commit` and has its dependencies.
 * @returns sha256 by path, of everything but the provenance itself
 */
export function assemble(source, action, commit, folder) {
  const from = (path) => join(source, action, path);
  mkdirSync(folder, { recursive: true });
  run(process.execPath, [join(source, 'scripts/build.mjs'), '--only', action, '--out', join(folder, '.built')], source);
  cpSync(join(folder, '.built', action, 'dist'), join(folder, 'dist'), { recursive: true });
  rmSync(join(folder, '.built'), { recursive: true });
  for (const path of ['action.yml', 'README.md', 'CHANGELOG.md', 'rules']) {
    if (existsSync(from(path))) cpSync(from(path), join(folder, path), { recursive: true });
  }
  cpSync(join(source, 'LICENSE'), join(folder, 'LICENSE'));
  const licenses = readFileSync(join(folder, 'dist', 'licenses.txt'), 'utf8');
  writeFileSync(join(folder, 'sbom.cdx.json'), billOfMaterials(source, action, commit, licenses));
  const files = Object.fromEntries(filesIn(folder).map((path) => [path, sha256(readFileSync(join(folder, path)))]));
  const provenance = {
    source: commit.hash,
    lockFile: sha256(readFileSync(join(source, 'pnpm-lock.yaml'))),
    bundle: files['dist/index.js'],
    files,
  };
  writeFileSync(join(folder, 'provenance.json'), `${JSON.stringify(provenance, undefined, 2)}\n`);
  return provenance;
}

/** Paths of all files and links, sorted. */
export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('.git/') && path !== 'provenance.json')
    .sort();
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * What is bundled, as CycloneDX, by pnpm itself; without what differs from run to run (hour, number, order, mirror), and
 * without what only the lock file has: a scanner would report the flaws of code that is not there.
 */
function billOfMaterials(source, action, commit, licenses) {
  const { config } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const { name } = JSON.parse(readFileSync(join(source, action, 'package.json'), 'utf8'));
  const options = ['--filter', name, 'sbom', '--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6', '--prod'];
  const text = run('npx', ['--yes', `pnpm@${config.pnpm}`, ...options, '--lockfile-only'], source);
  const bom = JSON.parse(text);
  delete bom.serialNumber;
  bom.metadata.timestamp = commit.date;
  const bundled = new Set(licenses.split('\n'));
  const isThere = ({ group, name, version }) =>
    group === '@gbo' || bundled.has(`${group ? `${group}/` : ''}${name}@${version}`);
  bom.components = bom.components.filter(isThere);
  const refs = new Set([bom.metadata.component, ...bom.components].map((component) => component['bom-ref']));
  bom.dependencies = bom.dependencies?.filter(({ ref }) => refs.has(ref));
  for (const entry of bom.dependencies ?? []) entry.dependsOn = entry.dependsOn?.filter((ref) => refs.has(ref));
  const byName = (key) => (a, b) => (a[key] < b[key] ? -1 : 1);
  bom.components.sort(byName('bom-ref'));
  bom.dependencies?.sort(byName('ref'));
  for (const { dependsOn } of bom.dependencies ?? []) dependsOn?.sort();
  for (const component of bom.components) {
    component.externalReferences = component.externalReferences?.filter(({ type }) => type !== 'distribution');
  }
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}

/** Hash and date of a commit of a checkout. */
export function commitOf(source, revision = 'HEAD') {
  const [hash, date] = run('git', ['log', '-1', '--format=%H %cI', revision], source).trim().split(' ');
  return { hash, date: new Date(date).toISOString() };
}

/** Whether origin/main, as it was last fetched here, contains a commit. @throws Error when the commit is not here */
export function isInMain(hash) {
  return run('git', ['for-each-ref', `--contains=${hash}`, 'refs/remotes/origin/main']) !== '';
}

/** Branches and tags of a remote, by full name; what an annotated tag leads to by its name and `^{}`. @throws Error */
export function refsOf(url) {
  const listed = run('git', ['ls-remote', '--heads', '--tags', '--', url]);
  return new Map(
    listed
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t').reverse()),
  );
}

/** @returns stdout. @throws Error with what the program said */
export function run(command, args, cwd = root, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  if (status !== 0)
    throw new Error(
      `${command} ${args[0] ?? ''} failed: ${(error?.message ?? stderr).trim().split('\n').slice(-5).join(' ')}`,
    );
  return stdout;
}
