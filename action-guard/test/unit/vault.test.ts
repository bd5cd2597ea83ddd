import { describe, expect, it } from 'vitest';
import { vault } from '../../src/rules/vault/index.js';
import { treeOf } from '../../src/tree.js';
import { testSamples } from './samples.js';

testSamples(vault);

const [rule] = vault.rules;
const options = vault.presets['guide-lxd'];

describe('vault/secret', () => {
  it.each(['conf/vault/init.json', 'vault-unseal-keys'])(
    'finds a symbolic link called %s, wherever it leads',
    (path) => {
      const head = treeOf({ [path]: { kind: 'link', text: '/opt/gbo/secrets/x' } });
      expect(rule?.check({ head, options, tools: new Map() })).toHaveLength(1);
    },
  );

  it('finds a token in UTF-16', () => {
    const text = `VAULT_TOKEN=${['hvs', 'k7Qw2ZpX9vLr4TnB8sYd1HfG6jMc3e'].join('.')}\n`;
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
    const head = treeOf({ 'a.env': { bytes, text: bytes.toString('utf8') } });
    expect(rule?.check({ head, options, tools: new Map() })).toHaveLength(1);
  });

  it('never says a value', () => {
    for (const { files, tools } of rule?.samples.bad ?? []) {
      const findings = rule?.check({ head: treeOf(files), options, tools: new Map(Object.entries(tools ?? {})) });
      const text = JSON.stringify(findings);
      expect(text).not.toMatch(/k7Qw2ZpX|9f8e7d6c/);
    }
  });
});
