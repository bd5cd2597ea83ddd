import { formatBytes } from '@gbo/shared/bytes';
import { formatDuration, parseDuration } from '@gbo/shared/duration';
import { describe, expect, it } from 'vitest';
import { hostsOfCaddyJson } from '../../src/caddy-hosts.js';
import { isPlainAbsolutePath } from '../../src/plain-path.js';
import { waves } from '../../src/waves.js';

describe('sizes are written as df -h would', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1536, '1.5 KiB'],
    [10 * 1024 * 1024, '10 MiB'],
    [268_435_456, '256 MiB'],
    [1023 * 1024 * 1024, '1.0 GiB'],
    [3 * 1024 ** 5, '3072 TiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('durations', () => {
  it.each([
    ['0', 0],
    ['90', 90_000],
    ['90s', 90_000],
    ['1.5m', 90_000],
    ['500ms', 500],
    ['2 hours', 7_200_000],
    [' 10m ', 600_000],
  ])('%s is understood', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', 'long', '-1s', '1e3', '10 parsecs', '1d', '25h', '10m30s', 'Infinity', '0x10'])(
    '%j is refused in half a sentence',
    (text) => {
      expect(() => parseDuration(text)).toThrow(/is not a duration such as 90s or 10m|is longer than a day/);
    },
  );

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [9949, '9.9 s'],
    [61_000, '61 s'],
    [250_000, '4 min 10 s'],
    [600_000, '10 min'],
  ])('%i ms are written as %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });
});

describe('host names of a Caddy configuration', () => {
  const server = (...routes: unknown[]) => ({ apps: { http: { servers: { srv0: { routes } } } } });
  it.each([
    ['an empty configuration has none', {}, []],
    ['no configuration has none', null, []],
    ['a site has its own', server({ match: [{ host: ['Acme.Example.com'] }] }), ['acme.example.com']],
    [
      'several matchers and several routes count, each name once',
      server(
        { match: [{ host: ['b.example.com', 'a.example.com'] }, { host: ['c.example.com'] }] },
        { match: [{ host: ['a.example.com'] }] },
      ),
      ['a.example.com', 'b.example.com', 'c.example.com'],
    ],
    [
      'routes below a route count',
      server({ handle: [{ handler: 'subroute', routes: [{ match: [{ host: ['deep.example.com'] }] }] }] }),
      ['deep.example.com'],
    ],
    ['a matcher without hosts has none', server({ match: [{ path: ['/x'] }] }), []],
    [
      'the subjects of certificates alone do not count',
      { apps: { tls: { automation: { policies: [{ subjects: ['x.example.com'] }] } } } },
      [],
    ],
  ])('%s', (_, config, hosts) => {
    expect(hostsOfCaddyJson(config)).toEqual(hosts);
  });
});

describe('a path on the target', () => {
  it.each(['/opt/gbo/bin/botserver', '/opt/gbo/conf/config', '/a b/c', "/it's", '/opt/gbo/$x'])('may be %j', (path) => {
    expect(isPlainAbsolutePath(path)).toBe(true);
  });
  it.each(['', '/', 'a', './a', '/a/', '/a//b', '/a/../b', '/a/./b', '/a\nb', '/a\u2028b', '~/.ssh/x'])(
    'may not be %j',
    (path) => {
      expect(isPlainAbsolutePath(path)).toBe(false);
    },
  );
});

describe('hosts switch in waves', () => {
  it.each<[string, string[], number, Parameters<typeof waves>[2], string[][]]>([
    ['one host is no canary of others', ['a'], 1, { percent: 100 }, [['a']]],
    ['the canary goes alone, the rest together', ['a', 'b', 'c'], 1, { percent: 100 }, [['a'], ['b', 'c']]],
    ['without a canary all go together', ['a', 'b', 'c'], 0, { percent: 100 }, [['a', 'b', 'c']]],
    ['batches of two', ['a', 'b', 'c', 'd', 'e'], 0, { hosts: 2 }, [['a', 'b'], ['c', 'd'], ['e']]],
    ['a percentage is rounded down, to one at least', ['a', 'b', 'c'], 1, { percent: 10 }, [['a'], ['b'], ['c']]],
    ['more canaries than hosts', ['a', 'b'], 5, { hosts: 1 }, [['a', 'b']]],
    ['no host, no wave', [], 1, { hosts: 1 }, []],
  ])('%s', (_, hosts, canary, batch, expected) => {
    expect(waves(hosts, canary, batch)).toEqual(expected);
  });
});
