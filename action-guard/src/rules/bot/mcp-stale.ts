import type { Node } from 'jsonc-parser';
import { member, members, readJson } from '../../formats/json.js';
import { Lines } from '../../lines.js';
import type { Finding, Rule, Severity } from '../../rule.js';
import { compile, type InputSchema, toolOf } from './compile.js';
import { judgeFile, list, quote } from './consumer.js';
import { type Definition, definitionOf, linesOf, paramOf } from './grammar.js';
import { layoutOf, type Tool } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { isText } from './uses.js';

/** More than a person reads of one file. */
const MOST = 100;

/** A `.mcp.json` says what its script says. */
export const mcpStale: Rule<BotOptions> = {
  id: 'bot/mcp-stale',
  severity: 'error',
  title: 'Every .mcp.json says the same as its script: parameters, types and descriptions.',
  reason: `The model calls a tool with the parameters of its \`.mcp.json\`; the script gets what it declares with \`PARAM\`. A parameter that
was added to the script only is never filled, one that was taken out is still asked for. The expected file is what the compiler makes
of the script: order and layout do not matter, and a parameter that the script calls OPTIONAL may be missing from \`required\`.`,
  suppressible: true,
  files: () => [...outputs, ...scripts],
  check: ({ head, options }) => {
    const { bots, outputs } = layoutOf(head, options);
    const isFile = (path: string) => outputs.get(path)?.kind === 'file';
    return bots.flatMap(({ tools }) =>
      tools.flatMap((tool): Finding[] => {
        const file = isFile(tool.output) ? head.file(tool.output) : undefined;
        if (!file || !isText(file.kind)) return [];
        if (!isText(tool.file.kind))
          return [
            {
              status: 'unknown',
              at: { path: tool.path, line: 1, column: 1 },
              message: `${tool.path} is no file but a ${tool.file.kind}, which is not followed: whether ${tool.output} fits it could not be told.`,
            },
          ];
        // What its reader refuses is the finding of another rule.
        if (judgeFile(tool.name, file, options.format).verdict !== 'accepted') return [];
        const json = readJson(file.text);
        if ('error' in json) return [];
        const found = differences(tool, json.root, options).slice(0, MOST);
        if (found.length === 0) return [];
        const lines = new Lines(file.text);
        const script = linesOf(tool.file.text);
        const fix = { [tool.output]: compile(tool.name, tool.file.text, options.format) };
        return found.map(({ line, node, severity, message }) => ({
          status: 'fail',
          severity: severity === 'error' ? undefined : severity,
          at:
            line === undefined
              ? { path: tool.output, ...lines.at(node.offset) }
              : { path: tool.path, line: line + 1, column: (script[line]?.indent ?? 0) + 1 },
          message,
          todo: `Compile ${base(tool.path)} again, or write ${base(tool.output)} with mode: generate.`,
          fix,
        }));
      }),
    );
  },
  samples: {
    good: [
      pair('the compiler wrote it', SCRIPT(), compile('x', SCRIPT())),
      pair(
        'properties are in another order',
        'PARAM b AS INT LIKE 1\nPARAM a AS STRING LIKE 2\n',
        compile('x', 'PARAM a AS STRING LIKE 2\nPARAM b AS INT LIKE 1\n'),
      ),
      pair('it was laid out by hand', SCRIPT(), JSON.stringify(JSON.parse(compile('x', SCRIPT())))),
      pair(
        'an OPTIONAL parameter is not required',
        'PARAM a AS STRING OPTIONAL\n',
        compile('x', 'PARAM a AS STRING OPTIONAL\n').replace(/\[[^\]]*\]/, '[]'),
      ),
      pair('a tool without parameters', "' nothing\n", compile('x', '')),
      pair('PARAM in lower case declares nothing', 'param a as string like "b"\n', compile('x', '')),
      pair(
        'number is an integer to the compiler',
        'PARAM a AS NUMBER LIKE 1\n',
        compile('x', 'PARAM a AS INTEGER LIKE 1\n'),
      ),
      pair(
        'there is more in it than the compiler writes',
        '',
        compile('x', '').replace('"name"', '"title": "X", "name"'),
      ),
      pair('a broken one is judged by another rule', SCRIPT(), '{'),
      { ...pair("MCP's spelling", SCRIPT(), compile('x', SCRIPT(), 'mcp')), options: { format: 'mcp' } },
    ],
    bad: [
      found(
        'a parameter was added to the script',
        `${SCRIPT()}  PARAM color AS STRING LIKE "red"\n`,
        compile('x', SCRIPT()),
        ['bas:4:3'],
        /lacks "color"/,
      ),
      found(
        'a parameter was taken out of the script',
        SCRIPT().replace(/PARAM day.*\n/, ''),
        compile('x', SCRIPT()),
        ['mcp.json:12:7'],
        /"day", which x\.bas does not declare/,
      ),
      found(
        'a parameter was renamed',
        SCRIPT().replace('sku', 'article'),
        compile('x', SCRIPT()),
        ['bas:2:1', 'mcp.json:7:7'],
        /lacks "article"/,
      ),
      found(
        'a type differs',
        SCRIPT().replace('sku AS STRING', 'sku AS INTEGER'),
        compile('x', SCRIPT()),
        ['bas:2:1'],
        /"sku" is "integer" here and "string" in x\.mcp\.json/,
      ),
      found(
        'the description of a parameter differs',
        SCRIPT().replace('"Article"', '"Number of the article"'),
        compile('x', SCRIPT()),
        ['bas:2:1'],
        /another description of "sku"/,
      ),
      found(
        'the description of the tool differs',
        SCRIPT().replace('Price of', 'Stock of'),
        compile('x', SCRIPT()),
        ['bas:1:1'],
        /another description of the tool/,
      ),
      found(
        'the script has no description any more',
        SCRIPT().replace(/DESC.*\n/, ''),
        compile('x', SCRIPT()),
        ['mcp.json:3:18'],
        /another description of the tool/,
      ),
      found(
        'required lacks a parameter',
        SCRIPT(),
        compile('x', SCRIPT()).replace('"sku",\n      "day"', '"day"'),
        ['mcp.json:19:17'],
        /"required" lacks "sku"/,
      ),
      found(
        'the script has no parameters any more',
        'DESCRIPTION "Price of an article"\n',
        compile('x', SCRIPT()),
        ['mcp.json:7:7', 'mcp.json:12:7'],
        /does not declare/,
      ),
      {
        ...found(
          'both spellings lack it: one finding',
          `${SCRIPT()}PARAM color AS STRING\n`,
          compile('x', SCRIPT(), 'both'),
          ['bas:4:1'],
          /lacks "color"/,
        ),
        options: { format: 'both' as const },
      },
    ],
  },
};

/** At a line of the script where one says what the output does not, as the script is what people write; else in the output. */
interface Difference {
  line?: number;
  node: Node;
  severity: Severity;
  message: string;
}

function differences(tool: Tool, root: Node, { format }: BotOptions): Difference[] {
  const definition = definitionOf(tool.file.text);
  const expected = toolOf(tool.name, definition, format);
  // Both spellings of a file for both readers may lack the same.
  const found = new Map<string, Difference>();
  const description = member(root, 'description');
  if (description ? description.value !== expected.description : expected.description !== '')
    found.set('', {
      line: definition.described,
      node: description ?? root,
      severity: 'warning',
      message: `${base(tool.output)} has another description of the tool than ${base(tool.path)}.`,
    });
  for (const key of ['input_schema', 'inputSchema'] as const) {
    const schema = expected[key];
    const node = member(root, key);
    if (!schema || !node) continue;
    for (const each of schemaDifferences(tool, definition, schema, node))
      found.set(each.line === undefined ? `${each.node.offset}` : each.message, each);
  }
  return [...found.values()].sort((a, b) => (a.line ?? -1) - (b.line ?? -1) || a.node.offset - b.node.offset);
}

function* schemaDifferences(
  tool: Tool,
  { params }: Definition,
  expected: InputSchema,
  schema: Node,
): Generator<Difference> {
  const [script, output] = [base(tool.path), base(tool.output)];
  const properties = member(schema, 'properties');
  const there = new Map(members(properties).map((each) => [each.key, each]));
  const declared = new Map(params.map((param) => [param.name, param]));
  for (const { name, line } of declared.values()) {
    const property = there.get(name);
    const written = expected.properties[name];
    if (!property || !written) {
      const message = `${output} lacks ${quote(name)}: the model is not asked for it.`;
      yield { line, node: properties ?? schema, severity: 'error', message };
      continue;
    }
    const [type, description] = [member(property.value, 'type'), member(property.value, 'description')];
    if (type?.value !== written.type)
      yield {
        line,
        node: type ?? property.keyNode,
        severity: 'error',
        message: `${quote(name)} is "${written.type}" here and ${quote(String(type?.value))} in ${output}.`,
      };
    if ((description?.value ?? '') !== written.description)
      yield {
        line,
        node: description ?? property.keyNode,
        severity: 'warning',
        message: `${output} has another description of ${quote(name)}.`,
      };
  }
  for (const { key, keyNode } of there.values())
    if (!declared.has(key))
      yield {
        node: keyNode,
        severity: 'error',
        message: `It has ${quote(key)}, which ${script} does not declare: the model is asked for it in vain.`,
      };
  // Where an MCP file has no "required", nothing is.
  const required = member(schema, 'required');
  const named = new Set((required?.children ?? []).map(({ value }) => value));
  const optional = optionalOf(tool);
  const unnamed = expected.required.filter((name) => there.has(name) && !named.has(name) && !optional.has(name));
  if (unnamed.length)
    yield {
      node: required ?? schema,
      severity: 'error',
      message: `"required" lacks ${list(unnamed.slice(0, 9).map(quote))}, which ${script} does not call OPTIONAL.`,
    };
}

/** The compiler does not read OPTIONAL. Who writes the file by hand may. */
function optionalOf({ file }: Tool): Set<string | undefined> {
  const names = linesOf(file.text).map(({ text }) =>
    text.includes('OPTIONAL') && /\bOPTIONAL\b/.test(text.replace(/"[^"]*"/g, '')) ? paramOf(text)?.name : undefined,
  );
  return new Set(names);
}

function base(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function SCRIPT(): string {
  return `DESCRIPTION "Price of an article"
PARAM sku AS STRING LIKE "A-1" DESCRIPTION "Article"
PARAM day AS DATE LIKE "2026-01-31" DESCRIPTION "Day"
`;
}

function pair(name: string, script: string, output: string) {
  return { name, files: { 'acme.gbai/acme.gbdialog/x.bas': script, 'acme.gbai/acme.gbdialog/x.mcp.json': output } };
}

function found(name: string, script: string, output: string, places: string[], says: RegExp) {
  const finds = places.map((place, index) => ({
    at: `acme.gbai/acme.gbdialog/x.${place}`,
    says: index === 0 ? says : /./,
  }));
  return { ...pair(name, script, output), finds };
}
