import { readFileSync } from 'node:fs';

const EVERY_MS = 20;
const PAGE = 4096;

/** The most memory that was resident at once. */
export interface Peak {
  /** In the process itself and all below it; what several share is counted for each. */
  tree: number;
  /** In the process itself. */
  own: number;
}

/** Looks again and again until it is stopped; gives MB. */
export function watchMemory(pid: number): () => Peak {
  const peak: Peak = { tree: 0, own: 0 };
  const timer = setInterval(() => {
    const pages = treeOf(pid).map(residentPages);
    peak.own = Math.max(peak.own, highWater(pid));
    peak.tree = Math.max(peak.tree, (pages.reduce((sum, each) => sum + each, 0) * PAGE) / 1e6);
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

function treeOf(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(treeOf)];
}

function residentPages(pid: number): number {
  return Number(read(`/proc/${pid}/statm`).split(' ')[1] ?? 0);
}

/** The most so far by the kernel's own count; so only what is new in the last moment can be missed. In MB. */
function highWater(pid: number): number {
  return (Number(/^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024) / 1e6;
}

/** '' for a process that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
