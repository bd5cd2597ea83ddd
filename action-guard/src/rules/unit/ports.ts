import type { Finding, Look, Rule } from '../../rule.js';
import { deleted, find, judged, positionIn } from './find.js';
import type { UnitOptions } from './index.js';
import { bad, good } from './ports-samples.js';
import { clip, variableOf } from './service.js';

export const portsRule: Rule<UnitOptions> = {
  id: 'unit/ports',
  severity: 'error',
  title: 'botserver listens on 5858 and botui on 5859.',
  reason: `The proxy, BOTSERVER_URL and the health checks name these ports. botui listens on 3000 when nobody says otherwise (its
README says 9000), so that its unit has to say it; botserver takes \`PORT\`, most often from its .env. A unit that is deleted listens nowhere.`,
  suppressible: true,
  files: (options) => options.files,
  reads: (options) => options.environment,
  judged: judged('ui', 'server'),
  check: (look) => [...check(look), ...deleted(look, 'ui'), ...deleted(look, 'server')],
  samples: { good, bad },
};

function check({ head, options }: Look<UnitOptions>): Finding[] {
  const findings: Finding[] = [];
  for (const which of ['ui', 'server'] as const) {
    const { variable, port, program } = options[which];
    for (const service of find(head, options, which)) {
      const found = variableOf(service, variable, head);
      const at = positionIn(found.path, found.text, found.at);
      const todo = `Set \`Environment=${variable}=${port}\` in [Service].`;
      if (found.status === 'unknown') {
        findings.push({
          status: 'unknown',
          at,
          message: `Which port ${program} listens on cannot be told, as ${found.why}.`,
          todo,
        });
      } else if (found.status === 'unset') {
        if (!service.main) continue;
        if (which === 'ui') {
          const message = `${service.name} does not say on which port ${program} listens, so that it takes 3000.`;
          findings.push({ status: 'fail', at, message, todo });
        } else {
          const message = `${service.name} does not say on which port ${program} listens, and its own .env is not known.`;
          findings.push({ status: 'unknown', severity: 'info', at, message, todo });
        }
      } else if (found.value !== String(port)) {
        const message = `${variable} is ${clip(found.value) || 'empty'}, and ${program} has to listen on ${port}.`;
        const old = `${variable}=${found.value}`;
        const fix = found.text.startsWith(old, found.at)
          ? {
              [found.path]: `${found.text.slice(0, found.at)}${variable}=${port}${found.text.slice(found.at + old.length)}`,
            }
          : undefined;
        findings.push({ status: 'fail', at, message, todo, ...(fix ? { fix } : {}) });
      }
    }
  }
  return findings;
}
