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
  files: () => outputs,
  reads: () => scripts,
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
        const fix = { [tool.output]: compile(tool.name, tool.file.text, options.format) };
        return found.map(({ at, severity, message }) => ({
          status: 'fail',
          severity: severity === 'error' ? undefined : severity,
          at: { path: tool.output, ...lines.at(at) },
          message,
          todo: 'Compile the script again, or write the file with mode: generate.',
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
        `${SCRIPT()}PARAM color AS STRING LIKE "red"\n`,
        compile('x', SCRIPT()),
        '6:19',
        /lacks "color", which line 4 of x\.bas declares/,
      ),
      found(
        'a parameter was taken out of the script',
        'DESCRIPTION "Price of an article"\nPARAM sku AS STRING LIKE "A-1" DESCRIPTION "Article"\n',
        compile('x', SCRIPT()),
        '12:7',
        /"day", which x\.bas does not declare/,
      ),
      found(
        'a parameter was renamed',
        SCRIPT().replace('sku', 'article'),
        compile('x', SCRIPT()),
        ['6:19', '7:7'],
        /lacks "article"/,
      ),
      found(
        'a type differs',
        SCRIPT().replace('sku AS STRING', 'sku AS INTEGER'),
        compile('x', SCRIPT()),
        '8:17',
        /"sku" is "string" here and "integer" in line 2/,
      ),
      found(
        'the description of a parameter differs',
        SCRIPT().replace('"Article"', '"Number of the article"'),
        compile('x', SCRIPT()),
        '9:24',
        /description of "sku"/,
      ),
      found(
        'the description of the tool differs',
        SCRIPT().replace('Price of', 'Stock of'),
        compile('x', SCRIPT()),
        '3:18',
        /description of the tool/,
      ),
      found(
        'required lacks a parameter',
        SCRIPT(),
        compile('x', SCRIPT()).replace('"sku",\n      "day"', '"day"'),
        '19:17',
        /"required" lacks "sku"/,
      ),
      found(
        'the script has no parameters any more',
        'DESCRIPTION "Price of an article"\n',
        compile('x', SCRIPT()),
        ['7:7', '12:7'],
        /does not declare/,
      ),
    ],
  },
};

function differences(
  tool: Tool,
  root: Node,
  { format }: BotOptions,
): { at: number; severity: Severity; message: string }[] {
  const definition = definitionOf(tool.file.text);
  const expected = toolOf(tool.name, definition, format);
  const found: { at: number; severity: Severity; message: string }[] = [];
  const description = member(root, 'description');
  if (description ? description.value !== expected.description : expected.description !== '')
    found.push({
      at: (description ?? root).offset,
      severity: 'warning',
      message: `The description of the tool is not that of ${base(tool)}.`,
    });
  for (const key of ['input_schema', 'inputSchema'] as const) {
    const schema = expected[key];
    const node = member(root, key);
    if (schema && node) for (const each of schemaDifferences(tool, definition, schema, node)) found.push(each);
  }
  return found.sort((a, b) => a.at - b.at);
}

function* schemaDifferences(tool: Tool, definition: Definition, expected: InputSchema, schema: Node) {
  const script = base(tool);
  const properties = member(schema, 'properties');
  const there = new Map(members(properties).map((each) => [each.key, each]));
  const declared = new Map(definition.params.map((param) => [param.name, param]));
  const lacking = [...declared.values()].filter(({ name }) => !there.has(name));
  const say = (node: Node, severity: Severity, message: string) => ({ at: node.offset, severity, message });
  if (lacking.length)
    yield say(
      properties ?? schema,
      'error',
      `It lacks ${list(lacking.slice(0, 9).map(({ name, line }) => `${quote(name)}, which line ${line + 1} of ${script} declares`))}${lacking.length > 9 ? ` and ${lacking.length - 9} more` : ''}.`,
    );
  for (const { key, keyNode, value } of there.values()) {
    const param = declared.get(key);
    const written = param && expected.properties[key];
    if (!param || !written) {
      yield say(keyNode, 'error', `It has ${quote(key)}, which ${script} does not declare.`);
      continue;
    }
    const line = param.line + 1;
    const [type, description] = [member(value, 'type'), member(value, 'description')];
    if (type?.value !== written.type)
      yield say(
        type ?? keyNode,
        'error',
        `${quote(key)} is ${quote(String(type?.value))} here and "${written.type}" in line ${line} of ${script}.`,
      );
    if ((description?.value ?? '') !== written.description)
      yield say(
        description ?? keyNode,
        'warning',
        `The description of ${quote(key)} is not that in line ${line} of ${script}.`,
      );
  }
  // Where there are no properties in an MCP file nothing is required either.
  const required = member(schema, 'required');
  const named = new Set((required?.children ?? []).map(({ value }) => value));
  const optional = optionalOf(tool);
  const unnamed = expected.required.filter((name) => there.has(name) && !named.has(name) && !optional.has(name));
  if (unnamed.length)
    yield say(
      required ?? schema,
      'error',
      `"required" lacks ${list(unnamed.slice(0, 9).map(quote))}, which ${script} does not call OPTIONAL.`,
    );
}

/** The compiler does not read OPTIONAL. Who writes the file by hand may. */
function optionalOf({ file }: Tool): Set<string | undefined> {
  const names = linesOf(file.text).map(({ text }) =>
    text.includes('OPTIONAL') && /\bOPTIONAL\b/.test(text.replace(/"[^"]*"/g, '')) ? paramOf(text)?.name : undefined,
  );
  return new Set(names);
}

function base({ path }: Tool): string {
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

function found(name: string, script: string, output: string, places: string | string[], says: RegExp) {
  const finds = [places].flat().map((place, index) => ({
    at: `acme.gbai/acme.gbdialog/x.mcp.json:${place}`,
    says: index === 0 ? says : /./,
  }));
  return { ...pair(name, script, output), finds };
}
