import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
} from 'yaml';
import { Lines } from '../lines.js';
import type { Position } from '../rule.js';
import { leaveOutFile } from '../unread.js';
import { readJson } from './json-places.js';

/** Larger files are no configuration that people write; the parser takes a second for a megabyte. What programs print is JSON. */
const LARGEST = 250_000;
/** Brackets within brackets, beyond which a parser that calls itself would run out of stack. */
const DEEPEST = 200;

/** A YAML or JSON file with the place of every node. */
export interface YamlFile {
  path: string;
  documents: Document.Parsed[];
  /** What the YAML parser refuses, with where. `limit`: it was not asked. */
  errors: { at: Position; what: string; limit?: true }[];
  at(node: unknown): Position;
  /** Position of an offset of the text. */
  offset(offset: number): Position;
}

/** Never throws. Keys that come twice are errors here: the parser's own check takes time by the square of them. */
export function readYaml(path: string, text: string): YamlFile {
  // The parser's own LineCounter misses line ends in what it does not understand.
  const lines = new Lines(text);
  const offset = (at: number): Position => ({ path, ...lines.at(Math.max(0, Math.min(at, text.length))) });
  const file: YamlFile = {
    path,
    documents: [],
    errors: [],
    offset,
    at: (node) => offset(isNode(node) ? (node.range?.[0] ?? 0) : 0),
  };
  const refuse = (what: string) => {
    file.errors.push({ at: { path, line: 1, column: 1 }, what, limit: true });
    leaveOutFile(path, what, 'Mend it, or leave it out by the policy.');
    return file;
  };
  const json = /\.json$/i.test(path) ? readJson(text) : undefined;
  if (json) {
    file.documents = [json];
    return file;
  }
  if (text.length > LARGEST) return refuse('it is too large to be a configuration');
  if (nesting(text) > DEEPEST) return refuse('it is nested too deeply');
  try {
    const parsed = parseAllDocuments(text, {
      keepSourceTokens: false,
      strict: true,
      uniqueKeys: false,
      logLevel: 'silent',
    });
    file.documents = Array.isArray(parsed) ? [...parsed] : [];
  } catch (error) {
    return refuse(error instanceof Error ? (error.message.split('\n')[0] ?? 'it is not YAML') : 'it is not YAML');
  }
  for (const document of file.documents) {
    const { errors } = document;
    visit(document, {
      Map: (_key, map) => {
        const keys = new Set<string>();
        for (const { key, keyNode } of pairsOf(map)) {
          if (keys.has(key) && key !== '<<')
            file.errors.push({ at: file.at(keyNode), what: `the key ${key.slice(0, 60)} comes twice in one map` });
          keys.add(key);
        }
      },
    });
    for (const { pos, message } of errors) {
      file.errors.push({
        at: offset(pos[0]),
        what: (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '').slice(0, 200),
      });
    }
  }
  return file;
}

/** How deep brackets and indented blocks may go in it, counted generously. */
function nesting(text: string): number {
  let flow = 0;
  let deepest = 0;
  let dashes = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 10) {
      dashes = 0;
      // Block nesting needs an indentation that grows, so a line's own tells how deep it can be.
      let indent = 0;
      while (text.charCodeAt(at + 1 + indent) === 32) indent++;
      deepest = Math.max(deepest, indent > 2 * DEEPEST ? indent / 2 : 0);
    } else if (char === 91 || char === 123) flow++;
    else if (char === 93 || char === 125) flow = Math.max(0, flow - 1);
    else if ((char === 45 || char === 63) && text.charCodeAt(at + 1) === 32) dashes++;
    deepest = Math.max(deepest, flow, dashes);
  }
  return deepest;
}

const anchored = new WeakMap<Document.Parsed, Map<string, Node>>();

/** The node itself, or what its alias stands for: the last that has the name, as nobody uses a name twice. */
export function resolve(document: Document.Parsed, node: unknown): Node | undefined {
  if (!isAlias(node)) return isNode(node) ? node : undefined;
  let anchors = anchored.get(document);
  if (!anchors) {
    const found = new Map<string, Node>();
    visit(document, {
      Value: (_key, each) => {
        if (each.anchor) found.set(each.anchor, each);
      },
    });
    anchored.set(document, found);
    anchors = found;
  }
  return anchors.get(node.source);
}

/** The pairs of a map, by key. */
export function pairsOf(node: unknown): { key: string; keyNode: Node; value: unknown; pair: Pair }[] {
  if (!isMap(node)) return [];
  return node.items.flatMap((pair) =>
    isScalar(pair.key) ? [{ key: String(pair.key.value), keyNode: pair.key as Node, value: pair.value, pair }] : [],
  );
}

/** The text of a scalar as it is written; undefined for anything else, and for nothing. */
export function textOf(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null || node.value === undefined) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

export { isMap, isScalar, isSeq };
