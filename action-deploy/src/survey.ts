import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ExpectedError } from '@gbo/shared/errors';
import { ConnectionLost, ForwardRefused } from '@gbo/shared/ssh/connection';
import { hostsOfCaddyJson } from './caddy-hosts.js';
import type { Facts, FileFacts, HostFacts, LocalArtifact, LostHost, UnitFacts } from './facts.js';
import type { ArtifactSpec, Inputs } from './inputs.js';
import { readLocalArtifact } from './local-artifact.js';
import { privilegedCommands } from './privileged.js';
import { readRecord } from './record.js';
import { lostHost, type Target } from './session.js';
import { surveyScript } from './survey-script.js';

/** A Caddyfile larger than this is not sent along with the question. */
const LARGEST_CADDYFILE = 1024 * 1024;
/** Hashing some hundred megabytes with coreutils on a slow disk. */
const SURVEY_MS = 300_000;

/** Reads the local files. In a mode in which no file travels, there are none to read. */
export async function surveyLocal(inputs: Inputs): Promise<LocalArtifact[]> {
  const needed =
    inputs.mode === 'deploy' || (inputs.mode === 'check' && inputs.artifacts.every(({ source }) => source));
  return needed ? Promise.all(inputs.artifacts.map(readLocalArtifact)) : [];
}

/** Everything that must be known, read once and in parallel. Writes nothing, locks nothing. A host lost meanwhile is `lost`. */
export async function survey(
  inputs: Inputs,
  local: LocalArtifact[] | Promise<LocalArtifact[]>,
  targets: Target[],
  env: NodeJS.ProcessEnv,
): Promise<Facts> {
  const [artifacts, hosts] = await Promise.all([
    local,
    Promise.all(targets.map((target) => surveyHost(inputs, target).catch(nothingSwitched(target)))),
  ]);
  const contents = artifacts.map(({ path, sha256, fileMode = '' }) => `${path}\0${sha256}\0${fileMode}`).sort();
  const now = new Date().toISOString();
  return {
    now: now.replaceAll(/[-:]|\.\d+/g, ''),
    artifacts,
    contentId: createHash('sha256').update(contents.join('\n')).digest('hex').slice(0, 12),
    hosts: hosts.flatMap((host) => ('reason' in host ? [] : [host])),
    lost: hosts.flatMap((host) => ('reason' in host ? [host] : [])),
    provenance: provenance(env),
  };
}

/** A link that is lost during a survey says how the target stands: a survey comes before every switch. */
function nothingSwitched({ spec }: Target) {
  return (error: unknown): LostHost =>
    lostHost(
      spec,
      error instanceof ConnectionLost ? new ConnectionLost(error.what, 'Nothing was switched.', error.todo) : error,
    );
}

/** Where this run can be found, for the record and for whoever meets the lock. */
export function provenance(env: NodeJS.ProcessEnv): Facts['provenance'] {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_NUMBER: number } = env;
  return {
    run: server && repository && number ? `${server}/${repository}/actions/runs/${number}` : undefined,
    commit: env.GITHUB_SHA,
    actor: env.GITHUB_ACTOR,
  };
}

async function surveyHost(inputs: Inputs, target: Target): Promise<HostFacts> {
  const { connection, spec } = target;
  const units = [...new Set(inputs.artifacts.flatMap((artifact) => artifact.units))];
  const privileged = privilegedCommands(inputs, spec.endpoint.user).map(({ sample }) => sample);
  const caddyfiles = await caddyQuestions(inputs);
  const script = surveyScript({
    stateDir: inputs.stateDir,
    paths: inputs.artifacts.map(({ path }) => path),
    units,
    privileged,
    tools: toolsNeeded(inputs, units),
    caddyfiles,
  });
  const [{ stdout, stderr, code }, forwarding, roundTripMs] = await Promise.all([
    connection.script(script, { timeoutMs: SURVEY_MS, maxBytes: 32 * 1024 * 1024 }),
    tryForwarding(target, inputs),
    connection.roundTrip(),
  ]);
  const answers = new Answers(stdout);
  if (answers.one('end') !== 'yes') {
    throw new ExpectedError(
      `The survey of ${spec.name} broke off (exit status ${code}): ${stderr.trim().slice(0, 500) || 'it said nothing'}.`,
      'Nothing was touched.',
      'See whether the target has a POSIX shell and coreutils.',
    );
  }
  target.user = { uid: Number(answers.one('uid')), name: answers.one('user') };
  target.way = forwarding === 'refused' ? 'curl' : 'forward';
  const files = inputs.artifacts.map((_, index) => fileFacts(answers, `file.${index}.`));
  const byHash = (sha256: string) =>
    inputs.artifacts.filter((_, index) => files[index]?.sha256 === sha256).map(({ path }) => path);
  const curl = !answers.all('missing').includes('curl');
  return {
    host: spec.name,
    address: `${spec.endpoint.host}:${spec.endpoint.port}`,
    uid: target.user.uid,
    user: target.user.name,
    machine: answers.one('machine'),
    glibc: answers.one('glibc') || undefined,
    systemd: Number(answers.one('systemd')) || undefined,
    missingTools: answers.all('missing').filter((tool) => tool !== 'curl'),
    sudoMissing:
      target.user.uid === 0 ? [] : privileged.filter((_, index) => !answers.all('sudo').includes(String(index))),
    stateMark: answers.one('mark'),
    files,
    units: units.map((name, index) => unitFacts(answers, name, `unit.${index}.`, byHash)),
    record: readRecord(answers.all('record')),
    pending: answers.all('pending').map((name) => {
      const at = name.lastIndexOf('.');
      return { release: name.slice(0, at), state: name.slice(at + 1) === 'armed' ? 'armed' : 'undoing' } as const;
    }),
    lockHolder: answers.all('holder').length > 0 ? answers.one('holder') || 'somebody unnamed' : undefined,
    foundId: foundId(inputs.artifacts, files),
    caddyHosts: Object.fromEntries(
      caddyfiles.map(({ path }, index) => [
        path,
        { old: caddyHosts(answers.one(`caddy.${index}.old`)), new: caddyHosts(answers.one(`caddy.${index}.new`)) },
      ]),
    ),
    forwarding,
    hasCurl: curl,
    roundTripMs,
    hostKeys: [...connection.hostKeys],
  };
}

function toolsNeeded({ artifacts, mode }: Inputs, units: string[]): string[] {
  const always = ['flock', 'sha256sum', 'stat', 'sync', 'timeout', 'cmp', 'awk', 'sed', 'curl'];
  const activated = artifacts.some(({ activate }) => activate.how !== 'none');
  const systemd = units.length > 0 || activated || mode !== 'status';
  const verified = artifacts.some(({ type }) => type === 'unit');
  return [...always, ...(systemd ? ['systemctl', 'systemd-run'] : []), ...(verified ? ['systemd-analyze'] : [])];
}

async function caddyQuestions({ artifacts, mode }: Inputs): Promise<{ path: string; text: string }[]> {
  if (mode !== 'deploy') return [];
  const caddyfiles = artifacts.filter(({ activate }) => activate.how === 'caddy');
  const texts = await Promise.all(caddyfiles.map(({ source }) => readFile(source, 'utf8')));
  return caddyfiles.flatMap(({ path }, index) => {
    const text = texts[index] ?? '';
    return text.length <= LARGEST_CADDYFILE && !text.includes('\0') ? [{ path, text }] : [];
  });
}

function caddyHosts(json: string): string[] | undefined {
  if (!json) return undefined;
  try {
    return hostsOfCaddyJson(JSON.parse(json));
  } catch {
    return undefined;
  }
}

/** Whether sshd lets us ask the health address through the connection; a refused TCP connection is a yes. */
async function tryForwarding({ connection }: Target, { artifacts }: Inputs): Promise<HostFacts['forwarding']> {
  const check = artifacts.flatMap(({ health }) => health).find(({ kind }) => kind !== 'command');
  if (!check || check.kind === 'command') return 'untested';
  const url = check.kind === 'http' ? new URL(check.url) : undefined;
  const host = check.kind === 'tcp' ? check.host : (url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '');
  const port = check.kind === 'tcp' ? check.port : Number(url?.port) || (url?.protocol === 'https:' ? 443 : 80);
  try {
    (await connection.forward(host, port)).destroy();
  } catch (error) {
    // Reason 1: administratively prohibited (RFC 4254 section 5.1). Anything else was tried, and only found nobody.
    if (error instanceof ForwardRefused && error.reason === 1) return 'refused';
  }
  return 'allowed';
}

function fileFacts(answers: Answers, key: string): FileFacts {
  const kind = answers.one(`${key}kind`);
  return {
    kind: kind === 'file' || kind === 'folder' || kind === 'link' ? kind : 'none',
    linkTarget: answers.one(`${key}target`) || undefined,
    size: Number(answers.one(`${key}size`) || 0),
    sha256: answers.one(`${key}sha256`) || undefined,
    mode: answers.one(`${key}mode`) || undefined,
    owner: answers.one(`${key}owner`) || undefined,
    changed: answers.one(`${key}mtime`) || undefined,
    nearest: answers.one(`${key}nearest`),
    notFolder: answers.one(`${key}notfolder`) || undefined,
    writable: answers.one(`${key}writable`) === 'yes',
    storeLocked: answers.one(`${key}storelocked`) === 'yes',
    readOnly: answers.one(`${key}readonly`) === 'yes',
    freeBytes: Number(answers.one(`${key}free`) || 0),
    freeInodes: Number(answers.one(`${key}inodes`) || 0),
    kept: answers.all(`${key}kept`),
  };
}

/** `byHash`: the artifact paths whose file holds these bytes. */
function unitFacts(answers: Answers, name: string, key: string, byHash: (sha256: string) => string[]): UnitFacts {
  const property = (property: string) => answers.one(`${key}${property}`);
  const exe = property('exe') || undefined;
  const mainPid = Number(property('MainPID') || 0);
  const known = exe !== undefined || mainPid === 0 || property('ended') === 'yes';
  const running = property('running');
  return {
    name,
    loadState: property('LoadState') || 'unknown',
    activeState: property('ActiveState'),
    subState: property('SubState'),
    restarts: Number(property('NRestarts') || 0),
    mainPid,
    type: property('Type'),
    execStart: [...property('ExecStart').matchAll(/path=(\S+) ;/g)].map((match) => match[1] ?? ''),
    needsReload: property('NeedDaemonReload') === 'yes',
    triggeredBy: property('TriggeredBy'),
    since: property('ActiveEnterTimestamp'),
    stopTimeoutMs: systemdSpan(property('TimeoutStopUSec')),
    enabled: property('UnitFileState'),
    runs: known ? answers.all(`${key}runs`) : running ? byHash(running) : undefined,
    exe,
  };
}

/** systemd's own spelling of a time span (`1min 30s`, `infinity`), in milliseconds (systemd.time(7)). */
function systemdSpan(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const factor: Record<string, number> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
  return [...text.matchAll(/(\d+)(us|ms|s|min|h|d)\b/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (factor[unit ?? ''] ?? 0),
    0,
  );
}

/** A name for files that no record knows: when the newest was changed, and what they hold. */
function foundId(artifacts: ArtifactSpec[], files: FileFacts[]): string | undefined {
  const found = files.filter(({ kind, sha256 }) => kind === 'file' && sha256);
  if (found.length === 0) return undefined;
  const newest =
    found
      .map(({ changed }) => changed ?? '')
      .sort()
      .at(-1) ?? '';
  const contents = artifacts.map(({ path }, index) => `${path}\0${files[index]?.sha256 ?? ''}`).sort();
  return `${newest}-${createHash('sha256')
    .update(`found\n${contents.join('\n')}`)
    .digest('hex')
    .slice(0, 12)}`;
}

/** The `key<TAB>value` lines of a survey; a key may come several times. */
class Answers {
  readonly #values = new Map<string, string[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const at = line.indexOf('\t');
      if (at < 0) continue;
      const key = line.slice(0, at);
      this.#values.set(key, [...(this.#values.get(key) ?? []), line.slice(at + 1)]);
    }
  }

  one(key: string): string {
    return this.#values.get(key)?.[0] ?? '';
  }

  all(key: string): string[] {
    return this.#values.get(key) ?? [];
  }
}
