import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Proxy as Link, startProxy } from '../../../testbed/proxy.js';
import { type StandInOptions, standIn, unitFile } from '../../../testbed/stand-in.js';
import { type RecordEntry, readRecord, releasesOf } from '../../src/record.js';
import { type ArtifactEntry, artifacts, botserver, startTenant, type Tenant } from '../tenant.js';

/** How long a target may take to come to rest by itself after whatever happened to it. */
const REST_MS = 20_000;

export const state = '/opt/gbo/bin/.gbo-deploy';
const unitPath = '/etc/systemd/system/system.service';
export const configPath = '/opt/gbo/conf/botserver.toml';
/** Never changes, so that every deploy has something to keep. */
const constantPath = '/opt/gbo/conf/limits.toml';
const placeholder = '0.0.0000';

/** What one deploy brings: a binary, its unit file and its config, all of the same number. */
export interface Release {
  number: number;
  version: string;
  /** By path on the target. */
  sha256: Record<string, string>;
  inputs: Record<string, string>;
}

export interface Change {
  /** From `programOf`. */
  program?: Buffer;
  /** More lines of the unit file's [Service]. */
  service?: string[];
  /** More inputs of the binary's artifact. */
  entry?: ArtifactEntry;
}

/** How a target stands, seen past sshd and past the action. */
export interface Seen {
  /** Undo scripts that wait or work, and the dead-men's timers. */
  pending: string[];
  locked: boolean;
  /** Scripts of the action that still run although nobody may be listening. */
  scripts: number;
  active: string;
  answer: string;
  /** sha256 by path; `exe` is what the unit's main process runs. */
  sha256: Record<string, string>;
  /** Temporary files left in place. */
  leftovers: string[];
  record: RecordEntry[];
}

/** A tenant behind a link that can be cut, and releases without end to deploy to it. */
export class Site {
  /** Every release made so far, by number. */
  readonly releases: Release[] = [];
  /** Inputs that lead over the link. */
  readonly way: Record<string, string>;

  private constructor(
    readonly tenant: Tenant,
    readonly link: Link,
    readonly program: Buffer,
  ) {
    const { way, host } = tenant;
    this.way = {
      ...way,
      host: link.host,
      port: String(link.port),
      'known-hosts': `[127.0.0.1]:${link.port} ${host.hostKey}\n`,
    };
  }

  /** `prepare`: commands that the target runs first. */
  static async start(name: string, prepare = ':'): Promise<Site> {
    const tenant = await startTenant(name);
    expect(await tenant.host.exec(prepare)).toMatchObject({ code: 0 });
    const link = await startProxy({ to: tenant.host });
    return new Site(tenant, link, await programOf({ sizeMiB: 2 }));
  }

  async stop(): Promise<void> {
    await this.link.stop();
    await this.tenant.stop();
  }

  /** A release that was never there before. */
  release({ program = this.program, service = [], entry = {} }: Change = {}): Release {
    const number = this.releases.length + 1;
    const version = `0.0.${String(number).padStart(4, '0')}`;
    const folder = join(this.tenant.folder, String(number));
    mkdirSync(folder);
    const file = (name: string, content: string | Buffer) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const extra = [`Environment=RELEASE=${number}`, ...service];
    const unit = unitFile({ name: botserver.unit, path: botserver.path, port: botserver.port, extra });
    const entries: ArtifactEntry[] = [
      {
        artifact: file('botserver', renamed(program, version)),
        path: botserver.path,
        unit: botserver.unit,
        'health-url': `http://localhost:${botserver.port}/health`,
        'health-contains': version,
        'health-timeout': '3s',
        ...entry,
      },
      { artifact: file('system.service', unit), path: unitPath, unit: botserver.unit },
      {
        artifact: file('botserver.toml', `release = ${number}\n`),
        path: configPath,
        unit: botserver.unit,
        check: 'grep -q release {file}',
      },
      { artifact: file('limits.toml', 'bots = 100\n'), path: constantPath, unit: botserver.unit },
    ];
    const sums = entries.map(({ path, artifact }) => [path, sha256(readFileSync(String(artifact)))]);
    const made: Release = {
      number,
      version,
      sha256: Object.fromEntries(sums),
      inputs: { ...this.way, soak: '300ms', ...artifacts(...entries) },
    };
    this.releases.push(made);
    return made;
  }

  /** Which release all of these files belong to; undefined when they are of several, or of none. */
  belongTo(seen: Seen): Release | undefined {
    return this.releases.find((release) =>
      Object.entries({ ...release.sha256, exe: release.sha256[botserver.path] }).every(
        ([path, sum]) => seen.sha256[path] === sum,
      ),
    );
  }

  /** Looks once. */
  async look(): Promise<Seen> {
    const { stdout } = await this.tenant.host.exec(looking);
    const lines = stdout.split('\n').map((line) => line.split('\t'));
    const all = (key: string) => lines.filter(([name]) => name === key).map(([, ...values]) => values);
    const one = (key: string) => all(key)[0]?.[0] ?? '';
    return {
      pending: all('pending').map(([name = '']) => name),
      locked: one('locked') === 'yes',
      scripts: Number(one('scripts')),
      active: one('active'),
      answer: one('answer'),
      sha256: Object.fromEntries(all('sum').map(([path, sum]) => [path, sum])),
      leftovers: all('leftover').map(([name = '']) => name),
      record: readRecord(all('record').map((values) => values.join('\t'))),
    };
  }

  /** Waits until nothing on the target is under way any more, and the program answers. Fails with what it sees at the limit. */
  async rest(): Promise<Seen> {
    for (const end = Date.now() + REST_MS; ; await sleep(100)) {
      const seen = await this.look();
      const busy = [...seen.pending, ...(seen.locked ? ['locked'] : []), ...(seen.scripts > 0 ? ['scripts'] : [])];
      if (busy.length === 0 && seen.active === 'active' && seen.answer) return seen;
      if (Date.now() > end) expect({ busy, active: seen.active, answer: seen.answer }, 'at rest').toBe('reached');
    }
  }

  /** What holds for a target at rest, whatever happened: one release, whole, healthy, on record. Gives that release. */
  judge(seen: Seen, possible: Release[]): Release {
    const release = this.belongTo(seen);
    expect(
      release,
      `all files and the process are of one release: ${JSON.stringify(this.#mixture(seen))}`,
    ).toBeDefined();
    const whole = release as Release;
    expect(possible.map(({ number }) => number)).toContain(whole.number);
    expect(seen.answer).toContain(whole.version);
    expect(seen.leftovers).toEqual([]);
    const { current, releases } = releasesOf(seen.record);
    const recorded = releases.find(({ id }) => id === current)?.artifacts ?? [];
    expect(
      Object.fromEntries(recorded.map(({ path, sha256 }) => [path, sha256])),
      'the last word of the record',
    ).toEqual(whole.sha256);
    return whole;
  }

  #mixture(seen: Seen): Record<string, number | string> {
    const number = (path: string, sum: string) =>
      this.releases.find((release) => release.sha256[path === 'exe' ? botserver.path : path] === sum)?.number;
    return Object.fromEntries(Object.entries(seen.sha256).map(([path, sum]) => [path, number(path, sum) ?? sum]));
  }

  /** Ends the process on the target that holds the lock, as nothing but `kill -9` or a crash would. */
  async killHolder(): Promise<void> {
    // Who waits for the lock has the file open as well, but no clock that waits for a heartbeat.
    const { stdout } = await this.tenant.host.exec(`for try in 1 2 3 4 5 6 7 8 9 10; do
  for p in /proc/[0-9]*; do
    [ "$(readlink $p/fd/9)" = ${state}/lock ] && pgrep -P "\${p#/proc/}" timeout >/dev/null && kill -9 "\${p#/proc/}" && echo "\${p#/proc/}" && exit
  done
done 2>/dev/null`);
    expect(stdout, 'a process that holds the lock').not.toBe('');
  }

  /** Takes the dead-man's timers away, as a reboot of the target would. */
  async stopTimers(): Promise<void> {
    await this.tenant.host.exec("systemctl stop 'gbo-undo-*.timer'");
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A stand-in of any behaviour for `release`. */
export async function programOf(options: StandInOptions): Promise<Buffer> {
  return readFileSync(await standIn({ ...options, version: placeholder }));
}

/** The program with another version of the same length: compiling one for each row would take as long as deploying it. */
function renamed(program: Buffer, version: string): Buffer {
  const bytes = Buffer.from(program);
  const from = Buffer.from(placeholder);
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes.write(version, at, 'latin1');
  return bytes;
}

const looking = `
cd ${state} 2>/dev/null || exit 0
for f in undo/*.armed undo/*.undoing; do [ ! -e "$f" ] || printf 'pending\\t%s\\n' "$f"; done
grep -q ":$(stat -c %i lock) " /proc/locks && printf 'locked\\tyes\\n'
printf 'scripts\\t%s\\n' "$(pgrep -fc 'ev[a]l "..cat.')"
printf 'active\\t%s\\n' "$(systemctl is-active ${botserver.unit})"
for f in ${botserver.path} ${unitPath} ${configPath} ${constantPath}; do printf 'sum\\t%s\\t%s\\n' "$f" "$(sha256sum < "$f" | cut -c1-64)"; done
printf 'sum\\texe\\t%s\\n' "$(sha256sum < /proc/$(systemctl show -P MainPID ${botserver.unit})/exe | cut -c1-64)"
printf 'answer\\t%s\\n' "$(bash -c 'exec 3<>/dev/tcp/127.0.0.1/${botserver.port}; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; timeout 5 cat <&3' 2>/dev/null | sed -n '1{/ 200 /!q};$p')"
find /opt/gbo /etc/systemd/system -name '*.gbo-new' -printf 'leftover\\t%p\\n'
sed 's/^/record\\t/' record.jsonl`;
