import { digest } from '../../fingerprint.js';
import { Lines } from '../../lines.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { matcher, type SourceFile } from '../../tree.js';
import { leaveOutFile } from '../../unread.js';
import type { VaultOptions } from './index.js';
import { vaultSamples } from './samples.js';
import { mayHold, type Secret, secretsOf, textOf } from './secrets.js';

/** Of a file; the rest goes with them. */
const MOST = 20;

/** A file that a commit of the pull request added or changed: `look.tools.get('commits')`, the oldest commit first. */
export interface CommitBlob {
  commit: string;
  path: string;
  text: string;
  /** Default: file. */
  kind?: SourceFile['kind'];
  /** Why it has no text, where it should have one. */
  unread?: string;
  /** It stands for the commits that were not looked at, and is no file. */
  cut?: boolean;
  /** What to do about that. */
  todo?: string;
}

export const secret: Rule<VaultOptions> = {
  id: 'vault/secret',
  severity: 'error',
  title: 'No unseal key and no token of Vault is committed, in no commit.',
  reason: `The unseal keys open everything the platform keeps: whoever has three of them and the data, has all passwords of all tenants. They lie
in \`conf/vault/init.json\` and \`vault-unseal-keys\` beside the code, one \`git add .\` away. A later commit that deletes them does not help:
they stay in the history that was pushed, so every commit of a pull request is judged. Common scanners know Vault's tokens, and none knows its
unseal keys. Values are never printed.`,
  suppressible: false,
  fileByFile: true,
  files: ({ files }) => files,
  check: (look) => {
    const inHead = head(look);
    return [...inHead.findings, ...history(look, inHead.seen)];
  },
  samples: vaultSamples,
};

function head({ head, options }: Look<VaultOptions>): { findings: Finding[]; seen: Set<string> } {
  const seen = new Set<string>();
  const findings: Finding[] = [];
  for (const file of head.matching(options.files)) {
    if (file.kind === 'submodule' || !mayHold(file)) continue;
    const text = textOf(file);
    const lines = new Lines(text);
    for (const each of secretsOf(file.path, file.kind, text).slice(0, MOST)) {
      const at = { path: file.path, ...lines.at(each.offset) };
      seen.add(keyOf(file.path, each, text));
      findings.push({ ...finding(each, at), subject: subjectOf(each, text) });
    }
  }
  return { findings, seen };
}

/** What came and went within the pull request. */
function history({ head, tools, options }: Look<VaultOptions>, seen: Set<string>): Finding[] {
  const blobs = (tools.get('commits') ?? []) as CommitBlob[];
  const findings: Finding[] = [];
  const asked = matcher(options.files);
  for (const { commit, path, text, kind = 'file', unread, cut, todo } of blobs) {
    if (cut && unread) {
      // It is about no file, and a finding has to have one: the first of those that the policy asks for.
      const any = blobs.find((each) => asked(each.path))?.path ?? head.select(options.files)[0];
      if (any !== undefined) leaveOutFile(any, unread, todo);
      continue;
    }
    if (!asked(path)) continue;
    if (unread) leaveOutFile(path, unread, 'Leave it out by the option `vault.files`, or look yourself.');
    const lines = new Lines(text);
    for (const each of secretsOf(path, kind, text).slice(0, MOST)) {
      const key = keyOf(path, each, text);
      if (seen.has(key)) continue;
      seen.add(key);
      const at = { path, ...lines.at(each.offset) };
      findings.push({ ...finding(each, at, commit.slice(0, 12)), subject: subjectOf(each, text) });
    }
  }
  return findings;
}

/** The same secret in the same file is found once, wherever it stands in it by then. Stays in memory. */
function keyOf(path: string, secret: Secret, text: string): string {
  return JSON.stringify([path, secret.what, secretAt(secret, text)]);
}

function secretAt({ offset, byName }: Secret, text: string): string {
  if (byName) return '';
  const start = text.slice(offset, offset + 300);
  // A private key begins like any other.
  return start.startsWith('-----') ? start : (/^[\w+/=.-]+/.exec(start)?.[0] ?? '');
}

/** Another secret in the place of an old one is a new finding: the history has both. */
function subjectOf(secret: Secret, text: string): string {
  return digest(JSON.stringify([secret.what, secretAt(secret, text)]));
}

function finding({ what, byName }: Secret, at: Finding['at'], commit?: string): Finding {
  const where = commit ? `Commit ${commit} holds` : 'This is';
  const then = commit ? ' here, and it stays in the history though it is gone from the last one' : '';
  return {
    status: 'fail',
    at,
    message:
      byName && !commit
        ? `This is ${what}: such files hold Vault's secrets.`
        : `${where} ${what}${what.includes('Vault') || byName ? '' : ' of Vault'}${then}.`,
    todo: byName
      ? 'Take it out of all commits, and keep it on the box.'
      : what.includes('token')
        ? 'Revoke it (`vault token revoke`), and take it out of all commits before they are pushed on.'
        : what.includes('private')
          ? 'Issue a new one, and take this one out of all commits.'
          : 'Make new keys (`vault operator rekey`), and take these out of all commits before they are pushed on.',
  };
}
