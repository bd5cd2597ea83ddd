import type { Inputs } from './inputs.js';

/** Hosts in the order in which they switch: the canary alone, then batches. A percentage is of all hosts, rounded down, at least one. */
export function waves(hosts: string[], canary: number, batch: Inputs['batch']): string[][] {
  const size = 'hosts' in batch ? batch.hosts : Math.max(1, Math.floor((hosts.length * batch.percent) / 100));
  const first = hosts.length > 1 ? hosts.slice(0, canary) : [];
  const result = first.length > 0 ? [first] : [];
  for (let start = first.length; start < hosts.length; start += size) result.push(hosts.slice(start, start + size));
  return result;
}
