// The process that looks; testbed/process-watch.ts starts it. Secrets come by stdin, since argv and environment are what it reads.
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { type Hit, secretSearch } from './secret-search.js';

const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
const { secrets, own } = JSON.parse((await lines.next()).value) as { secrets: Record<string, string>; own: string };
const search = secretSearch(secrets);
const seen = new Map<string, string>();
const hits = new Map<string, Hit>();

sweep(); // the first one takes longest
console.log('ready');
let over = false;
void lines.next().then(() => {
  over = true;
});
while (!over) {
  sweep();
  await new Promise((resolve) => setImmediate(resolve));
}
sweep();
console.log(JSON.stringify([...hits.values()]));
process.exit();

function sweep(): void {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    // In this order: what becomes another program in between shows that one's environment, not its parent's under a new name.
    const command = read(`/proc/${pid}/cmdline`);
    if (!command || seen.get(pid) === command) continue;
    const environment = read(`/proc/${pid}/environ`);
    if (environment) seen.set(pid, command);
    const words = command.replaceAll('\0', ' ').trim();
    const name = basename(words.split(' ')[0] ?? '');
    note(search.inText(`the command line of ${name}`, words));
    // The action has its inputs in its environment, and so has its child until it becomes another program.
    // The same goes for actions that tests beside this one run.
    if (!words.includes(own) && !words.includes('/dist/index.js'))
      note(search.inText(`the environment of ${name}`, environment));
  }
}

function note(found: Hit[]): void {
  for (const hit of found) hits.set(JSON.stringify(hit), hit);
}

/** '' for a process that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
