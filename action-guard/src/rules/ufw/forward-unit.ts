import { basename } from 'node:path/posix';
import { type Match, readCommand } from '../../formats/iptables.js';
import { formatOf, readRestore, unwrap } from '../../formats/iptables-files.js';
import { type Argument, followShell, parseShell, worldsOf } from '../../formats/shell.js';
import { splitUnitValue } from '../../formats/unit.js';
import { Lines } from '../../lines.js';
import type { Finding, Look, Position, Rule } from '../../rule.js';
import type { SourceFile, Tree } from '../../tree.js';
import { leaveOutFile } from '../../unread.js';
import { type Service, servicesOf, settingsOf } from '../unit/service.js';
import { bad, good } from './forward-unit-samples.js';
import type { UfwOptions } from './index.js';

export const forwardUnit: Rule<UfwOptions> = {
  id: 'ufw/forward-unit',
  severity: 'error',
  title: 'The rule that forwards packets of the containers comes back at boot, through a systemd unit.',
  reason: `A rule that somebody typed, or that stands in a script nobody calls, is gone after the next boot: containers are up and have
no network. The unit has to be \`oneshot\` with \`RemainAfterExit=yes\`, to be wanted by something, to open FORWARD for the bridge
both ways, and to come after ufw and LXD: a firewall that starts later erases it.`,
  suppressible: true,
  files: (options) => [...options.units, ...options.scripts],
  mentions: (options) => options.docs,
  reads: (options) => options.rules,
  check: (look) => check(look),
  samples: { good, bad },
};

/** What a command opens: packets that come in from the bridge, or that go out to it. */
interface Opening {
  way: 'in' | 'out';
  device: string;
  at: number;
}

const notBridges = /^(lo|eth|en|wl|ppp|tun|tap|wg|docker|br-|veth|virbr|tailscale)/;

/** What a command line opens in FORWARD. */
function openingsOf(argv: readonly Argument[], at: number): Opening[] {
  const [name, ...rest] = argv;
  const program = name && !name.unknown ? basename(name.text) : '';
  const words = rest.map(({ text }) => text.replace(/^"|"$/g, ''));
  const behind = (word: string, skip = 1): string | undefined => {
    const index = words.indexOf(word);
    return index < 0 ? undefined : words[index + skip];
  };
  const found: Opening[] = [];
  const add = (way: Opening['way'], device: string | undefined) => {
    if (device) found.push({ way, device, at });
  };
  if (/^ip6?tables(-legacy|-nft)?$/.test(program)) {
    const operation = readCommand(rest, at, { family: program.startsWith('ip6') ? 6 : 4 });
    if (!['append', 'insert'].includes(operation.kind) || operation.table !== 'filter' || !operation.chain) return [];
    if (!isForward(operation.chain)) return [];
    for (const { matches, target } of operation.rules) {
      if (target?.name !== 'ACCEPT') continue;
      for (const match of matches) if (plain(match)) add(match.kind, match.name);
    }
  } else if (program === 'ufw' && words.includes('route') && words.includes('allow') && !words.includes('delete')) {
    for (const way of ['in', 'out'] as const) if (behind(way) === 'on') add(way, behind(way, 2));
  } else if (program === 'nft' && words.some((word) => /forward/i.test(word)) && words.join(' ').includes('accept')) {
    // The rule may be one quoted word.
    const all = words.join(' ').split(/[ \t"]+/);
    for (const [key, way] of [
      ['iifname', 'in'],
      ['oifname', 'out'],
    ] as const) {
      const index = all.indexOf(key);
      if (index >= 0) add(way, all[index + 1]);
    }
  }
  return found;
}

const isForward = (chain: string) => /^(FORWARD|DOCKER-USER|ufw6?-(before|after|user)-forward)$/.test(chain);
const plain = (match: Match): match is Match & { kind: 'in' | 'out'; name: string } =>
  (match.kind === 'in' || match.kind === 'out') && !match.negate;

/** What a script opens, whatever its conditions are. */
function openingsOfScript(text: string, path?: string, depth = 0): Opening[] {
  if (!/FORWARD|DOCKER-USER|route|forward/.test(text)) return [];
  const script = parseShell(text, path);
  if (script.problem?.limit && path !== undefined) leaveOutFile(path, script.problem.message);
  const found = new Map<string, Opening>();
  for (let world = 0; world < worldsOf(script); world++) {
    followShell(
      script,
      {
        command: (argv) => {
          const call = unwrap(argv);
          if (!call || (call.machine !== undefined && call.machine !== '')) return undefined;
          const at = argv[0]?.at ?? 0;
          const openings =
            call.script && depth < 4
              ? openingsOfScript(call.script.text, path, depth + 1).map((each) => ({ ...each, at }))
              : openingsOf(call.argv, at);
          for (const each of openings) found.set(`${each.at} ${each.way} ${each.device}`, each);
          return undefined;
        },
      },
      world,
    );
  }
  return [...found.values()];
}

interface UnitOpening extends Opening {
  position: Position;
}

/** What a unit opens when it is started, also by a script of the repository that it calls. */
function openingsOfUnit(service: Service, tree: Tree, options: UfwOptions): UnitOpening[] {
  const found: UnitOpening[] = [];
  for (const key of ['ExecStartPre', 'ExecStart', 'ExecStartPost']) {
    for (const { part, entry } of settingsOf(service, key)) {
      const { words } = splitUnitValue(entry.value);
      const argv = words.map(({ text, index }) => ({
        text: index === 0 ? text.replace(/^[-@:+!|]+/, '') : text,
        at: entry.offset(index),
        ...(/[$%]/.test(text) && index === 0 ? { unknown: true } : {}),
      }));
      const call = unwrap(argv);
      if (!call || call.machine !== undefined) continue;
      const position = positionOf({ part, entry });
      let openings: Opening[];
      if (call.script) openings = openingsOfScript(call.script.text, position.path);
      else {
        openings = openingsOf(call.argv, entry.at);
        // `sh /path/script` and `/path/script`.
        const [program, argument] = call.argv;
        const shell = /^(ba|da)?sh$/.test(basename(program?.text ?? ''));
        const path = (shell ? argument : program)?.text ?? '';
        const script = openings.length === 0 && path.startsWith('/') ? fileAt(tree, path, options.scripts) : undefined;
        if (script !== undefined) openings = openingsOfScript(script.text, script.path);
      }
      found.push(...openings.map((each) => ({ ...each, position })));
    }
  }
  return found;
}

function fileAt(tree: Tree, path: string, globs: readonly string[]): SourceFile | undefined {
  const bare = path.slice(1);
  const file = tree.matching(globs).find((each) => each.path === bare || each.path.endsWith(path));
  return file && (file.kind === 'file' || file.kind === 'executable') ? file : undefined;
}

const isBridge = (device: string, options: UfwOptions) =>
  options.bridges.some(
    (bridge) => bridge === device || (device.endsWith('+') && bridge.startsWith(device.slice(0, -1))),
  );

/** The units that forward packets, of the bridges or of something that looks like one. */
function forwarders(tree: Tree, options: UfwOptions): { service: Service; openings: UnitOpening[] }[] {
  return servicesOf(tree, options.units, (_, main) => main !== undefined)
    .map((service) => ({ service, openings: openingsOfUnit(service, tree, options) }))
    .filter(({ openings }) => openings.some(({ device }) => isBridge(device, options) || !notBridges.test(device)));
}

function check({ head, base, options }: Look<UfwOptions>): Finding[] {
  const findings: Finding[] = [];
  const units = forwarders(head, options);
  for (const { service, openings } of units) findings.push(...judge(service, openings, options));
  if (units.length > 0 || loadedByUfw(head, options)) return findings;
  const gone = base ? forwarders(base, options)[0] : undefined;
  const path = gone?.service.main?.file.path;
  if (path) {
    const file = head.paths.includes(path) ? head.file(path) : undefined;
    const service = file ? 'No longer does this unit forward' : 'The unit is gone that forwards';
    findings.push({
      status: 'fail',
      at: { path, line: 1, column: 1 },
      message: `${service} packets of the containers, and no other one does.`,
      todo: 'Keep it.',
    });
    return findings;
  }
  // Where it stands in a script or a document only.
  for (const file of head.matching(options.scripts)) {
    if (file.kind === 'link' || file.kind === 'submodule') continue;
    const opening = openingsOfScript(file.text, file.path).find(({ device }) => isBridge(device, options));
    if (!opening) continue;
    findings.push({
      status: 'fail',
      at: { path: file.path, ...new Lines(file.text).at(opening.at) },
      message: `The rule that forwards packets of ${opening.device} stands in a script that no unit of the repository starts.`,
      todo: 'Start it by a oneshot unit that is wanted by multi-user.target.',
    });
    return findings;
  }
  for (const file of head.matching(options.docs)) {
    if (file.kind === 'link' || file.kind === 'submodule') continue;
    const opening = openingInDocument(file.text, options);
    if (!opening) continue;
    findings.push({
      status: 'fail',
      severity: 'warning',
      at: { path: file.path, ...new Lines(file.text).at(opening.at) },
      message: `The rule that forwards packets of ${opening.device} stands in a document only, and is gone after a boot.`,
      todo: 'Put it into a oneshot unit that is wanted by multi-user.target.',
    });
    return findings;
  }
  return findings;
}

/** ufw loads its own files at boot, so that what stands there stays. */
function loadedByUfw(tree: Tree, options: UfwOptions): boolean {
  return tree.matching(options.rules).some(({ path, text }) => {
    if (formatOf(path, text) !== 'restore') return false;
    const family = path.endsWith('6.rules') ? 6 : 4;
    return readRestore(text, family).operations.some(
      ({ chain, rules }) =>
        isForward(chain ?? '') &&
        rules.some(
          ({ matches, target }) =>
            target?.name === 'ACCEPT' && matches.some((each) => plain(each) && isBridge(each.name, options)),
        ),
    );
  });
}

/** A command in a document: a line of its own, perhaps behind a prompt. */
function openingInDocument(text: string, options: UfwOptions): Opening | undefined {
  let at = 0;
  for (const line of text.split('\n')) {
    const start = at;
    at += line.length + 1;
    if (line.length > 2000 || !/(iptables|ufw|nft) /.test(line)) continue;
    const lead = /^[\s>$#`*-]*/.exec(line)?.[0].length ?? 0;
    const command = line.slice(lead).replace(/`+[.\s]*$/, '');
    const opening = openingsOfScript(command).find(({ device }) => isBridge(device, options));
    if (opening) return { ...opening, at: start + lead + opening.at };
  }
  return undefined;
}

function judge(service: Service, openings: UnitOpening[], options: UfwOptions): Finding[] {
  const findings: Finding[] = [];
  const { main } = service;
  if (!main) return [];
  const lines = new Lines(main.file.text);
  const inMain = (at: number): Position => ({ path: main.file.path, ...lines.at(Math.min(at, main.file.text.length)) });
  const section = (name: string) => main.unit.sections.find((each) => each.name === name);
  const fail = (at: Position, message: string, todo: string, severity?: 'warning') =>
    findings.push({ status: 'fail', at, message, todo, ...(severity ? { severity } : {}) });
  const ours = openings.filter(({ device }) => isBridge(device, options));
  const other = openings.find(({ device }) => !isBridge(device, options) && !notBridges.test(device));
  const bridge = options.bridges[0] as string;
  if (ours.length === 0 && other) {
    const message = `It forwards packets of ${other.device.slice(0, 20)}, and the containers' bridge is ${bridge}.`;
    fail(other.position, message, `Write ${bridge}, or name the bridge in the options.`, 'warning');
  }
  const opened = ours.length > 0 ? ours : openings;
  const first = opened[0] as UnitOpening;
  for (const [way, missing] of [
    ['in', 'from the containers'],
    ['out', 'to the containers'],
  ] as const) {
    if (opened.some((each) => each.way === way)) continue;
    const option = way === 'in' ? '-i' : '-o';
    fail(
      first.position,
      `Packets ${missing} are not forwarded: only one way is open.`,
      `Add \`iptables -I FORWARD ${option} ${first.device} -j ACCEPT\`.`,
    );
  }
  const wanted = main.unit.entries.some(
    (entry) => entry.section === 'Install' && ['WantedBy', 'RequiredBy'].includes(entry.key) && entry.value !== '',
  );
  if (!wanted) {
    const where = section('Install') ?? main.unit.sections[0];
    fail(
      inMain(where?.at ?? 0),
      `${service.name} cannot be enabled, as no [Install] section says what wants it.`,
      'Add `[Install]` with `WantedBy=multi-user.target`.',
    );
  }
  const type = settingsOf(service, 'Type').at(-1);
  const remains = settingsOf(service, 'RemainAfterExit').at(-1);
  const starts = settingsOf(service, 'ExecStart');
  const serviceAt = inMain(section('Service')?.at ?? 0);
  if (type?.entry.value !== 'oneshot') {
    const at = type ? positionOf(type) : serviceAt;
    if (starts.length > 1) {
      const message = 'systemd refuses a unit with several ExecStart= that is not oneshot.';
      fail(at, message, 'Set `Type=oneshot` and `RemainAfterExit=yes`.');
    } else
      fail(
        at,
        'The unit of the forward rule is not oneshot.',
        'Set `Type=oneshot` and `RemainAfterExit=yes`.',
        'warning',
      );
  } else if (!['yes', 'true', '1', 'on', 'y', 't'].includes(remains?.entry.value.toLowerCase() ?? '')) {
    fail(
      remains ? positionOf(remains) : serviceAt,
      'The unit is over once its rule is set, and does not show that it is.',
      'Set `RemainAfterExit=yes`.',
      'warning',
    );
  }
  const after = new Set(
    service.parts.flatMap((part) =>
      part.unit.entries
        .filter((entry) => entry.section === 'Unit' && entry.key === 'After')
        .flatMap((entry) => entry.value.split(/\s+/)),
    ),
  );
  const late = options.after.filter((each) => !after.has(each));
  if (late.length > 0) {
    const line = main.unit.entries.find((entry) => entry.section === 'Unit' && entry.key === 'After');
    const names = late.join(' and ');
    fail(
      inMain(line?.at ?? section('Unit')?.at ?? 0),
      `It does not wait for ${names}, whose start may erase the rule.`,
      `Set \`After=${options.after.join(' ')}\`.`,
      'warning',
    );
  }
  return findings;
}

const indexes = new WeakMap<SourceFile, Lines>();

function positionOf({ part: { file }, entry }: ReturnType<typeof settingsOf>[number]): Position {
  let lines = indexes.get(file);
  if (!lines) {
    lines = new Lines(file.text);
    indexes.set(file, lines);
  }
  return { path: file.path, ...lines.at(Math.min(entry.at, file.text.length)) };
}
