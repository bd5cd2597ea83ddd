import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { ExpectedError } from './errors.js';

/** One input as action.yml and the README show it. */
export interface DeclaredInput {
  name: string;
  description: string;
  required: boolean;
  default: string;
  secret: boolean;
}

/** What a field of the schema carries in `.meta()`. `default` is text, as a user would write it, and is parsed like any other. */
export interface InputMeta {
  description: string;
  default?: string;
  required?: boolean;
  secret?: boolean;
}

export interface InputsDefinition<Inputs> {
  /** In the order of the schema. */
  declared: DeclaredInput[];
  /** @throws ExpectedError naming every wrong input at once. */
  parse(raw: ReadonlyMap<string, string>): Inputs;
  /** Secrets in a form that was not in the inputs as written, such as a converted key: they are masked as well. */
  derivedSecrets(inputs: Inputs): string[];
}

const NOTHING_TOUCHED = 'Nothing was touched.';

function declare(name: string, field: z.ZodType): DeclaredInput {
  const meta = field.meta() as InputMeta | undefined;
  if (!meta?.description) throw new Error(`input ${name} has no description`);
  return {
    name,
    description: meta.description,
    required: meta.required ?? false,
    default: meta.default ?? '',
    secret: meta.secret ?? false,
  };
}

/**
 * The inputs of an action: `shape` holds one zod field for each name in action.yml, from the text in the environment to
 * its value; `normalise` sees all of them and gives what the rooms work with, adding problems that concern several.
 */
export function defineInputs<Fields extends z.ZodRawShape, Inputs>(
  schema: z.ZodObject<Fields>,
  normalise: (values: z.output<z.ZodObject<Fields>>, problem: (text: string) => void) => Inputs,
  derivedSecrets: (inputs: Inputs) => string[] = () => [],
): InputsDefinition<Inputs> {
  const declared = Object.entries(schema.shape).map(([name, field]) => declare(name, field as unknown as z.ZodType));
  const names = declared.map(({ name }) => name);
  return {
    declared,
    derivedSecrets,
    parse(raw) {
      const problems: string[] = [];
      for (const name of raw.keys()) {
        if (!names.includes(name)) problems.push(unknownInput(name, names));
      }
      const texts = Object.fromEntries(
        declared.flatMap((input) => {
          const text = trimmed(raw.get(input.name) ?? '', input.secret) || input.default;
          return text ? [[input.name, text]] : [];
        }),
      );
      const missing = declared.filter(({ name, required }) => required && !texts[name]).map(({ name }) => name);
      for (const name of missing) problems.push(`input ${name} is required and empty`);
      const parsed = schema.safeParse(texts);
      if (!parsed.success) {
        const wrong = parsed.error.issues.filter(({ path }) => !missing.includes(String(path[0])));
        for (const { path, message } of wrong) problems.push(`input ${path.join('.')}: ${message}`);
      }
      let inputs: Inputs | undefined;
      // Several fields are only looked at together once each of them is sound: one mistake gives one complaint.
      if (parsed.success && problems.length === 0) inputs = normalise(parsed.data, (text) => problems.push(text));
      if (problems.length > 0) throw badInputs(problems);
      return inputs as Inputs;
    },
  };
}

/** A passphrase may begin or end with a space; only the newline that a secret's form adds is taken off. */
function trimmed(text: string, secret: boolean): string {
  if (text.trim() === '') return '';
  return secret ? text.replace(/[\r\n]+$/, '') : text.trim();
}

/** One sentence for all that is wrong with the inputs, each problem the middle of a sentence. */
export function badInputs(problems: string[]): ExpectedError {
  const one = problems.length === 1;
  return new ExpectedError(
    one ? `Bad input: ${problems[0]}.` : `${problems.length} bad inputs: ${problems.join('; ')}.`,
    NOTHING_TOUCHED,
    `Mend ${one ? 'it' : 'them'} in the step's \`with:\` and run again.`,
  );
}

function unknownInput(name: string, names: string[]): string {
  const nearest = closest(name, names);
  const near = distance(name, nearest) <= Math.max(2, Math.floor(name.length / 3));
  return `there is no input ${name}${near ? ` (did you mean ${nearest}?)` : ''}`;
}

/**
 * The step's `with:` as the runner hands it over: `INPUT_<NAME>`, upper case, dashes kept.
 * Read from nowhere else: an action that also honours SSH_HOST deploys to the wrong machine one day.
 */
export function inputsFromEnvironment(env: NodeJS.ProcessEnv): Map<string, string> {
  return new Map(
    Object.entries(env).flatMap(([key, value]) =>
      key.startsWith('INPUT_') && value !== undefined
        ? [[key.slice('INPUT_'.length).toLowerCase(), value] as const]
        : [],
    ),
  );
}
