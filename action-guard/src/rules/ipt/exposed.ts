import type { Finding, Look, Rule } from '../../rule.js';
import { bad, good } from './exposed-samples.js';
import type { IptOptions } from './index.js';
import { inAllWorlds, type RulesFile, readRules } from './read.js';
import { finder, inMachine, namePorts, placeOf } from './report.js';

export const exposed: Rule<IptOptions> = {
  id: 'ipt/exposed',
  severity: 'error',
  title: 'A port that was closed to the outside stays closed.',
  reason: `Valkey has no password and MinIO a well-known one; what protects them is a DROP rule. A pull request that takes it away,
or puts a broad ACCEPT before it, opens them to the Internet, and everything goes on working. On a pull request a stranger's
packet is sent through the rules before and after; in any case a DROP rule for a port has to be reached by such a packet.`,
  suppressible: true,
  files: (options) => options.files,
  check: (look) => check(look),
  samples: { good, bad },
};

function check({ head, base, options }: Look<IptOptions>): Finding[] {
  const findings: Finding[] = [];
  const before = new Map<string, RulesFile>();
  for (const file of base?.matching(options.files) ?? []) {
    const rules = readRules(file, base as NonNullable<typeof base>, options.ufw);
    if (rules) before.set(file.path, rules);
  }
  const ports = Object.entries(options.ports);
  const closedBy = (rules: RulesFile, machine: string, family: 4 | 6, port: number): boolean =>
    rules.ruled.some(
      (each) =>
        each.machine === machine &&
        each.family === family &&
        inAllWorlds(each.worlds, (firewall) => firewall.outside(port)).verdict === 'drop',
    );
  const open = new Map<
    string,
    {
      rules: RulesFile;
      at: number;
      machine: string;
      was: boolean;
      ports: [string, number][];
      unknown?: { why: string | undefined };
    }
  >();
  const covered = new Set<string>();
  const heads = head.matching(options.files).flatMap((file) => readRules(file, head, options.ufw) ?? []);
  for (const rules of heads) {
    for (const { machine, family, worlds } of rules.ruled) {
      for (const [name, port] of ports) {
        const { verdict, by } = inAllWorlds(worlds, (firewall) => firewall.outside(port));
        if (verdict === 'drop') covered.add(`${family} ${port}`);
        if (verdict === 'drop') continue;
        const earlier = before.get(rules.file.path);
        const was = earlier !== undefined && closedBy(earlier, machine, family, port);
        // Without the past: a rule that wants to close the port, and that nobody from outside gets to.
        const wanted = worlds.every((firewall) => firewall.wantsClosed(port)) && by.kind === 'rule';
        if (!was && (!wanted || verdict === 'unknown')) continue;
        const place = by.kind === 'default' || by.path !== rules.file.path ? 0 : placeOf(rules, by).at;
        const key = `${rules.file.path} ${place} ${machine} ${was} ${verdict}`;
        const unknown = verdict === 'unknown' ? { why: by.why } : undefined;
        const group = open.get(key) ?? { rules, at: place, machine, was, ports: [], unknown };
        if (!group.ports.some(([each]) => each === name)) group.ports.push([name, port]);
        open.set(key, group);
      }
    }
  }
  for (const { rules, at, machine, was, ports: opened, unknown } of open.values()) {
    const names = namePorts(opened);
    if (unknown) {
      findings.push(
        finder(rules)(at, {
          status: 'unknown',
          message: `${names} ${opened.length > 1 ? 'were' : 'was'} closed to the outside${inMachine(machine)}; whether it still is, is not known${unknown.why ? `, as ${unknown.why}` : ''}.`,
          todo: 'Write the rule that drops it without variables and conditions.',
        }),
      );
      continue;
    }
    findings.push(
      finder(rules)(at, {
        status: 'fail',
        message: was
          ? `${names} ${opened.length > 1 ? 'were' : 'was'} closed to the outside${inMachine(machine)}, and would be open.`
          : `This line lets everybody in to ${names}${inMachine(machine)}, before the rule that drops them is reached.`,
        todo: was
          ? 'Keep the rule that drops it, behind the one that accepts loopback.'
          : 'Narrow this line, as to an interface, or put it behind the rule that drops.',
      }),
    );
  }
  for (const [path, rules] of before) {
    if (head.paths.includes(path)) continue;
    const lost = ports.filter(([, port]) =>
      rules.ruled.some(
        ({ machine, family }) => closedBy(rules, machine, family, port) && !covered.has(`${family} ${port}`),
      ),
    );
    if (lost.length === 0) continue;
    findings.push({
      status: 'fail',
      at: { path, line: 1, column: 1 },
      message: `The file that closed ${namePorts(lost)} to the outside is gone, and no other one does.`,
      todo: 'Keep it, or put its rules into another file.',
    });
  }
  return findings;
}
