import type { Answer } from './host.js';

/** What `zfs destroy -nvp` would do. */
export interface DryRun {
  destroy: string[];
  reclaim: number;
}

/** Reads `destroy<TAB>name` and `reclaim<TAB>bytes` (zfs-destroy(8), -p); undefined when there is anything else. */
export function readDryRun({ code, lines }: Answer): DryRun | undefined {
  const destroy: string[] = [];
  let reclaim: number | undefined;
  for (const line of lines) {
    const [, verb, what = ''] = /^(destroy|reclaim)\t(.+)$/.exec(line) ?? [];
    if (verb === 'destroy') destroy.push(what);
    else if (verb === 'reclaim' && /^\d{1,20}$/.test(what) && reclaim === undefined) reclaim = Number(what);
    else return undefined;
  }
  return code === 0 && reclaim !== undefined ? { destroy, reclaim } : undefined;
}

/**
 * The snapshots that zfs would not destroy, each with its reason. Its two forms (libzfs_dataset.c, zfs_main.c):
 * `cannot destroy snapshot tank/a@b: dataset is busy` and `cannot destroy 'tank/a@b': snapshot has dependent clones`.
 */
export function readRefusals({ complaints }: Answer): Map<string, string> {
  const refusals = new Map<string, string>();
  for (const line of complaints) {
    // The reason has no colon, and a name may well have one.
    const [, plain, quoted, why = ''] = /^cannot destroy (?:snapshot ([^'].*)|'(.+)'): ([^:]+)$/.exec(line) ?? [];
    const name = plain ?? quoted;
    if (name) refusals.set(name, why);
  }
  return refusals;
}

/** Whether a refusal of zfs, lxc or incus means held, cloned or busy (EBUSY, EEXIST in libzfs_dataset.c), and not a trouble. */
export function saysInUse(words: string): boolean {
  return /\bbusy\b|\bheld\b|\bcloned\b|\bdependent clones?\b/i.test(words);
}
