import { spawn } from 'node:child_process';

/** What one contender does in one round: names of figures -> their values. */
export interface Contender {
  name: string;
  /** Not measured: what must be so before it starts. */
  before?(round: number): Promise<void>;
  run(round: number): Promise<Record<string, number>>;
}

/** One measured number over all rounds. */
export interface Figure {
  name: string;
  unit: 'ms' | 'MB' | 'KB' | '';
  values: number[];
}

/** What came out of a comparison, and what it has to reach; without a limit it is only told. */
export interface Goal {
  text: string;
  /** One of each run, in their order. */
  values: number[];
  /** What counts of them: the median, or the worst where one run is enough to miss it. */
  value: number;
  unit: Figure['unit'];
  limit?: Limit;
  /** There is no chance in it, such as in the size of a file: one value is enough. */
  fixed?: boolean;
  /** Why it is missed, where that is known; told only when it is. */
  reason?: string;
}

export type Limit = { atLeast: number } | { atMost: number };

/** What one file of the bench found out. */
export interface Part {
  title: string;
  figures: Figure[];
  goals: Goal[];
  notes: string[];
}

export interface Settings {
  /** Small sizes and one round: does every part still run? Its figures mean nothing. */
  quick: boolean;
  rounds: number;
  say(line: string): void;
}

/**
 * Lets every contender run once a round: A B C, A B C, ... So what the machine does besides hits all of them alike, and
 * figures of one round can be compared with each other.
 */
export async function interleave({ rounds, say }: Settings, contenders: Contender[]): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, before, run } of contenders) {
      await before?.(round);
      const figures = await run(round);
      const words = Object.entries(figures).map(([figure, value]) => `${figure} ${value.toFixed(0)}`);
      say(`  round ${round + 1}, ${name}: ${words.join(', ')}`);
      for (const [figure, value] of Object.entries(figures))
        samples.set(figure, [...(samples.get(figure) ?? []), value]);
    }
  }
  return samples;
}

export function figures(samples: Map<string, number[]>, unit: Figure['unit'] = 'ms'): Figure[] {
  return [...samples].map(([name, values]) => ({ name, unit, values }));
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export const least = (values: number[]): number => Math.min(...values);
export const most = (values: number[]): number => Math.max(...values);

/** A goal, or what is only told, from the values of its runs; `counts` says which of them is held to the limit. */
export function goal(
  text: string,
  values: number[],
  limit?: Limit,
  { counts = median, ...more }: Partial<Pick<Goal, 'unit' | 'fixed' | 'reason'>> & { counts?: typeof median } = {},
): Goal {
  return { text, values, value: counts(values), unit: '', limit, ...more };
}

/** How many times longer `slow` took than `fast`: pair by pair, within a round. */
export function ratios(samples: Map<string, number[]>, slow: string, fast: string): number[] {
  return paired(samples, slow, fast, (value, divisor) => value / divisor);
}

/** By how much `more` exceeds `less`, pair by pair. */
export function excesses(samples: Map<string, number[]>, more: string, less: string): number[] {
  return paired(samples, more, less, (value, other) => value - other);
}

function paired(
  samples: Map<string, number[]>,
  one: string,
  other: string,
  take: (one: number, other: number) => number,
): number[] {
  const others = samples.get(other) ?? [];
  return (samples.get(one) ?? []).map((value, round) => take(value, others[round] ?? Number.NaN));
}

/** undefined: there is nothing to be met. */
export function isMet({ value, limit }: Goal): boolean | undefined {
  if (!limit) return undefined;
  return 'atLeast' in limit ? value >= limit.atLeast : value <= limit.atMost;
}

/**
 * How many times better than its limit a value is: below 1 it is worse. Infinite where nothing is left of what there should
 * be little of; undefined where nothing at all may be, since that is no ratio.
 */
export function margin(value: number, limit: Limit): number | undefined {
  if ('atLeast' in limit) return limit.atLeast === 0 ? undefined : value / limit.atLeast;
  if (limit.atMost === 0) return undefined;
  return value > 0 ? limit.atMost / value : Number.POSITIVE_INFINITY;
}

/** Runs a program to its end and gives the time that took, in ms. Rejects, with its words, when it does not exit with 0. */
export async function timed(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const began = performance.now();
  await output(command, args, env);
  return performance.now() - began;
}

/** Runs a program and gives its stdout. Not blocking: the delay proxy lives in this process. */
export function output(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ended with ${code ?? signal}: ${stderr || stdout}`));
    });
  });
}
