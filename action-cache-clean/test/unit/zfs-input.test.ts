import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineInputs } from '@gbo/shared/inputs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readDryRun, readRefusals } from '../../src/zfs/destroy.js';
import { instanceOf, readSnapshots } from '../../src/zfs/host.js';
import { globTrouble, matchesGlob } from '../../src/zfs/pattern.js';
import { type ZfsSpec, zfsFields, zfsFrom } from '../../src/zfs-input.js';
import { withReadKey } from '../../src/zfs-key.js';

describe('a pattern for snapshots', () => {
  it.each([
    ['auto-*', 'auto-2026-01-01', true],
    ['auto-*', 'auto-', true],
    ['auto-*', 'xauto-1', false],
    ['auto-*', 'auto', false],
    ['*-daily', 'autosnap_2026-01-01_00:00:00_daily', false],
    ['*_daily', 'autosnap_2026-01-01_00:00:00_daily', true],
    ['*_daily', 'autosnap_2026-01-01_00:00:00_daily2', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['v[0-9]*', 'v1', true],
    ['v[0-9]*', 'vx', false],
    ['v[!0-9]', 'vx', true],
    ['v[^0-9]', 'v3', false],
    ['v[]x]', 'v]', true],
    ['a.c', 'abc', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['auto-1', 'auto-1', true],
    ['auto-1', 'auto-10', false],
  ])('%s matches %s: %s', (glob, name, yes) => {
    expect(matchesGlob(glob, name)).toBe(yes);
  });

  it.each([
    ['^auto-.*$', 'regular expression'],
    ['(a|b)*', 'regular expression'],
    ['tank/ci@auto-*', 'behind the @'],
    ['*', 'matches every snapshot'],
    ['?*', 'matches every snapshot'],
    ['auto-[0-9', 'without its ]'],
    ['auto,*', 'no snapshot name can have'],
  ])('%s is refused', (glob, why) => {
    expect(globTrouble(glob)).toContain(why);
  });

  it('agrees with the shell about what matches', () => {
    const glob = fc
      .array(fc.constantFrom('a', 'b', '*', '?', '[ab]', '[!a]', '-', '.'), { maxLength: 8 })
      .map((all) => all.join(''));
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', 'c'), maxLength: 8 });
    const pairs = fc.sample(fc.tuple(glob, name), 3000);
    // One shell for all of them: `case` is POSIX's own matcher, and here no file is involved.
    const lines = pairs.map(([glob, name]) => `case '${name}' in ${glob || "''"}) echo 1;; *) echo 0;; esac`);
    const said = execFileSync('/bin/sh', { input: lines.join('\n'), encoding: 'utf8' })
      .trim()
      .split('\n');
    const wrong = pairs.filter(([glob, name], index) => matchesGlob(glob, name) !== (said[index] === '1'));
    expect(wrong).toEqual([]);
  });

  it('takes no more steps than the lengths allow, with any number of stars', () => {
    // Would not end within a lifetime if it went back to every star.
    expect(matchesGlob('a*'.repeat(120), `${'a'.repeat(250)}b`)).toBe(true);
    expect(matchesGlob(`${'a*'.repeat(120)}c`, `${'a'.repeat(250)}b`)).toBe(false);
  });
});

describe('the inputs', () => {
  let folder: string;
  let key: string;
  let knownHosts: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'zfs-input-'));
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    key = readFileSync(join(folder, 'key'), 'utf8');
    knownHosts = `zfs.example.com ${readFileSync(join(folder, 'key.pub'), 'utf8').split(' ').slice(0, 2).join(' ')}\n`;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const definition = defineInputs(z.object(zfsFields), zfsFrom);
  const parse = (changes: Record<string, string> = {}) =>
    definition.parse(
      new Map(
        Object.entries({
          'zfs-host': 'zfs.example.com',
          'zfs-private-key': key,
          'zfs-known-hosts': knownHosts,
          'zfs-datasets': 'tank/ci',
          'zfs-pattern': 'auto-*',
          ...changes,
        }).filter(([, text]) => text),
      ),
    );

  it('have defaults that keep a week and seven, and leave LXD alone', () => {
    expect(parse()).toMatchObject({
      endpoint: { host: 'zfs.example.com', port: 22, user: 'root', insecureHostKey: false },
      datasets: [{ name: 'tank/ci', reach: 'itself' }],
      patterns: ['auto-*'],
      keep: 7,
      maxAgeMs: 7 * 86_400_000,
      instanceTool: 'none',
      sudo: 'auto',
    });
  });

  it('may be left out altogether', () => {
    expect(definition.parse(new Map())).toBeUndefined();
  });

  it('take several datasets and patterns, one a line', () => {
    expect(
      parse({
        'zfs-datasets': 'tank/ci\n# those of LXD\ntank/lxd/containers/*\ntank/my data/**',
        'zfs-pattern': 'a-*\nb-*',
      }),
    ).toMatchObject({
      datasets: [
        { name: 'tank/ci', reach: 'itself' },
        { name: 'tank/lxd/containers', reach: 'children' },
        { name: 'tank/my data', reach: 'all-below' },
      ],
      patterns: ['a-*', 'b-*'],
    });
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['without a pattern', { 'zfs-pattern': '' }, /zfs-pattern is required/],
    ['with a pattern for everything', { 'zfs-pattern': '*' }, /matches every snapshot/],
    ['without datasets', { 'zfs-datasets': '' }, /zfs-datasets is required/],
    ['without pinned host keys', { 'zfs-known-hosts': '' }, /zfs-known-hosts is required/],
    ['with datasets and no host', { 'zfs-host': '' }, /zfs-datasets is given without zfs-host/],
    ['with a star in the middle', { 'zfs-datasets': 'tank/*/x' }, /is neither a dataset/],
    ['with a star alone', { 'zfs-datasets': '*' }, /is neither a dataset/],
    ['with a snapshot as dataset', { 'zfs-datasets': 'tank/ci@auto-*' }, /belongs into zfs-pattern/],
    ['with an option as dataset', { 'zfs-datasets': '-r' }, /is neither a dataset/],
    ['with an absolute path', { 'zfs-datasets': '/tank/ci' }, /is neither a dataset/],
    ['that keep none', { 'zfs-keep': '0' }, /at least 1/],
    ['that keep a half', { 'zfs-keep': '1.5' }, /at least 1/],
    ['with an age of nothing', { 'zfs-max-age': 'long' }, /is not an age/],
    ['with another tool', { 'zfs-lxc': 'docker' }, /not one of none, lxc, incus/],
    ['with a bad jump host', { 'zfs-jump-host': 'a b' }, /zfs-jump-host: "a b" is not/],
  ])('%s are refused', (_, changes, why) => {
    expect(() => parse(changes)).toThrow(why);
  });

  it('have their key read when it is wanted, for each hop', () => {
    const mangled = parse({ 'zfs-private-key': key.replaceAll('\n', '\\n'), 'zfs-jump-host': 'jump.example.com' });
    const { endpoint, jumps } = withReadKey(mangled as ZfsSpec);
    expect([endpoint, ...jumps].map(({ privateKey }) => privateKey)).toEqual([key, key]);
  });

  it('with a broken key are refused before anything else is done', () => {
    const broken = parse({ 'zfs-private-key': 'nonsense' });
    expect(() => withReadKey(broken as ZfsSpec)).toThrow(
      /^Bad input: input zfs-private-key: .* Nothing was touched\. Mend it/,
    );
  });

  it('have their secrets marked', () => {
    expect(definition.declared.filter(({ secret }) => secret).map(({ name }) => name)).toEqual([
      'zfs-private-key',
      'zfs-passphrase',
    ]);
  });
});

const answer = (code: number, lines: string[], complaints: string[] = []) => ({
  code,
  lines,
  complaints,
  words: complaints.join(' '),
});

describe("zfs's answers", () => {
  const row = 'tank/ci@a\t42\t1700000000\t7\t1024\t0\t-';
  it.each<[string, string, string | undefined]>([
    ['a line as documented', row, undefined],
    ['nothing for no clones', row.replace(/-$/, ''), undefined],
    ['no creation', row.replace('1700000000', '-'), undefined],
    ['a column too few', row.replace('\t-', ''), 'none of its own'],
    ['a column too many', `${row}\tx`, 'none of its own'],
    ['human sizes', row.replace('1024', '1K'), 'none of its own'],
    ['another dataset', row.replace('tank/ci', 'tank/other'), 'none of its own'],
    ['a child dataset', row.replace('tank/ci', 'tank/ci/x'), 'none of its own'],
    ['a warning', 'cannot share tank/ci', 'none of its own'],
    ['a negative hold count', row.replace('\t0\t', '\t-1\t'), 'none of its own'],
  ])('%s', (_, line, trouble) => {
    const read = readSnapshots('tank/ci', answer(0, [line]));
    if (trouble) expect(read).toContain(trouble);
    else expect(read).toMatchObject([{ name: 'a', guid: '42', used: 1024, holds: 0, clones: [] }]);
  });

  it('the same snapshot twice is not believed', () => {
    expect(readSnapshots('tank/ci', answer(0, [row, row]))).toContain('none of its own');
  });

  it('half a list with an error is not believed', () => {
    expect(readSnapshots('tank/ci', answer(1, [row], ['I/O error']))).toBe('I/O error');
  });

  it.each<[string, number, string[], unknown]>([
    ['names and bytes', 0, ['destroy\ttank/ci@a', 'reclaim\t1024'], { destroy: ['tank/ci@a'], reclaim: 1024 }],
    ['no bytes', 0, ['destroy\ttank/ci@a'], undefined],
    ['bytes twice', 0, ['reclaim\t1', 'reclaim\t2'], undefined],
    ['bytes for people', 0, ['destroy\ttank/ci@a', 'reclaim\t1K'], undefined],
    ['another word', 0, ['would destroy tank/ci@a', 'reclaim\t1'], undefined],
    ['an error', 1, ['destroy\ttank/ci@a', 'reclaim\t1024'], undefined],
  ])('a dry run with %s', (_, code, lines, expected) => {
    expect(readDryRun(answer(code, lines))).toEqual(expected);
  });

  it('refusals are told in both forms of zfs', () => {
    const refusals = readRefusals(
      answer(
        1,
        [],
        [
          'cannot destroy snapshot tank/ci@a:b: dataset is busy',
          "cannot destroy 'tank/ci@c d': snapshot has dependent clones",
          "use '-R' to destroy the following datasets:",
          'tank/clone',
          'cannot destroy snapshots: permission denied',
        ],
      ),
    );
    expect([...refusals]).toEqual([
      ['tank/ci@a:b', 'dataset is busy'],
      ['tank/ci@c d', 'snapshot has dependent clones'],
    ]);
  });

  it.each<[string, unknown]>([
    ['tank/lxd/containers/ci', { project: 'default', instance: 'ci' }],
    ['tank/lxd/containers/web_ci', { project: 'web', instance: 'ci' }],
    ['tank/lxd/virtual-machines/vm', { project: 'default', instance: 'vm' }],
    ['tank/lxd/virtual-machines/vm.block', { trouble: 'it goes with that of tank/lxd/virtual-machines/vm' }],
    ['tank/lxd/custom/default_data', undefined],
    ['tank/lxd/containers/ci/below', undefined],
    ['tank/lxd2/containers/ci', undefined],
    ['tank/lxd', undefined],
  ])('the instance of %s', (dataset, expected) => {
    expect(instanceOf(dataset, ['tank/lxd'])).toEqual(expected);
  });
});
