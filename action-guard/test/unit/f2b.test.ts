import { describe, expect, it } from 'vitest';
import { f2b } from '../../src/rules/f2b/index.js';
import { probes } from '../../src/rules/f2b/probes.js';
import { treeOf } from '../../src/tree.js';
import { check, testSamples } from './samples.js';

testSamples(f2b);

const rule = f2b.rules.find(({ id }) => id === 'f2b/backend');

describe('the fix of f2b/backend', () => {
  const flood = (rule?.samples.bad ?? []).filter(({ files }) =>
    Object.keys(files).some((path) => path.startsWith('acme-proxy')),
  );
  it.each(flood.map((sample) => [sample.name, sample] as const))('mends: %s', (name, sample) => {
    const findings = check(f2b, 'f2b/backend', sample);
    if (name.includes('does not exist')) return;
    const files = { ...sample.files, ...findings[0]?.fix };
    expect(findings[0]?.fix).toBeDefined();
    expect(check(f2b, 'f2b/backend', { ...sample, files })).toEqual([]);
  });

  it('keeps line ends of Windows', () => {
    const text = '[caddy-http-flood]\r\nenabled = true\r\nbackend = systemd\r\nlogpath = /x\r\n';
    const [finding] = check(f2b, 'f2b/backend', { name: '', files: { 'proxy/jail.local': text } });
    expect(finding?.fix).toEqual({ 'proxy/jail.local': text.replace('systemd', 'auto') });
  });
});

describe('fail2ban folders', () => {
  it('a symbolic link is not followed, and not green', () => {
    const head = treeOf({ 'proxy/jail.local': { kind: 'link', text: '/etc/passwd' } });
    const [first] = f2b.rules;
    const findings = first?.check({ head, options: f2b.presets['guide-lxd'], tools: new Map() });
    expect(findings?.map(({ status }) => status)).toContain('unknown');
  });

  it('a file that is not UTF-8 is left out by fail2ban', () => {
    const bytes = Buffer.concat([Buffer.from('[caddy-http-flood]\nenabled = true\n# '), Buffer.from([0xe9, 0x0a])]);
    const head = treeOf({ 'proxy/jail.local': { bytes, text: bytes.toString() } });
    const findings = f2b.rules[0]?.check({ head, options: f2b.presets['guide-lxd'], tools: new Map() });
    expect(findings?.[0]?.message).toMatch(/not UTF-8/);
  });

  it('the probes are lines as Caddy writes them', () => {
    for (const { line } of probes)
      expect(Object.keys(JSON.parse(line))).toEqual(expect.arrayContaining(['ts', 'request', 'status']));
  });
});
