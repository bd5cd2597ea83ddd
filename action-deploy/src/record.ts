import { z } from 'zod';

/** One line of the record on the target (JSON lines, oldest first). */
const entrySchema = z.object({
  release: z.string(),
  /** deployed and returned: this release runs from then on. rolled-back, failed: it was tried, and is never chosen again. */
  result: z.enum(['adopted', 'deployed', 'returned', 'rolled-back', 'rollback-failed', 'failed']),
  time: z.string(),
  previous: z.string().optional(),
  /** Who says so: the action, or the target by itself. */
  by: z.string().optional(),
  run: z.string().optional(),
  commit: z.string().optional(),
  actor: z.string().optional(),
  artifacts: z
    .array(
      z.object({
        path: z.string(),
        type: z.enum(['binary', 'unit', 'config']),
        sha256: z.string(),
        size: z.number(),
        mode: z.string(),
        owner: z.string(),
      }),
    )
    .default([]),
});

export type RecordEntry = z.output<typeof entrySchema>;

/** The readable lines of a record; a torn last line (power loss) is passed over. */
export function readRecord(lines: string[]): RecordEntry[] {
  return lines.flatMap((line) => {
    try {
      const entry = entrySchema.safeParse(JSON.parse(line));
      return entry.success ? [entry.data] : [];
    } catch {
      return [];
    }
  });
}

/** What the record says about one release. */
export interface Release {
  id: string;
  /** Of its first successful deploy, ISO 8601. */
  time: string;
  artifacts: RecordEntry['artifacts'];
  bad: boolean;
}

/**
 * Every release of the record in the order in which they first came, and which of them runs by it: the newest, unless one was
 * returned to. A release that failed is `bad` for good.
 */
export function releasesOf(record: RecordEntry[]): { releases: Release[]; current?: string } {
  const byId = new Map<string, Release>();
  let current: string | undefined;
  for (const entry of record) {
    const known = byId.get(entry.release);
    const bad = entry.result === 'rolled-back' || entry.result === 'rollback-failed' || entry.result === 'failed';
    byId.set(entry.release, {
      id: entry.release,
      time: known?.time ?? entry.time,
      artifacts: entry.artifacts.length > 0 ? entry.artifacts : (known?.artifacts ?? []),
      bad: bad || (known?.bad ?? false),
    });
    if (entry.result === 'deployed' || entry.result === 'returned' || entry.result === 'adopted')
      current = entry.release;
    else if (entry.result === 'rolled-back') current = entry.previous;
  }
  return { releases: [...byId.values()], current };
}
