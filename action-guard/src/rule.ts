import type { z } from 'zod';
import type { Tree } from './tree.js';

/** The gravest first. */
export const severities = ['error', 'warning', 'info'] as const;
export type Severity = (typeof severities)[number];

/** A place in a file, counted from 1, columns in UTF-16 units as editors count them. */
export interface Position {
  path: string;
  line: number;
  column: number;
  /** Last line of it, when it has several. */
  endLine?: number;
}

/**
 * What a rule found. `fail`: the rule is broken here. `unknown`: it could not be told (a variable, an import that is not in
 * the repository, a profile that is not there); never shown as green. What is in order gives no finding.
 */
export interface Finding {
  status: 'fail' | 'unknown';
  at: Position;
  /** What is wrong, in one sentence; never a secret's value. */
  message: string;
  /** What to do, in one sentence. */
  todo?: string;
  /** The message of what it hangs on, where that is a finding of another rule: both are told as one. */
  because?: string;
  /** The whole new text of files, where only one answer is right. */
  fix?: Record<string, string>;
  /** Where it is milder or graver than its rule; such as a warning of a rule of errors. */
  severity?: Severity;
  /** Digest of what it is about, where that is another thing than its line, by which it is known again. */
  subject?: string;
}

/** What a rule is given. Everything is read already: rules are pure. */
export interface Look<Options> {
  /** The tree that is judged. */
  head: Tree;
  /** The tree it is compared with, on a pull request. */
  base?: Tree;
  options: Options;
  /** What real programs said, where they were there: by rule family's own key. Absent: not asked. */
  tools: ReadonlyMap<string, unknown>;
}

/** A small tree with what a rule must say of it. Samples are the tests of their rule, and stand on its page. */
export interface Sample<Options = unknown> {
  /** A sentence that a user would understand. */
  name: string;
  /** Text by path. */
  files: Record<string, string>;
  /** On a pull request: what was there before. */
  base?: Record<string, string>;
  /** What differs from the preset. */
  options?: Partial<Options>;
  tools?: Record<string, unknown>;
  /** For bad samples, in the order of path and line: `path:line:column` with a part of the message. Default: one finding anywhere. */
  finds?: { at: string; says: RegExp; status?: Finding['status'] }[];
}

export interface Rule<Options = unknown> {
  /** `family/name`. Never changed: it stands in suppressions, baselines and links. */
  id: string;
  severity: Severity;
  /** What must hold, in one sentence. */
  title: string;
  /** Why, and what happened where it did not hold. Markdown. */
  reason: string;
  /** Whether a comment in the file may silence it. */
  suppressible: boolean;
  /** Globs of the files it judges. Nothing that matches: it has nothing to say, which is reported. */
  files(options: Options): string[];
  /** Globs of what it reads besides, to compare with. */
  reads?(options: Options): string[];
  /** Globs of what it reads as well when it is asked, but a change of which is no reason to ask it: documents. */
  mentions?(options: Options): string[];
  /**
   * What it says of a file depends on no other: on a pull request it is given what changed, and the rest is not read. For
   * rules about most files of a repository, where reading all of them would be most of the work.
   */
  fileByFile?: boolean;
  /** How many things it judges, where a file that matches may be none of its own. Default: the files that match. */
  judged?(look: Look<Options>): number;
  check(look: Look<Options>): Finding[];
  samples: { good: Sample<Options>[]; bad: Sample<Options>[] };
}

/** Rules about one kind of file, with the options they share. */
export interface Family<Options = unknown> {
  name: string;
  /** What people may write below `options: <family>:` of the policy; all keys optional there. */
  schema: z.ZodType<Options>;
  /** Defaults, by preset. */
  presets: Record<Preset, Options>;
  rules: Rule<Options>[];
}

/** The owners' two documents disagree; each is a preset. */
export const presets = ['guide-lxd', 'infra-incus'] as const;
export type Preset = (typeof presets)[number];
