import { type Firewall, Firewall as Machine, type Verdict } from '../../formats/firewall.js';
import type { IpFamily, Problem } from '../../formats/iptables.js';
import { familyOf, formatOf, load, type Reading, readRestore, readScript } from '../../formats/iptables-files.js';
import type { SourceFile, Tree } from '../../tree.js';
import { keeper } from '../../unread.js';
import { ufwFirewall } from './ufw.js';

/** What rules of one file leave on one machine, under each assumption about what the conditions of a script hold. */
export interface Ruled {
  /** The container it is for, if the file says so. */
  machine: string;
  family: IpFamily;
  worlds: Firewall[];
}

export interface RulesFile {
  file: SourceFile;
  format: 'restore' | 'list' | 'script' | 'ufw';
  ruled: Ruled[];
  problems: Problem[];
}

/** By file, as a rule also asks for what is in no tree: a file that it mended. */
const keptOf = new WeakMap<SourceFile, ReturnType<typeof keeper<Tree, RulesFile | undefined>>>();

/** Reads a file of rules, once for all rules of the guard. Undefined: it holds none. */
export function readRules(file: SourceFile, tree: Tree, ufw: string): RulesFile | undefined {
  const keep = keptOf.get(file) ?? keeper<Tree, RulesFile | undefined>();
  keptOf.set(file, keep);
  return keep(tree, ufw, () => read(file, tree, ufw));
}

function read(file: SourceFile, tree: Tree, ufw: string): RulesFile | undefined {
  if (file.kind === 'link' || file.kind === 'submodule') return undefined;
  const { path, text } = file;
  const format = formatOf(path, text);
  if (!format) return undefined;
  const problems: Problem[] = [];
  if (format === 'script') {
    const script = readScript(text, path);
    problems.push(...script.problems);
    const ruled: Ruled[] = [];
    const keys = new Map<string, { machine: string; family: IpFamily }>();
    for (const world of script.worlds)
      for (const { machine, family } of world) keys.set(`${family} ${machine}`, { machine, family });
    for (const { machine, family } of keys.values()) {
      const worlds = script.worlds.map(
        (world) =>
          world.find((each) => each.machine === machine && each.family === family)?.firewall ?? new Machine(family),
      );
      ruled.push({ machine, family, worlds });
    }
    for (const { family, reading } of script.embedded) {
      problems.push(...reading.problems);
      ruled.push({ machine: '', family, worlds: [loaded(reading, family, path, problems)] });
    }
    return { file, format, ruled, problems };
  }
  const own = familyOf(path, text);
  // `-4` and `-6` before rules: one file for both programs.
  const families: IpFamily[] = format === 'restore' && /^(-[46]|--ipv[46])\s/m.test(text) ? [4, 6] : [own];
  if (format === 'restore' && isUfw(path, ufw)) {
    const reading = readRestore(text, own);
    problems.push(...reading.problems);
    const firewall = ufwFirewall(reading, path, own, tree);
    // Chains that ufw made before it loads the file are there.
    load(new Machine(own), reading, path, { problems, known: (chain) => chain.startsWith('ufw') });
    return { file, format: 'ufw', ruled: [{ machine: '', family: own, worlds: [firewall] }], problems };
  }
  const table = format === 'list' ? tableOf(path) : undefined;
  const ruled = families.map((family): Ruled => {
    const reading = readRestore(text, family, table);
    const before = problems.length;
    problems.push(...reading.problems);
    const firewall = loaded(reading, family, path, problems, isUfwPart(path));
    // Each mistake once, also when both programs would see it.
    if (before > 0) {
      const earlier = new Set(problems.slice(0, before).map(({ at }) => at));
      problems.splice(before, problems.length, ...problems.slice(before).filter(({ at }) => !earlier.has(at)));
    }
    return { machine: '', family, worlds: [firewall] };
  });
  return { file, format, ruled, problems };
}

const isUfw = (path: string, ufw: string) =>
  path === ufw || path.endsWith(`/${ufw}`) || path.endsWith(ufw.replace(/before\.rules$/, 'before6.rules'));
/** Other files of ufw are loaded into chains that stand elsewhere. */
const isUfwPart = (path: string) => /(^|\/)(ufw\/)?(before|after|user)6?\.rules$/.test(path);

function tableOf(path: string): string {
  for (const table of ['nat', 'mangle', 'raw']) if (path.slice(path.lastIndexOf('/') + 1).includes(table)) return table;
  return 'filter';
}

function loaded(reading: Reading, family: IpFamily, path: string, problems: Problem[], partial = false): Firewall {
  const firewall = new Machine(family);
  load(firewall, reading, path, { problems, known: partial ? (chain) => chain.startsWith('ufw') : undefined });
  for (const { spec } of firewall.loops()) {
    problems.push({
      at: spec.target?.at ?? spec.at,
      status: 'fail',
      message: `This jump to ${spec.target?.name} leads back to where it comes from, so that the kernel refuses the table`,
    });
  }
  return firewall;
}

/** The verdict in all worlds: the same, or not known. */
export function inAllWorlds(worlds: readonly Firewall[], ask: (firewall: Firewall) => Verdict): Verdict {
  const verdicts = worlds.map(ask);
  const drop = verdicts.find(({ verdict }) => verdict === 'drop');
  const unknown = verdicts.find(({ verdict }) => verdict === 'unknown');
  if (drop && verdicts.every(({ verdict }) => verdict === 'drop')) return drop;
  if (drop) return { verdict: 'unknown', by: { ...drop.by, why: 'it depends on a condition of the script' } };
  return unknown ?? (verdicts[0] as Verdict);
}
