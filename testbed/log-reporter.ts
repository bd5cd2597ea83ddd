import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LONGEST_ROW = 64 * 1024;
const command = /^::([^ :]+)( .*)?::(.*)$/;

/**
 * Stands in for the log reporter of Forgejo's runner, which cannot be built from package registries, by what it does (read in
 * its source, and seen in a real one): it masks the literal text after `::add-mask::`, decoding nothing; errors and groups it
 * passes on as typed; a row is a line, with all its `\r`, cut at 64 KiB; what waits to be sent is masked by masks that come
 * later, too.
 */
export class LogReporter {
  /** What people read. */
  readonly rows: string[] = [];
  #masks: string[] = [];
  #waiting: string[] = [];
  #rest = '';
  #resumes: string | undefined;

  /** Takes what a step writes, in pieces of any size. */
  write(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** What waits goes to the server; by the clock the real one does this each second or so. */
  send(): void {
    // The first of the masks that fits at a place wins, in the order of their coming, as with Go's strings.Replacer.
    const masks = this.#masks.map((mask) => mask.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|');
    for (const row of this.#waiting)
      this.rows.push((masks ? row.replaceAll(new RegExp(masks, 'g'), '***') : row).slice(0, LONGEST_ROW));
    this.#waiting = [];
  }

  /** The step is over; a last line without an end is a row as well. */
  end(): string[] {
    if (this.#rest) this.#line(this.#rest);
    this.#rest = '';
    this.send();
    return this.rows;
  }

  #line(line: string): void {
    const row = line.replace(/\r+$/, '');
    const [, name, , value = ''] = command.exec(row) ?? [];
    if (this.#resumes !== undefined) {
      if (name === this.#resumes) this.#resumes = undefined;
      else this.#waiting.push(row);
    } else if (name === 'add-mask') {
      if (value && !this.#masks.includes(value)) this.#masks.push(value);
    } else if (name === 'stop-commands') this.#resumes = value;
    else if (name !== 'debug') this.#waiting.push(row);
  }
}

export interface Reported {
  code: number | null;
  rows: string[];
  /** What came out of the terminal, masks and all. */
  raw: string;
}

/**
 * Runs a bundle as Forgejo's runner does in host mode: stdin, stdout and stderr are one terminal, on which nobody types, and
 * the log reporter reads it. Each row is sent at once: the buffer of the real one hides what is masked too late.
 */
export async function runReported(bundle: string, inputs: Record<string, string>, env = {}): Promise<Reported> {
  const folder = mkdtempSync(join(tmpdir(), 'testbed-reporter-'));
  const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary') };
  for (const path of Object.values(files)) writeFileSync(path, '');
  const given = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  // No shell passes variables with a dash on, and script(1) starts one.
  const wanted = { GITHUB_ACTIONS: 'true', ...files, ...Object.fromEntries(given), ...env };
  writeFileSync(join(folder, 'env'), JSON.stringify(wanted), { mode: 0o600 });
  const preload = fileURLToPath(new URL('./variables-from-file.cjs', import.meta.url));
  const child = spawn(
    'script',
    ['--quiet', '--return', '--flush', '--command', 'exec "$NODE" --require "$PRELOAD" "$BUNDLE"', '/dev/null'],
    {
      // Not ignored: an end of its own input script(1) would type into the terminal.
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        SHELL: '/bin/sh',
        NODE: process.execPath,
        PRELOAD: preload,
        BUNDLE: bundle,
        VARIABLES: join(folder, 'env'),
      },
    },
  );
  const reporter = new LogReporter();
  const decoder = new TextDecoder();
  let raw = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const text = decoder.decode(chunk, { stream: true });
    raw += text;
    for (const piece of text.split(/(?<=\n)/)) {
      reporter.write(piece);
      reporter.send();
    }
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    return { code, rows: reporter.end(), raw };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
