// `npm test`: types, lint, derived files, then the four floors of tests. Says which floor it skipped and why; with
// CI=true a skipped floor is a failure. Arguments after `--` go to vitest: npm test -- --project unit
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { root } from './actions.mjs';

const require = createRequire(import.meta.url);
const ci = process.env.CI === 'true';
const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();
const state = () => `${git('rev-parse', 'HEAD')} ${git('status', '--porcelain')}`.trim();
const before = state();
const more = process.argv.slice(2);

step('types', 'typescript', 'tsc', ['-p', root]);
step('lint', '@biomejs/biome', 'biome', ['check', ...(ci ? ['--error-on-warnings'] : []), root]);

const skipped = more.includes('--project') ? [] : skippedFloors();
const chosen = ['unit', 'contract', 'real', 'fault'].filter((floor) => !skipped.some(({ name }) => name === floor));
const folder = mkdtempSync(join(tmpdir(), 'gbo-check-'));
const file = join(folder, 'result.json');
try {
  const projects = more.includes('--project') ? [] : chosen.flatMap((floor) => ['--project', floor]);
  const status = run('vitest', 'vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...projects,
    ...more,
  ]);
  for (const { name, why } of skipped) console.log(`Skipped floor ${name}: ${why}`);
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(file, 'utf8'));
  if (numPendingTests > 0)
    console.log(`Skipped tests: ${numPendingTests}. Why stands in their names; a release wants a run without any.`);
  // With CI=true a skip is a failure: what was not run is not shown.
  const missed = ci ? numPendingTests + skipped.length : 0;
  if (missed > 0) console.log(`${missed} skipped with CI=true: that counts as failed.`);
  console.log(`${numPassedTests} passed, ${numFailedTests + missed} failed`);
  process.exitCode = status !== 0 || missed > 0 ? 1 : 0;
  const isWhole = numPendingTests + skipped.length === 0 && more.length === 0;
  if (process.exitCode === 0 && isWhole) noteTested();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** For scripts/release.mjs, which releases nothing that was not tested as it is. */
function noteTested() {
  // A commit that came while the tests ran was not what they ran on.
  const hash = state();
  if (hash === before && /^[0-9a-f]+$/.test(hash))
    writeFileSync(resolve(root, git('rev-parse', '--git-path', 'gbo-tested')), hash);
}

/** The real and fault floors need what only root on Linux can have; `testbed/` installs the rest by apt. */
function skippedFloors() {
  const why =
    process.platform !== 'linux'
      ? `it needs Linux, and this is ${process.platform}`
      : process.getuid?.() !== 0
        ? 'it needs root, to start systemd containers of its own'
        : spawnSync('apt-get', ['--version']).error
          ? 'it needs Debian: there is no apt-get to install its servers with'
          : undefined;
  return why ? ['real', 'fault'].map((name) => ({ name, why })) : [];
}

function step(title, ...command) {
  console.log(`\n# ${title}`);
  const status = run(...command);
  if (status === 0) return;
  console.error(`${title}: failed`);
  process.exit(1);
}

/** Runs a program of a dependency, found through its package.json, so that no shell and no PATH is asked. */
function run(dependency, program, args) {
  const manifest = require.resolve(`${dependency}/package.json`);
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8'));
  const path = join(dirname(manifest), typeof bin === 'string' ? bin : bin[program]);
  return spawnSync(process.execPath, [path, ...args], { cwd: root, stdio: 'inherit' }).status ?? 1;
}
