import { describe, expect, it } from 'vitest';
import { vault } from '../../src/rules/vault/index.js';
import { treeOf } from '../../src/tree.js';
import { listen } from '../../src/unread.js';
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

  it('says that commits were left out, whatever file of them the policy leaves out', () => {
    const cut = { commit: 'c', path: '', text: '', unread: 'only the last 500 commits were looked at', cut: true };
    const commits = [cut, ...['left-out/a', 'b'].map((path) => ({ commit: 'c', path, text: '' }))];
    const look = { head: treeOf({ b: '' }), options: { files: ['**', '!left-out/**'] } };
    const { unread } = listen(() => rule?.check({ ...look, tools: new Map([['commits', commits]]) }));
    expect(unread.map(({ at, message }) => [at.path, message])).toEqual([
      ['b', 'This file was not judged, as only the last 500 commits were looked at.'],
    ]);
  });

  it('never says a value', () => {
    for (const { files, tools } of rule?.samples.bad ?? []) {
      const findings = rule?.check({ head: treeOf(files), options, tools: new Map(Object.entries(tools ?? {})) });
      const text = JSON.stringify(findings);
      expect(text).not.toMatch(/k7Qw2ZpX|9f8e7d6c/);
    }
  });
});
