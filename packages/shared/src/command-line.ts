import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ExpectedError, messageOf } from './errors.js';
import type { DeclaredInput } from './inputs.js';

/**
 * `--input value` on the command line, for people at home. `@file` reads the value from a file; a secret must be given so,
 * because everyone on a machine can read a process's arguments.
 *
 * @throws ExpectedError for an option without a value, an unreadable file, a secret typed in clear.
 */
export function inputsFromCommandLine(args: string[], declared: DeclaredInput[]): Map<string, string> {
  let values: Record<string, unknown>;
  try {
    values = parseArgs({
      args,
      options: Object.fromEntries(declared.map(({ name }) => [name, { type: 'string' as const }])),
      strict: true,
    }).values;
  } catch (error) {
    throw new ExpectedError(
      `${messageOf(error).split(/\.\s/)[0]?.replace(/\.$/, '')}.`,
      'Nothing was touched.',
      'Every input is given as --input value; --help lists them.',
    );
  }
  return new Map(
    Object.entries(values).map(([name, value]) => {
      const text = String(value);
      const secret = declared.find((input) => input.name === name)?.secret;
      if (text.startsWith('@')) return [name, readValue(name, text.slice(1))];
      if (secret) {
        throw new ExpectedError(
          `--${name} holds a secret in clear on the command line.`,
          'Nothing was touched.',
          `Give it as --${name} @file, or in the environment variable INPUT_${name.toUpperCase()}.`,
        );
      }
      return [name, text];
    }),
  );
}

function readValue(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ExpectedError(
      `--${name}: the file ${path} cannot be read (${messageOf(error)}).`,
      'Nothing was touched.',
      'Name a file that this user can read.',
    );
  }
}

/** What `--help` prints: one input a paragraph. */
export function help(declared: DeclaredInput[]): string[] {
  return declared.flatMap(({ name, description, default: fallback, secret }) => [
    `--${name}${secret ? ' @file' : ' value'}${fallback ? `   (default: ${fallback})` : ''}`,
    `    ${description}`,
  ]);
}
