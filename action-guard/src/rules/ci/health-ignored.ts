import type { Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { healthSamples } from './samples.js';
import { warning } from './scripts.js';
import { scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

export const healthIgnored: Rule<CiOptions> = {
  id: 'ci/health-ignored',
  severity: 'warning',
  title: 'A health check that fails, fails the job.',
  reason: `\`curl -sf .../health && echo OK || echo FAILED\` always succeeds: the job is green while the service is down. The platform's own deploy
ended like that.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) =>
      scriptsOf(workflow).flatMap(({ lines }) =>
        lines.flatMap(({ text, at }) => {
          const ask = ['curl ', 'wget '].map((each) => text.indexOf(each)).find((each) => each >= 0);
          if (ask === undefined || text.trimStart().startsWith('#')) return [];
          const rest = text.slice(ask);
          if (!rest.includes('health') && !rest.includes('localhost') && !rest.includes('127.0.0.1')) return [];
          const or = rest.lastIndexOf('||');
          if (or < 0) return [];
          const then = rest.slice(or + 2).trim();
          const ignores = then === ':' || /^(?:true|echo|:)(?:\s|$|;|")/.test(then);
          if (!ignores || /\b(?:exit|return|false)\b/.test(then)) return [];
          return [
            warning(
              { ...at, column: at.column + ask + or },
              'This health check succeeds whatever it finds.',
              'Let it fail: remove what follows `||`, or end it with `exit 1`.',
            ),
          ];
        }),
      ),
    ),
  samples: healthSamples,
};
