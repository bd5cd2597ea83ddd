import { ExpectedError } from '@gbo/shared/errors';
import type { Connection } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { DatasetFacts, Privileges, ZfsFacts } from './zfs/facts.js';
import {
  type Answer,
  askAll,
  askScript,
  connectZfs,
  type Instance,
  instanceOf,
  instanceQuestion,
  poolOf,
  poolQuestion,
  type Question,
  readInstance,
  readPools,
  readSnapshots,
  readStorage,
  shown,
  snapshotQuestion,
  storageQuestion,
} from './zfs/host.js';
import type { DatasetRule, ZfsSpec } from './zfs-input.js';

export interface ZfsContext {
  signal?: AbortSignal;
  log: (line: string) => void;
}

/**
 * Reads all that the plan needs to know, in a few round trips. Writes nothing. A dataset of which anything is not
 * understood is left out, and said.
 *
 * @throws ExpectedError: the host is not reached, has no zfs, or does not let us look
 */
export async function surveyZfs(spec: ZfsSpec, { signal, log }: ZfsContext): Promise<ZfsFacts> {
  const connection = await connectZfs(spec, { log, signal });
  const cancelled = () => connection.close();
  signal?.addEventListener('abort', cancelled);
  try {
    signal?.throwIfAborted();
    return await surveyHost(connection, spec);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancelled);
    connection.close();
  }
}

async function surveyHost(connection: Connection, spec: ZfsSpec): Promise<ZfsFacts> {
  const host = await hostFacts(connection, spec);
  const runnerClock = Math.floor(Date.now() / 1000);
  const skipped: ZfsFacts['skipped'] = [];
  const read: Privileges = { read: host.readBySudo, destroy: false, instances: false };
  const found = await findDatasets(connection, read, spec.datasets, skipped);
  const names = [...found.keys()];
  if (names.length === 0)
    return { ...host.clock, runnerClock, host: spec.endpoint.host, privileges: read, datasets: [], skipped, pools: [] };

  const privileges = await privilegesFor(connection, spec, read, names[0] as string);
  const pools = [...new Set(names.map(poolOf))];
  const [poolAnswer, ...answers] = await askAll(connection, privileges, [
    poolQuestion(pools),
    ...names.map(snapshotQuestion),
  ]);
  const datasets = names.flatMap((name, index): DatasetFacts[] => {
    const snapshots = readSnapshots(name, answers[index] as Answer);
    if (typeof snapshots === 'string') {
      skipped.push({ dataset: name, why: snapshots });
      return [];
    }
    return [{ name, snapshots, usedBySnapshots: found.get(name) }];
  });
  await addInstances(connection, privileges, spec, datasets);
  return {
    ...host.clock,
    runnerClock,
    host: spec.endpoint.host,
    privileges,
    datasets,
    skipped,
    pools: readPools(poolAnswer as Answer),
  };
}

async function hostFacts(connection: Connection, { sudo, endpoint }: ZfsSpec) {
  const said = await askScript(
    connection,
    `say uid "$(id -u)"; say clock "$(date +%s)"
command -v zfs >/dev/null 2>&1 || say missing zfs
command -v sudo >/dev/null 2>&1 || say missing sudo
words=$(zfs list -H -o name -d 0 2>&1 >/dev/null) || say words "$(printf %s "$words" | tr '\\n\\t' '  ')"
[ "$(id -u)" = 0 ] || { sudo -n -l -- zfs list >/dev/null 2>&1 && say sudo yes; }`,
  );
  const missing = said.get('missing') ?? [];
  if (missing.includes('zfs'))
    throw new ExpectedError(
      `There is no zfs on ${endpoint.host}.`,
      'No snapshot was looked at.',
      'Name the host that has the pool (from inside a container it cannot be seen), or install zfsutils-linux.',
    );
  if (sudo === 'always' && missing.includes('sudo'))
    throw new ExpectedError(
      `There is no sudo on ${endpoint.host}.`,
      'No snapshot was looked at.',
      'Leave zfs-sudo at auto, or install sudo.',
    );
  // Where /dev/zfs is closed to others, even looking needs root.
  const closed = /permission denied/i.test(said.get('words')?.[0] ?? '');
  const bySudo = sudo === 'always' || (sudo === 'auto' && closed && said.has('sudo'));
  if (closed && !bySudo)
    throw new ExpectedError(
      `${endpoint.user} may not even look at ZFS on ${endpoint.host}: ${said.get('words')?.[0]?.trim()}`,
      'No snapshot was looked at.',
      'Give this user a sudo rule for zfs and zpool, or open /dev/zfs as udev does (mode 0666).',
    );
  const clock = said.get('clock')?.[0] ?? '';
  return { readBySudo: bySudo, clock: { clock: /^\d{1,12}$/.test(clock) ? Number(clock) : undefined } };
}

/** The datasets that the rules stand for, with the bytes their snapshots hold. */
async function findDatasets(
  connection: Connection,
  privileges: Privileges,
  rules: DatasetRule[],
  skipped: ZfsFacts['skipped'],
): Promise<Map<string, number | undefined>> {
  const depth = { itself: ['-d', '0'], children: ['-d', '1'], 'all-below': ['-r'] };
  const answers = await askAll(
    connection,
    privileges,
    rules.map(
      ({ name, reach }): Question => ({
        as: 'read',
        command: ['zfs', 'list', '-Hp', '-t', 'filesystem,volume', ...depth[reach], '-o', 'name,usedbysnapshots', name],
      }),
    ),
  );
  const found = new Map<string, number | undefined>();
  rules.forEach(({ name, reach }, index) => {
    const { code, lines, words } = answers[index] as Answer;
    const line = `${name}${{ itself: '', children: '/*', 'all-below': '/**' }[reach]}`;
    if (code !== 0) {
      skipped.push({ dataset: line, why: words });
      return;
    }
    const strange = lines.find((row) => {
      const [, dataset = ''] = /^([^\t]+)\t(\d+|-)$/.exec(row) ?? [];
      return dataset !== name && !dataset.startsWith(`${name}/`);
    });
    if (strange !== undefined) {
      skipped.push({ dataset: line, why: `zfs list gave a line that is none of its own: ${shown(strange)}` });
      return;
    }
    for (const row of lines) {
      const [dataset = '', used] = row.split('\t');
      if ((dataset === name) === (reach === 'itself')) found.set(dataset, used === '-' ? undefined : Number(used));
    }
  });
  return found;
}

/** Whether sudo goes in front: where it is wanted, or where it would be allowed and the user is not root. */
async function privilegesFor(
  connection: Connection,
  { sudo, instanceTool: tool }: ZfsSpec,
  { read }: Privileges,
  dataset: string,
): Promise<Privileges> {
  if (sudo === 'always') return { read: true, destroy: true, instances: true };
  if (sudo === 'never') return { read, destroy: false, instances: false };
  const said = await askScript(
    connection,
    `[ "$(id -u)" = 0 ] || {
  sudo -n -l -- zfs destroy ${q(`${dataset}@auto`)} >/dev/null 2>&1 && say destroy yes
  ${tool === 'none' ? '' : `${tool} query local:/1.0 >/dev/null 2>&1 || { sudo -n -l -- ${tool} query local:/1.0 >/dev/null 2>&1 && say instances yes; }`}
}`,
  );
  return { read, destroy: said.has('destroy'), instances: said.has('instances') };
}

async function addInstances(
  connection: Connection,
  privileges: Privileges,
  { instanceTool: tool }: ZfsSpec,
  datasets: DatasetFacts[],
): Promise<void> {
  const owned = datasets.filter(({ snapshots }) => snapshots.some(({ name }) => name.startsWith('snapshot-')));
  if (tool === 'none' || owned.length === 0) return;
  const [stored] = await askAll(connection, privileges, [storageQuestion(tool)]);
  const storage = readStorage(stored as Answer);
  const asked: { dataset: DatasetFacts; of: Instance }[] = [];
  for (const dataset of owned) {
    const of = Array.isArray(storage)
      ? instanceOf(dataset.name, storage)
      : { trouble: `${tool} could not be asked: ${storage.trouble}`, unread: true };
    if (of && !('trouble' in of)) asked.push({ dataset, of });
    else dataset.instance = of;
  }
  const answers = await askAll(
    connection,
    privileges,
    asked.map(({ of }) => instanceQuestion(tool, of)),
  );
  asked.forEach(({ dataset, of }, index) => {
    dataset.instance = readInstance(of, answers[index] as Answer);
  });
}
