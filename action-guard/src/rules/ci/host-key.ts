import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { hostKeySamples } from './samples.js';
import { warning } from './scripts.js';
import { scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

const off = [
  'stricthostkeychecking=no',
  'stricthostkeychecking no',
  'stricthostkeychecking=off',
  'stricthostkeychecking off',
  'userknownhostsfile=/dev/null',
  'userknownhostsfile /dev/null',
];

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
          const lower = text.toLowerCase();
          const index = off.map((each) => lower.indexOf(each)).find((each) => each >= 0);
          if (index === undefined) return [];
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
