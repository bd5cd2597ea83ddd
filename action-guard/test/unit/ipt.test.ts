import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../src/formats/addresses.js';
import { parseShell } from '../../src/formats/shell.js';
import { ipt } from '../../src/rules/ipt/index.js';
import { survivesAnything } from './mutate.js';
import { check, testSamples } from './samples.js';

testSamples(ipt);

describe('broken files', () => {
  it('never throw, and findings stand within the file', () => {
    survivesAnything(
      ipt,
      ['rules.v4', 'rules.v6', 'fw.sh', 'ufw/before.rules'],
      Number(process.env.GUARD_FUZZ_RUNS ?? 300),
    );
  });
});

describe('the fix', () => {
  const fixed = (files: Record<string, string>): string | undefined => {
    const [finding] = check(ipt, 'ipt/loopback-order', { name: '', files });
    return Object.values(finding?.fix ?? {})[0];
  };
  it.each([
    [
      'a restore file',
      { 'rules.v4': '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n' },
      /^-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 22/m,
    ],
    ['one without rules', { 'rules.v4': '*filter\n:INPUT DROP [0:0]\nCOMMIT\n' }, /^-A INPUT -i lo -j ACCEPT\nCOMMIT/m],
    [
      'a script',
      { 'fw.sh': '#!/bin/sh\n  sudo iptables -A INPUT -p tcp --dport 6379 -j DROP\n' },
      /^ {2}sudo iptables -I INPUT -i lo -j ACCEPT\n {2}sudo iptables -A/m,
    ],
  ])('of %s accepts loopback in front, and is itself in order', (_, files, expected) => {
    const text = fixed(files) as string;
    expect(text).toMatch(expected);
    const [path] = Object.keys(files) as [string];
    expect(check(ipt, 'ipt/loopback-order', { name: '', files: { [path]: text } })).toEqual([]);
  });
  it('is not offered where it would not mend all of it', () => {
    expect(fixed({ 'rules.v4': '*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n' })).toBeUndefined();
  });
});

describe('addresses', () => {
  it.each([
    ['10.0.0.0/8', 4, true],
    ['127.1', 4, true],
    ['10.0.0.0/255.0.0.0', 4, true],
    ['10.0.0.0/33', 4, false],
    ['256.1.1.1', 4, false],
    ['1.2.3.4.5', 4, false],
    ['::1', 6, true],
    ['fe80::/10', 6, true],
    ['::ffff:10.0.0.1', 6, true],
    ['1::2::3', 6, false],
    ['1:2:3:4:5:6:7:8:9', 6, false],
    ['::/129', 6, false],
    ['10.0.0.1', 6, false],
    ['::1', 4, false],
  ] as const)('%s is an address of IPv%i: %s', (text, family, valid) => {
    expect(parseNetwork(text, family) !== undefined).toBe(valid);
  });
});

describe('sh', () => {
  it.each([
    ["echo 'a", 5, /never closed/],
    ['if true; then', 13, /`fi` is missing/],
    ['a ) b', 2, /does not belong/],
    [`${'( '.repeat(100)}`, undefined, /nested too deep/],
    ['x=$(a', undefined, /never closed/],
  ])('%j is not read past its mistake', (text, at, message) => {
    const { problem } = parseShell(text);
    expect(problem?.message).toMatch(message);
    if (at !== undefined) expect(problem?.at).toBe(at);
  });
});
