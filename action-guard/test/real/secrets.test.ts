import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ForgeStandIn } from '../../../testbed/forge.js';
import { type Finished, Repository, run } from '../harness.js';

// Made up, and put together here, so that no scanner takes this file for a leak.
const letters = 'k7Qw2ZpX9vLr4TnB8sYd1HfG6jMc3eRa5UiOxWbE0tPq';
const tokenA = ['hvs', `${letters}A1`].join('.');
const tokenB = ['hvs', `${letters}B2`].join('.');
const unsealKey = `${letters.slice(0, 43)}=`;
const WORKFLOW = '.forgejo/workflows/build.yml';

let repository: Repository;
let forge: ForgeStandIn;
let base: string;

beforeAll(async () => {
  repository = new Repository();
  base = repository.commit({ 'README.md': 'Acme\n', 'old.env': `VAULT_TOKEN=${tokenA}\n` });
  forge = await new ForgeStandIn('acme/gb').start();
});
afterAll(() => {
  forge?.stop();
  repository?.remove();
});

const upon = (commit: string) => repository.git('checkout', '--quiet', '--force', '--detach', commit);
const secretsOf = ({ report }: Finished) => ({
  result: report?.result,
  status: report?.rules.find(({ id }) => id === 'vault/secret')?.status,
  found: (report?.findings ?? [])
    .filter(({ rule, old }) => rule === 'vault/secret' && !old)
    .map(({ at, message }) => `${at.path}: ${message}`),
});
const check = async (head: string, from = base, folder = repository.folder, more: Record<string, string> = {}) =>
  run(
    { tools: 'false', ...more },
    {
      ...repository.pullRequest(from, head),
      GITHUB_WORKSPACE: folder,
      GITHUB_API_URL: forge.apiUrl,
      GITHUB_TOKEN: 't0ken',
    },
  );

describe('the value of a secret', () => {
  it('stands in no log, output, report, baseline or comment', async () => {
    upon(base);
    repository.commit({ 'gone.env': `VAULT_TOKEN=${tokenB}\n` });
    const head = repository.commit({
      'gone.env': undefined,
      'keys.txt': `Unseal Key 1: ${unsealKey}\n`,
      // Rules that quote what they find.
      'system/ui.service': `[Service]\nExecStart=/opt/gbo/bin/botui\nEnvironment=BOTUI_PORT=${tokenB}\nEnvironment=BOTSERVER_URL=http://${tokenB}:5858\n`,
      Caddyfile: `a.example.com {\n\t${tokenB}\n}\n`,
      [WORKFLOW]: `on: [push]\njobs:\n  a:\n    runs-on: gbo\n    steps:\n      - uses: ${tokenB}\n`,
    });
    const files = { json: 'out/g.json', sarif: 'out/g.sarif', junit: 'out/g.xml', patch: 'out/g.patch' };
    const finished = await check(head, base, repository.folder, files);
    const accepted = await check(head, base, repository.folder, { mode: 'baseline', baseline: 'out/baseline.json' });
    expect(secretsOf(finished).found.map((each) => each.split(':')[0])).toEqual(
      ['gone.env', 'keys.txt', 'system/ui.service', 'system/ui.service', 'Caddyfile', WORKFLOW].sort(),
    );
    const read = (path: string) => readFileSync(join(repository.folder, path), 'utf8');
    const written = {
      log: finished.log + accepted.log,
      outputs: JSON.stringify([finished.outputs, accepted.outputs]),
      comments: JSON.stringify([forge.comments, forge.reviews, forge.shown, forge.statuses]),
      json: read(files.json),
      sarif: read(files.sarif),
      junit: read(files.junit),
      baseline: read('out/baseline.json'),
    };
    expect(forge.comments.length).toBeGreaterThan(0);
    for (const [where, text] of Object.entries(written))
      for (const secret of [tokenB.slice(4, 30), unsealKey.slice(0, 30)])
        expect(`${where}: ${text.includes(secret)}`).toBe(`${where}: false`);
  });
});

describe('a secret in any commit of a pull request is found', () => {
  it('in a side branch that took it out again before it was merged', async () => {
    upon(base);
    repository.commit({ 'b.env': `VAULT_TOKEN=${tokenB}\n` });
    const side = repository.commit({ 'b.env': undefined });
    upon(base);
    repository.commit({ 'a.txt': 'a\n' });
    repository.git('merge', '--quiet', '--no-ff', '--no-edit', side);
    const { result, found } = secretsOf(await check(repository.git('rev-parse', 'HEAD')));
    expect([result, found.length]).toEqual(['fail', 1]);
    expect(found[0]).toMatch(/^b\.env: Commit [0-9a-f]{12} holds a token/);
  });

  it('in a merge itself', async () => {
    upon(base);
    const side = repository.commit({ 'b.txt': 'b\n' });
    upon(base);
    repository.commit({ 'a.txt': 'a\n' });
    repository.git('merge', '--quiet', '--no-commit', '--no-ff', side);
    repository.commit({ 'm.env': `VAULT_TOKEN=${tokenB}\n` });
    const head = repository.commit({ 'm.env': undefined });
    expect(secretsOf(await check(head)).found).toHaveLength(1);
  });

  it('in the place of one that the base has', async () => {
    upon(base);
    repository.commit({ 'old.env': `VAULT_TOKEN=${tokenB}\n` });
    const head = repository.commit({ 'old.env': undefined });
    const { result, found } = secretsOf(await check(head));
    expect([result, found.length]).toEqual(['fail', 1]);
  });

  it('but one that the base has is not new for being moved within its file and then taken out', async () => {
    upon(base);
    repository.commit({ 'old.env': `# mine\nVAULT_TOKEN=${tokenA}\n` });
    const head = repository.commit({ 'old.env': undefined });
    expect(secretsOf(await check(head)).found).toEqual([]);
  });

  it('and one that the base brought in meanwhile is not', async () => {
    upon(base);
    const other = repository.commit({ 'theirs.env': `VAULT_TOKEN=${tokenB}\n` });
    upon(base);
    repository.commit({ 'a.txt': 'a\n' });
    repository.git('merge', '--quiet', '--no-ff', '--no-edit', other);
    const head = repository.git('rev-parse', 'HEAD');
    expect(secretsOf(await check(head, other)).found).toEqual([]);
  });
});

describe('of commits that are not in the checkout', () => {
  const clone = (depth: number, head: string) => {
    const copy = new Repository();
    repository.git('branch', '--force', 'shown', head);
    copy.git('fetch', '--quiet', `--depth=${depth}`, `file://${repository.folder}`, 'shown');
    copy.git('remote', 'add', 'origin', `file://${repository.folder}`);
    return copy;
  };
  const three = () => {
    upon(base);
    repository.commit({ 'b.env': `VAULT_TOKEN=${tokenB}\n` });
    repository.commit({ 'b.env': undefined });
    return repository.commit({ 'a.txt': 'a\n' });
  };

  it.each([
    [1, 'unknown', 'unknown'],
    [2, 'unknown', 'unknown'],
    [3, 'fail', 'fail'],
    [4, 'fail', 'fail'],
  ])('a checkout of depth %i of three is judged: %s', async (depth, result, status) => {
    const copy = clone(depth, three());
    try {
      const finished = await check(copy.git('rev-parse', 'FETCH_HEAD'), base, copy.folder);
      expect(secretsOf(finished)).toMatchObject({ result, status });
      if (status === 'unknown') expect(finished.log).toMatch(/not all commits .* are in this checkout.*fetch-depth: 0/);
    } finally {
      copy.remove();
    }
  });

  it('nothing is green where the tip is as the base', async () => {
    upon(base);
    repository.commit({ 'b.env': `VAULT_TOKEN=${tokenB}\n` });
    const copy = clone(1, repository.commit({ 'b.env': undefined }));
    try {
      expect(secretsOf(await check(copy.git('rev-parse', 'FETCH_HEAD'), base, copy.folder))).toMatchObject({
        result: 'unknown',
      });
    } finally {
      copy.remove();
    }
  });
});
