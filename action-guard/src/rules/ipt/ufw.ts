import { Firewall } from '../../formats/firewall.js';
import type { IpFamily } from '../../formats/iptables.js';
import { load, type Reading, readRestore } from '../../formats/iptables-files.js';
import type { Tree } from '../../tree.js';

/** In place of a path: what ufw does without any file. */
export const ufwItself = '(ufw)';

/** The chains that ufw-init makes around its files, in its order (ufw 0.36). */
function frame(type: 'ufw' | 'ufw6', policy: string): string {
  const chains = ['before-logging', 'before', 'after', 'after-logging', 'reject', 'track'];
  const lines = ['*filter'];
  for (const hook of ['INPUT', 'OUTPUT', 'FORWARD']) {
    const low = hook.toLowerCase();
    lines.push(`:${hook} ${hook === 'INPUT' ? policy : 'ACCEPT'} [0:0]`);
    for (const chain of chains) lines.push(`:${type}-${chain}-${low} - [0:0]`);
    lines.push(`:${type}-user-${low} - [0:0]`);
    for (const chain of chains) lines.push(`-A ${hook} -j ${type}-${chain}-${low}`);
    lines.push(`:${type}-skip-to-policy-${low} - [0:0]`);
    lines.push(`-A ${type}-skip-to-policy-${low} -j ${hook === 'INPUT' ? policy : 'ACCEPT'}`);
  }
  for (const chain of ['logging-deny', 'logging-allow', 'not-local']) lines.push(`:${type}-${chain} - [0:0]`);
  return `${lines.join('\n')}\nCOMMIT\n`;
}

/** What the host's tables are when ufw has started with this before.rules and what stands beside it in the tree. */
export function ufwFirewall(before: Reading, path: string, family: IpFamily, tree: Tree): Firewall {
  const type = family === 6 ? 'ufw6' : 'ufw';
  const firewall = new Firewall(family);
  const add = (reading: Reading, from: string) =>
    load(firewall, { ...reading, operations: reading.operations.filter(({ to }) => to !== 'clear') }, from);
  // ufw's own default drops what comes in; whoever accepts it has nothing to break.
  load(firewall, readRestore(frame(type, 'DROP'), family), ufwItself);
  add(before, path);
  for (const name of ['after', 'user']) {
    const beside = path.replace(/before(6?)\.rules$/, `${name}$1.rules`);
    if (beside !== path && tree.paths.includes(beside)) {
      const file = tree.file(beside);
      if (file?.kind === 'file') add(readRestore(file.text, family), beside);
    }
  }
  const lines = ['input', 'output', 'forward'].map((hook) => `-A ${type}-before-${hook} -j ${type}-user-${hook}`);
  add(readRestore(`*filter\n${lines.join('\n')}\nCOMMIT\n`, family), ufwItself);
  return firewall;
}
