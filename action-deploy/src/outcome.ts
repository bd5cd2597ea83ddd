/** How a host stands at the end of a run. `unknown` is the third answer: it could not be told. */
export type HostResult =
  | 'deployed'
  | 'returned'
  | 'unchanged'
  | 'planned'
  | 'rolled-back'
  | 'rollback-failed'
  | 'failed'
  | 'failed-kept'
  | 'refused'
  | 'skipped'
  | 'unknown';

/** One step as it went: times in epoch ms. */
export interface TimelineEntry {
  step: string;
  title: string;
  began: number;
  ended: number;
  ok: boolean;
}

export interface HostOutcome {
  host: string;
  result: HostResult;
  release: string;
  previous?: string;
  /** From the moment units were told to the first healthy answer. */
  downtimeMs?: number;
  /** Why it is not as wished, in sentences. */
  reason?: string;
  timeline: TimelineEntry[];
  /** Journal of exactly the failed invocation, and what else helps. */
  diagnosis: { title: string; lines: string[] }[];
  bytesSent: number;
}

export interface Outcome {
  hosts: HostOutcome[];
}
