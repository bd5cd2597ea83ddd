import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { untrustedSamples } from './samples.js';
import { expressions, warning } from './scripts.js';
import { scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

/** What people outside may choose freely. */
const theirs = [
  'event.issue.title',
  'event.issue.body',
  'event.pull_request.title',
  'event.pull_request.body',
  'event.pull_request.head.ref',
  'event.pull_request.head.label',
  'event.comment.body',
  'event.review.body',
  'event.head_commit.message',
  'event.commits',
  'head_ref',
];

export const untrustedRun: Rule<CiOptions> = {
  id: 'ci/untrusted-run',
  severity: 'warning',
  title: 'No text of strangers is pasted into a script.',
  reason: `The title of a pull request, or the name of its branch, is chosen by whoever opens it. Pasted into \`run:\` it is a part of the
script: a branch called \`$(curl ...)\` runs on the runner.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      scriptsOf(workflow).flatMap(({ lines }) =>
        lines.flatMap(({ text, at }) =>
          expressions(text).flatMap(({ inner, index }) => {
            const name = theirs.find(
              (each) =>
                inner.includes(`github.${each}`) ||
                inner.includes(`forgejo.${each}`) ||
                inner.includes(`gitea.${each}`),
            );
            if (!name) return [];
            return [
              warning(
                { ...at, column: at.column + index },
                `${name} is chosen by whoever opens the pull request, and is pasted into this script.`,
                'Give it to the step by `env:`, and use "$NAME" here.',
              ),
            ];
          }),
        ),
      ),
    ),
  samples: untrustedSamples,
};
