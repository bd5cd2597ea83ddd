import { join } from 'node:path';
import { type Ran as RanBundle, runBundle } from '../bundle.js';

/** The `report` output, as far as the bench looks into it. */
interface Report {
  result: string;
  victimCount: number;
  longestLockMs?: number;
  places?: { moved: number; stayed: Record<string, number> }[];
  problems: string[];
}

export interface Ran extends RanBundle<Report> {
  report: Report;
}

/** The bundle on what is named and on nothing else. */
export async function ours(inputs: Record<string, string>): Promise<Ran> {
  const nothingElse = { 'cargo-home': 'none', targets: 'none', 'sccache-dir': 'none', 'runner-dir': 'none' };
  const ran = await runBundle<Report>('action-cache-clean', (folder) => ({
    inputs: { ...nothingElse, 'state-dir': join(folder, 'state'), ...inputs },
  }));
  const { code, log, report } = ran;
  if (code !== 0 || !report) throw new Error(`cache-clean went wrong:\n${log}`);
  return { ...ran, report };
}
