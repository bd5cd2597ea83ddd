import { basename, dirname } from 'node:path';
import type { Document } from 'yaml';
import { isMap, isSeq, pairsOf, readYaml, resolve, textOf, type YamlFile } from '../../formats/yaml-places.js';
import type { Finding, Position } from '../../rule.js';
import { matcher, type SourceFile, type Tree } from '../../tree.js';
import { keeper, leaveOut } from '../../unread.js';
import type { LxdOptions } from './options.js';
import { readScript } from './script.js';

/** A value with its place. */
export interface Setting {
  value: string;
  at: Position;
  /** A variable of a script: the value is not known. */
  variable?: boolean;
}

export interface Device {
  name: string;
  at: Position;
  keys: Map<string, Setting>;
}

/** An instance or a profile, as one file tells of it. */
export interface Holder {
  kind: 'instance' | 'profile';
  /** Undefined: the file does not say whose it is. */
  name?: string;
  path: string;
  at: Position;
  /** Where its devices begin. */
  devicesAt: Position;
  config: Map<string, Setting>;
  devices: Map<string, Device>;
  /** Names of profiles, the last the strongest. */
  profiles: Setting[];
  /** Profiles are worked in already. */
  expanded: boolean;
  /** Tells of all of it, not only of what a script changes. */
  complete: boolean;
}

export interface Removal {
  instance: Setting;
  device: string;
  at: Position;
}

/** What the repository says of LXD or Incus. */
export interface Setup {
  holders: Holder[];
  forwards: { at: Position; what: string }[];
  /** Devices that a script removes and nothing in it adds again. */
  removals: Removal[];
  /** What could not be read. */
  unknowns: Finding[];
}

const kept = keeper<Tree, Setup>();

export function setupOf(tree: Tree, options: LxdOptions): Setup {
  return kept(tree, JSON.stringify([options.files, options.names]), () => {
    const setup = read(tree, options);
    // One rule reports them; to the others the file is not there.
    for (const { at, message, todo } of setup.unknowns) leaveOut({ at, message, todo, whole: false });
    return setup;
  });
}

function read(tree: Tree, options: LxdOptions): Setup {
  const setup: Setup = { holders: [], forwards: [], removals: [], unknowns: [] };
  for (const file of tree.matching(options.files)) {
    if (file.kind === 'submodule' || file.path.endsWith('.gbo-guard')) continue;
    if (/\.(?:ya?ml|json)$/i.test(file.path)) readFile(setup, file, options);
    else if (file.kind !== 'link' && isScript(file)) readScript(setup, file.path, file.text);
  }
  return setup;
}

function isScript({ path, text }: SourceFile): boolean {
  return path.endsWith('.sh') || text.startsWith('#!');
}

function readFile(setup: Setup, { path, text, kind }: SourceFile, options: LxdOptions): void {
  if (kind === 'link') {
    setup.unknowns.push({
      status: 'unknown',
      at: { path, line: 1, column: 1 },
      message: 'This is a symbolic link, and links are not followed.',
      todo: 'Commit the file itself.',
    });
    return;
  }
  readDocuments(setup, readYaml(path, text), nameOf(path, options), /profile/i.test(path));
}

/** Whose configuration it is: `acme-system.yaml`, `acme-system.expanded.yaml`, `acme-system/config.yaml`. */
function nameOf(path: string, { names }: LxdOptions): string | undefined {
  const given = Object.entries(names).find(([glob]) => matcher([glob])(path));
  if (given) return given[1];
  const stem = basename(path).split('.')[0] ?? '';
  const generic = [
    'config',
    'instance',
    'container',
    'instances',
    'containers',
    'list',
    'lxd',
    'lxc',
    'incus',
    'devices',
    'device',
    'expanded',
    'show',
    'profile',
    'profiles',
    'preseed',
    'network',
    'networks',
    'forward',
    'forwards',
  ];
  if (!generic.includes(stem.toLowerCase())) return stem;
  const folder = basename(dirname(path));
  return folder && folder !== '.' && !generic.includes(folder.toLowerCase()) ? folder : undefined;
}

export function readDocuments(setup: Setup, yaml: YamlFile, name: string | undefined, profile: boolean): void {
  const [error] = yaml.errors;
  if (error) {
    setup.unknowns.push({
      status: 'unknown',
      at: error.at,
      message: `What this file says could not be told: ${error.what.replace(/[.]$/, '')}.`,
      todo: 'Mend it, or leave it out by the option `lxd.files`.',
    });
    return;
  }
  for (const document of yaml.documents) new Reader(setup, yaml, document).root(document.contents, name, profile);
}

class Reader {
  constructor(
    readonly setup: Setup,
    readonly yaml: YamlFile,
    readonly document: Document.Parsed,
  ) {}

  #get(node: unknown, key: string): unknown {
    const found = pairsOf(node).find((pair) => pair.key === key);
    return found && resolve(this.document, found.value);
  }

  #keyAt(node: unknown, key: string): Position | undefined {
    const found = pairsOf(node).find((pair) => pair.key === key);
    return found && this.yaml.at(found.keyNode);
  }

  #items(node: unknown): unknown[] {
    return isSeq(node) ? node.items.map((item) => resolve(this.document, item)) : [];
  }

  root(contents: unknown, name: string | undefined, profile: boolean): void {
    const node = resolve(this.document, contents);
    if (isSeq(node)) {
      for (const item of this.#items(node)) this.#one(item, textOf(this.#get(item, 'name')), profile);
      return;
    }
    if (!isMap(node)) return;
    for (const key of ['instances', 'containers'])
      for (const item of this.#items(this.#get(node, key))) this.#one(item, textOf(this.#get(item, 'name')), false);
    for (const item of this.#items(this.#get(node, 'profiles')))
      if (isMap(item)) this.#holder('profile', item, textOf(this.#get(item, 'name')));
    for (const item of this.#items(this.#get(node, 'forwards'))) this.#forward(item);
    this.#one(node, textOf(this.#get(node, 'name')) ?? name, profile);
  }

  #one(node: unknown, name: string | undefined, profile: boolean): void {
    if (!isMap(node)) return;
    const has = (key: string) => this.#keyAt(node, key) !== undefined;
    if (has('listen_address')) {
      this.#forward(node);
      return;
    }
    const marks = [
      'architecture',
      'ephemeral',
      'stateful',
      'expanded_config',
      'expanded_devices',
      'used_by',
      'profiles',
      'description',
      'name',
    ];
    if ((has('config') || has('devices') || has('expanded_devices')) && marks.some(has)) {
      const isProfile = has('used_by') || (profile && !has('architecture') && !has('profiles'));
      this.#holder(isProfile ? 'profile' : 'instance', node, name);
      return;
    }
    const types = pairsOf(node).map(({ value }) => textOf(this.#get(resolve(this.document, value), 'type')));
    const kinds = [
      'disk',
      'nic',
      'proxy',
      'none',
      'gpu',
      'usb',
      'tpm',
      'pci',
      'infiniband',
      'unix-char',
      'unix-block',
      'unix-hotplug',
    ];
    // `config device show`: the devices of the instance alone.
    if (types.length > 0 && types.every((type) => type !== undefined && kinds.includes(type))) {
      this.setup.holders.push({
        ...this.#empty('instance', node, name),
        devices: this.#devices(node),
        complete: false,
      });
    } else if (isMap(this.#get(node, 'devices')) || isMap(this.#get(node, 'config'))) {
      const inner = this.#holderOf(profile ? 'profile' : 'instance', node, name);
      // Some other program's `config:`; ours has keys with dots, or devices with types.
      const ours = [...inner.config.keys()].some((key) =>
        /^(?:security|limits|boot|raw|linux|user|environment|cloud-init|volatile|image)\./.test(key),
      );
      if (ours || [...inner.devices.values()].some(({ keys }) => kinds.includes(keys.get('type')?.value ?? '')))
        this.setup.holders.push(inner);
    }
  }

  #empty(kind: Holder['kind'], node: unknown, name: string | undefined): Holder {
    const at = this.yaml.at(node);
    return {
      kind,
      name,
      path: this.yaml.path,
      at,
      devicesAt: at,
      config: new Map(),
      devices: new Map(),
      profiles: [],
      expanded: false,
      complete: true,
    };
  }

  #holder(kind: Holder['kind'], node: unknown, name: string | undefined): void {
    this.setup.holders.push(this.#holderOf(kind, node, name));
  }

  #holderOf(kind: Holder['kind'], node: unknown, name: string | undefined): Holder {
    const holder = this.#empty(kind, node, name);
    const prefer = (key: string) => (isMap(this.#get(node, `expanded_${key}`)) ? `expanded_${key}` : key);
    const config = this.#get(node, prefer('config'));
    for (const { key, keyNode, value } of pairsOf(config)) {
      const text = textOf(resolve(this.document, value));
      if (text !== undefined) holder.config.set(key, { value: text, at: this.yaml.at(keyNode) });
    }
    holder.devices = this.#devices(this.#get(node, prefer('devices')));
    holder.devicesAt = this.#keyAt(node, prefer('devices')) ?? holder.at;
    holder.profiles = this.#items(this.#get(node, 'profiles')).flatMap((item) => {
      const text = textOf(item);
      return text === undefined ? [] : [{ value: text, at: this.yaml.at(item) }];
    });
    // Printed with --expanded, it holds the root disk and the network, which profiles bring.
    const types = [...holder.devices.values()].map(({ keys }) => keys.get('type')?.value);
    holder.expanded =
      prefer('devices') !== 'devices' ||
      /expanded/i.test(basename(this.yaml.path)) ||
      (types.includes('disk') && types.includes('nic') && hasRoot(holder));
    return holder;
  }

  #devices(node: unknown): Map<string, Device> {
    const devices = new Map<string, Device>();
    for (const { key, keyNode, value } of pairsOf(node)) {
      const body = resolve(this.document, value);
      const keys = new Map<string, Setting>();
      for (const pair of pairsOf(body)) {
        const text = textOf(resolve(this.document, pair.value));
        if (text !== undefined) keys.set(pair.key, { value: text, at: this.yaml.at(pair.keyNode) });
      }
      devices.set(key, { name: key, at: this.yaml.at(keyNode), keys });
    }
    return devices;
  }

  #forward(node: unknown): void {
    const at = this.#keyAt(node, 'listen_address');
    if (at) this.setup.forwards.push({ at, what: textOf(this.#get(node, 'listen_address')) ?? 'an address' });
  }
}

export function hasRoot({ devices }: Holder): boolean {
  return [...devices.values()].some(
    ({ keys }) => keys.get('type')?.value === 'disk' && keys.get('path')?.value === '/',
  );
}

/** LXD's idea of a yes. */
export function isTrue(value: string | undefined): boolean {
  return ['1', 'true', 'yes', 'on'].includes(value?.toLowerCase() ?? '');
}

/** Instances whose name matches one of the globs. */
export function instances({ holders }: Setup, globs: string[]): Holder[] {
  const matches = matcher(globs);
  return holders.filter(
    ({ kind, name }) => kind === 'instance' && name !== undefined && !name.includes('/') && matches(name),
  );
}

/** The profiles of an instance that are in the repository, the strongest last, and the names of those that are not. */
export function profilesOf(setup: Setup, holder: Holder): { known: Holder[]; missing: Setting[] } {
  const known: Holder[] = [];
  const missing: Setting[] = [];
  if (holder.expanded) return { known, missing };
  for (const each of holder.profiles) {
    const found = setup.holders.filter(({ kind, name }) => kind === 'profile' && name === each.value);
    if (found.length > 0) known.push(...found);
    // As LXD makes it, the default profile holds the root disk and the network.
    else if (each.value !== 'default') missing.push(each);
  }
  return { known, missing };
}
