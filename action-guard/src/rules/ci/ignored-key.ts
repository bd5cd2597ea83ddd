import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { ignoredSamples } from './samples.js';
import { warning } from './scripts.js';
import { entries, jobsOf, workflowFiles, workflowsOf } from './workflow.js';

const ofRoot = ['permissions', 'run-name'];
const ofJob = ['permissions', 'continue-on-error', 'environment'];

export const ignoredKey: Rule<CiOptions> = {
  id: 'ci/ignored-key',
  severity: 'info',
  title: 'No key is relied on that Forgejo ignores.',
  reason: `Forgejo takes \`permissions:\`, \`environment:\`, \`run-name:\` and the \`continue-on-error:\` of a job, and does nothing with them: the token
keeps its rights, nobody is asked to approve, and a job that may fail, fails the run.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) => [
      ...entries(workflow, workflow.root)
        .filter(({ key }) => ofRoot.includes(key))
        .map(({ key, at }) => warning(at, `Forgejo ignores \`${key}:\`.`, 'Do not rely on it.')),
      ...jobsOf(workflow).flatMap(({ node }) =>
        entries(workflow, node)
          .filter(({ key }) => ofJob.includes(key))
          .map(({ key, at }) => warning(at, `Forgejo ignores the \`${key}:\` of a job.`, 'Do not rely on it.')),
      ),
    ]),
  samples: ignoredSamples,
};
