import { ExpectedError } from '@gbo/shared/errors';
import { type Connection, connect } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { InstanceTool, ZfsSpec } from '../zfs-input.js';
import type { InstanceFacts, InstanceTrouble, PoolFacts, Privileges, SnapshotFacts } from './facts.js';

/** A command of which everything is known once it has ended. */
export interface Answer {
  /** Null when it was not told. */
  code: number | null;
  lines: string[];
  /** What it said on stderr, in one line. */
  words: string;
  /** The same line by line. */
  complaints: string[];
}

export interface Question {
  /** As whom: see Privileges. */
  as: keyof Privileges;
  command: string[];
}

/** Reading a hundred thousand snapshots from a pool that is not cached. */
const READ_MS = 300_000;
const MOST_BYTES = 128 * 1024 * 1024;

export async function connectZfs(
  { endpoint, jumps }: ZfsSpec,
  { log, signal, quick = false }: { log: (line: string) => void; signal?: AbortSignal; quick?: boolean },
): Promise<Connection> {
  const patience = quick ? { attempts: 3, connectTimeoutMs: 8000 } : {};
  return connect(endpoint, { jumps, log, signal, ...patience });
}

/**
 * What every script begins with. `ask` prints each line of a command, then its exit code, and then what it said on stderr,
 * each behind a key; all of one before any of the next, so that no line is ever torn by another.
 */
const prelude = `
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin; export PATH
tab=$(printf '\\t')
say() { printf '%s\\t%s\\n' "$1" "$2"; }
as() { if [ "$1" = yes ]; then shift; sudo -n -- "$@"; else shift; "$@"; fi; }
ask() {
  key=$1; shift
  { words=$( { { "$@" 2>&3 3>&- 4>&-; printf '\\n=%s\\n' "$?"; } | sed "s/^/$key$tab/" >&4; } 3>&1 ); } 4>&1
  [ -z "$words" ] || printf '%s\\n' "$words" | sed "s/^/$key!$tab/"
}
`;

/** Asks one thing after the other in one round trip. @throws ConnectionLost, ExpectedError */
export async function askAll(
  connection: Connection,
  privileges: Privileges,
  questions: Question[],
  timeoutMs = READ_MS,
): Promise<Answer[]> {
  const asked = questions.map(
    ({ as, command }, index) => `ask ${index} as ${privileges[as] ? 'yes' : 'no'} ${command.map(q).join(' ')}`,
  );
  const { stdout, code, stderr } = await connection.script([prelude, ...asked, 'say end yes'].join('\n'), {
    timeoutMs,
    maxBytes: MOST_BYTES,
  });
  const all = keyed(stdout);
  if (all.get('end')?.[0] !== 'yes') throw brokeOff(connection, code, stderr);
  return questions.map((_, index) => answer(all, String(index)));
}

/** @throws ConnectionLost, ExpectedError */
export async function askOne(connection: Connection, privileges: Privileges, question: Question, timeoutMs?: number) {
  const [first] = await askAll(connection, privileges, [question], timeoutMs);
  return first as Answer;
}

/** Runs `sh` behind the same functions; gives its `say` lines by key. @throws ConnectionLost, ExpectedError */
export async function askScript(connection: Connection, sh: string): Promise<Map<string, string[]>> {
  const { stdout, code, stderr } = await connection.script(`${prelude}\n${sh}\nsay end yes`, { timeoutMs: READ_MS });
  const all = keyed(stdout);
  if (all.get('end')?.[0] !== 'yes') throw brokeOff(connection, code, stderr);
  return all;
}

function brokeOff({ endpoint }: Connection, code: number | null, stderr: string): ExpectedError {
  return new ExpectedError(
    `A question to ${endpoint.host} broke off (exit status ${code}): ${stderr.trim().slice(0, 500) || 'it said nothing'}.`,
    '',
    'See whether the host has a POSIX shell, sed and coreutils.',
  );
}

function keyed(text: string): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('\t');
    if (at < 0) continue;
    const key = line.slice(0, at);
    const before = all.get(key);
    if (before) before.push(line.slice(at + 1));
    else all.set(key, [line.slice(at + 1)]);
  }
  return all;
}

function answer(all: Map<string, string[]>, key: string): Answer {
  const lines = (all.get(key) ?? []).filter(Boolean);
  const [, code] = /^=(\d+)$/.exec(lines.pop() ?? '') ?? [];
  const complaints = (all.get(`${key}!`) ?? []).filter(Boolean);
  return {
    code: code === undefined ? null : Number(code),
    lines,
    complaints,
    words: complaints.join(' ').slice(0, 500) || `exit status ${code ?? 'unknown'}, and not a word`,
  };
}

export const snapshotQuestion = (dataset: string): Question => ({
  as: 'read',
  command: [
    ...['zfs', 'list', '-Hp', '-t', 'snapshot', '-d', '1'],
    ...['-o', 'name,guid,creation,createtxg,used,userrefs,clones', dataset],
  ],
});

/** The snapshots of a dataset out of zfs's answer, or in half a sentence why it is not understood. */
export function readSnapshots(dataset: string, { code, lines, words }: Answer): SnapshotFacts[] | string {
  if (code !== 0) return words;
  const snapshots: SnapshotFacts[] = [];
  const seen = new Set<string>();
  for (const line of lines) {
    const fields = line.split('\t');
    const [name = '', guid = '', creation = '', createtxg = '', used = '', holds = '', clones = ''] = fields;
    // An old zfs prints nothing where a newer one prints a dash.
    const numbers = [guid, createtxg, used, holds].every((text) => /^\d{1,20}$/.test(text));
    const strange = fields.length !== 7 || !numbers || !/^(\d{1,15}|-)$/.test(creation) || seen.has(name);
    if (strange || !name.startsWith(`${dataset}@`))
      return `zfs list gave a line that is none of its own: ${shown(line)}`;
    seen.add(name);
    snapshots.push({
      name: name.slice(dataset.length + 1),
      guid,
      creation: creation === '-' ? undefined : Number(creation),
      createtxg: Number(createtxg),
      used: Number(used),
      holds: Number(holds),
      clones: clones === '-' ? [] : clones.split(',').filter(Boolean),
    });
  }
  return snapshots;
}

export const poolQuestion = (pools: string[]): Question => ({
  as: 'read',
  command: ['zpool', 'list', '-Hp', '-o', 'name,free,freeing', ...pools],
});

/** The pools that were understood; the figures are for people, so the others are left out. */
export function readPools({ lines }: Answer): PoolFacts[] {
  return lines.flatMap((line) => {
    const [, name, free, freeing] = /^([^\t]+)\t(\d+)\t(\d+|-)$/.exec(line) ?? [];
    return name ? [{ name, free: Number(free), freeing: Number(freeing) || 0 }] : [];
  });
}

export function poolOf(dataset: string): string {
  return dataset.split('/')[0] as string;
}

/** `local:` in front: the client's default may be another machine. */
export const storageQuestion = (tool: InstanceTool): Question => ({
  as: 'instances',
  command: [tool, 'storage', 'list', 'local:', '--format', 'json'],
});

/** Datasets that hold the volumes of a storage pool of LXD or Incus. */
export function readStorage({ code, lines, words }: Answer): string[] | { trouble: string } {
  if (code !== 0) return { trouble: words };
  try {
    const pools = JSON.parse(lines.join('\n')) as { driver?: string; config?: Record<string, string> }[];
    return pools.flatMap(({ driver, config }) => (driver === 'zfs' && config?.['zfs.pool_name']) || []);
  } catch {
    return { trouble: `it gave a list of storage pools that is no JSON: ${shown(lines.join(' '))}` };
  }
}

export interface Instance {
  project: string;
  instance: string;
}

/** Whose root volume a dataset is: LXD names it `<project>_<instance>`, outside the default project. */
export function instanceOf(dataset: string, storage: string[]): Instance | { trouble: string } | undefined {
  const base = storage.find((name) => dataset.startsWith(`${name}/`));
  if (base === undefined) return undefined;
  const [, kind, volume = ''] = /^(containers|virtual-machines)\/([^/]+)$/.exec(dataset.slice(base.length + 1)) ?? [];
  if (!kind) return undefined;
  if (volume.endsWith('.block')) return { trouble: `it goes with that of ${dataset.replace(/\.block$/, '')}` };
  const at = volume.indexOf('_');
  const [project, instance] = at < 0 ? ['default', volume] : [volume.slice(0, at), volume.slice(at + 1)];
  // LXD's rule for host names: nothing that a URL or a command line would take for something else.
  return /^[A-Za-z][A-Za-z0-9-]*$/.test(instance) && /^[A-Za-z0-9][\w.+-]*$/.test(project)
    ? { project, instance }
    : { trouble: `${JSON.stringify(volume)} is no name of an instance` };
}

export const instanceQuestion = (tool: InstanceTool, { project, instance }: Instance): Question => ({
  as: 'instances',
  command: [
    ...[tool, 'query'],
    `local:/1.0/instances/${instance}/snapshots?recursion=1&project=${encodeURIComponent(project)}`,
  ],
});

export function readInstance(of: Instance, { code, lines, words }: Answer): InstanceFacts | InstanceTrouble {
  if (code !== 0) return { trouble: `its snapshots could not be read: ${words}`, unread: true };
  try {
    const expiry: InstanceFacts['expiry'] = {};
    for (const { name, expires_at } of JSON.parse(lines.join('\n')) as { name: string; expires_at?: string }[]) {
      const time = expires_at ? Date.parse(expires_at) : 0;
      if (Number.isNaN(time)) throw new Error('no time');
      // Go's zero time, in the year 1, stands for never.
      expiry[name.slice(name.lastIndexOf('/') + 1)] = time > 0 ? time / 1000 : null;
    }
    return { ...of, expiry };
  } catch {
    return { trouble: `the list of its snapshots was not understood: ${shown(lines.join(' '))}`, unread: true };
  }
}

export function removalOf(tool: InstanceTool, { project, instance }: Instance, snapshot: string): Question {
  const words =
    tool === 'incus'
      ? ['incus', 'snapshot', 'delete', '--project', project, `local:${instance}`, snapshot]
      : ['lxc', 'delete', '--project', project, `local:${instance}/${snapshot}`];
  return { as: 'instances', command: words };
}

/** A text from elsewhere as a quotation of bearable length. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
