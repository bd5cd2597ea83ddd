import { parseIpv4 } from '../../formats/addresses.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { bad, good } from './botserver-url-samples.js';
import { find, judged, positionIn } from './find.js';
import type { UnitOptions } from './index.js';
import { clip, variableOf } from './service.js';

export const botserverUrl: Rule<UnitOptions> = {
  id: 'unit/botserver-url',
  severity: 'error',
  title: 'botui reaches botserver on loopback: BOTSERVER_URL is http://localhost:5858.',
  reason: `With the external https URL botui's WebSocket goes out through the proxy and is cut before TALK runs: the bot greets
nobody, and both services look healthy.

The value that counts is the one the process gets. \`Environment=\` lines accumulate, the later one wins and an empty one takes
all before away; drop-ins come after the unit, by name; \`EnvironmentFile=\` overrides them all; \`UnsetEnvironment=\` and \`env\`
in the command come last. Files that \`EnvironmentFile=\` names are read when they are in the repository.`,
  suppressible: true,
  files: (options) => options.files,
  reads: (options) => options.environment,
  judged: judged('ui'),
  check: (look) => check(look),
  samples: { good, bad },
};

type Judgement = 'good' | 'warn' | string;

function judge(value: string, options: UnitOptions): Judgement {
  const { port } = options.server;
  const { hosts, privateAddresses } = options.url;
  const bare = value.endsWith('/') ? value.slice(0, -1) : value;
  const scheme = 'http://';
  if (bare.slice(0, scheme.length).toLowerCase() !== scheme) {
    if (bare.toLowerCase().startsWith('https://')) return 'goes by https through the proxy, which cuts the WebSocket';
    return value === '' ? 'is empty' : `is no ${scheme} URL`;
  }
  const authority = bare.slice(scheme.length);
  if (/[@/?#\\]/.test(authority)) return 'names more than a host and a port';
  const colon = authority.lastIndexOf(':');
  const host = (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase();
  const given = colon < 0 ? '80' : authority.slice(colon + 1);
  if (given !== String(port)) return `names port ${clip(given)}, and botserver listens on ${port}`;
  if (hosts.includes(host)) return 'good';
  if (host === '127.0.0.1' || host === '[::1]') return 'warn';
  const address = host.split('.').length === 4 ? parseIpv4(host) : undefined;
  if (address && privateAddresses) {
    const [a, b] = address as [number, number];
    if (a === 10 || (a === 192 && b === 168) || (a === 172 && b >= 16 && b < 32)) return 'good';
  }
  return `names host ${clip(host)} in place of ${hosts[0]}`;
}

function check({ head, options }: Look<UnitOptions>): Finding[] {
  const findings: Finding[] = [];
  const { variable } = options.url;
  const want = `http://${options.url.hosts[0]}:${options.server.port}`;
  for (const service of find(head, options, 'ui')) {
    const found = variableOf(service, variable, head);
    const at = positionIn(found.path, found.text, found.at);
    const todo = `Set \`Environment=${variable}=${want}\` in [Service].`;
    if (found.status === 'unknown') {
      // What is known is wrong already, whatever the rest says: that is said, too.
      findings.push({ status: 'unknown', at, message: `What ${variable} is cannot be told, as ${found.why}.`, todo });
      continue;
    }
    if (found.status === 'unset') {
      if (!service.main) continue;
      const text = found.text.slice(found.at, found.at + 9) === '[Service]' ? found.text : undefined;
      const fix = text && {
        [found.path]: `${text.slice(0, found.at + 9)}\nEnvironment=${variable}=${want}${text.slice(found.at + 9)}`,
      };
      const message = `${service.name} starts botui without ${variable}.`;
      findings.push({ status: 'fail', at, message, todo, ...(fix && found.overridden === 0 ? { fix } : {}) });
      continue;
    }
    const judgement = judge(found.value, options);
    if (judgement === 'good') {
      if (found.innerQuote) {
        const message = `The quotes in ${variable} stand around its value, and not around the whole assignment.`;
        findings.push({ status: 'fail', severity: 'warning', at, message, todo: `Write \`"${variable}=${want}"\`.` });
      }
      continue;
    }
    if (judgement === 'warn') {
      const message = `${variable} names ${clip(found.value)} in place of ${want}.`;
      findings.push({ status: 'fail', severity: 'warning', at, message, todo });
      continue;
    }
    const old = `${variable}=${found.value}`;
    const plain = found.text.startsWith(old, found.at);
    const fix = plain
      ? {
          [found.path]: `${found.text.slice(0, found.at)}${variable}=${want}${found.text.slice(found.at + old.length)}`,
        }
      : undefined;
    findings.push({ status: 'fail', at, message: `${variable} ${judgement}.`, todo, ...(fix ? { fix } : {}) });
  }
  return findings;
}
