import { z } from 'zod';

/** One value a line; empty lines and those that begin with `#` are none. */
export const lines = z.string().transform((text) =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#')),
);
