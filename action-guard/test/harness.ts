import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as action from '../../testbed/run-action.js';
import type { Judged, RuleResult } from '../src/judge.js';

export const bundle = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** The `report` output, as far as the tests look into it. */
export interface Report {
  result: 'pass' | 'fail' | 'unknown';
  commit: string;
  rules: RuleResult[];
  findings: (Judged & { fixable: boolean })[];
  notes: string[];
}

export type Finished = action.Finished<Report>;

/** Runs the bundle to its end. */
export function run(inputs: Record<string, string>, env: Record<string, string> = {}): Promise<Finished> {
  return action.startAction<Report>(bundle, inputs, env).finished;
}

/** `path:line rule` of every finding that counts, in the order of the report. */
export function told({ report }: Finished): string[] {
  return (report?.findings ?? [])
    .filter(({ old, excused }) => !old && !excused)
    .map(({ at, rule }) => `${at.path}:${at.line} ${rule}`);
}

/** A repository of its own, with commits made from files. */
export class Repository {
  readonly folder = mkdtempSync(join(tmpdir(), 'gbo-guard-'));

  constructor() {
    this.git('init', '--quiet', '--initial-branch=main');
  }

  git(...args: string[]): string {
    const who = ['-c', 'user.name=Acme', '-c', 'user.email=acme@example.com', '-c', 'commit.gpgsign=false'];
    const env = { PATH: process.env.PATH, HOME: this.folder, GIT_CONFIG_NOSYSTEM: '1' };
    return execFileSync('git', ['-C', this.folder, ...who, ...args], { env, encoding: 'utf8' }).trim();
  }

  /** Writes files (undefined: removes one; `{to}`: a symbolic link) and commits them. @returns the commit */
  commit(files: Record<string, string | undefined | { to: string }>): string {
    for (const [path, content] of Object.entries(files)) {
      const full = join(this.folder, path);
      rmSync(full, { force: true });
      if (content === undefined) continue;
      mkdirSync(dirname(full), { recursive: true });
      if (typeof content === 'string') writeFileSync(full, content);
      else symlinkSync(content.to, full);
    }
    const paths = Object.keys(files);
    if (paths.length > 0) this.git('--literal-pathspecs', 'add', '--all', '--force', '--', ...paths);
    this.git('commit', '--quiet', '--allow-empty', '-m', 'Change');
    return this.git('rev-parse', 'HEAD');
  }

  /** Variables and event file of a pull request, as Forgejo's runner sets them. */
  pullRequest(base: string, head: string, more: Record<string, string> = {}): Record<string, string> {
    const event = join(this.folder, '.git', 'event.json');
    const pull = { number: 7, merge_base: base, base: { ref: 'main', sha: base }, head: { sha: head } };
    writeFileSync(event, JSON.stringify({ number: 7, pull_request: pull }));
    return {
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: event,
      GITHUB_REPOSITORY: 'acme/gb',
      GITHUB_WORKSPACE: this.folder,
      GITHUB_SHA: head,
      ...more,
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
