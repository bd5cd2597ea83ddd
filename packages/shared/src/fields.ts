import { z } from 'zod';
import { parseDuration } from './duration.js';

/** One of a few words. */
export const word = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, { error: (issue) => `${JSON.stringify(issue.input)} is not one of ${words.join(', ')}` });

/** `true` or `false`, in the spellings of YAML 1.1. */
export const yesOrNo = z.stringbool({ error: (issue) => `${JSON.stringify(issue.input)} is neither true nor false` });

/** A whole number within bounds; at most nine digits are read. */
export const count = (least: number, most: number) =>
  z
    .string()
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most, {
      error: (issue) => `${JSON.stringify(issue.input)} is not a whole number from ${least} to ${most}`,
    })
    .transform(Number);

/** Text through a reader that throws half a sentence: the sentence becomes the complaint about the input. */
export const read = <Value>(reader: (text: string) => Value) =>
  z.string().transform((text, context): Value => {
    try {
      return reader(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });

/** A duration of up to a day, in milliseconds. */
export const duration = read((text) => parseDuration(text));

/** A duration that nobody waits for, such as an age; in milliseconds. */
export const durationUpTo = (days: number) => read((text) => parseDuration(text, days));
