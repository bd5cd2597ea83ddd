import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../harness.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-bad-input-'));
const repository = join(folder, 'gb');
const TOKEN = 'secret-token-5f2c9d';
let server: Server;
let asked = 0;
let sound: Record<string, string>;

beforeAll(async () => {
  server = createServer((_, response) => {
    asked += 1;
    response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  server.unref();
  const env = { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
  const who = ['-c', 'user.name=Acme', '-c', 'user.email=acme@example.com'];
  execFileSync('git', ['init', '--quiet', repository], { env });
  execFileSync('git', ['-C', repository, ...who, 'commit', '--quiet', '--allow-empty', '-m', 'Begin'], { env });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme/`;
  sound = { remotes: `alm = ${base}`, root: 'gb', repository };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Inputs that differ from sound ones; undefined takes one away. */
const table: [title: string, change: Record<string, string | undefined>, says: RegExp][] = [
  ['no remotes', { remotes: undefined }, /input remotes is required and empty/],
  ['remotes of nothing but a comment', { remotes: '# none' }, /input remotes names no remote/],
  ['a remote without a base', { remotes: 'alm' }, /"alm" is not `name = base-url \[branch\]`/],
  ['a remote with a word too many', { remotes: 'alm = https://h/ main x' }, /is not `name = base-url \[branch\]`/],
  ['a remote name that is none', { remotes: '+alm = https://h/' }, /"\+alm" is not a remote name/],
  ['two remotes of one name', { remotes: 'a = https://h/\na = https://g/' }, /two remotes are called a/],
  ['a base that is a path', { remotes: 'alm = /srv/git/' }, /"\/srv\/git\/" is not an https, http or ssh address/],
  ['a base of another protocol', { remotes: 'alm = git://h/acme/' }, /is not an https, http or ssh address/],
  ['a base that is a command', { remotes: 'alm = ext::sh' }, /is not an https, http or ssh address/],
  ['a base with a query', { remotes: 'alm = https://h/acme?x' }, /is not an https, http or ssh address/],
  [
    'a base with a token in it',
    { remotes: `alm = https://me:${TOKEN}@h/` },
    /the base of alm holds a user or password/,
  ],
  ['remotes that are no YAML', { remotes: '- {name: alm' }, /neither lines `name = base-url` nor a YAML list/],
  ['remotes in YAML with a mistyped key', { remotes: '- {name: alm, url: https://h/}' }, /input remotes\[0/],
  ['a branch of a remote that is none', { remotes: 'alm = https://h/ -x' }, /"-x" is not a branch/],
  ['an empty branch in YAML', { remotes: '- {name: alm, base: "https://h/", branch: ""}' }, /"" is not a branch/],
  ['a token without a name', { tokens: TOKEN }, /input tokens: a line is not `remote-name = token`/],
  ['a token of no remote', { tokens: `origin = ${TOKEN}` }, /input tokens: a line names no remote/],
  ['a grace that is longer than any job', { grace: '25h' }, /input grace: "25h" is longer than a day/],
  ['an age beyond all sense', { 'behind-for': '400d' }, /input behind-for: "400d" is longer than 365 days/],
  ['an unknown mode', { mode: 'roots' }, /input mode: "roots" is not one of root, submodule, schedule/],
  ['a branch that is an option', { branch: '--all' }, /input branch: "--all" is not a branch/],
  ['a branch with a colon', { branch: 'main:x' }, /"main:x" is not a branch/],
  ['the branch HEAD', { branch: 'HEAD' }, /"HEAD" is not a branch/],
  [
    'a root that is an option',
    { root: '--upload-pack=x' },
    /"--upload-pack=x" is not the name or path of a repository/,
  ],
  ['a root with ..', { root: '../gb' }, /"..\/gb" is not the name or path/],
  ['mode submodule without a root', { mode: 'submodule', root: undefined }, /root is required for mode submodule/],
  ['a submodule with ..', { mode: 'submodule', submodule: 'a/../b' }, /is not the name or path/],
  ['an expected branch without a path', { 'expected-branches': '= main' }, /"= main" is not `path = branch`/],
  ['an expected branch that is empty', { 'expected-branches': 'botlib =' }, /"botlib =" is not `path = branch`/],
  ['an expected branch that is none', { 'expected-branches': 'botlib = a b' }, /is not `path = branch`/],
  ['a push to no remote', { push: 'alm, origin' }, /input push: "origin" is none of the remotes/],
  ['a dry-run that is neither', { 'dry-run': 'maybe' }, /input dry-run: "maybe" is neither true nor false/],
  ['a grace without a number', { grace: 'long' }, /input grace: "long" is not a duration/],
  ['a negative max-time', { 'max-time': '-1s' }, /input max-time: /],
  ['a max-time of nothing', { 'max-time': '0s' }, /input max-time: it must be at least a second/],
  ['max-megabytes of 0', { 'max-megabytes': '0' }, /"0" is not a whole number from 1 to 100000/],
  ['max-megabytes with a unit', { 'max-megabytes': '200M' }, /is not a whole number/],
  ['max-submodules of too many', { 'max-submodules': '99999' }, /is not a whole number from 1 to 10000/],
  ['parallel 0', { parallel: '0' }, /"0" is not a whole number from 1 to 64/],
  ['an unknown on-unknown', { 'on-unknown': 'ignore' }, /"ignore" is not one of fail, warn/],
  ['commits of another kind', { commits: 'all' }, /"all" is not one of head, range/],
  [
    'an allowed host with a scheme',
    { 'allow-hosts': 'https://h' },
    /input allow-hosts: "https:\/\/h" is not a host name/,
  ],
  ['an allowed host that is a pattern', { 'allow-hosts': '*.example.com' }, /"\*\.example\.com" is not a host name/],
  [
    'a certificate file that is not there',
    { 'ca-file': '/nonexistent/ca.pem' },
    /The ca-file \/nonexistent\/ca\.pem cannot be read/,
  ],
  ['an SSH key that is none', { 'ssh-key': '$DEPLOY_KEY' }, /input ssh-key: it holds no private key/],
  [
    'a checkout that is not there',
    { repository: '/nonexistent/gb' },
    /The checkout cannot be read: .*\/nonexistent\/gb/,
  ],
  ['a checkout that is none', { repository: folder }, /The checkout cannot be read: fatal: not a git repository/],
  ['a mistyped input', { remote: 'alm = https://h/' }, /there is no input remote \(did you mean remotes\?\)/],
  ['an input that nothing resembles', { flavour: 'x' }, /there is no input flavour[^(]/],
];

describe('bad input', () => {
  it.each(table)('%s is answered with one clear sentence, and nothing is asked', async (_title, change, says) => {
    asked = 0;
    const inputs = Object.entries({ ...sound, ...change }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const { code, log, outputs } = await run(Object.fromEntries(inputs));
    const said = log.split('\n').filter((line) => line && !line.startsWith('::add-mask::'));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^Error: /);
    expect(said[0]).toMatch(says);
    expect(said[0]).toMatch(/Nothing was (touched|asked)\./);
    expect(said[0]).not.toContain(TOKEN);
    expect(log).not.toMatch(/\n\s+at .*:\d+:\d+|Unexpected/);
    expect(outputs).toEqual({});
    expect(code).toBe(1);
    expect(asked).toBe(0);
  });

  it('several mistakes are named at once', async () => {
    const { log } = await run({ ...sound, branch: '-x', grace: 'y', parallel: '-1' });
    expect(log).toMatch(/3 bad inputs: .*branch.*grace.*parallel/s);
  });

  it('a commit that is not in the checkout is said to be so', async () => {
    asked = 0;
    const { log, code } = await run(sound, { GITHUB_SHA: 'a'.repeat(40) });
    expect(log).toMatch(/The commit a{40} is not in this checkout\. Nothing was asked\. Run actions\/checkout before/);
    expect([code, asked]).toEqual([1, 0]);
  });

  it('a root whose name nobody says is asked for', async () => {
    const { root: _, ...rest } = sound;
    const { log, code } = await run(rest);
    expect(log).toMatch(
      /It is not known what the root repository is called\. Nothing was asked\. Give its name as `root`\./,
    );
    expect([code, asked]).toEqual([1, 0]);
  });

  it('an event file that is none counts as empty, and does no harm', async () => {
    const event = join(folder, 'event.json');
    writeFileSync(event, '{"pull_request": {"number": "x", "base": []}, "before": "--upload-pack=x"');
    const { log } = await run({ ...sound, 'max-time': '5s' }, { GITHUB_EVENT_PATH: event, GITHUB_EVENT_NAME: 'push' });
    expect(log).toMatch(/Result: unknown/);
    expect(log).not.toMatch(/Unexpected/);
  });
});
