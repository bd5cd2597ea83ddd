import { parse } from 'yaml';
import { z } from 'zod';

/** An input that holds a YAML list of `entry`; a mistake is reported with its place, such as `[1].port`. */
export function yamlList<Entry extends z.ZodType>(entry: Entry) {
  return z
    .string()
    .transform((text, context) => {
      try {
        return parse(text) as unknown;
      } catch (error) {
        const first = error instanceof Error ? error.message.split('\n')[0]?.replace(/:$/, '') : String(error);
        context.addIssue({ code: 'custom', message: `is not YAML (${first})` });
        return z.NEVER;
      }
    })
    .pipe(
      z
        .array(entry, { error: 'is not a YAML list (each entry begins with "- ")' })
        .min(1, { error: 'is an empty list' }),
    );
}
