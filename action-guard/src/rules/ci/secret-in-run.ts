import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { secretSamples } from './samples.js';
import { expressions, warning } from './scripts.js';
import { scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

export const secretInRun: Rule<CiOptions> = {
  id: 'ci/secret-in-run',
  severity: 'warning',
  title: 'No secret is pasted into a command line.',
  reason: `\`\${{ secrets.X }}\` in \`run:\` is pasted into the script before the shell sees it: it stands in the process list of the runner, a quote in
it ends the command, and the mask only knows the whole value. As \`env:\` it does none of that.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      scriptsOf(workflow).flatMap(({ lines }) =>
        lines.flatMap(({ text, at }) =>
          expressions(text)
            .filter(({ inner }) => /(?:^|[^\w.])secrets\s*[.[]/.test(inner.slice(0, 500)))
            .map(({ index }) =>
              warning(
                { ...at, column: at.column + index },
                'A secret is pasted into this command line, where the process list shows it.',
                'Give it to the step by `env:`, and use "$NAME" here.',
              ),
            ),
        ),
      ),
    ),
  samples: secretSamples,
};
