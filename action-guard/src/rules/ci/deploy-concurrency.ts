import type { Finding, Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { concurrencySamples } from './samples.js';
import { deploys, warning } from './scripts.js';
import { entry, isMap, jobsOf, textOf, type Workflow, workflowFiles, workflowsOf } from './workflow.js';

export const deployConcurrency: Rule<CiOptions> = {
  id: 'ci/deploy-concurrency',
  severity: 'warning',
  title: 'Deploys wait for each other, and none is cancelled half-way.',
  reason: `A newer run of the same workflow and branch cancels the one in progress; that is Forgejo's default. To the runner a cancel is an
immediate kill: in the middle of a deploy it leaves a host between two releases. \`concurrency: {group: deploy, cancel-in-progress: false}\`
lets the newer one wait, from Forgejo 14 on. It must stand at the root of the workflow; that of a job is ignored.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      jobsOf(workflow)
        .filter((job) => isMap(job.node) && deploys(workflow, job, options))
        .flatMap((job) => {
          const own = entry(workflow, workflow.root, 'concurrency');
          if (!own?.node) {
            const inJob = entry(workflow, job.node, 'concurrency');
            return [
              warning(
                inJob?.at ?? job.at,
                inJob
                  ? 'Forgejo ignores the `concurrency:` of a job, so a newer run cancels this deploy half-way.'
                  : `The job ${JSON.stringify(job.id.slice(0, 60))} deploys, and a newer run cancels it half-way.`,
                'Write `concurrency: {group: deploy, cancel-in-progress: false}` at the root of the workflow.',
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
