import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../harness.js';
import { createWorld, type World } from '../world.js';

const exec = promisify(execFile);
const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

describe('at home, as the pre-push hook of the README', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({
      homes: { origin: { token: 'origin-secret' }, alm: { token: 'alm-secret' } },
      overNetwork: true,
    });
    await world.submodule('lib');
    await world.pin();
    await world.pushRoot();
    const file = /`(\(umask 077; .*?\))`/.exec(readme)?.[1] ?? '';
    expect((await world.mend(`printf 'origin = origin-secret\\nalm = alm-secret\\n' | ${file}`)).code).toBe(0);
    expect(statSync(join(world.env.HOME ?? '', '.config/gbo/tokens')).mode & 0o777).toBe(0o600);
    // The very lines of the README, with the addresses of these servers.
    const lines = /```sh\n(cat > .git\/hooks\/pre-push[\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const script = lines
      .replace('/path/to/action-submodule-sync/dist/index.js', bundle)
      .replace('https://github.com/acme/', world.homes.origin?.base ?? '')
      .replace('https://forge.example.com/acme/', world.homes.alm?.base ?? '');
    mkdirSync(join(world.checkout, '.git/hooks'), { recursive: true });
    expect((await world.mend(script)).code).toBe(0);
  });
  afterAll(() => world?.stop());

  /** `git push alm main`, as typed. */
  const push = (env: NodeJS.ProcessEnv = {}, ...what: string[]) =>
    exec('git', ['push', 'alm', ...(what.length > 0 ? what : ['main'])], {
      cwd: world.checkout,
      env: { ...world.env, ...env },
    }).then(
      ({ stderr }) => ({ pushed: true, said: stderr }),
      ({ stderr }: { stderr: string }) => ({ pushed: false, said: stderr }),
    );

  it('a push of the root is refused while its submodule is not pushed, with the commands that mend it', async () => {
    const sha = await world.commit('lib');
    await world.pin();
    const before = await world.tip('alm', '.');
    const { pushed, said } = await push();
    expect([pushed, said]).toEqual([false, expect.stringContaining(`git -C lib push origin ${sha}:refs/heads/main`)]);
    expect(await world.tip('alm', '.')).toBe(before);
    const commands = said
      .split('\n')
      .filter((line) => line.startsWith('    git '))
      .map((line) => line.trim());
    expect((await world.mend(commands)).code).toBe(0);
  });

  it('the same push passes once they are carried out, although the root itself is pushed nowhere yet', async () => {
    const { pushed, said } = await push();
    expect(pushed, said).toBe(true);
    expect(await world.tip('alm', '.')).toBe(await world.git('.', 'rev-parse', 'HEAD'));
  });

  it('nothing that git tells its hooks leads it astray', async () => {
    await world.commit('lib');
    await world.pin();
    const { pushed, said } = await push({ GIT_DIR: join(world.checkout, '.git'), GIT_WORK_TREE: world.checkout });
    expect([pushed, said]).toEqual([false, expect.stringContaining('MISSING: lib at')]);
  });

  it('what is pushed is checked, not what is checked out, and each branch of several', async () => {
    // main pins what is nowhere; topic, which is checked out, is as it should be.
    await world.git('.', 'switch', '--quiet', '--create', 'topic', 'HEAD^');
    expect((await push()).pushed).toBe(false);
    expect((await push({}, 'topic', 'main')).pushed).toBe(false);
    expect(await world.tip('alm', '.', 'topic')).toBe('');
    const { pushed, said } = await push({}, 'topic');
    expect(pushed, said).toBe(true);
    // And the other way round.
    await world.git('.', 'switch', '--quiet', 'main');
    expect((await push({}, 'topic:refs/heads/same')).pushed).toBe(true);
  });

  it('a branch may be deleted whatever is checked out', async () => {
    const { pushed, said } = await push({}, '--delete', 'same');
    expect(pushed, said).toBe(true);
    expect(await world.tip('alm', '.', 'same')).toBe('');
  });

  it('a tag is checked like a branch', async () => {
    await world.git('.', 'tag', '--annotate', '--message', 'x', 'v1', 'topic');
    await world.git('.', 'tag', '--annotate', '--message', 'x', 'v2', 'main');
    expect([(await push({}, 'v1')).pushed, (await push({}, 'v2')).pushed]).toEqual([true, false]);
  });
});

describe('at home, with tokens', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: { token: 'origin-secret' }, alm: { token: 'alm-secret' } } });
    await world.submodule('lib');
    await world.pin();
    await world.pushRoot();
    writeFileSync(join(world.checkout, '..', 'tokens'), 'origin = origin-secret\nalm = alm-secret\n');
    chmodSync(join(world.checkout, '..', 'tokens'), 0o600);
  });
  afterAll(() => world?.stop());

  const type = (...args: string[]) =>
    exec(process.execPath, [bundle, '--root', 'gb', '--remotes', world.inputs().remotes ?? '', ...args], {
      cwd: world.checkout,
      env: world.env,
    }).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      ({ code, stdout }: { code: number; stdout: string }) => ({ code, said: stdout }),
    );

  it('they are read from a file, and what is said is for people, without workflow commands', async () => {
    const { code, said } = await type('--tokens', '@../tokens');
    expect([code, said]).toEqual([0, expect.stringMatching(/Result: pushed/)]);
    expect(said).not.toMatch(/::|secret/);
  });

  it('it pushes what lags when it is asked to', async () => {
    await world.commit('lib');
    await world.push('lib', 'origin');
    await world.pin();
    await world.pushRoot('origin');
    const { code, said } = await type('--tokens', '@../tokens', '--push', 'alm');
    expect([code, said]).toEqual([
      0,
      expect.stringMatching(/Pushing lib to alm: pushed\n[\s\S]*Pushing \. to alm: pushed\n[\s\S]*Result: pushed/),
    ]);
  });
});
