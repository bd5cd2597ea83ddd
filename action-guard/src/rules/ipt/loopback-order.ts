import type { Decision } from '../../formats/firewall.js';
import { Lines } from '../../lines.js';
import type { Finding, Look, Rule } from '../../rule.js';
import type { Tree } from '../../tree.js';
import type { IptOptions } from './index.js';
import { bad, good } from './loopback-samples.js';
import { inAllWorlds, type RulesFile, readRules } from './read.js';
import { inMachine, namePorts, placeOf, positionOf } from './report.js';

export const loopbackOrder: Rule<IptOptions> = {
  id: 'ipt/loopback-order',
  severity: 'error',
  title: 'Services behind DROP rules are reached on loopback: it is accepted before anything drops it.',
  reason: `Valkey, MinIO and Vault listen on loopback and are closed to the outside by DROP rules. Where loopback is not accepted
before those, botserver loses its cache: suggestions vanish, and nothing in its log says why.

The rule does not compare the order of lines. It carries the file out as iptables would (\`-I\` goes to the front, \`-D\` and \`-F\`
take away, user chains are entered and left) and sends a connection through the tables: its first packet, the answer and what
follows, on the way out and in again. The line it names is the one that dropped it.

\`iptables -L -n | grep 'ACCEPT.*lo'\` cannot show whether loopback is accepted: without \`-v\` there is no column of interfaces.`,
  suppressible: true,
  files: (options) => options.files,
  check: (look) => check(look),
  samples: { good, bad },
};

interface Group {
  decision: Decision;
  path: string;
  at: number;
  kind: 'drop' | 'own' | 'unknown';
  machine: string;
  ports: Map<string, number>;
}

function groupsOf(rules: RulesFile, options: IptOptions): Group[] {
  const groups = new Map<string, Group>();
  for (const { machine, worlds } of rules.ruled) {
    for (const [name, port] of Object.entries(options.ports)) {
      const add = (decision: Decision, kind: Group['kind']) => {
        const place = placeOf(rules, decision);
        const key = `${kind} ${place.at} ${place.path} ${machine}`;
        const group = groups.get(key) ?? { decision, ...place, kind, machine, ports: new Map() };
        group.ports.set(name, port);
        groups.set(key, group);
      };
      const { verdict, by } = inAllWorlds(worlds, (firewall) => firewall.loopback(port));
      if (verdict === 'drop') add(by, 'drop');
      else if (verdict === 'unknown') add(by, 'unknown');
      else {
        const own = inAllWorlds(worlds, (firewall) => firewall.loopback(port, 'own'));
        if (own.verdict === 'drop') add(own.by, 'own');
      }
    }
  }
  return [...groups.values()];
}

function check({ head, options }: Look<IptOptions>): Finding[] {
  const findings: Finding[] = [];
  for (const file of head.matching(options.files)) {
    const rules = readRules(file, head, options.ufw);
    if (!rules) continue;
    const groups = groupsOf(rules, options);
    const lines = new Map([[file.path, new Lines(file.text)]]);
    const fix = groups.some(({ kind }) => kind === 'drop') ? mend(rules, options, head) : undefined;
    for (const { decision, path, at, kind, machine, ports } of groups) {
      const text = head.file(path)?.text ?? '';
      let index = lines.get(path);
      if (!index) {
        index = new Lines(text);
        lines.set(path, index);
      }
      const place = positionOf(path, text, index, at);
      const names = namePorts([...ports]);
      const where = inMachine(machine);
      const { chain } = decision;
      const what = decision.kind === 'rule' ? 'This rule' : `The policy of ${chain}`;
      const [side, way] = chain === 'OUTPUT' || chain === 'POSTROUTING' ? ['-o', 'OUTPUT'] : ['-i', chain];
      const todo = `Accept loopback before it, as by \`-I ${way} ${side} lo -j ACCEPT\`.`;
      if (kind === 'drop') {
        const message = `${what} drops connections to ${names} on loopback${where}, as nothing accepts them before.`;
        findings.push({ status: 'fail', at: place, message, todo, ...(fix ? { fix } : {}) });
      } else if (kind === 'own') {
        const message = `${what} drops connections to ${names} from the machine's own address${where}: only loopback addresses are accepted before.`;
        findings.push({ status: 'fail', severity: 'warning', at: place, message, todo });
      } else {
        const why = decision.why ? `, as ${decision.why}` : '';
        const message = `Whether connections to ${names} on loopback${where} get past this line is not known${why}.`;
        findings.push({ status: 'unknown', at: place, message, todo });
      }
    }
  }
  return findings;
}

/** Beyond this nobody wrote the rules by hand, and reading them a second time is not worth it. */
const longestToMend = 200_000;

/** The file with loopback accepted in front, if that mends all of it. */
function mend(rules: RulesFile, options: IptOptions, head: Tree): Record<string, string> | undefined {
  const { path, text } = rules.file;
  if (text.length > longestToMend) return undefined;
  const chain = rules.format === 'ufw' ? (/\n?:?-?A? ?(ufw6?)-before-input/.exec(text)?.[1] ?? 'ufw') : '';
  const name = chain ? `${chain}-before-input` : 'INPUT';
  const all = text.split('\n');
  const isRule = (line: string) => {
    const at = line.indexOf(`-A ${name} `) >= 0 ? line.indexOf(`-A ${name} `) : line.indexOf(`-I ${name} `);
    if (at < 0) return false;
    const before = line.slice(0, at).trim();
    return rules.format === 'script' ? /^(sudo )?[/a-z]*ip6?tables( -w)?$/.test(before) : before === '';
  };
  let index = all.findIndex(isRule);
  let prefix = '';
  if (index >= 0) prefix = (all[index] as string).slice(0, (all[index] as string).search(/-[AI] /));
  else if (rules.format === 'restore') index = all.indexOf('COMMIT', all.indexOf('*filter'));
  if (index < 0) return undefined;
  const command = rules.format === 'script' ? '-I' : '-A';
  const mended = [...all.slice(0, index), `${prefix}${command} ${name} -i lo -j ACCEPT`, ...all.slice(index)].join(
    '\n',
  );
  const again = readRules({ ...rules.file, text: mended, bytes: rules.file.bytes }, head, options.ufw);
  if (!again || again.problems.length > rules.problems.length || groupsOf(again, options).length > 0) return undefined;
  return { [path]: mended };
}
