// Makes a fresh clone ready: locked dependencies by the pinned pnpm, and the bundles. Runs on bare Node, before there
// are any dependencies, and does nothing when nothing changed. --no-bundles: the dependencies alone.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { config, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const least = Number(/\d+/.exec(engines.node)?.[0]);
if (Number(process.versions.node.split('.')[0]) < least) {
  console.error(`Node ${least} or later is needed, and this is ${process.version}. Nothing was installed.`);
  process.exit(1);
}

const stamp = join(root, 'node_modules', '.bootstrapped');
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'pnpm-lock.yaml')))
  .update(readFileSync(join(root, 'pnpm-workspace.yaml')))
  .update(config.pnpm)
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  console.log(`Installing the locked dependencies with pnpm ${config.pnpm} ...`);
  // npm comes with Node; corepack does not come with every Node, and wants to fetch by itself.
  run('npx', ['--yes', `pnpm@${config.pnpm}`, 'install', '--frozen-lockfile', '--reporter=append-only']);
  writeFileSync(stamp, wanted);
}
if (!process.argv.includes('--no-bundles')) run(process.execPath, [join(root, 'scripts', 'build.mjs'), '--if-changed']);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
