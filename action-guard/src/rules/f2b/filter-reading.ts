import { compile } from '../../formats/linear-regex.js';
import type { Finding, Position } from '../../rule.js';
import type { Config, Value } from './config.js';
import { nameBefore, placeOf, type Setup, textOf } from './jails.js';
import { type Probe, probes, TIME } from './probes.js';

/** One regular expression of a filter, its tags filled in, with where it stands. */
export interface Line {
  text: string;
  at: Position;
}

export interface Filter {
  name: string;
  failregex: Line[];
  ignoreregex: Line[];
  prefregex?: Line;
  datepattern?: Line;
  /** Where the filter begins. */
  at: Position;
  /** Its file, when the repository has it. */
  path?: string;
}

export type Reading = { filter: Filter } | { findings: Finding[] };

const IP4 = '(?:::f{4,6}:)?(?P<ip4>(?:\\d{1,3}\\.){3}\\d{1,3})';
// Fail2ban's own looks behind itself for the last colon, which a line with an address in it cannot tell apart.
const IP6 = '(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:))';
const DNS = '(?P<dns>[\\w\\-.^_]*\\w)';
const ADDR = `\\[?(?:${IP4}|${IP6})\\]?`;
/** As fail2ban replaces them. */
const tags: Record<string, string> = {
  HOST: `(?:${ADDR}|${DNS})`,
  ADDR,
  IP4,
  'F-IP4/': IP4,
  IP6,
  'F-IP6/': IP6,
  'F-ADDR/': ADDR,
  DNS,
  'F-DNS/': DNS,
  CIDR: '(?P<cidr>\\d+)',
  'F-CIDR/': '(?P<cidr>\\d+)',
  SUBNET: `\\[?(?:${IP4}|${IP6})(?:/(?P<cidr>\\d+))?\\]?`,
  'F-SUBNET/': `\\[?(?:${IP4}|${IP6})(?:/(?P<cidr>\\d+))?\\]?`,
  'F-ID/': '(?P<fid>\\S+)',
  'F-PORT/': '(?P<fport>\\w+)',
};
/** Groups of which fail2ban needs one, or it says "No failure-id group". */
const identities = ['fid', 'ip4', 'ip6', 'dns'];
const LONGEST = 20_000;

/** What the jail uses as its filter; `undefined` when nothing in this repository can tell. */
export function filterOf(setup: Setup, jail: string): Reading {
  const { jails, folder } = setup;
  const given = jails.get(jail, 'filter');
  const at = placeOf(setup, jail, given);
  if (given.kind === 'broken') {
    return {
      findings: [
        {
          status: given.unknown ? 'unknown' : 'fail',
          at,
          message: `The filter of ${jail} could not be told: ${given.what}.`,
        },
      ],
    };
  }
  const name = nameBefore(textOf(given) ?? '');
  if (name === '') {
    if (jails.raw(jail, 'failregex')) return readFilter(setup, jail, undefined, '');
    return {
      findings: [
        {
          status: 'fail',
          at,
          message: `The jail ${jail} has no filter, so it never counts anything.`,
          todo: 'Give it `filter = caddy`, and the filter in filter.d/caddy.conf.',
        },
      ],
    };
  }
  const config = folder.config(`filter.d/${name}`);
  const files = [`filter.d/${name}.conf`, `filter.d/${name}.local`];
  if (!files.some((file) => folder.owns(file))) {
    return {
      findings: [
        {
          status: 'fail',
          at,
          message: `The filter ${name} of ${jail} is not in the repository: ${folder.path(files[0] as string)} is missing, and the package has none for Caddy's log.`,
          todo: 'Add the file, or name the filter that is there.',
        },
      ],
    };
  }
  if (config.fatal) {
    return {
      findings: [
        {
          status: 'fail',
          at: config.fatal.at,
          message: `Fail2ban cannot read the filter ${name}: ${config.fatal.what}.`,
          todo: 'Mend this line.',
        },
      ],
    };
  }
  return readFilter(setup, jail, config, name);
}

/** A filter with what the jail, when one is named, says in its place. */
export function readFilter(setup: Setup, jail: string | undefined, config: Config | undefined, name: string): Reading {
  const files = [`filter.d/${name}.conf`, `filter.d/${name}.local`].filter((file) => setup.folder.owns(file));
  const path = files[0] === undefined ? undefined : setup.folder.path(files[0]);
  const jailAt = jail === undefined ? setup.first : placeOf(setup, jail);
  const at = config?.places.get('Definition') ?? (path === undefined ? jailAt : { path, line: 1, column: 1 });
  const findings: Finding[] = [];
  const own = (key: string): { value: Value; scope: Config; section: string } => {
    if (jail !== undefined && (!config || setup.jails.raw(jail, key))) {
      return { value: setup.jails.get(jail, key), scope: setup.jails, section: jail };
    }
    if (!config) return { value: { kind: 'absent' }, scope: setup.jails, section: '' };
    return { value: config.get('Definition', key), scope: config, section: 'Definition' };
  };
  const linesOf = (key: string): Line[] => {
    const { value, scope, section } = own(key);
    if (value.kind === 'absent') return [];
    const place = value.option.at ?? at;
    if (value.kind === 'broken') {
      findings.push({
        status: value.unknown ? 'unknown' : 'fail',
        at: place,
        message: value.unknown
          ? `What ${key} is could not be told: ${value.what} in this repository.`
          : `${key} cannot be read: ${value.what}.`,
        todo: value.unknown ? undefined : 'Write %% for a percent sign.',
      });
      return [];
    }
    // One line of the file is one regular expression, as long as no variable brings lines of its own.
    const texts = value.text.split('\n');
    const places = value.option.lines.filter(({ text }) => text !== '');
    const wanted = texts.filter((text) => text !== '');
    return wanted.map((text, index) => {
      const own = places.length === wanted.length ? places[index] : undefined;
      return {
        text: fill(text, scope, section),
        at: own ? { path: place.path, line: own.line, column: own.column } : place,
      };
    });
  };
  const failregex = linesOf('failregex');
  const ignoreregex = linesOf('ignoreregex');
  const [prefregex] = linesOf('prefregex');
  const [datepattern] = linesOf('datepattern');
  if (findings.length > 0) return { findings };
  if (failregex.length === 0) {
    return {
      findings: config?.incomplete
        ? [
            {
              status: 'unknown',
              at,
              message: `The filter ${name} has no failregex in this repository, and includes what is not in it.`,
            },
          ]
        : [
            {
              status: 'fail',
              at,
              message: `The filter ${name} has no failregex, so it never counts anything.`,
              todo: 'Give it the failregex of the guide.',
            },
          ],
    };
  }
  return { filter: { name, failregex, ignoreregex, prefregex, datepattern, at, path } };
}

/** Replaces `<name>` by the option of that name, as fail2ban does, and leaves its own tags. */
function fill(text: string, config: Config, section: string, depth = 0): string {
  if (depth > 10 || text.length > LONGEST || !text.includes('<')) return text;
  let result = '';
  for (let at = 0; at < text.length && result.length <= LONGEST; ) {
    const open = text.indexOf('<', at);
    const close = open < 0 ? -1 : text.indexOf('>', open);
    if (close < 0) return result + text.slice(at);
    const name = text.slice(open + 1, close);
    const inner = name.lastIndexOf('<');
    if (inner >= 0 || name.includes(' ')) {
      const next = inner >= 0 ? open + 1 + inner : close + 1;
      result += text.slice(at, next);
      at = next;
      continue;
    }
    const value = [config.get(section, name.toLowerCase()), config.get('Init', name.toLowerCase())]
      .map(textOf)
      .find((each) => each !== undefined);
    result += text.slice(at, open) + (value === undefined ? `<${name}>` : fill(value, config, section, depth + 1));
    at = close + 1;
  }
  return result;
}

/** Fail2ban's tags as the groups that they stand for. */
function expand(regex: string): string {
  const open = new Set<string>();
  return regex.replace(/<(\/?)([\w-]{1,40}\/?)>/g, (whole: string, slash: string, tag: string) => {
    const fixed = slash === '' && Object.hasOwn(tags, tag) ? tags[tag] : undefined;
    if (fixed !== undefined) return fixed;
    const custom = /^F-([A-Z0-9_-]+)$/.exec(tag)?.[1];
    if (custom === undefined) return whole;
    if (slash === '') {
      open.add(custom);
      return `(?P<${{ ID: 'fid', PORT: 'fport' }[custom] ?? custom.toLowerCase().replaceAll('-', '_')}>`;
    }
    return open.has(custom) ? ')' : whole;
  });
}

/** What a regular expression was made of; `finding` when it cannot be used, or nobody can tell. */
interface Ready {
  line: Line;
  search?: (text: string) => Map<string, string> | undefined;
  size: number;
  finding?: Finding;
}

function ready(line: Line, needsIdentity: boolean): Ready {
  const { text, at } = line;
  const unusable = (status: Finding['status'], message: string, todo: string): Ready => ({
    line,
    size: 0,
    finding: { status, at, message, todo },
  });
  const ask = 'Let the guard run where fail2ban-regex is installed.';
  if (text.includes('<SKIPLINES>'))
    return unusable('unknown', 'This failregex spans several lines, which the guard cannot follow.', ask);
  const compiled = compile(expand(text), (name) => identities.includes(name));
  if (compiled.kind === 'invalid') {
    return unusable(
      'fail',
      `Fail2ban cannot use this regular expression: ${compiled.what}.`,
      'Try it with `fail2ban-regex LOG FILTER`.',
    );
  }
  if (compiled.kind === 'unsupported') {
    return unusable('unknown', `Whether this regular expression fits could not be told: ${compiled.what}.`, ask);
  }
  if (needsIdentity && !identities.some((name) => compiled.groups.has(name))) {
    return unusable(
      'fail',
      'This failregex says nowhere who is to be banned ("No failure-id group").',
      'Put <HOST> where the address stands.',
    );
  }
  return { line, search: compiled.search, size: compiled.size };
}

/** A filter with its regular expressions ready to run. */
export interface Judged {
  findings: Finding[];
  /** Who is counted for a line, and by which regular expression; `unknown` when a part of it cannot be followed. */
  counts(probe: Probe): { client?: string; by?: Line } | 'unknown';
}

/** So many instructions run over every probe; a filter of ten lines has two thousand. */
const MOST_INSTRUCTIONS = 8000;

/** What is wrong with a filter by itself, whatever its log looks like. */
export function judge(filter: Filter): Judged {
  const fails = filter.failregex.slice(0, 200).map((line) => ready(line, true));
  const ignores = filter.ignoreregex.slice(0, 200).map((line) => ready(line, false));
  const date = judgeDate(filter.datepattern);
  const findings = [...fails, ...ignores].flatMap(({ finding }) => finding ?? []).concat(date.finding ?? []);
  const size = [...fails, ...ignores].reduce((sum, each) => sum + each.size, 0);
  const lost =
    findings.length > 0 || filter.prefregex !== undefined || size > MOST_INSTRUCTIONS || filter.failregex.length > 200;
  return {
    findings,
    counts: (probe) => {
      if (lost) return 'unknown';
      const line = date.cuts ? probe.line.replace(TIME, '') : probe.line;
      for (const each of fails) {
        const groups = each.search?.(line);
        const client = identities.map((name) => groups?.get(name)).find((text) => text !== undefined);
        if (client === undefined) continue;
        return ignores.some((ignore) => ignore.search?.(line)) ? {} : { client, by: each.line };
      }
      return {};
    },
  };
}

/** The letters that fail2ban's datepattern knows after a percent sign. */
const dateLetters = 'ABGHIMSUVWXYZabcdfjklmpuwxyz%';

/** What is wrong with a datepattern; `cuts`: it finds Caddy's time. */
function judgeDate(pattern: Line | undefined): { finding?: Finding; cuts: boolean } {
  if (!pattern) return { cuts: false };
  const { text, at } = pattern;
  for (let index = text.indexOf('%'); index >= 0; index = text.indexOf('%', index + 2)) {
    const letter = text.charAt(index + 1);
    const known =
      letter !== '' && (dateLetters.includes(letter) || /^Ex[HMSYZdklmyz]/.test(text.slice(index + 1, index + 4)));
    if (!known) {
      return {
        cuts: false,
        finding: {
          status: 'fail',
          at,
          message: `Fail2ban knows no %${letter} in a datepattern, so it fails on every line; \`fail2ban-client -t\` still says OK.`,
          todo: 'Caddy counts seconds: write `datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?`.',
        },
      };
    }
  }
  if (text.includes('%')) return { cuts: false };
  const epoch = /(?<!\\)\{L?EPOCH\}/gi;
  const compiled = compile(
    text
      .replace(epoch, '(?:\\d{10,11}(?:\\.\\d{3,6})?)')
      .replace(/^\{\^LN-BEG\}/, '^')
      .replace(/^\{UNB\}/, '')
      .replaceAll('**', ''),
  );
  if (compiled.kind === 'invalid') {
    return {
      cuts: false,
      finding: {
        status: 'fail',
        at,
        message: `Fail2ban cannot use this datepattern: ${compiled.what}.`,
        todo: 'Write `datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?`.',
      },
    };
  }
  return { cuts: compiled.kind === 'program' && compiled.search(probes[0]?.line ?? '') !== undefined };
}
