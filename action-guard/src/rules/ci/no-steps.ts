import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { noStepsSamples } from './samples.js';
import { entry, isMap, isSeq, jobsOf, workflowFiles, workflowsOf } from './workflow.js';

export const noSteps: Rule<CiOptions> = {
  id: 'ci/no-steps',
  severity: 'error',
  title: 'Every job has steps.',
  reason: `The runner asks of a job only that it has \`runs-on\`. A job whose steps slipped out of it, by two spaces too few, is run, does
nothing, and is green.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) => {
      const adrift = entry(workflow, workflow.root, 'steps');
      return jobsOf(workflow).flatMap(({ id, at, node }) => {
        if (!isMap(node) || entry(workflow, node, 'uses')?.node) return [];
        const steps = entry(workflow, node, 'steps');
        if (isSeq(steps?.node) && steps.node.items.length > 0) return [];
        if (steps?.node && !isSeq(steps.node)) return []; // ci/invalid says so
        return [
          {
            status: 'fail' as const,
            at: steps?.at ?? at,
            message: `The job ${JSON.stringify(id.slice(0, 60))} has no steps, so it does nothing and is green.`,
            todo: adrift
              ? `Indent the \`steps:\` of line ${adrift.at.line}, so that they stand in the job.`
              : 'Add them, or remove the job.',
          },
        ];
      });
    }),
  samples: noStepsSamples,
};
