import { isMet } from './measure.js';
import { goalsMarkdown, type OwnedGoal } from './table.js';

/** On what, when and of what a bench was run. */
export interface Circumstances {
  time: string;
  /** Of the source; says so where it was changed since. */
  commit: string;
  machine: { cpu: string; cores: number; memory: string; kernel: string; node: string };
  seconds: number;
  /** Parts that were run, when not all were. */
  only?: string[];
  /** Of the run that all other parts are from. */
  kept?: string;
}

/** In one line, for people. */
export function circumstancesText({ time, commit, machine: { cpu, cores, memory, kernel, node } }: Circumstances) {
  return `${time.slice(0, 10)}, commit ${commit}, node ${node}, ${cores} cores of ${cpu}, ${memory}, Linux ${kernel}`;
}

/** The page that keeps what a run found, with its chart beside it. */
export function resultsPage(circumstances: Circumstances, goals: OwnedGoal[], chartName: string): string {
  const limited = goals.filter(({ limit }) => limit);
  const met = limited.filter((goal) => isMet(goal)).length;
  const { seconds, only, kept } = circumstances;
  return `# Results of the bench

Written by \`npm run bench -- --results\`; what is measured, and how, is in [README.md](README.md).

- ${circumstancesText(circumstances)}.
- ${met} of ${limited.length} goals met, in ${Math.round(seconds / 60)} min.${only ? ` ${kept ? 'Of this run' : 'Only'}: ${only.join(', ')}.` : ''}${kept ? `\n- All others: ${kept}.` : ''}
- *is* is the median of all runs, or the worst of them where one is enough to miss the goal; *least .. most* are the runs;
  *times the goal* is how many times better than it has to be it is; *fixed* has no chance in it, and was taken once.

![Every goal as a bar on a logarithmic scale](${chartName})

${goalsMarkdown(goals)}
`;
}
