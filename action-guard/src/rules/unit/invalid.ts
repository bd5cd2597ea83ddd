import { readEnvironment, type UnitEntry, type UnitFile } from '../../formats/unit.js';
import { Lines } from '../../lines.js';
import type { Finding, Look, Rule } from '../../rule.js';
import type { SourceFile, Tree } from '../../tree.js';
import type { UnitOptions } from './index.js';
import { bad, good } from './invalid-samples.js';
import { clip, parsed } from './service.js';

/** What systemd-analyze said about units (src/tools/systemd-analyze.ts): under `systemd-analyze` of the tools. */
export interface SystemdReport {
  problems: { path: string; line?: number; message: string }[];
}

export const invalid: Rule<UnitOptions> = {
  id: 'unit/invalid',
  severity: 'error',
  title: 'systemd takes every line of a unit.',
  reason: `systemd ignores what it does not take and starts the unit all the same: \`Environment=BOTSERVER_URL = x\` with spaces,
\`Restart=allways\`, a key above the first section. It says so in the journal only, and \`systemd-analyze verify\` ends with 0.
Where systemd-analyze is on the machine its own words are added.`,
  suppressible: true,
  files: (options) => options.files,
  check: (look) => check(look),
  samples: { good, bad },
};

/** More lines with mistakes in one file have one cause. */
const most = 50;

const values: Readonly<Record<string, readonly string[]>> = {
  Restart: ['no', 'always', 'on-success', 'on-failure', 'on-abnormal', 'on-abort', 'on-watchdog'],
  Type: ['simple', 'exec', 'forking', 'oneshot', 'dbus', 'notify', 'notify-reload', 'idle'],
};
const sections = [
  'Unit',
  'Service',
  'Install',
  'Socket',
  'Timer',
  'Path',
  'Mount',
  'Automount',
  'Swap',
  'Slice',
  'Scope',
];
/** Keys that people put into the wrong section, where systemd ignores them. */
const home: Readonly<Record<string, string>> = {
  Environment: 'Service',
  EnvironmentFile: 'Service',
  ExecStart: 'Service',
  ExecStartPre: 'Service',
  ExecStartPost: 'Service',
  ExecStop: 'Service',
  ExecReload: 'Service',
  Restart: 'Service',
  RestartSec: 'Service',
  User: 'Service',
  Group: 'Service',
  WorkingDirectory: 'Service',
  RemainAfterExit: 'Service',
  Type: 'Service',
  Description: 'Unit',
  After: 'Unit',
  Before: 'Unit',
  Requires: 'Unit',
  Wants: 'Unit',
  StartLimitIntervalSec: 'Unit',
  WantedBy: 'Install',
  RequiredBy: 'Install',
};

function problemOf({ section, key, value }: UnitEntry): string | undefined {
  if (section.startsWith('X-') || key.startsWith('X-')) return undefined;
  const right = home[key];
  // [Timer], [Socket] and their like share some keys with [Service].
  if (right && section !== right && ['Unit', 'Service', 'Install'].includes(section))
    return `${key} belongs into [${right}], so that systemd ignores it in [${clip(section)}]`;
  const allowed = section === 'Service' ? values[key] : undefined;
  if (allowed && value !== '' && !allowed.includes(value))
    return `${key} cannot be \`${clip(value)}\`, so that systemd ignores it`;
  if (section === 'Service' && key.startsWith('Exec') && value !== '') {
    const program = value.replace(/^[-@:+!|]+/, '').split(/[ \t]/, 1)[0] as string;
    const quoted = /^["']/.test(program);
    // A bare name is looked for in fixed folders; a relative path never works.
    if (
      !quoted &&
      !program.startsWith('/') &&
      program.includes('/') &&
      !program.startsWith('%') &&
      !program.startsWith('$')
    )
      return `The path of the program has to be absolute, and ${clip(program)} is not`;
  }
  if (section === 'Service' && key === 'EnvironmentFile' && value !== '' && !/^-?[/%]/.test(value))
    return `The path of EnvironmentFile has to be absolute, and ${clip(value)} is not`;
  return undefined;
}

function check({ head, options, tools }: Look<UnitOptions>): Finding[] {
  const findings: Finding[] = [];
  const report = tools.get('systemd-analyze') as SystemdReport | undefined;
  for (const { file, unit } of units(head, options)) {
    const lines = new Lines(file.text);
    const seen = new Set<number>();
    let count = 0;
    const add = (at: number, message: string) => {
      if (count++ >= most) return;
      const place = lines.at(Math.min(at, file.text.length));
      seen.add(place.line);
      findings.push({ status: 'fail', at: { path: file.path, ...place }, message: `${message}.` });
    };
    for (const { at, message } of unit.problems) add(at, message);
    for (const { name, at } of unit.sections)
      if (!sections.includes(name) && !name.startsWith('X-'))
        add(at, `systemd knows no section [${clip(name)}], and ignores it`);
    for (const entry of unit.entries) {
      const problem = problemOf(entry);
      if (problem) add(entry.at, problem);
      else if (entry.section === 'Service' && entry.key === 'Environment')
        for (const each of readEnvironment(entry).problems) add(each.at, each.message);
    }
    // systemd's own words, for lines where nothing was found here.
    for (const { path, line, message } of report?.problems ?? []) {
      if (path !== file.path || line === undefined || seen.has(line) || line > lines.count) continue;
      seen.add(line);
      findings.push({
        status: 'fail',
        at: { path, line, column: 1 },
        message: `systemd says: ${clip(message.replace(/\.$/, ''))}.`,
      });
    }
  }
  return findings;
}

const units = (tree: Tree, options: UnitOptions): { file: SourceFile; unit: UnitFile }[] =>
  tree
    .matching(options.files)
    .filter(({ kind }) => kind === 'file' || kind === 'executable')
    .map((file) => ({ file, unit: parsed(file) }));
