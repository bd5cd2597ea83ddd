import { type Definition, definitionOf } from './grammar.js';
import type { BotOptions } from './options.js';

/** What a tool's `.mcp.json` holds. */
export interface McpJson {
  name: string;
  description: string;
  input_schema?: InputSchema;
  inputSchema?: InputSchema;
}

export interface InputSchema {
  type: 'object';
  properties: Record<string, { type: string; description: string; example?: string; format?: string }>;
  required: string[];
}

/** The `.mcp.json` that a script of that name should have, for tools without parameters too. */
export function compile(name: string, script: string, format: BotOptions['format'] = 'generalbots'): string {
  return `${JSON.stringify(toolOf(name, definitionOf(script), format), null, 2)}\n`;
}

/** The same as data. */
export function toolOf(name: string, { params, description }: Definition, format: BotOptions['format']): McpJson {
  const properties = params.map(({ name, type, written, description, example }) => [
    name,
    {
      type,
      description,
      ...(example === undefined ? {} : { example }),
      // `date` alone: the compiler adds none to `datetime`.
      ...(written === 'date' ? { format: 'date' } : {}),
    },
  ]);
  const schema: InputSchema = {
    type: 'object',
    // Of two of a name the later wins, and `__proto__` is a name like others here.
    properties: Object.fromEntries(properties),
    // OPTIONAL and DEFAULT are not read. A name that is declared twice stands once: the compiler repeats it, and a model's
    // API refuses that.
    required: [...new Set(params.map(({ name }) => name))],
  };
  return {
    name,
    description,
    ...(format === 'mcp' ? {} : { input_schema: schema }),
    ...(format === 'generalbots' ? {} : { inputSchema: schema }),
  };
}
