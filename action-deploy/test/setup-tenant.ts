import type { SetupOptions } from '../src/setup/options.js';
import { parse } from '../src/setup/setup.js';

/** The least that setup asks for. */
export const least = ['--tenant', 'acme', '--forge', 'https://forge.example.com'];

/** What setup makes of a command line. */
export function asked(...more: string[]): SetupOptions {
  return parse([...least, ...more]);
}
