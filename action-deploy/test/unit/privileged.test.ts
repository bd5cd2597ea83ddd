import type { Connection } from '@gbo/shared/ssh/connection';
import { describe, expect, it } from 'vitest';
import type { HostFacts, LocalArtifact } from '../../src/facts.js';
import { makePlan } from '../../src/plan.js';
import { sudoersLines } from '../../src/privileged.js';
import { prove } from '../../src/prove.js';
import { stepScript } from '../../src/step-script.js';
import { surveyScript } from '../../src/survey-script.js';
import { artifactOf, factsOf, fileOf, hostOf, inputsOf, unitOf } from '../facts-of.js';

const deploy = { uid: 1000, user: 'deploy' };
const running = { units: [unitOf()] };
const wanted = artifactOf();
const unitFile = artifactOf({
  name: 'system.service',
  path: '/etc/systemd/system/system.service',
  type: 'unit',
  probe: '',
});
const config = (change: Partial<LocalArtifact> = {}) =>
  artifactOf({ name: 'limits.toml', path: '/opt/gbo/conf/limits.toml', type: 'config', elf: undefined, ...change });

const kinds: [title: string, artifacts: LocalArtifact[], host: Partial<HostFacts>][] = [
  ['a program that runs', [wanted], running],
  ['a program that does not run yet', [wanted], { units: [unitOf({ activeState: 'inactive', mainPid: 0, runs: [] })] }],
  ['a program whose unit has failed', [wanted], { units: [unitOf({ activeState: 'failed', mainPid: 0, runs: [] })] }],
  ['a first deploy', [wanted], { files: [fileOf({ kind: 'none', sha256: undefined })], ...running }],
  [
    'the same file, not yet run',
    [wanted],
    { files: [fileOf({ sha256: wanted.sha256 })], units: [unitOf({ runs: [] })] },
  ],
  [
    'an unfinished undo',
    [wanted],
    { ...running, pending: [{ release: '20250101T000000Z-000000000000', state: 'armed' }] },
  ],
  ['a unit file', [unitFile], running],
  ['a unit that was edited without daemon-reload', [wanted], { units: [unitOf({ needsReload: true })] }],
  ['a file without a unit', [config({ units: [], activate: { how: 'none' } })], { units: [] }],
  [
    'a file whose command takes it',
    [config({ units: [], activate: { how: 'command', command: 'true' } })],
    { units: [] },
  ],
  ['a unit that nobody restarts', [config({ activate: { how: 'none' } })], running],
  ['a reload', [config({ activate: { how: 'reload' } })], running],
  ['a signal', [config({ activate: { how: 'signal', signal: 'HUP' } })], running],
  ['a Caddyfile', [config({ activate: { how: 'caddy' } })], running],
];

/** Every command line that the scripts give to sudo. */
function sudoed(scripts: string): string[] {
  const commands = scripts.matchAll(/(?:\$S|sudo -n) (?!-l)((?:'[^'\n]*'|"[^"\n]*"|[^\s;&|){}'"<>]+|[ ](?!2>))+)/g);
  return [...commands].map(([, command = '']) =>
    command.trim().replaceAll(/['"]/g, '').replace('$exe', '/proc/42/exe'),
  );
}

/** Whether a line of sudoers allows a command: exact words, or one regular expression for all arguments (sudoers(5)). */
function allows(line: string, command: string): boolean {
  const rule = line.replace(/^.* NOPASSWD: \/usr\/bin\//, '');
  const regex = /^(\S+) \^(.*)\$$/.exec(rule);
  if (!regex) return rule.replaceAll(/\\([,:=\\])/g, '$1') === command;
  const [, program = '', args = ''] = regex;
  return command.startsWith(`${program} `) && new RegExp(`^(?:${args})$`).test(command.slice(program.length + 1));
}

/** The scripts of everything that a deploy does on a host, the look before it and the undo too. */
async function scriptsOf(artifacts: LocalArtifact[], host: Partial<HostFacts>): Promise<string> {
  const inputs = inputsOf(artifacts);
  const [plan] = makePlan(inputs, factsOf(artifacts, hostOf({ ...deploy, ...host }))).hosts;
  expect([plan?.verdict, plan?.refusals]).toEqual(['change', []]);
  const scripts = [
    surveyScript({
      stateDir: inputs.stateDir,
      paths: artifacts.map(({ path }) => path),
      units: artifacts.flatMap(({ units }) => units),
      privileged: [],
      tools: [],
      caddyfiles: [],
    }),
  ];
  const connection = {
    script: async (script: string) => {
      scripts.push(script);
      return { code: 0, signal: undefined, stdout: '', stderr: '' };
    },
  } as unknown as Connection;
  const user = { uid: deploy.uid, name: deploy.user };
  for (const { work } of plan?.steps ?? []) {
    // The undo script is one quoted word of the step that writes it.
    if (work.kind === 'arm') scripts.push(work.script, stepScript({ ...work, script: '' }, user));
    else if (work.kind === 'prove') await prove(connection, work.proofs, 1000, new Map(), new AbortController().signal);
    else if (work.kind !== 'lock' && work.kind !== 'upload' && work.kind !== 'soak' && work.kind !== 'unlock')
      scripts.push(stepScript(work, user));
  }
  return scripts.join('\n');
}

describe('what a user other than root needs', () => {
  it.each(kinds)(
    'every command that %s gives to sudo is asked for beforehand, and has a printed line',
    async (_, artifacts, host) => {
      const commands = [...new Set(sudoed(await scriptsOf(artifacts, host)))];
      expect(commands.some((command) => command.startsWith('systemd-run'))).toBe(true);
      const lines = sudoersLines(inputsOf(artifacts), deploy.user);
      for (const command of commands) {
        expect(
          lines.filter((line) => allows(line, command)),
          command,
        ).not.toEqual([]);
      }
    },
  );
});
