import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { constants, existsSync, readFileSync } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Also where a cron job's or a plain user's PATH does not look. */
const env = { ...process.env, PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };
const run = (command: string, args: string[], more: NodeJS.ProcessEnv = {}) =>
  promisify(execFile)(command, args, { env: { ...env, ...more }, maxBuffer: 64 * 1024 * 1024 });

/** Where the testbed keeps what is slow to make. Safe to delete while no test runs. */
export const cacheDir = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gbo-actions');

/** What a command's Debian package is called. */
const packageOf = {
  debootstrap: 'debootstrap',
  'systemd-nspawn': 'systemd-container',
  ip: 'iproute2',
  'ssh-keygen': 'openssh-client',
  flock: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  gcc: 'gcc libc6-dev',
  objcopy: 'binutils',
  strip: 'binutils',
  strace: 'strace',
  faketime: 'faketime',
  sccache: 'sccache',
  pip3: 'python3-pip',
  git: 'git',
  cc: 'gcc libc6-dev',
  iptables: 'iptables',
  caddy: 'caddy',
  ufw: 'ufw',
} as const;
export type Tool = keyof typeof packageOf;

const toolsOfAHost: Tool[] = [
  'debootstrap',
  'systemd-nspawn',
  'ip',
  'ssh-keygen',
  'flock',
  'setpriv',
  'unshare',
  'nsenter',
];

/** A container's root: a minimal Debian 12, what a tenant's system container has and nothing that would hide a missing need. */
const packages =
  'systemd,systemd-sysv,dbus,openssh-server,sudo,caddy,iproute2,procps,util-linux,coreutils'; /* no curl, no openssl */

/** $1: folder to fill. Mirror: the one this machine's apt uses, else debootstrap's own default. */
const buildRoot = `set -eu
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' | head -n 1)
debootstrap --variant=minbase --include=${packages} bookworm "$1" $mirror
chroot "$1" useradd --create-home --uid 1000 --shell /bin/bash deploy
systemctl --root="$1" --quiet disable caddy.service getty@.service e2scrub_reap.service systemd-pstore.service \\
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
systemctl --root="$1" --quiet set-default multi-user.target
rm -rf "$1"/etc/ssh/ssh_host_* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
: > "$1/etc/resolv.conf"
`;

/**
 * $1: base root, $2: folder of this host, $3: id, $4: pid of the process that asked, $5: host name.
 * Runs in a network namespace of its own. What it makes lives in namespaces, so that it goes with the last process; only
 * the folder and the control groups can outlive it, and those the next start sweeps.
 */
const launch = `set -eu
base=$1 dir=$2 id=$3 asker=$4 name=$5
[ "$PPID" = "$asker" ] || exit 1 # it died before the death signal was armed
mkdir -m 700 "$dir" && cd "$dir" && mkdir keys
for key in host root deploy; do ssh-keygen -q -t ed25519 -N '' -C "$key@testbed" -f "keys/$key"; done

# The name of the interface on the asker's side is the claim on an address pair within 169.254.64.0/18.
tries=0
until slot=$(shuf -i 0-4095 -n 1) && ip link add host0 type veth peer name "gbo$slot" netns "$asker"; do
  tries=$((tries + 1)) && [ $tries -lt 20 ]
done
net=169.254.$((64 + slot / 64)) last=$((slot % 64 * 4))
nsenter --target "$asker" --net ip addr add "$net.$((last + 1))/30" dev "gbo$slot"
nsenter --target "$asker" --net ip link set "gbo$slot" up
ip link set lo up && ip addr add "$net.$((last + 2))/30" dev host0 && ip link set host0 up
echo "$net.$((last + 2))" > address

# Control groups of its own: two containers in one group would see, and end, each other's services.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then trees=/sys/fs/cgroup; else trees=$(echo /sys/fs/cgroup/*); fi
for tree in $trees; do
  [ -f "$tree/cgroup.procs" ] || continue
  mkdir "$tree/gbo-testbed-$id"
  { echo $$ > "$tree/gbo-testbed-$id/cgroup.procs"; } 2> /dev/null || rmdir "$tree/gbo-testbed-$id"
done

exec unshare --mount --pid --fork --kill-child=KILL --mount-proc sh -euc '
base=$1 name=$2
mount -t tmpfs tmpfs /run # nspawn keeps its state there
mkdir root layer
overlay() {
  mkdir layer/upper layer/work
  mount -t overlay overlay -o "lowerdir=$base,upperdir=layer/upper,workdir=layer/work" root
}
# Inside another container the disk may itself be an overlay, which cannot carry an upper layer: then memory does.
overlay 2> /dev/null || { mount -t tmpfs tmpfs layer && overlay; }
install -m 600 keys/host root/etc/ssh/ssh_host_ed25519_key
install -m 644 keys/host.pub root/etc/ssh/ssh_host_ed25519_key.pub
install -d -m 700 root/root/.ssh
install -m 600 keys/root.pub root/root/.ssh/authorized_keys
install -d -m 700 -o 1000 -g 1000 root/home/deploy/.ssh
install -m 600 -o 1000 -g 1000 keys/deploy.pub root/home/deploy/.ssh/authorized_keys
echo "$name" > root/etc/hostname
printf "127.0.0.1 localhost\\n127.0.1.1 %s\\n::1 localhost\\n" "$name" > root/etc/hosts
rm -f root/etc/machine-id # an absent or empty one would make this a first boot, which enables every service again
tr -d - < /proc/sys/kernel/random/uuid > root/etc/machine-id
# The unified hierarchy, as Debian 12 has it, also where the machine below still has the old one.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot --directory=root --machine="$name" --register=no \\
  --keep-unit --resolv-conf=off --console=pipe < /dev/null || exit $?
' sh "$base" "$name"
`;

/** $1: the folder of all hosts. Takes away what dead ones left; a live one holds its lock, and is passed by. */
const sweep = `cd "$1" 2> /dev/null || exit 0
for id in *; do
  [ -d "$id" ] || continue
  flock --nonblock "$id.lock" sh -c '
    for group in /sys/fs/cgroup/gbo-testbed-$1 /sys/fs/cgroup/*/gbo-testbed-$1; do
      [ -d "$group" ] || continue
      for try in 1 2 3 4 5 6 7 8 9 10; do
        find "$group" -depth -type d -exec rmdir {} + 2> /dev/null
        [ -d "$group" ] || break
        sleep 0.1
      done
      [ ! -d "$group" ] || exit 1
    done
    rm -rf --one-file-system "$1" "$1.lock"' sh "$id" || true
done
`;

export interface HostOptions {
  /** Host name inside. Default `target`. */
  name?: string;
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface SystemdHost {
  /** Address and port of its sshd, reachable from this machine only. */
  host: string;
  port: number;
  user: 'root';
  /** Text of a known_hosts file with the line of this host. */
  knownHosts: string;
  /** `ssh-ed25519 AAAA...`: to write another line with, as when a proxy stands before it. */
  hostKey: string;
  /** OpenSSH private keys, unencrypted: root's, and that of `deploy`, a user without any sudo rule. */
  privateKey: string;
  deployUserKey: string;
  /** Runs a sh command inside as root, past sshd. `timeoutMs` default 60_000; rejects only on a timeout or a dead host. */
  exec(command: string, options?: { timeoutMs?: number }): Promise<CommandResult>;
  /** Its root as a path of this machine, valid while it runs. Absolute symbolic links in it lead out of it. */
  rootDir: string;
  /** Pid of its systemd as this machine sees it. */
  pid: number;
  /** Ends it at once, as a power cut would, and removes all of it. */
  stop(): Promise<void>;
}

/** Whether a systemd host can start here; `why` is one sentence. Changes nothing on the machine. */
export async function testbedAvailable(): Promise<{ ok: true } | { ok: false; why: string }> {
  if (process.platform !== 'linux')
    return { ok: false, why: `A systemd host needs Linux, and this is ${process.platform}.` };
  if (process.getuid?.() !== 0) return { ok: false, why: 'A systemd host needs root.' };
  const missing = await missingTools(toolsOfAHost);
  if (missing.length > 0 && (await missingCommands(['apt-get'])).length > 0) {
    return { ok: false, why: `${missing.join(', ')} missing, and there is no apt-get to install it with.` };
  }
  if (missing.includes('unshare')) return { ok: true };
  try {
    await run('unshare', [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--mount-proc',
      'mount',
      '-t',
      'tmpfs',
      'tmpfs',
      '/run',
    ]);
  } catch (error) {
    return { ok: false, why: `This machine lets not even root make namespaces and mounts: ${String(error).trim()}` };
  }
  return { ok: true };
}

/** Installs by apt what of `tools` is missing. Rejects with apt's own words. */
export async function installMissing(tools: Tool[]): Promise<void> {
  const missing = await missingTools(tools);
  if (missing.length === 0) return;
  const names = [...new Set(missing.flatMap((tool) => packageOf[tool].split(' ')))];
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', ...names];
  try {
    await run('apt-get', install, quiet);
  } catch {
    await run('apt-get', ['update'], quiet); // a fresh image has no package lists, an old one has stale ones
    await run('apt-get', install, quiet);
  }
}

/** Starts a Debian 12 with systemd as its pid 1, its own root and its own network. Rejects when any unit failed at boot. */
export async function startSystemdHost(options: HostOptions = {}): Promise<SystemdHost> {
  const available = await testbedAvailable();
  if (!available.ok) throw new Error(available.why);
  await installMissing(toolsOfAHost);
  const base = await baseRoot();
  const hosts = join(cacheDir, 'hosts');
  await mkdir(hosts, { recursive: true });
  await run('sh', ['-c', sweep, 'sh', hosts]);

  const id = randomBytes(6).toString('hex');
  const dir = join(hosts, id);
  const keys = join(dir, 'keys');
  const child = spawn(
    'flock',
    // Each of these replaces itself by the next, so that the lock, the death signal and the network belong to one pid.
    // biome-ignore format: one program a line
    ['--no-fork', `${dir}.lock`,
      'setpriv', '--pdeathsig', 'KILL',
      'unshare', '--net',
      'sh', '-c', launch, 'sh', base, dir, id, String(process.pid), options.name ?? 'target'],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8192);
    });
  }
  child.once('error', (error) => {
    output += error.message;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));

  const stop = async () => {
    child.ref();
    const first = children(child.pid)[0];
    // The first process of its pid namespace takes all others with it, and `child` ends once they are gone.
    if (child.exitCode === null && child.signalCode === null) {
      if (first) process.kill(first, 'SIGKILL');
      else child.kill('SIGKILL');
    }
    await ended;
    await run('sh', ['-c', sweep, 'sh', hosts]);
  };

  try {
    const pid = await booted(child, () => output);
    const host = (await readFile(join(dir, 'address'), 'utf8')).trim();
    const hostKey = (await readFile(join(keys, 'host.pub'), 'utf8')).split(' ', 2).join(' ');
    // Nobody who forgets to stop it should be kept from ending: it ends with its process anyway.
    child.unref();
    for (const stream of [child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();
    return {
      host,
      port: 22,
      user: 'root',
      knownHosts: `${host} ${hostKey}\n`,
      hostKey,
      privateKey: await readFile(join(keys, 'root'), 'utf8'),
      deployUserKey: await readFile(join(keys, 'deploy'), 'utf8'),
      exec: (command, { timeoutMs } = {}) => execInside(pid, command, timeoutMs),
      rootDir: `/proc/${pid}/root`,
      pid,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until systemd inside says `running`; gives the pid of that systemd. */
async function booted(child: ChildProcess, output: () => string): Promise<number> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The systemd host did not start: ${output()}`);
    const pid = findInit(child.pid);
    if (pid) {
      const state = (await execInside(pid, 'systemctl is-system-running')).stdout.trim();
      if (state === 'running') return pid;
      if (state === 'degraded') {
        const { stdout } = await execInside(pid, 'systemctl --failed --no-legend; journalctl -b -p warning --no-pager');
        throw new Error(`A unit of the systemd host failed at boot: ${stdout}`);
      }
    }
    if (Date.now() > deadline) throw new Error(`The systemd host was not up after 60 s: ${output()}`);
    await sleep(25);
  }
}

/** The process two pid namespaces below ours that is pid 1 there, once it has become systemd (before, its root is not its own). */
function findInit(ancestor: number | undefined): number | undefined {
  for (const pid of children(ancestor)) {
    const seen =
      readProc(pid, 'status')
        .match(/^NSpid:\t(.*)$/m)?.[1]
        ?.split('\t') ?? [];
    if (seen.length === 3 && seen[2] === '1') return readProc(pid, 'comm').trim() === 'systemd' ? pid : undefined;
    const below = findInit(pid);
    if (below) return below;
  }
  return undefined;
}

function children(pid: number | undefined): number[] {
  return pid ? readProc(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number) : [];
}

/** A file of /proc, or '' when the process is gone. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function execInside(pid: number, command: string, timeoutMs = 60_000): Promise<CommandResult> {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const clean = ['-i', `PATH=${path}`, 'HOME=/root', 'LANG=C.UTF-8'];
  const args = ['--target', String(pid), '--all', '--root', '--wd', 'env', ...clean, 'sh', '-c', command];
  return new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const;
    execFile('nsenter', args, options, (error, stdout, stderr) => {
      if (!error) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`${command}: ended by ${error.signal ?? error.code}: ${stderr}`));
    }).stdin?.end();
  });
}

/** The folder of the base root; built once for each recipe, by one process at a time. */
async function baseRoot(): Promise<string> {
  const key = createHash('sha256').update(buildRoot).digest('hex').slice(0, 12);
  const root = join(cacheDir, `debian-12-${key}`);
  if (existsSync(root)) return root;
  await mkdir(cacheDir, { recursive: true });
  // Private mounts: debootstrap cut short would leave its /proc mounted, and the next rm would walk into it.
  const build = `set -eu; [ ! -d "$1" ] || exit 0; rm -rf --one-file-system "$1.part"
unshare --mount --pid --fork --kill-child=KILL --mount-proc sh -c "$2" sh "$1.part" && mv "$1.part" "$1"`;
  await run('flock', [`${root}.lock`, 'setpriv', '--pdeathsig', 'KILL', 'sh', '-c', build, 'sh', root, buildRoot]);
  return root;
}

function missingTools(tools: Tool[]): Promise<Tool[]> {
  return missingCommands(tools) as Promise<Tool[]>;
}

async function missingCommands(commands: string[]): Promise<string[]> {
  const folders = env.PATH.split(delimiter);
  const found = (command: string) =>
    Promise.any(folders.map((folder) => access(join(folder, command), constants.X_OK))).then(
      () => true,
      () => false,
    );
  const present = await Promise.all(commands.map(found));
  return commands.filter((_, index) => !present[index]);
}
