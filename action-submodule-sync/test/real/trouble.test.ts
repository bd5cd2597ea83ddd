import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../testbed/sshd.js';
import { type Finished, told } from '../harness.js';
import { createWorld, startHome, type World } from '../world.js';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Handler =>
  (_, response) =>
    void response.writeHead(code, headers).end(body);

/** What alm does when it is asked for the submodule of that path, and what must be told about it. */
const troubles: { path: string; what: string; handler?: Handler; reason: string; hint: RegExp }[] = [
  {
    path: 'no-token',
    what: 'a server that wants another login',
    handler: status(401, { 'WWW-Authenticate': 'Basic realm="acme"' }),
    reason: 'unauthorised',
    hint: /See whether the token for alm may read this repository/,
  },
  {
    path: 'forbidden',
    what: 'the token of another repository, as Forgejo answers it',
    handler: status(403, {}, 'User permission denied\n'),
    reason: 'forbidden',
    hint: /token for alm/,
  },
  {
    path: 'absent',
    what: 'a repository that is not there',
    handler: status(404, {}, 'Not found.\n'),
    reason: 'not found or no access',
    hint: /whether the repository exists there/,
  },
  {
    path: 'renamed',
    what: 'a repository that was renamed, as Forgejo answers it',
    handler: (request, response) =>
      status(307, { Location: String(request.url).replace('renamed', 'tip') })(request, response),
    reason: 'moved',
    hint: /write its new address to \.gitmodules/,
  },
  {
    path: 'busy',
    what: 'a server that has had enough questions',
    handler: status(429),
    reason: 'rate limited',
    hint: /later, or with a token/,
  },
  {
    path: 'ill',
    what: 'a server that is down behind its proxy',
    handler: status(502, {}, '<html>Bad Gateway</html>'),
    reason: 'unreachable',
    hint: /whether alm can be reached/,
  },
  {
    path: 'cut',
    what: 'a connection that ends in the middle',
    handler: (_, response) => {
      response.writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-advertisement' });
      response.write('001e# service=git-upload-pack\n0000');
      setTimeout(() => response.destroy(), 50);
    },
    reason: 'unreachable',
    hint: /whether alm can be reached/,
  },
  {
    path: 'login-page',
    what: 'a page for people to log in, which answers 200',
    handler: status(200, { 'Content-Type': 'text/html' }, '<!DOCTYPE html><title>Sign in</title>\n'),
    reason: 'not a git server',
    hint: /a login page look like this/,
  },
  {
    path: 'empty',
    what: 'a repository that nobody has pushed to',
    reason: 'not a git server',
    hint: /an empty repository/,
  },
  {
    path: 'silent',
    what: 'a server that takes the question and never answers',
    handler: () => {},
    reason: 'took too long',
    hint: /Raise max-megabytes or max-time/,
  },
  {
    path: 'large',
    what: 'an answer that is larger than allowed',
    reason: 'too large',
    hint: /Raise max-megabytes or max-time/,
  },
  {
    path: 'elsewhere',
    what: 'an address on a host that is none of the remotes',
    reason: 'invalid address',
    hint: /must be named in `allow-hosts`/,
  },
  {
    path: 'above',
    what: 'an address with more ../ than there are folders',
    reason: 'invalid address',
    hint: /Mend the address in \.gitmodules/,
  },
];

describe('no answer is neither a yes nor a no', () => {
  let world: World;
  let red: Finished;
  const addresses: Record<string, string> = {
    elsewhere: 'https://git.example.com/acme/elsewhere.git',
    above: '../../../../../above.git',
  };
  const inputs = { 'max-time': '8s', 'max-megabytes': '1' };
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: { token: 'alm-secret', partial: false } } });
    await Promise.all(
      ['tip', ...troubles.map(({ path }) => path)].map((path) => world.submodule(path, { url: addresses[path] })),
    );
    await world.commit('large', { files: { 'noise.bin': randomBytes(2 * 1024 * 1024).toString('base64') } });
    await world.push('large', 'origin');
    await world.commit('large');
    await world.push('large', 'alm');
    await world.git('large', 'reset', '--quiet', '--hard', 'HEAD^'); // of a tip nothing is fetched
    await world.push('empty', 'alm', ':refs/heads/main');
    for (const { path, handler } of troubles) if (handler) world.homes.alm?.http?.answer(path, handler);
    await world.pin();
    await world.pushRoot();
    red = await world.check(inputs);
  });
  afterAll(() => world?.stop());

  it('it is red, and the result is unknown, not not-pushed', () => {
    expect([red.code, red.outputs.result, red.outputs.commands], red.log).toEqual([1, 'unknown', '']);
  });

  it.each(troubles.map((each) => [each.what, each] as const))(
    '%s is told by its reason, with what to do',
    (_, { path, reason, hint }) => {
      const found = red.report?.findings.filter((finding) => finding.path === path && finding.remote === 'alm');
      expect(
        found?.map(({ state, mend }) => [state, mend]),
        red.log,
      ).toEqual([['COULD-NOT-CHECK', []]]);
      expect(found?.[0]?.what).toContain(`It could not be told whether ${path} at `);
      expect(found?.[0]?.what).toContain(` is on alm: ${reason} (`);
      expect(found?.[0]?.hint).toMatch(hint);
    },
  );

  it('the other submodules and the other remote get their answers all the same', () => {
    const cells = red.report?.matrix.filter(({ path, remote }) => remote === 'origin' && !addresses[path]);
    expect(cells?.map(({ path, state }) => `${path}: ${state}`)).toEqual(cells?.map(({ path }) => `${path}: PUSHED`));
    expect(red.report?.matrix.find(({ path, remote }) => path === 'tip' && remote === 'alm')?.state).toBe('PUSHED');
  });

  it('nothing of the token stands in what is said about it', () => {
    const said = [red.log.replaceAll(/^::add-mask::.*$/gm, ''), JSON.stringify(red.outputs), red.summary].join('\n');
    expect(said).not.toContain('alm-secret');
    expect(said).not.toContain(Buffer.from('x-access-token:alm-secret').toString('base64'));
  });

  it('an address that nobody may ask stays red with on-unknown: warn', async () => {
    const red = await world.check({ ...inputs, include: 'elsewhere', 'on-unknown': 'warn' });
    expect([red.code, red.outputs.result, told(red)], red.log).toEqual([
      1,
      'unknown',
      ['elsewhere origin: COULD-NOT-CHECK', 'elsewhere alm: COULD-NOT-CHECK'],
    ]);
  });

  it('on-unknown: warn makes it green, but the result stays unknown, and what is missing stays red', async () => {
    const quick = { ...inputs, include: 'absent\ntip', 'on-unknown': 'warn' };
    const warned = await world.check(quick);
    expect([warned.code, warned.outputs.result, told(warned)]).toEqual([0, 'unknown', ['absent alm: COULD-NOT-CHECK']]);
    await world.commit('tip');
    await world.push('tip', 'origin');
    await world.pin('tip');
    await world.pushRoot();
    const missing = await world.check(quick);
    expect([missing.code, missing.outputs.result]).toEqual([1, 'not-pushed']);
  });
});

describe('a forge that is busy for a moment', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: {}, alm: {} } });
    await world.submodule('lib');
    await world.pin();
    await world.pushRoot();
  });
  afterAll(() => world?.stop());

  it('ends no grace: it is asked again', async () => {
    const began = Date.now();
    // Longer than the retries of one question.
    const busy: Handler = (_, response) => {
      if (Date.now() - began > 6000) world.homes.alm?.http?.answer('lib', undefined);
      response.writeHead(503).end();
    };
    world.homes.alm?.http?.answer('lib', busy);
    const green = await world.check({ grace: '60s' });
    expect([green.code, told(green)], green.log).toEqual([0, []]);
  });

  it('when the root is read from the side of a submodule is asked once more', async () => {
    await world.commit('lib');
    for (const remote of ['origin', 'alm']) await world.push('lib', remote);
    await world.pin();
    await world.pushRoot();
    let left = 1;
    world.homes.alm?.http?.answer('gb', (_, response) => {
      if (--left <= 0) world.homes.alm?.http?.answer('gb', undefined);
      response.writeHead(503).end();
    });
    const green = await world.check(
      { mode: 'submodule', repository: `${world.checkout}/lib` },
      { GITHUB_SHA: await world.git('lib', 'rev-parse', 'HEAD'), GITHUB_REPOSITORY: 'acme/lib' },
    );
    expect([green.code, told(green)], green.log).toEqual([0, []]);
  });
});

describe('tokens, one for each forge', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { origin: { token: 'origin-secret' }, alm: { token: 'alm-secret' } } });
    await world.submodule('lib');
    await world.pin();
    await world.pushRoot();
  });
  afterAll(() => world?.stop());

  const unknown = (...remotes: string[]) =>
    ['.', 'lib'].flatMap((path) => remotes.map((remote) => `${path} ${remote}: COULD-NOT-CHECK`));

  it.each<[string, string, string[], RegExp]>([
    ['right', 'origin = origin-secret\nalm = alm-secret', [], /./],
    [
      'a missing one',
      'origin = origin-secret',
      unknown('alm'),
      /unauthorised.*\n.*Add a token for alm to `tokens`; the automatic token of a Forgejo run/,
    ],
    [
      'a wrong one',
      'origin = origin-secret\nalm = expired',
      unknown('alm'),
      /unauthorised.*\n.*See whether the token for alm may read/,
    ],
    [
      'swapped',
      'origin = alm-secret\nalm = origin-secret',
      unknown('origin', 'alm'),
      /See whether the token for origin may read/,
    ],
  ])('%s', async (_, tokens, findings, said) => {
    const finished = await world.check({ tokens });
    expect(told(finished), finished.log).toEqual(findings);
    expect([finished.code, finished.log]).toEqual([findings.length > 0 ? 1 : 0, expect.stringMatching(said)]);
    expect(finished.log.replaceAll(/^::add-mask::.*$/gm, '')).not.toMatch(/-secret|expired/);
  });
});

describe('a forge that is not there at all', () => {
  it('is told as unreachable, within seconds, while the other one is still answered', async () => {
    const world = await createWorld({ homes: { origin: {} } });
    try {
      await world.submodule('lib');
      await world.pin();
      await world.pushRoot();
      const remotes = `origin = ${world.homes.origin?.base}\nalm = http://127.0.0.1:${await freePort()}/acme/`;
      const red = await world.check({ remotes });
      expect([told(red), red.outputs.result], red.log).toEqual([
        ['. alm: COULD-NOT-CHECK', 'lib alm: COULD-NOT-CHECK'],
        'unknown',
      ]);
      expect(red.report?.findings[0]?.what).toMatch(/unreachable \(.*Failed to connect/);
    } finally {
      await world.stop();
    }
  });
});

describe('over SSH', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ homes: { alm: { via: 'ssh' } } });
    await Promise.all(['lib', 'absent'].map((path) => world.submodule(path)));
    await world.pin('lib');
    await world.pushRoot();
  });
  afterAll(() => world?.stop());

  it('a key that may not log in is told as unauthorised', async () => {
    const other = await startHome({ via: 'ssh' });
    try {
      const red = await world.check({ 'ssh-key': other.inputs['ssh-key'] ?? '', include: 'lib', exclude: '.' });
      expect(
        red.report?.findings.map(({ what }) => what),
        red.log,
      ).toEqual([expect.stringMatching(/unauthorised \(.*Permission denied \(publickey\)/)]);
    } finally {
      await other.stop();
    }
  });

  it('a host key that is not in known-hosts is told, and nobody logs in', async () => {
    const red = await world.check({ 'known-hosts': '', include: 'lib', exclude: '.' });
    expect(
      red.report?.findings.map(({ what }) => what),
      red.log,
    ).toEqual([expect.stringMatching(/unknown host key \(.*Host key verification failed/)]);
  });

  it('a repository that is not there is told as not found or no access', async () => {
    await world.git('.', 'config', '-f', '.gitmodules', 'submodule.absent.url', '../nowhere.git');
    await world.pin('absent');
    await world.pushRoot();
    const red = await world.check({ include: 'absent' });
    expect(
      red.report?.findings.map(({ what }) => what),
      red.log,
    ).toEqual([expect.stringMatching(/not found or no access \(.*does not appear to be a git repository/)]);
  });
});
