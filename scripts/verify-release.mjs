// npm run verify-release -- action-deploy 1.2.3 --remote URL
// Builds a published release again from the commit it says it comes from, which main has to contain, in a folder of its own,
// and compares every byte. Says where the tags lead that move.
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './actions.mjs';
import { assemble, commitOf, filesIn, isInMain, refsOf, run, sha256 } from './publish-tree.mjs';
import { refuseCredentials, releaseCommand } from './release-command.mjs';

const command = releaseCommand({ remote: { type: 'string' } });
const { action, version, values, folder } = command;
command.run(verify);

function verify() {
  if (!action || !version || !values.remote)
    throw new Error('say which: npm run verify-release -- ACTION VERSION --remote URL');
  refuseCredentials([values.remote], 'Nothing was compared.');
  const published = join(folder, 'published');
  run('git', ['init', '--quiet', published]);
  // The tag by its full name: `clone --branch` would take a branch called v1.2.3 instead, and a runner takes the tag.
  run('git', ['fetch', '--quiet', '--depth=1', '--', values.remote, `refs/tags/v${version}`], published);
  run('git', ['-c', 'core.autocrlf=false', 'checkout', '--quiet', '--detach', 'FETCH_HEAD'], published);
  const { source } = JSON.parse(readFileSync(join(published, 'provenance.json'), 'utf8'));
  if (!/^[0-9a-f]{40,64}$/.test(source)) throw new Error('its provenance names no commit');
  // Anybody who may push here can make a release of a commit that nobody reviewed, and each byte would be as it gives it.
  if (!isInMain(source))
    throw new Error(
      `v${version} comes from ${source}, and origin/main, as it was last fetched here, does not contain that. Fetch; if it stays so, nobody reviewed what was released`,
    );
  const checkout = join(folder, 'source');
  run('git', ['clone', '--quiet', '--no-checkout', '--shared', '--', root, checkout]);
  run('git', ['checkout', '--quiet', '--detach', source], checkout);
  run(process.execPath, [join(checkout, 'scripts/bootstrap.mjs'), '--no-bundles'], checkout);
  const rebuilt = join(folder, 'rebuilt');
  assemble(checkout, action, commitOf(checkout), rebuilt);
  const paths = new Set([...filesIn(published), ...filesIn(rebuilt), 'provenance.json']);
  // A link is never what a release holds, whatever it leads to.
  const hash = (at, path) => {
    const found = lstatSync(join(at, path), { throwIfNoEntry: false });
    return found?.isFile() ? sha256(readFileSync(join(at, path))) : found ? `no file in ${at}` : 'missing';
  };
  const differing = [...paths].filter((path) => hash(published, path) !== hash(rebuilt, path));
  if (differing.length > 0) throw new Error(`v${version} is not what ${source} gives: ${differing.join(', ')}`);
  console.log(`${action} v${version}: ${paths.size} files, each byte as ${source} gives it.`);
  console.log(movingTags(run('git', ['rev-parse', 'HEAD'], published).trim()));
}

/** Where v1 and v1.2 lead: workflows use those, and newer releases move them on. */
function movingTags(commit) {
  const [major, minor] = version.split('.');
  const tags = [`v${major}`, `v${major}.${minor}`];
  const refs = refsOf(values.remote);
  return tags
    .map((tag) => {
      const at = refs.get(`refs/tags/${tag}^{}`) ?? refs.get(`refs/tags/${tag}`);
      return at === commit ? `${tag} leads to it` : `${tag} leads ${at ? `to ${at}, not to it` : 'nowhere'}`;
    })
    .join('; ')
    .concat('.');
}
