import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { hostKeySamples } from './samples.js';
import { warning } from './scripts.js';
import { scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

/** Not sought in the text in small letters: `İ` is longer there, and all that follows stands elsewhere. */
const off = /stricthostkeychecking[= ](?:no|off)|userknownhostsfile[= ]\/dev\/null/i;

export const hostKey: Rule<CiOptions> = {
  id: 'ci/host-key',
  severity: 'warning',
  title: 'SSH knows whom it deploys to.',
  reason: `\`StrictHostKeyChecking=no\` gives the release, and whatever it carries, to anybody who answers at that address. Today's hand-written deploys
have it in every line. Pin the key in \`known_hosts\`, or use action-deploy, which refuses to go without.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      scriptsOf(workflow).flatMap(({ lines }) =>
        lines.flatMap(({ text, at }) => {
          if (text.trimStart().startsWith('#')) return [];
          const index = text.search(off);
          if (index < 0) return [];
          return [
            warning(
              { ...at, column: at.column + index },
              'SSH takes any host for the right one here.',
              'Pin its key in known_hosts, or deploy by action-deploy.',
            ),
          ];
        }),
      ),
    ),
  samples: hostKeySamples,
};
