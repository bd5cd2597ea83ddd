import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import {
  ABSENT,
  bareOnAlm,
  entry,
  ground,
  type Part,
  piped,
  pullRequest,
  quoted,
  REFUSED,
  type Row,
  rootCommit,
  treeBomb,
} from './ground.js';

const exec = promisify(execFile);

/** Branches that .gitmodules may name. */
export const branches = [
  '--upload-pack=TRAP',
  '-x',
  'main:refs/heads/evil',
  '*',
  '^main',
  '../../x',
  'a b',
  'x\ny',
  '$(TRAP)',
].map(
  (branch): Part => [
    `the branch ${JSON.stringify(branch)}`,
    () => '../botlib.git',
    ({ place }) => `\tbranch = ${quoted(branch.replace('TRAP', place.trap))}\n`,
  ],
);

/** Files and trees that a pull request may write. */
export const files: Row[] = [
  [
    'an [include] of a file with secrets',
    ({ place }) => {
      writeFileSync(join(place.folder, 'other'), '[submodule "x"]\n\tpath = x\n\turl = hunter2-of-another-file\n');
      return {
        gitmodules: `[include]\n\tpath = ${place.folder}/other\n`,
        told: ['x: ORPHAN-GITLINK'],
        also: ({ log, outputs }) => expect(log + JSON.stringify(outputs)).not.toContain('hunter2'),
      };
    },
  ],
  [
    'an [includeIf] of a file that is no configuration',
    ({ place }) => {
      writeFileSync(join(place.folder, 'other'), 'hunter2-of-another-file\n');
      return {
        gitmodules: `[includeIf "gitdir:**"]\n\tpath = ${place.folder}/other\n${entry('x', '../botlib.git')}`,
        code: 0,
        told: [],
        also: ({ log }) => expect(log).not.toContain('hunter2'),
      };
    },
  ],
  [
    'a symbolic link in place of .gitmodules',
    ({ place }) => ({
      gitmodules: { link: join(place.folder, 'other') },
      told: ['.gitmodules: COULD-NOT-CHECK'],
      says: /symbolic link/,
    }),
  ],
  [
    'a gitlink in place of .gitmodules',
    () => ({ pins: { '.gitmodules': ground.lib }, told: ['.gitmodules: COULD-NOT-CHECK'] }),
  ],
  [
    'a .gitmodules of 5 MB',
    () => ({
      gitmodules: `${entry('x', '../botlib.git')}${'# '.padEnd(1000, 'x')}\n`.repeat(5000),
      told: ['.gitmodules: COULD-NOT-CHECK'],
      says: /larger than 4 MiB/,
    }),
  ],
  [
    '50,000 entries without a submodule',
    () => ({
      gitmodules: `${entry('x', '../botlib.git')}${Array.from({ length: 50_000 }, (_, n) => `[submodule "${n}"]\nurl = ../x\n`).join('')}`,
      told: [],
      says: /entries for 50000 submodules, and max-submodules is 500.*Nothing was asked/,
    }),
  ],
  [
    '10,000 submodules',
    () => {
      const paths = Array.from({ length: 10_000 }, (_, n) => `bots/${n}`);
      return {
        gitmodules: paths.map((path) => entry(path, '../botlib.git')).join(''),
        pins: Object.fromEntries(paths.map((path) => [path, ground.lib])),
        told: [],
        says: /pins 10000 submodules, and max-submodules is 500.*Nothing was asked/,
      };
    },
  ],
  [
    'a malformed line',
    () => ({ gitmodules: `${entry('x', '../botlib.git')}[submodule "y\n`, told: ['.gitmodules: COULD-NOT-CHECK'] }),
  ],
  [
    'a .gitmodules that is no text',
    () => ({ gitmodules: Buffer.from([0xff, 0xfe, 0, 91, 0, 10, 0, 0]), told: ['x: ORPHAN-GITLINK'] }),
  ],
  [
    'two urls, of which git takes the last',
    ({ otherHost }) => ({ gitmodules: `${entry('x', '../botlib.git')}\turl = ${otherHost}\n`, told: REFUSED }),
  ],
  [
    'two entries for one path',
    ({ otherHost }) => ({
      gitmodules: entry('x', '../botlib.git') + entry('x', otherHost, { name: 'y' }),
      told: REFUSED,
    }),
  ],
  [
    'a url without a value',
    () => ({
      gitmodules: '[submodule "x"]\n\tpath = x\n\turl\n',
      told: ['x alm: COULD-NOT-CHECK', 'x: ORPHAN-GITLINK'],
    }),
  ],
  [
    'update = !command, which is for checkouts',
    ({ place }) => ({
      gitmodules: entry('x', '../botlib.git', { more: `\tupdate = !${place.trap}\n` }),
      code: 0,
      told: [],
    }),
  ],
  [
    'ignore = all and an expected branch, which a pull request may not choose',
    () => ({
      gitmodules: entry('x', '../botlib.git', { more: '\tignore = all\n\tbranch = nowhere\n' }),
      env: pullRequest(),
      code: 0,
      told: [],
    }),
  ],
  [
    'a name with ../ and a name that is an option',
    () => ({
      gitmodules:
        entry('x', '../botlib.git', { name: '../../.git/hooks' }) + entry('y', '../botlib.git', { name: '--x' }),
      pins: { x: ground.lib, y: ground.lib },
      code: 0,
      told: [],
    }),
  ],
  [
    'a path that is an option',
    () => ({ gitmodules: entry('--help', '../botlib.git'), pins: { '--help': ABSENT }, told: ['--help alm: MISSING'] }),
  ],
  [
    'a tree of a few kilobytes that lists without end',
    async () => ({
      commit: await treeBomb(),
      told: [],
      says: /cannot be read: its answer is too large.*Nothing was asked/,
    }),
  ],
  [
    'a checkout that lacks .gitmodules and would fetch it by a command',
    async ({ place }) => {
      const repository = join(place.folder, 'partial');
      const git = (...args: string[]) => exec('git', ['-C', repository, ...args], { env: ground.world.env });
      await exec('git', ['init', '--quiet', repository], { env: ground.world.env });
      const tree = await piped(
        ['-C', repository, 'mktree', '--missing'],
        `100644 blob ${ABSENT}\t.gitmodules\n160000 commit ${ground.lib}\tx\n`,
      );
      const commit = (await git('commit-tree', '-m', 'x', tree)).stdout.trim();
      const settings = {
        'extensions.partialClone': 'origin',
        'remote.origin.promisor': 'true',
        'remote.origin.url': `ext::${place.trap}`,
        'protocol.ext.allow': 'always',
        'core.repositoryFormatVersion': '1',
      };
      for (const [key, value] of Object.entries(settings)) await git('config', key, value);
      return { commit, inputs: { repository }, told: ['.gitmodules: COULD-NOT-CHECK'] };
    },
  ],
  [
    'a submodule of a submodule that leads to another host',
    async ({ otherHost }) => {
      const parent = await rootCommit({ gitmodules: entry('deep', `${otherHost}x.git`), pins: { deep: ground.lib } });
      await ground.world.git('.', 'push', '--quiet', bareOnAlm('many'), `${parent}:refs/heads/nested`);
      return {
        gitmodules: entry('x', '../many.git'),
        pins: { x: parent },
        inputs: { nested: 'true', branch: 'nested' },
        told: ['x/deep alm: COULD-NOT-CHECK', 'x/deep: COULD-NOT-CHECK'],
      };
    },
  ],
  [
    'a submodule of a submodule whose tree lists without end',
    async () => {
      const parent = await treeBomb();
      await ground.world.git('.', 'push', '--quiet', bareOnAlm('many'), `${parent}:refs/heads/bomb`);
      return {
        gitmodules: entry('x', '../many.git'),
        pins: { x: parent },
        inputs: { nested: 'true', branch: 'bomb' },
        told: ['x: COULD-NOT-CHECK'],
        says: /its answer is too large/,
      };
    },
  ],
  [
    'a pin that is a file, where nested submodules are wanted',
    async () => {
      const blob = await piped(['-C', ground.world.checkout, 'hash-object', '-w', '--stdin'], 'a file\n');
      const bare = bareOnAlm('many');
      await piped(['-C', bare, 'hash-object', '-w', '--stdin'], 'a file\n');
      return {
        gitmodules: entry('x', '../many.git'),
        pins: { x: blob },
        inputs: { nested: 'true' },
        told: ['x alm: NOT-A-COMMIT', 'x: COULD-NOT-CHECK'],
      };
    },
  ],
];
