import { spawn } from 'node:child_process';
import { ExpectedError } from '@gbo/shared/errors';

/** Bytes of an answer. A tree of a few kilobytes can be made to list without end. */
const MOST_OUTPUT = 256 * 1024 * 1024;
const MOST_MS = 120_000;

export class GitFailed extends Error {
  constructor(
    readonly exitCode: number | null,
    readonly said: string,
  ) {
    super(`git ended with ${exitCode}: ${said}`);
  }
}

/**
 * Reads the objects of one repository. Nothing of the work tree is read, so no filter, hook, attribute or link in it can
 * matter. An own spawn, since simple-git gives text and blobs are bytes.
 */
export class Git {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  /** @param env PATH, and HOME for the `safe.directory` of whoever runs it; nothing else of it reaches git */
  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = { PATH: env.PATH, HOME: env.HOME, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_NO_LAZY_FETCH: '1' };
  }

  /** @throws GitFailed for every exit code but 0; ExpectedError without git or folder */
  async run(args: string[], input?: string): Promise<Buffer> {
    const child = spawn('git', ['-C', this.#folder, '--no-pager', '-c', 'core.quotepath=off', ...args], {
      env: this.#env,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: MOST_MS,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    let length = 0;
    let said = '';
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MOST_OUTPUT) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (said.length < 10_000) said += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', (error) =>
        reject(new ExpectedError(`git cannot be started: ${error.message}.`, 'Nothing was judged.', 'Install git.')),
      );
      child.on('close', resolve);
    });
    if (code !== 0) throw new GitFailed(code, length > MOST_OUTPUT ? 'its answer is too large' : said.trim());
    return Buffer.concat(chunks);
  }

  async text(...args: string[]): Promise<string> {
    return (await this.run(args)).toString();
  }
}
