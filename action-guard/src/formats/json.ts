import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';

/** JSON with the place of everything in it, or what is wrong with it and where. Offsets are in UTF-16 units. */
export type Json = { root: Node; value: unknown } | { error: { at: number; message: string } };

/** As deep as serde_json goes, the strictest reader of these files. jsonc-parser recurses, so this also keeps it alive. */
const DEEPEST = 127;

/** JSON as RFC 8259 and serde_json have it: no comments, no trailing commas, no byte order mark, no lone surrogates. */
export function readJson(text: string): Json {
  if (text.startsWith('\uFEFF')) return wrong(0, 'it begins with a byte order mark');
  const deep = tooDeep(text);
  if (deep >= 0) return wrong(deep, `it is nested deeper than ${DEEPEST} levels`);
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  const first = errors[0];
  // jsonc-parser steps over a comma too many; JSON.parse is the judge, and the parser says where.
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    if (text.trim() === '') return wrong(0, 'it is empty');
    return wrong(first?.offset ?? text.length, first ? inWords(printParseErrorCode(first.error)) : 'it is not JSON');
  }
  if (!root) return wrong(0, 'it is not JSON');
  const odd = oddity(root);
  return odd ? { error: odd } : { root, value };
}

/** The member of that name; of several the last, which is the one that all readers keep. */
export function member(node: Node | undefined, key: string): Node | undefined {
  return property(node, key)?.children?.[1];
}

/** The same with its key. */
export function property(node: Node | undefined, key: string): Node | undefined {
  if (node?.type !== 'object') return undefined;
  return node.children?.findLast((each) => each.children?.[0]?.value === key);
}

/** Keys and values of an object, in the order of the file. */
export function members(node: Node | undefined): { key: string; keyNode: Node; value: Node }[] {
  if (node?.type !== 'object') return [];
  return (node.children ?? []).flatMap(({ children }) => {
    const [keyNode, value] = children ?? [];
    return keyNode && value ? [{ key: String(keyNode.value), keyNode, value }] : [];
  });
}

/** The node that a path of keys and indices leads to, or the last one on the way that is there. */
export function nodeAt(root: Node, path: readonly PropertyKey[]): Node {
  let node = root;
  for (const step of path) {
    const next = node.type === 'array' ? node.children?.[Number(step)] : member(node, String(step));
    if (!next) break;
    node = next;
  }
  return node;
}

/** A node and all in it, in the order of the file. */
export function* nodesOf(node: Node): Generator<Node> {
  const stack = [node];
  for (let next = stack.pop(); next; next = stack.pop()) {
    yield next;
    // One by one: a file's worth of arguments is more than a call takes.
    for (const child of (next.children ?? []).toReversed()) stack.push(child);
  }
}

function wrong(at: number, message: string): Json {
  return { error: { at, message } };
}

/** Where it first gets too deep, or -1. */
function tooDeep(text: string): number {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted) {
      if (char === '\\') at++;
      // A line's end ends a broken string too: it must not hide the depth of what follows.
      else if (char === '"' || char === '\n') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') {
      if (++depth > DEEPEST) return at;
    } else if (char === '}' || char === ']') depth = Math.max(0, depth - 1);
  }
  return -1;
}

/** What JSON.parse lets pass and serde_json does not. */
function oddity(root: Node): { at: number; message: string } | undefined {
  for (const node of nodesOf(root)) {
    if (node.type === 'string' && /\p{Surrogate}/u.test(node.value))
      return { at: node.offset, message: 'a text has half of a character (a lone surrogate)' };
    if (node.type === 'number' && !Number.isFinite(node.value))
      return { at: node.offset, message: 'a number is out of range' };
  }
  return undefined;
}

/** `CommaExpected` as "a comma is expected". */
function inWords(code: string): string {
  const words = code.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).trim();
  return words.endsWith(' expected') ? `${words.slice(0, -' expected'.length)} expected here` : `${words} here`;
}
