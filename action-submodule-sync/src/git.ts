import { messageOf } from '@gbo/shared/errors';
import { type SimpleGitOptions, simpleGit } from 'simple-git';

/** Settings for every git that only looks at what lies on this disk. */
const environment = {
  LC_ALL: 'C',
  GIT_TERMINAL_PROMPT: '0',
  // A question about a commit that is not here must get "no such commit", not a silent download and a wrong no.
  GIT_NO_LAZY_FETCH: '1',
  // What refs/replace of a checkout puts in the place of a commit is on no remote.
  GIT_NO_REPLACE_OBJECTS: '1',
};

/** Bytes of an answer: the listing of a million files. A tree of a few kilobytes can be made to list without end. */
const MOST_OUTPUT = 128 * 1024 * 1024;
const MOST_MS = 120_000;

/** A question that git refused to answer; `said` are its own words. */
export class GitFailed extends Error {
  constructor(
    readonly exitCode: number,
    readonly said: string,
  ) {
    super(`git ended with ${exitCode}: ${said}`);
  }
}

/**
 * Local git of one repository: reads only, nothing over the network. Runs git and gives its stdout.
 * @throws GitFailed for every exit code but 0, whether git said something or not
 */
export type LocalGit = (...args: string[]) => Promise<string>;

/**
 * simple-git calls a command without stderr a success whatever its exit code, so that `merge-base --is-ancestor` says yes
 * to everything; its `errors` hook is where the exit code can be seen. It keeps only the text of what the hook returns,
 * hence one instance for each command, and the exit code by its side.
 *
 * @param env PATH, and HOME for the `safe.directory` of whoever runs it
 */
export function localGit(directory: string, env: NodeJS.ProcessEnv): LocalGit {
  return async (...args) => {
    let failed: GitFailed | undefined;
    const stop = new AbortController();
    const end = (why: string) => {
      failed ??= new GitFailed(-1, why);
      stop.abort();
    };
    const timer = setTimeout(() => end('it took too long'), MOST_MS);
    const options: Partial<SimpleGitOptions> = {
      baseDir: directory,
      allowEnvironment: Object.keys(environment),
      abort: stop.signal,
      // Only when its pipes are closed is everything here; a listing that is cut off lacks pins, and nobody would notice.
      completion: { onExit: false },
      errors(error, { exitCode, stdErr }) {
        if (exitCode === 0) return undefined;
        const said = Buffer.concat(stdErr).toString().trim() || (error ? messageOf(error) : '');
        failed ??= new GitFailed(exitCode, said);
        return failed;
      },
    };
    try {
      let length = 0;
      const git = simpleGit(options)
        .env({ ...environment, PATH: env.PATH ?? '', HOME: env.HOME ?? '' })
        .outputHandler((_command, stdout) => {
          stdout.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length > MOST_OUTPUT) end('its answer is too large');
          });
        });
      return await git.raw(...args);
    } catch (error) {
      throw failed ?? new GitFailed(-1, `${messageOf(error)} (${directory})`);
    } finally {
      clearTimeout(timer);
    }
  };
}
