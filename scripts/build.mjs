// Bundles each action into action-*/dist with ncc. The same sources give the same bytes in any folder on any machine.
// --if-changed: only those whose sources, lock file or this script changed since.
// --out FOLDER: into FOLDER/action-* instead, to compare. --only ACTION: that one alone.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { transform } from 'esbuild';
import { actions, root } from './actions.mjs';

const ncc = createRequire(import.meta.url)('@vercel/ncc');
const { values } = parseArgs({
  options: { 'if-changed': { type: 'boolean' }, out: { type: 'string' }, only: { type: 'string' } },
});

/** Built for this machine or for Windows: none of them may travel in a bundle, and each would make it differ. */
const unwanted = /\.node$|pagent\.exe$/;

/**
 * What @actions/core asks the forge for an OpenID token with: a whole HTTP client (undici), half of each bundle and 60 ms of
 * each run's end. Nobody here asks for one, so that in a bundle the name leads to something that is loaded anyway.
 */
const externals = { '/^@actions\\/http-client(\\/|$)/': 'node:path' };

for (const { name, folder } of actions()) {
  if (values.only && values.only !== name) continue;
  const dist = join(values.out ? join(values.out, name) : folder, 'dist');
  const stamp = join(dist, '.sources');
  const sources = fingerprint([join(folder, 'src'), join(root, 'packages', 'shared', 'src')]);
  if (values['if-changed'] && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) continue;
  console.log(`Bundling ${name} ...`);
  const { code, assets, stats } = await bundle(join(folder, 'src', 'main.ts'));
  rmSync(dist, { recursive: true, force: true });
  write(join(dist, 'index.js'), await minified(code));
  for (const [path, { source }] of Object.entries(assets)) {
    if (!unwanted.test(path)) write(join(dist, path), path.endsWith('.js') ? await minified(source) : source);
  }
  write(join(dist, 'licenses.txt'), licenses(stats.compilation));
  if (!values.out) writeFileSync(stamp, sources);
}

async function bundle(file) {
  try {
    return await ncc(file, {
      cache: false,
      quiet: true,
      transpileOnly: true, // types are checked by tsc, for all of the workspace at once
      externals,
    });
  } catch (error) {
    // Uncaught, node would print the line it comes from: half a megabyte of ncc's own bundle.
    console.error(error.message);
    process.exit(1);
  }
}

/**
 * Each package of which there is code in the bundle, as `name@version`, with its licence. Ncc's own list misses those whose
 * package.json says it in another way, and those of the rooms that are loaded later: ssh2 and zod among them.
 */
function licenses({ chunks, chunkGraph }) {
  const modules = [...chunks].flatMap((chunk) => [...chunkGraph.getChunkModulesIterable(chunk)]);
  const files = modules.flatMap((module) => [module, ...(module.modules ?? [])]).map(({ resource }) => resource ?? '');
  const folders = new Set(files.flatMap((file) => /^.*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []));
  const texts = [...folders].map((folder) => {
    const { name, version, license = '' } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    return [`${name}@${version}`, license, file ? readFileSync(join(folder, file), 'utf8') : ''].join('\n');
  });
  return texts.sort().join('\n');
}

/** Ncc itself minifies the first file only, and takes longer over it; the rooms are in the others. */
async function minified(source) {
  return (await transform(source.toString(), { minify: true, target: 'node20', legalComments: 'none' })).code;
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** One hash over everything a bundle is made of. */
function fingerprint(folders) {
  const hash = createHash('sha256');
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  );
  for (const file of [...files.sort(), join(root, 'pnpm-lock.yaml'), join(root, 'scripts', 'build.mjs')]) {
    hash.update(`${relative(root, file)}\0`).update(readFileSync(file));
  }
  return hash.digest('hex');
}
