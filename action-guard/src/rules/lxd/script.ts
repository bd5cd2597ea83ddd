import { baseName, type Command, commandsOf, plain, type Word } from '../../formats/shell-words.js';
import { readYaml } from '../../formats/yaml-places.js';
import { Lines } from '../../lines.js';
import type { Position } from '../../rule.js';
import { leaveOutFile } from '../../unread.js';
import type { Holder, Setting, Setup } from './setup.js';
import { readDocuments } from './setup.js';

/** Each is parsed as a file of its own. */
const MOST_HEREDOCS = 50;
const withValue = [
  '-c',
  '--config',
  '-p',
  '--profile',
  '-d',
  '--device',
  '-s',
  '--storage',
  '-n',
  '--network',
  '-t',
  '--type',
  '--target',
  '--project',
  '--description',
];

/** Reads what a script tells `lxc` or `incus`, in its order. Branches and loops are taken as if they ran once. */
export function readScript(setup: Setup, path: string, text: string): void {
  if (!text.includes('lxc') && !text.includes('incus') && !text.includes('lxd')) return;
  const script = new Script(setup, path, text);
  for (const command of commandsOf(text)) for (const each of plain(command)) script.command(each);
  setup.holders.push(...script.holders.values());
  setup.removals.push(...script.removals.values());
}

interface Call {
  positional: Word[];
  flags: { name: string; value: Word }[];
}

class Script {
  readonly holders = new Map<string, Holder>();
  readonly removals = new Map<string, Setup['removals'][number]>();
  readonly #lines: Lines;
  #heredocs = 0;

  constructor(
    readonly setup: Setup,
    readonly path: string,
    readonly text: string,
  ) {
    this.#lines = new Lines(text);
  }

  #at(word: Word | undefined): Position {
    return { path: this.path, ...this.#lines.at(word?.start ?? 0) };
  }

  command({ words, heredoc }: Command): void {
    const program = baseName(words[0]?.text ?? '');
    if (program === 'lxd' || (program === 'incus' && words[1]?.text === 'admin')) {
      if (heredoc && words.some(({ text }) => text === '--preseed')) this.#yaml(heredoc, undefined, false);
      return;
    }
    if (program !== 'lxc' && program !== 'incus') return;
    const call = parse(words.slice(1));
    const [first = '', second = '', third = '', fourth = ''] = call.positional.map(({ text }) => text);
    const rest = (from: number) => call.positional.slice(from);
    if (['launch', 'init', 'create', 'copy', 'cp'].includes(first)) this.#launch(call, first);
    else if (first === 'network' && second === 'forward') {
      if (['create', 'edit', 'set'].includes(third) || (third === 'port' && fourth === 'add')) {
        this.setup.forwards.push({
          at: this.#at(words[0]),
          what: rest(fourth === 'add' ? 4 : 3)[1]?.text ?? 'an address',
        });
      }
    } else if (first === 'query' && words.some(({ text }) => /\/networks\/[^/]+\/forwards/.test(text.slice(0, 300)))) {
      if (words.some(({ text }) => ['POST', 'PUT', 'PATCH'].includes(text)))
        this.setup.forwards.push({ at: this.#at(words[0]), what: 'an address' });
    } else if ((first === 'config' || first === 'profile') && second === 'device')
      this.#device(first, third, rest(3), words[0]);
    else if (first === 'config' && second === 'set') this.#set('instance', rest(2));
    else if (first === 'config' && second === 'unset') this.#unset('instance', rest(2));
    else if (first === 'config' && second === 'edit' && heredoc) this.#yaml(heredoc, third, false);
    else if (first === 'profile') this.#profile(second, rest(2), heredoc);
  }

  #holder(kind: Holder['kind'], word: Word | undefined, complete = false): Holder {
    const name = (word?.text ?? '').split(':').at(-1) ?? '';
    const key = `${kind} ${name}`;
    const at = this.#at(word);
    const known = this.holders.get(key);
    if (known) {
      known.complete ||= complete;
      return known;
    }
    const made: Holder = {
      kind,
      name,
      path: this.path,
      at,
      devicesAt: at,
      config: new Map(),
      devices: new Map(),
      profiles: [],
      expanded: false,
      complete,
    };
    this.holders.set(key, made);
    return made;
  }

  #launch({ positional, flags }: Call, verb: string): void {
    const instance = positional[2];
    if (!instance) return;
    const holder = this.#holder('instance', instance, verb !== 'copy' && verb !== 'cp');
    for (const { name, value } of flags) {
      if (name === '-c' || name === '--config') this.#assign(holder, value);
      if (name === '-p' || name === '--profile')
        holder.profiles.push({ value: value.text, at: this.#at(value), variable: value.variable });
      if (name === '-d' || name === '--device') {
        const [device = '', ...keys] = value.text.split(',');
        const found = holder.devices.get(device) ?? {
          name: device,
          at: this.#at(value),
          keys: new Map<string, Setting>(),
        };
        for (const each of keys) this.#pair(found.keys, each, value);
        holder.devices.set(device, found);
      }
    }
    if (holder.profiles.length === 0) holder.profiles.push({ value: 'default', at: this.#at(instance) });
  }

  #pair(into: Map<string, Setting>, text: string, word: Word): void {
    const equals = text.indexOf('=');
    if (equals > 0)
      into.set(text.slice(0, equals), { value: text.slice(equals + 1), at: this.#at(word), variable: word.variable });
  }

  #assign(holder: Holder, word: Word): void {
    this.#pair(holder.config, word.text, word);
  }

  #set(kind: Holder['kind'], [target, ...rest]: Word[]): void {
    if (!target) return;
    const holder = this.#holder(kind, target);
    const [key, value] = rest;
    if (key && value && !key.text.includes('='))
      holder.config.set(key.text, { value: value.text, at: this.#at(key), variable: value.variable });
    else for (const word of rest) this.#assign(holder, word);
  }

  #unset(kind: Holder['kind'], [target, key]: Word[]): void {
    if (target && key) this.#holder(kind, target).config.set(key.text, { value: '', at: this.#at(key) });
  }

  #device(scope: string, verb: string, [target, name, ...rest]: Word[], start: Word | undefined): void {
    if (!target || !name) return;
    const holder = this.#holder(scope === 'profile' ? 'profile' : 'instance', target);
    const key = JSON.stringify([holder.kind, holder.name, name.text]);
    if (verb === 'add' || verb === 'override' || verb === 'set') {
      const old = verb === 'add' ? undefined : holder.devices.get(name.text);
      const device = old ?? { name: name.text, at: this.#at(start), keys: new Map<string, Setting>() };
      const pairs = verb === 'add' ? rest.slice(1) : rest;
      if (verb === 'add' && rest[0]) device.keys.set('type', { value: rest[0].text, at: this.#at(rest[0]) });
      const [one, two] = pairs;
      if (verb === 'set' && one && two && !one.text.includes('='))
        device.keys.set(one.text, { value: two.text, at: this.#at(one), variable: two.variable });
      else for (const word of pairs) this.#pair(device.keys, word.text, word);
      holder.devices.set(name.text, device);
      if (verb === 'add') this.removals.delete(key);
    } else if (verb === 'remove' || verb === 'rm') {
      for (const each of [name, ...rest]) {
        holder.devices.delete(each.text);
        this.removals.set(JSON.stringify([holder.kind, holder.name, each.text]), {
          instance: { value: holder.name ?? '', at: this.#at(target), variable: target.variable },
          device: each.text,
          at: this.#at(start),
        });
      }
    }
  }

  #profile(verb: string, [target, ...rest]: Word[], heredoc: Command['heredoc']): void {
    if (!target) return;
    if (verb === 'create') this.#holder('profile', target, true);
    if (verb === 'set') this.#set('profile', [target, ...rest]);
    if (verb === 'unset') this.#unset('profile', [target, ...rest]);
    if ((verb === 'edit' || verb === 'create') && heredoc) this.#yaml(heredoc, target.text, true);
    if (verb === 'add' && rest[0])
      this.#holder('instance', target).profiles.push({
        value: rest[0].text,
        at: this.#at(rest[0]),
        variable: rest[0].variable,
      });
    if ((verb === 'assign' || verb === 'apply') && rest[0]) {
      const word = rest[0];
      this.#holder('instance', target).profiles = word.text
        .split(',')
        .map((value) => ({ value, at: this.#at(word), variable: word.variable }));
    }
  }

  #yaml(heredoc: { text: string; start: number }, name: string | undefined, profile: boolean): void {
    if (++this.#heredocs > MOST_HEREDOCS) {
      leaveOutFile(this.path, `it has more than ${MOST_HEREDOCS} here-documents`, 'Split it.');
      return;
    }
    const { line } = this.#lines.at(heredoc.start);
    const before = this.setup.unknowns.length;
    readDocuments(this.setup, readYaml(this.path, `${'\n'.repeat(line - 1)}${heredoc.text}`), name, profile);
    // With a variable in it, it is YAML only once the shell has been over it.
    if (heredoc.text.includes('$')) this.setup.unknowns.length = before;
  }
}

function parse(words: Word[]): Call {
  const call: Call = { positional: [], flags: [] };
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as Word;
    const { text } = word;
    if (text === '--') break;
    if (!text.startsWith('-') || text === '-') {
      call.positional.push(word);
      continue;
    }
    const equals = text.startsWith('--') ? text.indexOf('=') : -1;
    if (equals > 0) call.flags.push({ name: text.slice(0, equals), value: { ...word, text: text.slice(equals + 1) } });
    else if (withValue.includes(text)) {
      const value = words[++index];
      if (value) call.flags.push({ name: text, value });
    } else if (/^-[cpd]./.test(text))
      call.flags.push({ name: text.slice(0, 2), value: { ...word, text: text.slice(2) } });
  }
  return call;
}
