import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIni } from '../formats/config-parser.js';
import type { FilterRun, FilterRuns } from '../rules/f2b/filter.js';
import { probes } from '../rules/f2b/probes.js';
import type { Tree } from '../tree.js';

/** Filters are a few hundred bytes; the package's largest is 10 kB. */
const LARGEST = 100_000;
const MOST_FILTERS = 20;
/** Python's regular expressions can be made to run for ever. */
const MOST_MS = 10_000;

/**
 * What fail2ban-regex counts of probe lines, for every filter of the tree that matches: data for `look.tools` under `fail2ban`.
 * The filters are copied into a folder of their own; nothing else of the tree, of /etc or of the network is read.
 *
 * @param wanted paths of filter files, such as `proxy/fail2ban/filter.d/caddy.conf`
 * @param path of the search for programs
 * @returns undefined where fail2ban-regex is not installed
 */
export async function runFilters(
  tree: Tree,
  wanted: string[],
  path: string | undefined,
  mostMs = MOST_MS,
): Promise<FilterRuns | undefined> {
  const runs: FilterRuns = {};
  for (const filter of wanted.slice(0, MOST_FILTERS)) {
    const files = filesOf(tree, filter);
    if (!files) continue;
    const run = await runFilter(filter.split('/').at(-1) ?? '', files, path, mostMs);
    if (run === 'missing') return undefined;
    if (run) runs[filter] = run;
  }
  return runs;
}

/** The filter folder's own files by name; undefined when one of them leads elsewhere, or is too large to be one. */
function filesOf(tree: Tree, filter: string): Map<string, string> | undefined {
  const dir = filter.slice(0, filter.lastIndexOf('/') + 1);
  const files = new Map<string, string>();
  let bytes = 0;
  for (const path of tree.paths) {
    const name = path.slice(dir.length);
    if (!path.startsWith(dir) || name.includes('/') || !/^[\w.-]{1,100}\.(?:conf|local)$/.test(name)) continue;
    const file = tree.file(path);
    if (!file || file.kind === 'link' || file.kind === 'submodule') continue;
    bytes += file.bytes.length;
    if (bytes > LARGEST || leadsElsewhere(file.text)) return undefined;
    files.set(name, file.text);
  }
  return files.has(filter.slice(dir.length)) ? files : undefined;
}

/** Whether it includes anything but its neighbours, also by a variable. */
function leadsElsewhere(text: string): boolean {
  const { sections, defaults } = readIni(text);
  const includes = [...(sections.get('INCLUDES')?.entries.values() ?? []), ...defaults.values()];
  return includes.some(({ key, value }) => ['before', 'after'].includes(key) && !/^[\w.\n-]*$/.test(value));
}

async function runFilter(
  name: string,
  files: Map<string, string>,
  path: string | undefined,
  mostMs: number,
): Promise<FilterRun | 'missing' | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'gbo-guard-'));
  try {
    await mkdir(join(dir, 'filter.d'));
    for (const [file, text] of files) await writeFile(join(dir, 'filter.d', file), text);
    const log = join(dir, 'access.log');
    await writeFile(log, probes.map(({ line }) => `${line}\n`).join(''));
    const said = await output(
      ['-c', dir, '--usedns', 'no', '--no-check-all', '-o', '<ip> <msg>', log, join(dir, 'filter.d', name)],
      { PATH: path, HOME: dir, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
      dir,
      mostMs,
    );
    if (said === 'missing') return 'missing';
    if (said === 'stopped') return { error: `it ran for ${mostMs / 1000} s on a dozen lines`, counted: {} };
    return read(said, dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function read(said: string, dir: string): FilterRun {
  const lines = said.split('\n').map((line) => line.trimEnd());
  const counted: Record<string, string | null> = Object.fromEntries(probes.map(({ name }) => [name, null]));
  for (const line of lines) {
    const space = line.indexOf(' ');
    const probe = probes.find((each) => each.line === line.slice(space + 1));
    if (probe && space > 0) counted[probe.name] ??= line.slice(0, space);
  }
  const broken = lines.some((line) => line.startsWith('ERROR') || line.startsWith('Traceback'));
  if (!broken) return { counted };
  const last = lines.filter(Boolean).at(-1) ?? '';
  return {
    error: last
      .replaceAll(dir, '')
      .replace(/\p{Cc}/gu, ' ')
      .slice(0, 200),
    counted,
  };
}

function output(
  args: string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  mostMs: number,
): Promise<string | 'missing' | 'stopped'> {
  return new Promise((resolve) => {
    const child = spawn('fail2ban-regex', args, {
      env,
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: mostMs,
      killSignal: 'SIGKILL',
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        if (said.length < LARGEST * 10) said += chunk.toString();
      });
    }
    child.on('error', () => resolve('missing'));
    child.on('close', (_code, signal) => resolve(signal ? 'stopped' : said));
  });
}
