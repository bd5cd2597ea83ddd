import { basename, dirname } from 'node:path';
import { Lines } from '../../lines.js';
import type { Finding, Rule } from '../../rule.js';
import type { SourceFile } from '../../tree.js';
import { compile } from './compile.js';
import { judgeFile } from './consumer.js';
import { layoutOf } from './layout.js';
import { type BotOptions, outputs, scripts } from './options.js';
import { isReadable, isUtf8 } from './uses.js';

/** More than a person reads of one file. */
const MOST = 100;

/** A `.mcp.json` is judged as those read it who use it. */
export const mcpInvalid: Rule<BotOptions> = {
  id: 'bot/mcp-invalid',
  severity: 'error',
  title: 'Every .mcp.json is one that its reader accepts.',
  reason: `botserver reads the \`.mcp.json\` of all tools of a session. A file that is **no JSON** makes it give up: *all* tools of the session
are lost. A tool without a text \`name\` and \`description\`, without \`input_schema\` (in this spelling) with an object \`properties\`
and a list \`required\`, or with one property that lacks \`type\` or \`description\`, is **dropped**, and nothing says so. What passes goes
to the model's API as it is, which refuses the whole call for one \`array\` (its \`items\` are not passed on) or for a name in
\`required\` that is no property.

With \`format: mcp\` files are judged as the official MCP package does: there a client refuses the whole list for one bad tool.`,
  suppressible: true,
  files: () => [...outputs, ...outputs.map((glob) => `${glob}/**`)],
  reads: () => scripts,
  check: ({ head, options }) => {
    const layout = layoutOf(head, options);
    const byOutput = new Map(layout.bots.flatMap(({ tools }) => tools).map((tool) => [tool.output, tool]));
    return [...layout.outputs].flatMap(([path, output]) => {
      if (output.kind === 'folder') {
        return [
          lost(
            output.first,
            `${basename(path)} is a folder: botserver cannot read it, and all tools of the session are lost.`,
          ),
        ];
      }
      const file = head.file(path) as SourceFile;
      if (file.kind === 'link')
        return [
          lost(
            path,
            `${basename(path)} is a symbolic link: nobody can tell here what the server will read, and work folders are copied without links.`,
          ),
        ];
      if (file.kind === 'submodule')
        return [lost(path, `${basename(path)} is a submodule, which is a folder: all tools of the session are lost.`)];
      const source = byOutput.get(path);
      const stem = basename(path).slice(0, -'.mcp.json'.length);
      const mended = () =>
        source && isReadable(source.file)
          ? { [path]: compile(source.name, source.file.text, options.format) }
          : undefined;
      const broken = isUtf8(file) ? undefined : brokenAt(file);
      if (broken)
        return [
          {
            ...lost(path, 'This is no UTF-8: botserver cannot read it, and all tools of the session are lost.'),
            at: broken,
            fix: mended(),
          },
        ];
      const { verdict, problems } = judgeFile(stem, file, options.format);
      const lines = new Lines(file.text);
      // What its reader takes may have been written by hand, and is left to that hand.
      const fix = verdict === 'accepted' ? undefined : mended();
      const worthTelling = problems.filter(({ about }) => !about || source?.kind !== 'entry');
      return worthTelling.slice(0, MOST).map(
        ({ at, severity, message, todo }): Finding => ({
          status: 'fail',
          severity: severity === 'error' ? undefined : severity,
          at: { path, ...lines.at(at) },
          message,
          todo,
          fix: severity === 'error' ? fix : undefined,
        }),
      );
    });
  },
  samples: {
    good: [
      {
        name: 'the least that is valid',
        files: at('{"name":"x","description":"Does x","input_schema":{"type":"object","properties":{},"required":[]}}'),
      },
      {
        name: 'a tool with a parameter, as the compiler writes it',
        files: at(compile('x', 'DESCRIPTION "Does x"\nPARAM day AS DATE LIKE "2026-01-31" DESCRIPTION "Day"\n')),
      },
      {
        name: 'other files of that ending lie in no bot',
        files: { 'docs/x.mcp.json': '{', '.mcp.json': '{"mcpServers":{}}' },
      },
      {
        name: 'what MCP asks for',
        files: at('{"name":"x","description":"Does x","inputSchema":{"type":"object"}}'),
        options: { format: 'mcp' },
      },
      {
        name: 'one file for both readers',
        files: at(compile('x', 'DESCRIPTION "Does x"\n', 'both')),
        options: { format: 'both' },
      },
    ],
    bad: [
      bad('the file is empty', '', '1:1', /it is empty/),
      bad('a comma too many', '{\n  "name": "x",\n}\n', '3:1', /all tools of the session are lost/),
      bad('a comment', '// x\n{}', '1:1', /all tools of the session are lost/),
      bad('an object without anything', '{}', '1:1', /"name" is missing/, 3),
      bad('a list', '[]', '1:1', /holds an array/),
      bad('name is no text', tool({ name: 1 }), '2:11', /"name" is a number/),
      bad('description is missing', tool({ description: undefined }), '1:1', /"description" is missing/),
      bad(
        "MCP's spelling only",
        tool({ input_schema: undefined, inputSchema: { type: 'object', properties: {}, required: [] } }),
        '4:3',
        /input_schema/,
      ),
      bad(
        'properties is missing',
        tool({ input_schema: { type: 'object', required: [] } }),
        '4:19',
        /"properties" is missing/,
      ),
      bad(
        'required is missing',
        tool({ input_schema: { type: 'object', properties: {} } }),
        '4:19',
        /"required" is missing/,
      ),
      bad('a property has no description', one({ type: 'string' }), '7:7', /no "description".*drops the tool/),
      bad('a property has no type', one({ description: 'A' }), '7:7', /no "type".*drops the tool/),
      bad('a property is a text', one('string'), '7:12', /is a string and no object/),
      bad(
        'the type of input_schema is another',
        tool({ input_schema: { type: 'array', properties: {}, required: [] } }),
        '5:13',
        /not "object"/,
      ),
      bad(
        'an array, which is passed on without its items',
        one({ type: 'array', description: 'A', items: { type: 'string' } }),
        '8:17',
        /without "items"/,
        2,
      ),
      bad(
        'required names what is no property',
        tool({ input_schema: { type: 'object', properties: {}, required: ['a'] } }),
        '8:7',
        /no property/,
      ),
      bad('required names one twice', one({ type: 'string', description: 'A' }, ['a', 'a']), '14:7', /twice/),
      bad('name is not that of the file', tool({ name: 'y' }), '2:11', /called "x" after its file/),
      bad('the description is empty', tool({ description: '' }), '3:18', /empty/),
      bad('the description of a property is no text', one({ type: 'string', description: 7 }), '9:24', /no text/),
      bad(
        'enum is passed on to nobody',
        one({ type: 'string', description: 'A', enum: ['b'] }),
        '6:19',
        /Nobody reads "enum"/,
      ),
      {
        name: 'a folder of that name',
        files: { 'acme.gbai/acme.gbdialog/x.mcp.json/readme.md': '' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/x.mcp.json/readme.md:1:1', says: /is a folder/ }],
      },
      {
        name: "the platform's shape, where MCP is asked for",
        files: at(tool({})),
        options: { format: 'mcp' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/x.mcp.json:4:3', says: /"inputSchema".*refuses the whole list/ }],
      },
      {
        name: 'both spellings that do not agree',
        files: at(tool({ inputSchema: { type: 'object', properties: { a: { type: 'string' } }, required: [] } })),
        options: { format: 'both' },
        finds: [{ at: 'acme.gbai/acme.gbdialog/x.mcp.json:9:18', says: /do not have the same properties/ }],
      },
    ],
  },
};

function at(text: string): Record<string, string> {
  return { 'acme.gbai/acme.gbdialog/x.mcp.json': text };
}

function tool(more: object): string {
  const schema = { type: 'object', properties: {}, required: [] };
  return JSON.stringify({ name: 'x', description: 'Does x', input_schema: schema, ...more }, null, 2);
}

function one(property: unknown, required = ['a']): string {
  return tool({ input_schema: { type: 'object', properties: { a: property }, required } });
}

function bad(name: string, text: string, place: string, says: RegExp, times = 1) {
  const finds = Array.from({ length: times }, (_, index) => ({
    at: `acme.gbai/acme.gbdialog/x.mcp.json:${place}`,
    says: index === 0 ? says : /./,
  }));
  return times === 1 ? { name, files: at(text), finds } : { name, files: at(text) };
}

function lost(path: string, message: string): Finding {
  return { status: 'fail', at: { path, line: 1, column: 1 }, message, todo: `Put a file of JSON at ${dirname(path)}.` };
}

function brokenAt({ path, text }: SourceFile): Finding['at'] {
  return { path, ...new Lines(text).at(text.indexOf('\uFFFD')) };
}
