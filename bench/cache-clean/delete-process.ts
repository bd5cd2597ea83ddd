// argv: a folder of folders. Moves each into a trash and empties that, with the action's own code; stdout: JSON, ms of each.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Trash } from '../../action-cache-clean/src/trash.js';

const [folder = ''] = process.argv.slice(2);
const names = readdirSync(folder);
const began = performance.now();
const trash = new Trash(join(folder, '.gbo-trash'), 'bench');
for (const name of names) trash.take(join(folder, name));
const moved = performance.now();
const { bytes, problems } = await trash.empty();
console.log(JSON.stringify({ move: moved - began, whole: performance.now() - began, bytes, problems }));
