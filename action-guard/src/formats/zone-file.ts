import { Lines } from '../lines.js';
import type { Position } from '../rule.js';

/** Names of a zone file (RFC 1035) and what an address look-up of them finds. Ours, as no library keeps positions. */
export interface Zone {
  path: string;
  /** Without the last dot, in lower case. */
  origin: string;
  /** Types by name; names in lower case without the last dot. */
  names: Map<string, Map<string, ZoneRecord[]>>;
  /** Whether more may belong to it: $INCLUDE, $GENERATE, a line that could not be read. */
  incomplete: boolean;
}

export interface ZoneRecord {
  type: string;
  data: string[];
  at: Position;
}

export type ZoneAnswer = 'found' | 'none' | 'unknown';

interface Word {
  text: string;
  start: number;
}

/** Reads a zone file. Undefined: it has no SOA, so it is none. Never throws. */
export function readZone(path: string, text: string): Zone | undefined {
  const lines = new Lines(text);
  const names: Zone['names'] = new Map();
  let origin = originOf(path);
  let apex: string | undefined;
  let owner: string | undefined;
  let incomplete = false;
  for (const { words, indented } of entries(text)) {
    const [first, second] = words;
    if (!first) continue;
    if (first.text.startsWith('$') && !indented) {
      const word = first.text.toUpperCase();
      if (word === '$ORIGIN' && second) origin = absolute(second.text, origin);
      else if (word !== '$TTL') incomplete = true;
      continue;
    }
    let rest = words;
    if (!indented) {
      owner = first.text === '@' ? origin : absolute(first.text, origin);
      rest = words.slice(1);
    }
    if (owner === undefined || owner.length > longestName) {
      incomplete = true;
      continue;
    }
    while (rest[0] && (isTtl(rest[0].text) || isClass(rest[0].text))) rest = rest.slice(1);
    const [kind, ...data] = rest;
    if (!kind || !isType(kind.text)) {
      incomplete = true;
      continue;
    }
    const type = kind.text.toUpperCase();
    if (type === 'SOA') apex ??= owner;
    const types = names.get(owner) ?? new Map<string, ZoneRecord[]>();
    names.set(owner, types);
    const known = types.get(type) ?? [];
    types.set(type, known);
    const values = data.map((word) => (type === 'CNAME' || type === 'NS' ? absolute(word.text, origin) : word.text));
    known.push({ type, data: values, at: { path, ...lines.at(first.start) } });
  }
  if (apex === undefined) return undefined;
  return { path, origin: apex, names, incomplete };
}

const longestName = 255;

/** Whether the zone gives a name an address, as its server would. */
export function askZone(zone: Zone, host: string): ZoneAnswer {
  let name = host.toLowerCase();
  if (name.length > longestName) return 'unknown';
  // A chain longer than this is a circle.
  for (let steps = 0; steps < 10; steps++) {
    if (name !== zone.origin && !name.endsWith(`.${zone.origin}`)) return 'unknown';
    const types = recordsOf(zone, name);
    if (types === 'delegated') return 'unknown';
    if (types?.has('A') || types?.has('AAAA')) return 'found';
    const target = types?.get('CNAME')?.[0]?.data[0];
    if (target === undefined) return zone.incomplete ? 'unknown' : 'none';
    name = target;
  }
  return 'none';
}

/** The zone that a host belongs to: the one with the longest name. */
export function zoneOf(zones: readonly Zone[], host: string): Zone | undefined {
  return zones
    .filter(({ origin }) => host === origin || host.endsWith(`.${origin}`))
    .sort((a, b) => b.origin.length - a.origin.length)[0];
}

function recordsOf(zone: Zone, name: string): Map<string, ZoneRecord[]> | 'delegated' | undefined {
  for (
    let parent = name;
    parent !== zone.origin && parent.includes('.');
    parent = parent.slice(parent.indexOf('.') + 1)
  )
    if (zone.names.get(parent)?.has('NS')) return 'delegated';
  const own = zone.names.get(name);
  if (own) return own;
  // A wildcard stands in for a name only below the nearest name that exists (RFC 4592); names in between exist as well.
  const existing = existingNames(zone);
  if (existing.has(name)) return undefined;
  for (let parent = name; parent.includes('.'); ) {
    parent = parent.slice(parent.indexOf('.') + 1);
    if (existing.has(parent)) return zone.names.get(`*.${parent}`);
  }
  return undefined;
}

const existingOf = new WeakMap<Zone, Set<string>>();

function existingNames(zone: Zone): Set<string> {
  const known = existingOf.get(zone);
  if (known) return known;
  const existing = new Set([zone.origin]);
  for (const name of zone.names.keys())
    for (let each = name; each.includes('.') && each !== zone.origin && !existing.has(each); ) {
      existing.add(each);
      each = each.slice(each.indexOf('.') + 1);
    }
  existingOf.set(zone, existing);
  return existing;
}

function absolute(name: string, origin: string): string {
  const lower = name.toLowerCase();
  if (lower === '@') return origin;
  if (lower.endsWith('.')) return lower.slice(0, -1);
  return origin === '' ? lower : `${lower}.${origin}`;
}

/** By its name: example.com.zone, db.example.com, zones/example.com. A $ORIGIN says better. */
function originOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  if (name.endsWith('.zone')) return name.slice(0, -'.zone'.length);
  if (name.startsWith('db.')) return name.slice('db.'.length);
  return name;
}

function isTtl(text: string): boolean {
  return /^\d{1,10}[smhdw]?$/i.test(text);
}

function isClass(text: string): boolean {
  return ['IN', 'CH', 'HS', 'CS'].includes(text.toUpperCase());
}

function isType(text: string): boolean {
  return text.length <= 12 && /^[A-Za-z][A-Za-z0-9]*$/.test(text);
}

/** Lines with parentheses joined, without comments. */
function* entries(text: string): Generator<{ words: Word[]; indented: boolean }> {
  let words: Word[] = [];
  let depth = 0;
  let indented = false;
  let fresh = true;
  let at = 0;
  while (at < text.length) {
    const ch = text[at] as string;
    if (ch === '\n') {
      at++;
      if (depth > 0) continue;
      if (words.length > 0) yield { words, indented };
      words = [];
      fresh = true;
    } else if (ch === ' ' || ch === '\t' || ch === '\r') {
      if (fresh && words.length === 0) indented = true;
      fresh = false;
      at++;
    } else if (ch === ';') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else if (ch === '(' || ch === ')') {
      depth = Math.max(0, depth + (ch === '(' ? 1 : -1));
      at++;
    } else {
      if (fresh) indented = false;
      fresh = false;
      const start = at;
      if (ch === '"') {
        at++;
        while (at < text.length && text[at] !== '"' && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
        at++;
      } else while (at < text.length && !' \t\r\n;()'.includes(text[at] as string)) at += text[at] === '\\' ? 2 : 1;
      words.push({ text: text.slice(start, at), start });
    }
  }
  if (words.length > 0) yield { words, indented };
}
