import type { Node } from 'jsonc-parser';
import { z } from 'zod';
import { type Json, member, members, nodeAt, nodesOf, property, readJson } from '../../formats/json.js';
import type { Severity } from '../../rule.js';
import type { SourceFile } from '../../tree.js';
import type { BotOptions } from './options.js';

/**
 * What becomes of a file where it is read. `dropped`: the tool is not offered to the model, and nothing says so. `all lost`:
 * neither is any other tool of the session.
 */
export type Verdict = 'accepted' | 'dropped' | 'all lost';

/** Something wrong in a file, at an offset of it. */
export interface Problem {
  at: number;
  severity: Severity;
  message: string;
  todo?: string;
  /** That the model is told nothing of the tool, which is no harm where none calls it. */
  about?: 'empty description';
}

export interface Judgement {
  verdict: Verdict;
  problems: Problem[];
}

/** Names that models' APIs take for a function. */
export const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** And for its parameters. */
const PARAMETER_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const JSON_TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'];

/** Judges the text of a `.mcp.json` as its reader does, and then as the model's API does. `stem`: its name without the ending. */
export function judge(stem: string, text: string, format: BotOptions['format']): Judgement {
  const json = readJson(text);
  if ('error' in json) return { verdict: 'all lost', problems: [unreadable(json.error)] };
  const parts: Judgement[] = [repeatedKeys(json.root)];
  if (format !== 'mcp') parts.push(asBotserver(json.root), asModel(json.root, stem));
  if (format !== 'generalbots') parts.push(asMcpClient(json), format === 'mcp' ? named(json.root, stem) : nothing);
  if (format === 'both') parts.push(agreement(json.root));
  const order: Verdict[] = ['accepted', 'dropped', 'all lost'];
  return {
    verdict: order[Math.max(...parts.map(({ verdict }) => order.indexOf(verdict)))] as Verdict,
    problems: parts.flatMap(({ problems }) => problems).sort((a, b) => a.at - b.at),
  };
}

const known = new WeakMap<SourceFile, Map<string, Judgement>>();

/** The same of a file. Worked out once for all rules. */
export function judgeFile(stem: string, file: SourceFile, format: BotOptions['format']): Judgement {
  const byFormat = known.get(file) ?? new Map<string, Judgement>();
  const judgement = byFormat.get(format) ?? judge(stem, file.text, format);
  known.set(file, byFormat.set(format, judgement));
  return judgement;
}

const nothing: Judgement = { verdict: 'accepted', problems: [] };

function unreadable({ at, message }: { at: number; message: string }): Problem {
  return {
    at,
    severity: 'error',
    message: `This is no JSON: ${message}; whoever reads it gives up, and all tools of the session are lost.`,
    todo: 'Compile the bot again, or mend the file.',
  };
}

/** What get_session_tools of botserver asks for. One thing that is missing, and the tool is dropped without a word. */
function asBotserver(root: Node): Judgement {
  const problems: Problem[] = [];
  const drop = (node: Node, what: string, todo?: string) =>
    problems.push({
      at: node.offset,
      severity: 'error',
      message: `${what}: botserver drops the tool without a word.`,
      todo,
    });
  if (root.type !== 'object') {
    drop(root, `The file holds ${article(root.type)} and no object`);
    return { verdict: 'dropped', problems };
  }
  for (const key of ['name', 'description']) {
    const node = member(root, key);
    if (!node) drop(root, `"${key}" is missing`, `Add "${key}", a text.`);
    else if (node.type !== 'string') drop(node, `"${key}" is ${article(node.type)} and no text`);
  }
  const schema = member(root, 'input_schema');
  const properties = member(schema, 'properties');
  const required = member(schema, 'required');
  if (!schema) {
    const camel = property(root, 'inputSchema');
    if (camel)
      drop(camel, '"inputSchema" is MCP\'s spelling, and "input_schema" is missing', 'Spell it "input_schema".');
    else drop(root, '"input_schema" is missing', 'Add "input_schema" with "type", "properties" and "required".');
  } else if (schema.type !== 'object') drop(schema, `"input_schema" is ${article(schema.type)} and no object`);
  else {
    if (!properties) drop(schema, '"properties" is missing', 'Add "properties"; {} where there are none.');
    else if (properties.type !== 'object')
      drop(properties, `"properties" is ${article(properties.type)} and no object`);
    if (!required) drop(schema, '"required" is missing', 'Add "required"; [] where there are none.');
    else if (required.type !== 'array') drop(required, `"required" is ${article(required.type)} and no list`);
  }
  for (const { key, keyNode, value } of lastOfEach(properties)) {
    if (value.type !== 'object') drop(value, `Property ${quote(key)} is ${article(value.type)} and no object`);
    else
      for (const part of ['description', 'type'])
        if (!member(value, part)) drop(keyNode, `Property ${quote(key)} has no "${part}"`, `Add "${part}" to it.`);
  }
  return { verdict: problems.length ? 'dropped' : 'accepted', problems };
}

/** What botserver passes on to the model, whose API refuses the whole call for one bad tool. */
function asModel(root: Node, stem: string): Judgement {
  const problems: Problem[] = [...named(root, stem).problems];
  const say = (severity: Severity, node: Node, message: string, todo?: string) =>
    problems.push({ at: node.offset, severity, message, todo });
  const schema = member(root, 'input_schema');
  if (schema?.type !== 'object') return { verdict: 'accepted', problems };
  const type = member(schema, 'type');
  if (type?.value !== 'object')
    say('error', type ?? schema, 'The "type" of "input_schema" is not "object".', 'Write "type": "object".');
  const properties = member(schema, 'properties');
  const lost = new Set<string>();
  for (const { key, keyNode, value } of lastOfEach(properties)) {
    if (!PARAMETER_NAME.test(key))
      say(
        'warning',
        keyNode,
        `Property ${quote(key)} has a name that models' APIs refuse.`,
        'Use A-Z a-z 0-9 _ . - only.',
      );
    const [type, description] = [member(value, 'type'), member(value, 'description')];
    if (description && description.type !== 'string')
      say('warning', description, `The description of ${quote(key)} is no text; the model sees an empty one.`);
    if (type && type.type !== 'string')
      say('warning', type, `The type of ${quote(key)} is no text; the model sees "string".`);
    else if (type?.value === 'array')
      say(
        'error',
        type,
        `${quote(key)} is an array, which botserver passes on without "items": models' APIs refuse the call, with all its tools.`,
        'Declare it AS STRING and say in its description how to part the values.',
      );
    else if (type && !JSON_TYPES.includes(type.value))
      say('error', type, `${quote(key)} has a type that JSON Schema does not know; models' APIs refuse the call.`);
    for (const { key: part } of members(value)) if (!PASSED_OR_HARMLESS.has(part)) lost.add(part);
  }
  if (lost.size && properties)
    say(
      'info',
      properties,
      `Nobody reads ${list([...lost].slice(0, 9).map(quote))} of a property: the model is told "type" and "description" only.`,
      'Say it in the description.',
    );
  requiredOnes(member(schema, 'required'), properties, problems, 'error');
  return { verdict: 'accepted', problems };
}

/** `example` and `format` are not passed on either, but the compiler itself writes them: not worth a word in every file. */
const PASSED_OR_HARMLESS = new Set(['type', 'description', 'example', 'format', 'title']);

/** `required` goes to the model as it is. */
function requiredOnes(
  required: Node | undefined,
  properties: Node | undefined,
  into: Problem[],
  severity: Severity,
): void {
  if (required?.type !== 'array') return;
  const known = new Set(members(properties).map(({ key }) => key));
  const seen = new Set<string>();
  for (const item of required.children ?? []) {
    const say = (message: string) => into.push({ at: item.offset, severity, message });
    if (item.type !== 'string') say('"required" has something that is no text.');
    else if (seen.has(item.value)) say(`"required" names ${quote(item.value)} twice.`);
    else if (!known.has(item.value)) say(`"required" names ${quote(item.value)}, which is no property.`);
    if (item.type === 'string') seen.add(item.value);
  }
}

/** The name that the model sees is the file's. */
function named(root: Node, stem: string): Judgement {
  const problems: Problem[] = [];
  const [name, description] = [member(root, 'name'), member(root, 'description')];
  if (name?.type === 'string' && name.value !== stem)
    problems.push({
      at: name.offset,
      severity: 'warning',
      message: `The tool is called ${quote(stem)} after its file, and "name" says ${quote(name.value)}.`,
      todo: 'Give both the same name.',
    });
  if (description?.type === 'string' && description.value.trim() === '')
    problems.push({
      at: description.offset,
      severity: 'warning',
      message: 'The description is empty: the model cannot know what the tool is for.',
      about: 'empty description',
      todo: 'Give the script a DESCRIPTION "..." line, and compile it.',
    });
  return { verdict: 'accepted', problems };
}

const schemaOfMcp = z.looseObject({
  type: z.literal('object'),
  properties: z
    .record(
      z.string(),
      z.custom((value) => typeof value === 'object' && value !== null),
    )
    .optional(),
  required: z.array(z.string()).optional(),
});

/** A tool as MCP has it (2025-11-25). The official package has the same schema, and brings a web server along. */
const toolOfMcp = z.object({
  name: z.string(),
  title: z.string().optional(),
  icons: z
    .array(
      z.object({
        src: z.string(),
        mimeType: z.string().optional(),
        sizes: z.array(z.string()).optional(),
        theme: z.enum(['light', 'dark']).optional(),
      }),
    )
    .optional(),
  description: z.string().optional(),
  inputSchema: schemaOfMcp,
  outputSchema: schemaOfMcp.optional(),
  annotations: z
    .object({
      title: z.string().optional(),
      readOnlyHint: z.boolean().optional(),
      destructiveHint: z.boolean().optional(),
      idempotentHint: z.boolean().optional(),
      openWorldHint: z.boolean().optional(),
    })
    .optional(),
  execution: z.object({ taskSupport: z.enum(['required', 'optional', 'forbidden']).optional() }).optional(),
  _meta: z.record(z.string(), z.unknown()).optional(),
});

/** What an MCP client accepts. It reads all tools as one answer, and refuses that for one bad tool. */
function asMcpClient({ root, value }: Extract<Json, { root: Node }>): Judgement {
  const read = toolOfMcp.safeParse(value);
  const problems: Problem[] = (read.error?.issues ?? []).map(({ path, message, code }) => {
    const where = path.map(String).join('.');
    const found = nodeAt(root, path);
    const snake = where === 'inputSchema' ? property(root, 'input_schema') : undefined;
    return {
      at: (snake ?? found).offset,
      severity: 'error' as const,
      message: `MCP does not take ${where ? quote(where) : 'this'} (${code === 'custom' ? 'it is no object' : inOneLine(message)}): a client refuses the whole list of tools.`,
      ...(snake ? { todo: 'MCP spells it "inputSchema".' } : {}),
    };
  });
  const verdict = problems.length ? 'all lost' : 'accepted';
  const schema = member(root, 'inputSchema');
  const properties = member(schema, 'properties');
  for (const { key, value: node } of lastOfEach(properties)) {
    // The official schema takes lists here for objects; no reader of JSON Schema does.
    if (node.type === 'array')
      problems.push({ at: node.offset, severity: 'error', message: `Property ${quote(key)} is a list and no schema.` });
    if (member(node, 'type')?.value === 'array' && !member(node, 'items'))
      problems.push({
        at: (member(node, 'type') as Node).offset,
        severity: 'error',
        message: `${quote(key)} is an array without "items": models' APIs refuse it.`,
        todo: 'Add "items" with their type.',
      });
  }
  requiredOnes(member(schema, 'required'), properties, problems, 'warning');
  return { verdict, problems };
}

/** A file with both spellings must say the same in both. */
function agreement(root: Node): Judgement {
  const [snake, camel] = [member(root, 'input_schema'), member(root, 'inputSchema')];
  if (!snake || !camel) return nothing;
  const of = (schema: Node) => JSON.stringify([member(schema, 'properties'), member(schema, 'required')].map(outline));
  if (of(snake) === of(camel)) return nothing;
  const message = '"inputSchema" and "input_schema" do not have the same properties.';
  return { verdict: 'accepted', problems: [{ at: camel.offset, severity: 'error', message }] };
}

function outline(node: Node | undefined): unknown {
  if (node?.type === 'array') return (node.children ?? []).map(({ value }) => String(value)).sort();
  return lastOfEach(node)
    .map(({ key, value }) => [key, String(member(value, 'type')?.value)])
    .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1));
}

/** A key that stands twice: every reader keeps the last. */
function repeatedKeys(root: Node): Judgement {
  const problems: Problem[] = [];
  for (const node of nodesOf(root)) {
    if (node.type !== 'object') continue;
    const seen = new Set<string>();
    for (const { key, keyNode } of members(node)) {
      if (seen.has(key))
        problems.push({
          at: keyNode.offset,
          severity: 'warning',
          message: `${quote(key)} stands twice in one object; only this one counts.`,
          todo: 'Take the other one out.',
        });
      seen.add(key);
    }
  }
  return { verdict: 'accepted', problems };
}

function lastOfEach(node: Node | undefined): ReturnType<typeof members> {
  return [...new Map(members(node).map((each) => [each.key, each])).values()];
}

function article(type: Node['type']): string {
  return type === 'null' ? 'null' : /^[aeiou]/.test(type) ? `an ${type}` : `a ${type === 'array' ? 'list' : type}`;
}

/** Short enough for a message, whatever was in the file. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text);
}

function inOneLine(message: string): string {
  return message.replace(/\s/g, ' ').slice(0, 200);
}

/** `a, b and c`. */
export function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
