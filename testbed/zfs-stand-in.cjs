// zfs, zpool, lxc, incus and sudo as the tests need them, on a state in a folder. What zfs prints and exits
// with follows its own source: zfs_do_destroy in zfs_main.c, zfs_destroy_snaps_nvl in libzfs_dataset.c,
// zfs_iter_snapspec in libzfs_iter.c, libzfs_error_init in libzfs_util_os.c.
// usage: node zfs-stand-in.cjs FOLDER PROGRAM ARGUMENT...
// CommonJS: it starts thousands of times in a run of the tests, and node loads it in four fifths of the time of a module.
const { spawnSync } = require('node:child_process');
const { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync, writeSync } = require('node:fs');
const { join } = require('node:path');

const [folder, program, ...args] = process.argv.slice(2);
const file = join(folder, 'state.json');
const state = JSON.parse(readFileSync(file, 'utf8'));
const root = (state.uid ?? 0) === 0 || process.env.STAND_IN_ROOT === '1';

appendFileSync(join(folder, 'calls.jsonl'), `${JSON.stringify([program, ...args])}\n`);
function save() {
  writeFileSync(`${file}.new`, JSON.stringify(state, null, 1));
  renameSync(`${file}.new`, file);
}
function out(text) {
  writeAll(1, text);
}
function err(text) {
  writeAll(2, text);
}
function writeAll(fd, text) {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      pause(5);
    }
  }
}
function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Carries out what the test has laid in wait for this moment. */
function happen(moment) {
  const hook = (state.hooks ?? []).find((one) => one.on === moment && !one.done);
  if (hook) {
    hook.done = true;
    if (hook.set) {
      for (const [full, changes] of Object.entries(hook.set)) {
        const [dataset, name] = full.split('@');
        const all = state.datasets[dataset].snapshots;
        const at = all.findIndex((snapshot) => snapshot.name === name);
        if (changes === null) all.splice(at, 1);
        else if (at < 0) all.push({ name, ...changes });
        else Object.assign(all[at], changes);
      }
    }
    save();
    if (hook.touch) writeFileSync(join(folder, hook.touch), '');
    if (hook.waitFor) while (!existsSync(join(folder, hook.waitFor))) pause(10);
    if (hook.ms) pause(hook.ms);
  }
}

function closed() {
  if (state.noModule) {
    err("The ZFS modules cannot be auto-loaded.\nTry running 'modprobe zfs' as root to manually load them.\n");
    return true;
  }
  if (state.closed && !root) err('Permission denied the ZFS utilities must be run as root.\n');
  return state.closed && !root;
}

function usage(text) {
  err(`${text}\nusage:\n`);
  return 2;
}

function zfs() {
  if (closed()) return 1;
  const [verb, ...rest] = args;
  if (verb === 'list') return list(rest);
  if (verb === 'destroy') return destroy(rest);
  if (verb === 'holds') return holds(rest);
  if (verb === 'get') return get(rest);
  return usage(`unrecognized command '${verb}'`);
}

/** Options as getopt(3) takes them, for those that stand alone and those with a value. */
function options(words, alone, valued) {
  const set = {};
  const rest = [...words];
  while (rest[0]?.startsWith('-') && rest[0] !== '-') {
    const word = rest.shift();
    if (word === '--') break;
    for (let at = 1; at < word.length; at++) {
      const letter = word[at];
      if (alone.includes(letter)) set[letter] = true;
      else if (valued.includes(letter)) {
        set[letter] = word.slice(at + 1) || rest.shift();
        break;
      } else return { wrong: letter };
    }
  }
  return { set, rest };
}

const property = {
  snapshot: {
    name: (dataset, snapshot) => `${dataset}@${snapshot.name}`,
    guid: (_, { guid }) => guid,
    creation: (_, { creation }) => creation,
    createtxg: (_, { createtxg }) => createtxg,
    used: (_, { used }) => used ?? 0,
    userrefs: (_, { holds = [] }) => holds.length,
    clones: (_, { clones = [] }) => clones.join(',') || '-',
    written: (_, { written = 0 }) => written,
  },
  dataset: {
    name: (dataset) => dataset,
    usedbysnapshots: (dataset) =>
      [...state.datasets[dataset].snapshots].reduce((sum, { used = 0 }) => sum + used, 0) +
      (state.datasets[dataset].shared ?? []).reduce((sum, { bytes }) => sum + bytes, 0),
    type: (dataset) => state.datasets[dataset].type ?? 'filesystem',
    origin: () => '-',
  },
};

function list(words) {
  const { set, rest, wrong } = options(words, 'Hpr', 'otds');
  if (wrong) return usage(`invalid option '${wrong}'`);
  const snapshots = set.t === 'snapshot';
  const names = rest.length > 0 ? rest : Object.keys(state.datasets).filter((name) => !name.includes('/'));
  const depth = set.d === undefined ? (set.r ? Number.POSITIVE_INFINITY : 0) : Number(set.d);
  const columns = (set.o ?? 'name').split(',');
  let result = 0;
  for (const name of names) {
    if (!state.datasets[name]) {
      err(`cannot open '${name}': dataset does not exist\n`);
      result = 1;
      continue;
    }
    if (snapshots) happen(`list ${name}`);
    const { garbage, fails } = state.datasets[name];
    if (garbage !== undefined && snapshots) {
      out(garbage);
      continue;
    }
    if (fails && snapshots) {
      err(`cannot iterate filesystems: ${fails}\n`);
      result = 1;
      continue;
    }
    for (const [dataset, { snapshots: all }] of Object.entries(state.datasets)) {
      const below =
        dataset === name ? 0 : dataset.startsWith(`${name}/`) ? dataset.slice(name.length).split('/').length - 1 : -1;
      if (below < 0) continue;
      const rows = snapshots
        ? below + 1 <= depth
          ? inOrder(all).map((snapshot) => columns.map((column) => property.snapshot[column](dataset, snapshot)))
          : []
        : below <= depth
          ? [columns.map((column) => property.dataset[column](dataset))]
          : [];
      for (const row of rows) out(`${row.map((value) => value ?? '-').join(set.H ? '\t' : '  ')}\n`);
    }
  }
  return result;
}

function inOrder(snapshots) {
  return [...snapshots].sort((a, b) => a.createtxg - b.createtxg);
}

/** zfs_iter_snapspec: names and ranges between commas; one that is not there is passed over. */
function named(dataset, specification) {
  const all = inOrder(state.datasets[dataset].snapshots);
  const byName = new Map(all.map((snapshot) => [snapshot.name, snapshot]));
  return new Set(
    specification.split(',').flatMap((part) => {
      if (!part.includes('%')) return byName.get(part) ?? [];
      const [first, last] = part.split('%');
      const from = first ? all.findIndex(({ name }) => name === first) : 0;
      const to = last ? all.findIndex(({ name }) => name === last) : all.length - 1;
      return from < 0 || to < 0 ? [] : all.slice(from, to + 1);
    }),
  );
}

function destroy(words) {
  const { set, rest, wrong } = options(words, 'vpndfrR', '');
  if (wrong) return usage(`invalid option '${wrong}'`);
  if (rest.length === 0) return usage('missing dataset argument');
  if (rest.length > 1) return usage('too many arguments');
  const at = rest[0].indexOf('@');
  const dataset = at < 0 ? rest[0] : rest[0].slice(0, at);
  happen(`${set.n ? 'dry-run' : 'destroy'} ${dataset}`);
  if (!state.datasets[dataset]) {
    err(`cannot open '${dataset}': dataset does not exist\n`);
    return 1;
  }
  if (at < 0) {
    // The worst that a mistake could do, so that a test would see it.
    if (!set.n) delete state.datasets[dataset];
    save();
    return 0;
  }
  const victims = [...named(dataset, rest[0].slice(at + 1))];
  const cloned = victims.filter(({ clones = [] }) => clones.length > 0);
  for (const { name, clones } of cloned) {
    err(`cannot destroy '${dataset}@${name}': snapshot has dependent clones\n`);
    err(`use '-R' to destroy the following datasets:\n${clones.map((clone) => `${clone}\n`).join('')}`);
  }
  const verbose = set.v || set.p;
  const dryRun = state.datasets[dataset].dryRun;
  if (verbose && dryRun !== undefined && set.n) {
    out(dryRun);
    return 0;
  }
  if (verbose) for (const { name } of victims) out(`${set.p ? 'destroy\t' : 'would destroy '}${dataset}@${name}\n`);
  if (cloned.length > 0) return 1;
  if (victims.length === 0) {
    err('could not find any snapshots to destroy; check snapshot names.\n');
    return 1;
  }
  if (verbose) out(set.p ? `reclaim\t${reclaim(dataset, victims)}\n` : `would reclaim ${reclaim(dataset, victims)}\n`);
  if (set.n) return 0;
  return destroyNow(dataset, victims);
}

function reclaim(dataset, victims) {
  const names = victims.map(({ name }) => name);
  const shared = (state.datasets[dataset].shared ?? []).filter(({ by }) => by.every((name) => names.includes(name)));
  return [...victims.map(({ used = 0 }) => used), ...shared.map(({ bytes }) => bytes)].reduce((a, b) => a + b, 0);
}

/** lzc_destroy_snaps: all of them, or none and the reasons. */
function destroyNow(dataset, victims) {
  if (state.denied && !root) {
    err('cannot destroy snapshots: permission denied\n');
    return 1;
  }
  const { suspended } = state.datasets[dataset];
  if (suspended) {
    err('cannot destroy snapshots: pool I/O is currently suspended\n');
    return 1;
  }
  // Some errors name nobody when there are several.
  if (state.datasets[dataset].unnamed && victims.some(({ busy }) => busy) && victims.length > 1) {
    err('cannot destroy snapshots: dataset is busy\n');
    return 1;
  }
  const busy = victims.filter(({ holds = [], busy }) => holds.length > 0 || busy);
  for (const { name } of busy) err(`cannot destroy snapshot ${dataset}@${name}: dataset is busy\n`);
  if (busy.length > 0) return 1;
  if (!state.datasets[dataset].lies) {
    const gone = new Set(victims.map(({ name }) => name));
    const bytes = reclaim(dataset, victims);
    const all = state.datasets[dataset];
    all.snapshots = all.snapshots.filter(({ name }) => !gone.has(name));
    all.shared = (all.shared ?? []).filter(({ by }) => !by.every((name) => gone.has(name)));
    const pool = state.pools[dataset.split('/')[0]];
    if (pool) pool.freeing += bytes;
    save();
  }
  happen(`destroyed ${dataset}`);
  return 0;
}

function holds(words) {
  const { set, rest } = options(words, 'Hpr', '');
  for (const full of rest) {
    const [dataset, name] = full.split('@');
    const snapshot = state.datasets[dataset]?.snapshots.find((one) => one.name === name);
    if (!snapshot) {
      err(`cannot open '${full}': dataset does not exist\n`);
      return 1;
    }
    if (!set.H) out('NAME  TAG  TIMESTAMP\n');
    for (const tag of snapshot.holds ?? []) out(`${full}\t${tag}\t${new Date(0).toUTCString()}\n`);
  }
  return 0;
}

function get(words) {
  const { rest } = options(words, 'Hpr', 'ots');
  const [names, dataset] = rest;
  if (!state.datasets[dataset]) {
    err(`cannot open '${dataset}': dataset does not exist\n`);
    return 1;
  }
  for (const name of names.split(',')) out(`${dataset}\t${name}\t${property.dataset[name](dataset)}\t-\n`);
  return 0;
}

function zpool() {
  if (closed()) return 1;
  const { rest } = options(args.slice(1), 'Hp', 'o');
  let result = 0;
  for (const name of rest) {
    const pool = state.pools[name];
    if (pool) out(`${name}\t${pool.free}\t${pool.freeing}\n`);
    else {
      err(`cannot open '${name}': no such pool\n`);
      result = 1;
    }
  }
  return result;
}

/** lxc and incus: storage list, query, delete. */
function instances() {
  const { lxd } = state;
  if (!lxd || lxd.tool !== program || (lxd.rootOnly && !root)) {
    err(
      'Error: Get "http://unix.socket/1.0": dial unix /var/snap/lxd/common/lxd/unix.socket: connect: permission denied\n',
    );
    return 1;
  }
  const [verb] = args;
  if (verb === 'storage') {
    out(`${JSON.stringify(lxd.storage)}\n`);
    return 0;
  }
  if (verb === 'query') return query(lxd);
  const at = args.indexOf('--project');
  const project = at < 0 ? 'default' : args[at + 1];
  const words = args.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  const [instance, snapshot] =
    program === 'incus'
      ? [words[2]?.replace(/^local:/, ''), words[3]]
      : (words[1]?.replace(/^local:/, '').split('/') ?? []);
  happen(`delete ${instance}/${snapshot}`);
  const known = lxd.instances[`${project}/${instance}`];
  const found = known?.snapshots.findIndex(({ name }) => name === snapshot) ?? -1;
  if (found < 0) {
    err('Error: Instance snapshot not found\n');
    return 1;
  }
  if (known.snapshots[found].busy) {
    err('Error: Failed deleting snapshot: Instance is busy running a "backup" operation\n');
    return 1;
  }
  known.snapshots.splice(found, 1);
  const volume = state.datasets[known.dataset];
  volume.snapshots = volume.snapshots.filter(({ name }) => name !== `snapshot-${snapshot}`);
  save();
  return 0;
}

function query(lxd) {
  const path = args[1].replace(/^local:/, '');
  if (path === '/1.0') {
    out('{}\n');
    return 0;
  }
  const [, instance, project = 'default'] =
    /instances\/([^/]+)\/snapshots\?recursion=1(?:&project=(.+))?$/.exec(path) ?? [];
  const known = lxd.instances[`${project}/${instance}`];
  if (!known) {
    err('Error: Instance not found\n');
    return 1;
  }
  const never = '0001-01-01T00:00:00Z';
  out(
    `${known.garbage ?? JSON.stringify(known.snapshots.map(({ name, expires_at = never }) => ({ name, expires_at })))}\n`,
  );
  return 0;
}

function sudo() {
  const ask = args.includes('-l');
  const command = args.slice(args.indexOf('--') + 1);
  const allowed = (state.sudo ?? []).some((rule) => new RegExp(rule).test(command.join(' ')));
  if (ask) return allowed ? 0 : 1;
  if (!allowed) {
    err('sudo: a password is required\n');
    return 1;
  }
  const env = { ...process.env, STAND_IN_ROOT: '1' };
  return spawnSync(command[0], command.slice(1), { stdio: 'inherit', env }).status ?? 1;
}

process.exitCode = { zfs, zpool, lxc: instances, incus: instances, sudo }[program]();
