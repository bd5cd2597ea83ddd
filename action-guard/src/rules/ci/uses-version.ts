import type { Finding, Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { usesSamples } from './samples.js';
import { warning } from './scripts.js';
import { entry, jobsOf, stepsOf, textOf, workflowFiles, workflowsOf } from './workflow.js';

const branches = ['main', 'master', 'develop', 'dev', 'trunk', 'latest', 'HEAD'];

export const usesVersion: Rule<CiOptions> = {
  id: 'ci/uses-version',
  severity: 'warning',
  title: 'Every action is used at a version.',
  reason: `\`uses:\` without \`@version\` is no action to the runner, and one at a branch is another action tomorrow: with the secrets of this
repository in its hands.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) => {
      const all = [...stepsOf(workflow).map(({ step }) => step), ...jobsOf(workflow).map(({ node }) => node)];
      return all.flatMap((node): Finding[] => {
        const uses = entry(workflow, node, 'uses');
        const text = textOf(uses?.node)?.trim();
        if (!uses?.node || !text || text.startsWith('./') || text.startsWith('docker://') || text.includes('${{'))
          return [];
        const at = workflow.yaml.at(uses.node);
        const version = text.slice(text.lastIndexOf('/') + 1).split('@')[1];
        // A branch may hold a slash: what follows the last @ behind the host counts.
        const ref = text.includes('@') ? text.slice(text.lastIndexOf('@') + 1) : undefined;
        if (!ref) return [warning(at, `${show(text)} names no version.`, 'Write `@v1`, or the full hash of a commit.')];
        if (branches.includes(version ?? ref))
          return [
            warning(
              at,
              `${show(text)} is a branch: what runs here changes without a commit of yours.`,
              'Use a tag or the full hash of a commit.',
            ),
          ];
        return [];
      });
    }),
  samples: usesSamples,
};

function show(text: string): string {
  return text.replace(/\/\/[^/@]{0,200}@/, '//').slice(0, 100);
}
