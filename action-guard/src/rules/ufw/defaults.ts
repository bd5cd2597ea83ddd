import { type Argument, followShell, parseShell } from '../../formats/shell.js';
import { isVariable } from '../../formats/unit.js';

/** What is known of a variable of /etc/default/ufw, in one of its two readings. */
export interface Setting {
  /** Undefined: nothing sets it. */
  value: string | undefined;
  at: number;
  /** A variable or a command decides it. */
  unknown: boolean;
}

export interface ShReading {
  setting: Setting;
  /** A command in the file that will fail, and with it, by `set -e`, the start of ufw. */
  failure?: { at: number; kind: 'spaces' | 'command' | 'syntax'; message: string };
  /** A command whose effect is not known. */
  doubt?: { at: number };
}

const harmless = new Set(['export', 'readonly', ':', 'true', 'unset', '[', 'test', 'echo', 'printf']);

/**
 * What sh makes of it: ufw-init sources the file at boot. Nothing is run.
 *
 * @param fixed names that a file before made readonly; added to
 */
export function readBySh(text: string, name: string, fixed = new Set<string>(), path?: string): ShReading {
  const script = parseShell(text, path);
  const setting: Setting = { value: undefined, at: 0, unknown: false };
  let failure: ShReading['failure'];
  let doubt: ShReading['doubt'];
  if (script.problem?.limit) doubt = { at: script.problem.at };
  else if (script.problem) failure = { at: script.problem.at, kind: 'syntax', message: script.problem.message };
  const { complete } = followShell(script, {
    assignment: (variable, value: Argument) => {
      if (fixed.has(variable))
        failure ??= { at: value.at, kind: 'syntax', message: `${variable} was made readonly before` };
      if (variable !== name) return;
      setting.value = value.text;
      setting.unknown = value.unknown === true;
      setting.at = startOfLine(text, value.at, name);
    },
    command: (argv, command) => {
      const [first, second] = argv;
      if (!first) return true;
      if (['export', 'readonly'].includes(first.text)) {
        for (const { text: word, at, unknown } of argv.slice(1)) {
          const variable = word.split('=', 1)[0] as string;
          if (unknown || word.startsWith('-')) continue;
          if (!isVariable(variable)) failure ??= { at, kind: 'syntax', message: 'this is no name of a variable' };
          else if (first.text === 'readonly') fixed.add(variable);
        }
      }
      if (first.text === 'unset' && argv.some((each) => each.text === name)) {
        setting.value = undefined;
        setting.at = command.at;
      } else if (second?.text.startsWith('=') && /^[A-Za-z_]/.test(first.text)) {
        failure ??= { at: first.at, kind: 'spaces', message: first.text };
      } else if (first.unknown || !harmless.has(first.text)) doubt ??= { at: command.at };
      return undefined;
    },
  });
  if (!complete) doubt ??= { at: 0 };
  return { setting, failure, doubt };
}

/** The name before an assigned value. */
function startOfLine(text: string, valueAt: number, name: string): number {
  const at = text.lastIndexOf(name, valueAt);
  return at < 0 ? valueAt : at;
}

/**
 * What ufw's command line makes of it: lines that match `^\w+="?\w+"?`, split at `=`, in lower case, quotes taken off both
 * ends; the last one counts (ufw 0.36, backend.py).
 */
export function readByUfw(text: string, name: string): Setting {
  const setting: Setting = { value: undefined, at: 0, unknown: false };
  const wanted = name.toLowerCase();
  let at = 0;
  for (const line of text.split('\n')) {
    const start = at;
    at += line.length + 1;
    const equals = line.indexOf('=');
    if (equals <= 0 || /[^\p{L}\p{N}_]/u.test(line.slice(0, equals))) continue;
    const behind = line.slice(equals + 1);
    if (!/^"?[\p{L}\p{N}_]/u.test(behind)) continue;
    if (line.slice(0, equals).toLowerCase() !== wanted) continue;
    const [, value = ''] = line.trim().split('=');
    setting.value = stripQuotes(value.toLowerCase());
    setting.at = start;
  }
  return setting;
}

function stripQuotes(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && `"'`.includes(text[from] as string)) from++;
  while (to > from && `"'`.includes(text[to - 1] as string)) to--;
  return text.slice(from, to);
}
