import type { Finding, Look, Rule } from '../../rule.js';
import type { IptOptions } from './index.js';
import { bad, good } from './invalid-samples.js';
import { readRules } from './read.js';
import { finder } from './report.js';

/** More of them in one file have one cause, and nobody reads them. */
const most = 50;

export const invalid: Rule<IptOptions> = {
  id: 'ipt/invalid',
  severity: 'error',
  title: 'iptables takes every line of a file of rules.',
  reason: `iptables-restore loads a file whole or not at all: one line it does not take leaves the machine with the rules it had,
or, at boot, with none. \`iptables-restore --test\` is no proof: the nft variant lets unknown targets (\`DROPP\`) and policies in
lower case pass, which the load then refuses.`,
  suppressible: true,
  files: (options) => options.files,
  check: (look) => check(look),
  samples: { good, bad },
};

function check({ head, options }: Look<IptOptions>): Finding[] {
  const findings: Finding[] = [];
  for (const file of head.matching(options.files)) {
    if (file.kind === 'link' && !file.path.endsWith('.sh')) {
      findings.push({
        status: 'unknown',
        at: { path: file.path, line: 1, column: 1 },
        message: 'These rules are a symbolic link, which is not followed.',
      });
    }
    const rules = readRules(file, head, options.ufw);
    if (!rules || rules.problems.length === 0) continue;
    const find = finder(rules);
    const seen = new Set<string>();
    for (const { at, status, message, todo } of [...rules.problems].sort((a, b) => a.at - b.at)) {
      const key = `${at} ${message}`;
      if (seen.has(key)) continue;
      if (seen.size >= most) {
        findings.push(find(at, { status, message: `There are more mistakes in this file than ${most}.` }));
        break;
      }
      seen.add(key);
      const finding = find(at, { status, message: `${message}.`, todo });
      if (message.startsWith('The last line has no line end'))
        findings.push({ ...finding, severity: 'warning', fix: { [file.path]: `${file.text}\n` } });
      else if (message.startsWith('Its lines end in a carriage return'))
        findings.push({ ...finding, fix: { [file.path]: file.text.replaceAll('\r\n', '\n') } });
      else findings.push(finding);
    }
  }
  return findings;
}
