import type { Rule } from '../../rule.js';
import type { VaultOptions } from './index.js';

type Samples = Rule<VaultOptions>['samples'];

// Made up, and put together here, so that no scanner takes this file for a leak.
const letters = 'k7Qw2ZpX9vLr4TnB8sYd1HfG6jMc3eRa5UiOxWbE0tPq';
const share = letters;
const key = `${letters.slice(0, 43)}=`;
const hex = '9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0';
const token = ['hvs', `${letters}${letters}`].join('.');
const legacy = ['s', letters.slice(0, 24)].join('.');
const init = 'botserver-stack/conf/vault/init.json';
const cli = JSON.stringify(
  {
    unseal_keys_b64: [share, share],
    unseal_keys_hex: [`${hex}01`],
    unseal_shares: 5,
    unseal_threshold: 3,
    root_token: token,
  },
  null,
  2,
);
const http = JSON.stringify({ keys: [hex], keys_base64: [key], root_token: token });

export const vaultSamples: Samples = {
  good: [
    {
      name: 'an init.json of something else',
      files: {
        'package/init.json': '{"name": "x", "keys": ["a", "b"]}',
        'conf/vault/init.json': '{"listener": "tcp"}',
      },
    },
    { name: 'checksums in a list of keys', files: { 'package/lock.json': JSON.stringify({ keys: [hex, hex] }) } },
    {
      name: 'placeholders',
      files: {
        [init]: JSON.stringify({
          unseal_keys_b64: ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'],
          root_token: 'hvs.XXXXXXXXXXXXXXXXXXXXXXXX',
        }),
        '.env.example': 'VAULT_TOKEN=your-token-here-1234567890\nVAULT_UNSEAL_KEY_1=<key1>\n',
      },
    },
    {
      name: 'a file that sops keeps',
      files: {
        'vault/keys.yaml': `unseal_keys_b64:\n    - ENC[AES256_GCM,data:${letters}${letters}=,iv:x,tag:y,type:str]\nsops:\n    version: 3.9\n`,
      },
    },
    {
      name: 'a file that age keeps',
      files: {
        'vault-unseal-keys.age': `age-encryption.org/v1\n-> X25519 ${share}\n`,
        'vault-unseal-keys': `-----BEGIN AGE ENCRYPTED FILE-----\n${share}\n-----END AGE ENCRYPTED FILE-----\n`,
      },
    },
    {
      name: 'a variable and a command that reads the key',
      files: {
        'unseal.sh':
          'vault operator unseal "$KEY1"\nvault operator unseal $(jq -r .unseal_keys_b64[0] init.json)\nexport VAULT_TOKEN=$(cat /run/token)\n',
      },
    },
    {
      name: 'how it is done, in words',
      files: {
        'INFRA.md':
          '**Vault sealed:** run `vault operator unseal <key1>` (3 of 5 unseal keys from init.json). Unseal Key 1: ...\n',
      },
    },
    {
      name: 'a secret of the workflow',
      files: { '.forgejo/workflows/a.yml': `env:\n  VAULT_TOKEN: \${{ secrets.VAULT_TOKEN }}\n` },
    },
    {
      name: 'where the keys are',
      files: {
        'a.env': 'VAULT_ADDR=https://127.0.0.1:8200\nVAULT_UNSEAL_KEYS_FILE=/opt/gbo/secrets/vault-unseal-keys\n',
      },
    },
    {
      name: 'words that look like a token',
      files: {
        'a.rs': 'let hvs.is_a_field_of_the_struct = vault_token_from_the_environment_2;\nuse vault_token::Reader2;\n',
      },
    },
    {
      name: 'a commit to what the policy leaves out',
      files: { 'README.md': 'nothing' },
      options: { files: ['**', '!docs/**'] },
      tools: { commits: [{ commit: 'a'.repeat(40), path: 'docs/a.md', text: `VAULT_TOKEN=${token}\n` }] },
    },
  ],
  bad: [
    {
      name: "Vault's own answer",
      files: { [init]: cli },
      finds: [
        { at: `${init}:3:6`, says: /an unseal key of Vault/ },
        { at: `${init}:7:6`, says: /an unseal key/ },
        { at: `${init}:11:18`, says: /token/ },
      ],
    },
    { name: 'its answer over HTTP, in one line', files: { 'x.json': http } },
    { name: 'a copy of init.json', files: { [`${init}.bak`]: cli } },
    { name: 'a copy in a place of its own', files: { 'notes/copy.txt': cli } },
    {
      name: 'what vault operator init prints',
      files: { 'notes.txt': `Unseal Key 1: ${share}\nUnseal Key 2: ${share}\n\nInitial Root Token: ${token}\n` },
      finds: [
        { at: 'notes.txt:1:15', says: /unseal key/ },
        { at: 'notes.txt:2:15', says: /unseal key/ },
        { at: 'notes.txt:4:21', says: /token/ },
      ],
    },
    {
      name: "the platform's vault-unseal-keys",
      files: { 'vault-unseal-keys': `VAULT_UNSEAL_KEY_1=${key}\n` },
      finds: [{ at: 'vault-unseal-keys:1:20', says: /unseal key/ }],
    },
    {
      name: 'keys in hex',
      files: { 'k.env': `VAULT_UNSEAL_KEY=${hex}\n` },
      finds: [{ at: 'k.env:1:18', says: /unseal key/ }],
    },
    {
      name: 'shares in hex',
      files: { 'k.yaml': `unseal_keys_hex:\n  - ${hex}01\n` },
      finds: [{ at: 'k.yaml:2:5', says: /unseal key/ }],
    },
    {
      name: 'the token in .env',
      files: { 'botserver/.env': `VAULT_ADDR=https://127.0.0.1:8200\nVAULT_TOKEN=${token}\n` },
      finds: [{ at: 'botserver/.env:2:13', says: /token/ }],
    },
    {
      name: 'a token of the older kind',
      files: { '.env': `VAULT_TOKEN="${legacy}"\n` },
      finds: [{ at: '.env:1:14', says: /token/ }],
    },
    {
      name: 'a key in a script',
      files: { 'unseal.sh': `vault operator unseal ${share}\n` },
      finds: [{ at: 'unseal.sh:1:23', says: /unseal key/ }],
    },
    {
      name: 'a token anywhere',
      files: { 'src/main.rs': `let t = "${token}";\n` },
      finds: [{ at: 'src/main.rs:1:10', says: /a token of Vault/ }],
    },
    {
      name: 'a file of one token',
      files: { 'deploy/vault-token-root': `${letters.slice(0, 26)}\n` },
      finds: [{ at: 'deploy/vault-token-root:1:1', says: /called vault-token-root/ }],
    },
    {
      name: 'the script that unseals',
      files: { 'start-and-unseal.sh': 'curl -d @keys $VAULT_ADDR/v1/sys/unseal\n' },
      finds: [{ at: 'start-and-unseal.sh:1:1', says: /such files hold/ }],
    },
    {
      name: "Vault's private key",
      files: { 'conf/vault/tls.key': `-----BEGIN PRIVATE KEY-----\n${letters}${letters}\n-----END PRIVATE KEY-----\n` },
      finds: [{ at: 'conf/vault/tls.key:1:1', says: /private key of Vault/ }],
    },
    {
      name: 'a commit that another one took back',
      files: { 'README.md': 'nothing' },
      tools: {
        commits: [{ commit: 'c0ffee'.repeat(7).slice(0, 40), path: 'a.env', text: `VAULT_TOKEN=${token}\n` }],
      },
      finds: [{ at: 'a.env:1:13', says: /Commit c0ffeec0ffee holds a token of Vault here, and it stays/ }],
    },
    {
      name: 'what is still there is found once',
      files: { 'a.env': `VAULT_TOKEN=${token}\n` },
      tools: { commits: [{ commit: 'a'.repeat(40), path: 'a.env', text: `x=1\nVAULT_TOKEN=${token}\n` }] },
      finds: [{ at: 'a.env:1:13', says: /This is a token/ }],
    },
  ],
};
