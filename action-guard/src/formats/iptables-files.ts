import { Lines } from '../lines.js';
import { leaveOut, leaveOutFile } from '../unread.js';
import { parseIpv6 } from './addresses.js';
import { Firewall } from './firewall.js';
import { builtIn, clip, type IpFamily, isTarget, type Operation, type Problem, readCommand } from './iptables.js';
import { type Argument, followShell, parseShell, type ShellScript, type SimpleCommand, worldsOf } from './shell.js';

export type RulesFormat = 'restore' | 'list' | 'script';

/** What kind of rules a file holds. Undefined: none. */
export function formatOf(path: string, text: string): RulesFormat | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === 'rules.v4' || name === 'rules.v6') return 'restore';
  let listed = false;
  for (const { line } of linesOf(text)) {
    const first = line.trimStart();
    if (first === '' || first.startsWith('#')) continue;
    if (first.startsWith('*') && Object.hasOwn(builtIn, first.slice(1).trimEnd())) return 'restore';
    if (/^:(INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING) /.test(first)) return 'restore';
    if (/^-([AIP] (INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING)|[NA] [A-Za-z0-9_-]+)(\s|$)/.test(first)) {
      listed = true;
      break;
    }
    // Of a script, or of no rules at all, the first line that is not empty tells.
    break;
  }
  if (listed) return 'list';
  if (/^\*(filter|nat|mangle|raw|security)[ \t\r]*$/m.test(text) && !text.startsWith('#!')) {
    const before = text.search(/^\*(filter|nat|mangle|raw|security)[ \t\r]*$/m);
    // A here-document in a script starts behind a command.
    if (!text.slice(0, before).includes('<<')) return 'restore';
  }
  return text.includes('iptables') || text.includes('ip6tables') ? 'script' : undefined;
}

function* linesOf(text: string): Generator<{ line: string; at: number }> {
  for (let at = 0; at <= text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    yield { line: text.slice(at, end), at };
    at = end + 1;
  }
}

/** For which IP version a restore file is: by its name, else by what is in it. */
export function familyOf(path: string, text: string): IpFamily {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  if (name.includes('v6') || name.includes('ip6') || /6\.rules$/.test(name)) return 6;
  if (name.includes('v4')) return 4;
  if (/icmpv6|ipv6-icmp|icmp6/.test(text)) return 6;
  const addresses = text.matchAll(/ -[sd] ([^ \t\r\n]+)/g);
  for (const [, address] of addresses) return parseIpv6(((address as string).split('/')[0] as string) ?? '') ? 6 : 4;
  return 4;
}

/** Words of a line as iptables-restore splits it: double quotes and, in them, backslashes. */
export function splitRestoreLine(line: string, at: number): { words: Argument[]; open: number | undefined } {
  const words: Argument[] = [];
  let text = '';
  let start = -1;
  let open: number | undefined;
  for (let index = 0; index <= line.length; index++) {
    const character = line[index];
    if (character === undefined || (open === undefined && (character === ' ' || character === '\t'))) {
      if (start >= 0) {
        const unknown = /\{\{|\}\}|\$\{|\$\(|<%|^\$./.test(text);
        words.push(unknown ? { text, at: at + start, unknown } : { text, at: at + start });
      }
      text = '';
      start = -1;
      continue;
    }
    if (start < 0) start = index;
    if (character === '"') open = open === undefined ? at + index : undefined;
    else if (character === '\\' && open !== undefined && index + 1 < line.length) text += line[++index];
    else text += character;
  }
  return { words, open };
}

/** Commands of one script that are followed, in all its worlds together. */
const mostCommands = 10_000;
/** More mistakes in one file have one cause. */
const mostProblems = 500;

/** What a file of rules does, step by step, with what is wrong in it. */
export interface Reading {
  operations: Operation[];
  problems: Problem[];
  /** It has so many mistakes that the rest was not read. */
  cut?: boolean;
}

/** Reads a file for iptables-restore (`table` undefined) or what `iptables -S` prints (`table` given). Never throws. */
export function readRestore(text: string, family: IpFamily, table?: string, offset = 0): Reading {
  const operations: Operation[] = [];
  const problems: Problem[] = [];
  let current = table;
  let opened = -1;
  let returns = false;
  if (table) operations.push(clearing(table, offset));
  for (const { line: whole, at: start } of linesOf(text)) {
    // A file of nothing but mistakes is none of iptables.
    if (problems.length > mostProblems) return { operations, problems, cut: true };
    const at = offset + start;
    let line = whole;
    if (line.endsWith('\r')) {
      if (!returns) {
        problems.push({
          at: at + line.length - 1,
          status: 'fail',
          message: 'Its lines end in a carriage return, which iptables takes for a part of the last word',
          todo: 'Save it with Unix line ends.',
        });
      }
      returns = true;
      line = line.slice(0, -1);
    }
    if (line.trim() === '' || line.startsWith('#')) continue;
    const indent = line.length - line.trimStart().length;
    const trimmed = line.trim();
    const fail = (message: string, todo?: string, column = indent) =>
      problems.push({ at: at + column, status: 'fail', message, todo });
    if (trimmed.startsWith('{%')) {
      problems.push({ at: at + indent, status: 'unknown', message: 'It is a template, whose result is not known' });
      continue;
    }
    if (table === undefined) {
      if (line.startsWith('*')) {
        const name = trimmed.slice(1);
        if (current !== undefined) {
          problems.push({
            at: opened,
            status: 'fail',
            message: `Table ${current} is never committed, so that nothing of it is loaded`,
            todo: 'End it with COMMIT.',
          });
        }
        current = name;
        opened = at;
        if (!Object.hasOwn(builtIn, name)) fail(`There is no table ${clip(name) || 'without a name'}`);
        operations.push(clearing(name, at));
        continue;
      }
      if (trimmed === 'COMMIT') {
        if (indent > 0) fail('COMMIT has to stand at the start of its line');
        if (current === undefined) fail('COMMIT stands here without a table before it');
        current = undefined;
        continue;
      }
      if (current === undefined) {
        fail('This line belongs to no table', 'Put `*filter` before it, and COMMIT behind the last line of the table.');
        // It is judged as if it were there.
        current = 'filter';
        opened = at;
        returns = returns || false;
      }
      if (line.startsWith(':')) {
        operations.push(declaration(trimmed, at, current, fail));
        continue;
      }
    }
    let rest = line;
    let skipped = 0;
    if (trimmed.startsWith('[')) {
      const end = line.indexOf(']');
      if (end < 0) fail('The counters before this rule are not closed');
      skipped = end < 0 ? 0 : end + 1;
      rest = line.slice(skipped);
    }
    const { words, open } = splitRestoreLine(rest, at + skipped);
    if (open !== undefined) problems.push({ at: open, status: 'fail', message: 'This quote is never closed' });
    const [first] = words;
    if (!first) continue;
    if (!first.text.startsWith('-') && first.text !== '!' && !first.unknown) {
      const command = /(^|\/)ip6?tables/.test(first.text);
      fail(
        command
          ? 'A command does not belong into a file for iptables-restore'
          : `\`${clip(first.text)}\` is no command`,
        command ? `Take \`${clip(first.text)}\` out, and keep what stands behind it.` : undefined,
        first.at - at,
      );
      continue;
    }
    const operation = readCommand(words, first.at, { family, table: current });
    operations.push(operation);
    if (!operation.family || operation.family === family) problems.push(...operation.problems);
  }
  if (table === undefined) {
    if (current !== undefined) {
      problems.push({
        at: opened,
        status: 'fail',
        message: `Table ${current} is never committed, so that nothing of it is loaded`,
        todo: 'End it with COMMIT.',
      });
    } else if (text !== '' && !text.endsWith('\n') && offset === 0) {
      problems.push({
        at: text.lastIndexOf('\n') + 1,
        status: 'fail',
        message: 'The last line has no line end, so that iptables-legacy-restore refuses its COMMIT',
        todo: 'End the file with a line end.',
      });
    }
  }
  return { operations, problems };
}

function clearing(table: string, at: number): Operation {
  return { kind: 'flush', at, table, chain: undefined, unknown: false, rules: [], problems: [], to: 'clear' };
}

function declaration(
  line: string,
  at: number,
  table: string,
  fail: (message: string, todo?: string, column?: number) => void,
): Operation {
  const [name = '', policy] = line
    .slice(1)
    .trim()
    .split(/[ \t]+/, 3);
  const own = builtIn[table]?.includes(name) === true;
  if (name === '') fail('The name of the chain is missing');
  if (name.length > 28) fail('Names of chains have at most 28 characters');
  if (policy === undefined) fail(`Chain ${clip(name)} has no policy`, own ? 'Write ACCEPT or DROP.' : 'Write `-`.');
  else if (policy === '-') {
    // Of a chain that is built in, it stays as it is.
  } else if (!own)
    fail(`Only built-in chains have a policy, and ${clip(name)} is none of table ${clip(table)}`, 'Write `-`.');
  else if (policy !== 'ACCEPT' && policy !== 'DROP') fail(`\`${clip(policy)}\` is no policy`, 'Write ACCEPT or DROP.');
  return { kind: 'declare', at, table, chain: name, policy, unknown: false, rules: [], problems: [] };
}

/** Carries out what a reading says. With `strict`, says what would be refused: in a restore file every failure is one. */
export function load(
  firewall: Firewall,
  reading: Reading,
  path: string,
  strict?: { problems: Problem[]; known?: (chain: string) => boolean },
): void {
  if (reading.cut) leaveOutFile(path, `it has more than ${mostProblems} mistakes`);
  for (const operation of reading.operations) {
    if (operation.kind === 'flush' && operation.to === 'clear') {
      firewall.clear(operation.table);
      continue;
    }
    if (operation.family && operation.family !== firewall.family) continue;
    const { chain, table } = operation;
    if (
      strict &&
      strict.problems.length < 2 * mostProblems &&
      chain !== undefined &&
      !operation.unknown &&
      Object.hasOwn(builtIn, table)
    ) {
      const fail = (at: number, message: string, todo?: string) =>
        strict.problems.push({ at, status: 'fail', message, todo });
      const there = firewall.has(table, chain) || strict.known?.(chain) === true;
      if (
        ['append', 'insert', 'replace', 'delete', 'check', 'policy', 'flush', 'zero'].includes(operation.kind) &&
        !there
      ) {
        fail(
          operation.at,
          `There is no chain ${clip(chain)} in table ${table}`,
          `Declare it with \`:${clip(chain)} - [0:0]\`.`,
        );
      } else if (operation.kind === 'insert' && (operation.number ?? 1) > firewall.length(table, chain) + 1) {
        fail(operation.at, `Chain ${clip(chain)} has fewer rules than its number ${operation.number} wants`);
      } else if (
        (operation.kind === 'replace' || (operation.kind === 'delete' && operation.number !== undefined)) &&
        (operation.number ?? 0) > firewall.length(table, chain)
      ) {
        fail(operation.at, `Chain ${clip(chain)} has no rule number ${operation.number}`);
      }
      for (const { target } of operation.rules.slice(0, 1)) {
        if (!target || target.unknown) continue;
        if (target.goto && builtIn[table]?.includes(target.name))
          fail(target.at, 'A rule cannot jump to a built-in chain');
        else if (builtIn[table]?.includes(target.name)) fail(target.at, 'A rule cannot jump to a built-in chain');
        else if (
          !firewall.has(table, target.name) &&
          !strict.known?.(target.name) &&
          (target.goto || !isTarget(target.name))
        ) {
          const meant = target.name.toUpperCase();
          const similar = isTarget(meant) ? meant : undefined;
          fail(
            target.at,
            `There is no target or chain ${clip(target.name)}`,
            similar && similar !== target.name
              ? `Write ${similar}.`
              : `Declare the chain with \`:${clip(target.name)} - [0:0]\` before.`,
          );
        }
      }
      if (
        operation.kind === 'delete' &&
        operation.number === undefined &&
        there &&
        firewall.apply(operation, path) === false
      ) {
        fail(operation.at, 'The rule to delete is not there, so that iptables-restore refuses the file');
        continue;
      } else if (operation.kind === 'delete' && operation.number === undefined && there) continue;
    }
    firewall.apply(operation, path);
  }
}

/** What a script leaves behind on one machine, for one IP version. */
export interface Outcome {
  /** '' is the machine that runs it; else the container or network namespace it names. */
  machine: string;
  family: IpFamily;
  firewall: Firewall;
}

export interface ScriptReading {
  /** By assumption about what conditions hold. */
  worlds: Outcome[][];
  /** Rules that stand in it to be loaded later, as in `cat > rules.v4 << EOF`. */
  embedded: { family: IpFamily; at: number; reading: Reading }[];
  problems: Problem[];
}

const restoreNames = /^ip6?tables-(legacy-|nft-)?restore$/;
const commandNames = /^ip(6?)tables(-legacy|-nft)?$/;

/** Follows a script. Never runs anything, never throws. */
export function readScript(text: string, path: string, offset = 0): ScriptReading {
  const script = parseShell(text, path);
  const problems: Problem[] = [];
  const embedded: ScriptReading['embedded'] = [];
  const seen = new Set<number>();
  const worlds: Outcome[][] = [];
  // What stands behind the last rule does not matter.
  if (script.problem && text.includes('iptables', script.problem.at)) {
    problems.push({
      at: offset + script.problem.at,
      status: 'unknown',
      message: `The script cannot be read from here on, as ${script.problem.message}`,
    });
    leaveOut({
      at: { path, ...new Lines(text).at(script.problem.at) },
      message: `From here on this script was not judged, as ${script.problem.message}.`,
      whole: script.problem.limit === true,
      files: [path],
    });
  }
  const count = worldsOf(script);
  let left = mostCommands;
  for (let world = 0; world < count; world++) {
    const outcomes = new Map<string, Outcome>();
    const of = (machine: string, family: IpFamily): Outcome => {
      const key = `${family} ${machine}`;
      let outcome = outcomes.get(key);
      if (!outcome) {
        outcome = { machine, family, firewall: new Firewall(family) };
        outcomes.set(key, outcome);
      }
      return outcome;
    };
    const first = world === 0;
    /** Positions in a script within a string are that string's. */
    const follow = (inner: ShellScript, machine: string, place: (at: number) => number, depth: number): void => {
      const { complete } = followShell(
        inner,
        {
          command: (argv, command) => {
            if (left-- <= 0) return undefined;
            const at = place(command.words[0]?.at ?? command.at);
            return run(
              argv.map((each) => ({ ...each, at: place(each.at) })),
              command,
              at,
              machine,
              place,
              depth,
            );
          },
        },
        world,
        mostCommands,
      );
      if (left <= 0) leaveOutFile(path, 'its script goes on for longer than the guard follows it', 'Split it.');
      if ((!complete || left <= 0) && depth === 0)
        problems.push({
          at: place(0),
          status: 'unknown',
          message: 'The script goes on for longer than it is followed',
        });
    };
    const run = (
      given: Argument[],
      command: SimpleCommand,
      at: number,
      machine: string,
      place: (at: number) => number,
      depth: number,
    ): boolean | undefined => {
      const call = unwrap(given);
      if (!call) return undefined;
      const where = call.machine === undefined ? machine : call.machine;
      if (call.script) {
        if (depth > 4) {
          leaveOutFile(path, 'its scripts stand within each other too deep to follow');
          return undefined;
        }
        const { script: string } = call;
        follow(parseShell(string.text, path), where, () => string.at, depth + 1);
        return undefined;
      }
      const [name, ...argv] = call.argv;
      const program = name ? name.text.slice(name.text.lastIndexOf('/') + 1) : '';
      const { hereDocument } = command;
      if (restoreNames.test(program)) {
        const family: IpFamily = program.startsWith('ip6') ? 6 : 4;
        if (!hereDocument || hereDocument.text === '') return undefined;
        const reading = readRestore(hereDocument.text, family, undefined, place(hereDocument.at));
        const keep = argv.some(({ text: word }) => word === '-n' || word === '--noflush');
        if (keep) reading.operations = reading.operations.filter(({ to }) => to !== 'clear');
        if (first && !seen.has(hereDocument.at)) problems.push(...reading.problems);
        seen.add(hereDocument.at);
        load(of(where, family).firewall, reading, path);
        return true;
      }
      if (hereDocument && first && !seen.has(hereDocument.at) && formatOf('', hereDocument.text) === 'restore') {
        seen.add(hereDocument.at);
        const target = text.slice(command.at, hereDocument.at).split('\n', 1)[0] as string;
        const family = familyOf(/v6|ip6/.test(target) ? 'rules.v6' : '', hereDocument.text);
        const reading = readRestore(hereDocument.text, family, undefined, place(hereDocument.at));
        embedded.push({ family, at: place(hereDocument.at), reading });
      }
      const [, six] = commandNames.exec(program) ?? [];
      if (six === undefined) return undefined;
      const family: IpFamily = six === '6' ? 6 : 4;
      const operation = readCommand(argv, at, { family });
      if (first || operation.problems.length > 0) {
        for (const problem of operation.problems) {
          if (problems.length < mostProblems && !seen.has(problem.at)) problems.push(problem);
          seen.add(problem.at);
        }
      }
      return of(where, family).firewall.apply(operation, path);
    };
    follow(script, '', (at) => offset + at, 0);
    worlds.push([...outcomes.values()]);
  }
  return { worlds, embedded, problems };
}

/** The command behind sudo, `lxc exec`, `sh -c` and their like. Undefined: it is not known. */
export function unwrap(
  given: readonly Argument[],
): { machine?: string; argv: Argument[]; script?: Argument } | undefined {
  let argv = [...given];
  let machine: string | undefined;
  for (let turn = 0; turn < 8; turn++) {
    const [first] = argv;
    if (!first || first.unknown) return undefined;
    const name = first.text.slice(first.text.lastIndexOf('/') + 1);
    /** Skips options, some of which take the next word. */
    const skip = (from: number, valued: string): number => {
      let at = from;
      while (at < argv.length) {
        const word = (argv[at] as Argument).text;
        if (word === '--') return at + 1;
        if (!word.startsWith('-') || word === '-') break;
        at += word.length === 2 && valued.includes(word[1] as string) ? 2 : 1;
      }
      return at;
    };
    switch (name) {
      case 'sudo':
        argv = argv.slice(skip(1, 'ugpCDhrTt'));
        break;
      case 'exec':
      case 'command':
      case 'nohup':
      case 'builtin':
        argv = argv.slice(skip(1, 'a'));
        break;
      case 'nice':
      case 'ionice':
        argv = argv.slice(skip(1, 'nc'));
        break;
      case 'env': {
        let at = skip(1, 'uCS');
        while (argv[at]?.text.includes('=')) at++;
        argv = argv.slice(at);
        break;
      }
      case 'timeout':
        argv = argv.slice(skip(1, 'ks') + 1);
        break;
      case 'lxc':
      case 'incus': {
        const exec = skip(1, '');
        if (argv[exec]?.text !== 'exec') return { machine, argv };
        const target = skip(exec + 1, 'tnT');
        machine = argv[target]?.unknown ? '?' : (argv[target]?.text ?? '?');
        let behind = target + 1;
        while (argv[behind]?.text.startsWith('-')) {
          const option = (argv[behind] as Argument).text;
          behind += ['--env', '--cwd', '--user', '--group', '--mode', '--project'].includes(option) ? 2 : 1;
          if (option === '--') break;
        }
        argv = argv.slice(behind);
        break;
      }
      case 'ip': {
        const at = argv.findIndex(({ text }) => text === 'exec');
        if (at < 0 || !/^net/.test(argv[1]?.text ?? '')) return { machine, argv };
        machine = argv[at + 1]?.text ?? '?';
        argv = argv.slice(at + 2);
        break;
      }
      case 'ssh': {
        const host = skip(1, 'bcDEeFIiJLlmOopQRSWw');
        machine = argv[host]?.unknown ? '?' : (argv[host]?.text ?? '?');
        const words = argv.slice(host + 1);
        if (words.length === 0 || words.some(({ unknown }) => unknown)) return undefined;
        const text = words.map((word) => word.text).join(' ');
        return { machine, argv: [], script: { text, at: (words[0] as Argument).at } };
      }
      case 'sh':
      case 'bash':
      case 'dash':
      case 'ash': {
        const option = argv.findIndex(({ text }, index) => index > 0 && /^-[a-z]*c$/.test(text));
        const script = option < 0 ? undefined : argv[option + 1];
        if (!script || script.unknown) return option < 0 ? { machine, argv } : undefined;
        return { machine, argv: [], script };
      }
      default:
        return { machine, argv };
    }
  }
  return undefined;
}
