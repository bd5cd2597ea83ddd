import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The folders of the actions, each with its package.json. */
export function actions() {
  return readdirSync(root)
    .filter((name) => name.startsWith('action-'))
    .map((name) => ({ name, folder: join(root, name), manifest: manifestOf(join(root, name)) }));
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}
