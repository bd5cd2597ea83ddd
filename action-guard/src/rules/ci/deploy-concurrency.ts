import type { Finding, Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { concurrencySamples } from './samples.js';
import { deploys, warning } from './scripts.js';
import { entry, isMap, jobsOf, textOf, type Workflow, workflowFiles, workflowsOf } from './workflow.js';

export const deployConcurrency: Rule<CiOptions> = {
  id: 'ci/deploy-concurrency',
  severity: 'warning',
  title: 'Deploys wait for each other, and none is cancelled half-way.',
  reason: `Two pushes within a minute start two deploys at once, and the older one may be the last to finish. \`concurrency: {group: deploy,
cancel-in-progress: false}\` lets the second wait. Forgejo cancels by default the runs of a branch when a newer one comes: in the middle of a
deploy that leaves a host between two releases.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      jobsOf(workflow)
        .filter((job) => isMap(job.node) && deploys(workflow, job, options))
        .flatMap((job) => {
          const own = entry(workflow, job.node, 'concurrency') ?? entry(workflow, workflow.root, 'concurrency');
          if (!own?.node) {
            return [
              warning(
                job.at,
                `The job ${JSON.stringify(job.id.slice(0, 60))} deploys, and nothing keeps two of it from running at once.`,
                'Add `concurrency: {group: deploy, cancel-in-progress: false}` to the workflow.',
              ),
            ];
          }
          return cancels(workflow, own.node);
        })
        // Two deploys of one workflow may share its group.
        .filter((finding, index, all) => all.findIndex(({ at }) => at.line === finding.at.line) === index),
    ),
  samples: concurrencySamples,
};

function cancels(workflow: Workflow, node: unknown): Finding[] {
  const flag = entry(workflow, node, 'cancel-in-progress');
  const value = textOf(flag?.node)?.trim();
  if (!flag || value === undefined || value === 'false') return [];
  const message = 'A newer run cancels a deploy in progress, which leaves the host half-way between two releases.';
  if (value.includes('${{'))
    return [
      {
        ...warning(
          flag.at,
          'Whether a newer run cancels a deploy in progress depends on an expression.',
          'Write false.',
        ),
        status: 'unknown',
      },
    ];
  return [warning(flag.at, message, 'Write `cancel-in-progress: false`.')];
}
