import { formatBytes } from '@gbo/shared/bytes';
import { compareVersions } from './elf.js';
import type { FileFacts, HostFacts, LocalArtifact, UnitFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import { daemonReload, sudoersLines } from './privileged.js';
import { hasProcess, whatRuns } from './what-runs.js';

/** Room left on the file system after everything was staged. */
const RESERVE_BYTES = 64 * 1024 * 1024;
const RESERVE_INODES = 64;

/** Why this host cannot be deployed to as it is: sentences, each with what to do. Empty when nothing stands against it. */
export function refusals(inputs: Inputs, artifacts: LocalArtifact[], facts: HostFacts): string[] {
  const changed = artifacts.filter((artifact, index) => facts.files[index]?.sha256 !== artifact.sha256);
  const rules = sudoMissing(artifacts, facts);
  return [
    ...facts.missingTools.map((tool) => `The program ${tool} is not on the target; install it.`),
    ...(rules.length > 0 ? [sudoRefusal(inputs, facts, rules)] : untoldRefusals(artifacts, facts)),
    ...changed.flatMap((artifact) => elfRefusals(artifact, facts)),
    ...artifacts.flatMap((artifact, index) => fileRefusals(artifact, facts.files[index] as FileFacts, facts)),
    ...spaceRefusals(artifacts, facts),
    ...unitRefusals(artifacts, facts),
    ...healthRefusals(artifacts, facts),
  ];
}

/** The rules without which no deploy of these artifacts could end well. */
function sudoMissing(artifacts: LocalArtifact[], facts: HostFacts): string[] {
  const bringsUnit = artifacts.some(({ type }) => type === 'unit');
  return facts.sudoMissing.filter((command) => command !== daemonReload || bringsUnit);
}

/** Why a deploy that changes something cannot be: a unit waits for a daemon-reload, which the user may not do. */
export function reloadRefusals(inputs: Inputs, facts: HostFacts): string[] {
  const edited = facts.units.filter(({ needsReload }) => needsReload).map(({ name }) => name);
  if (edited.length === 0 || !facts.sudoMissing.includes(daemonReload)) return [];
  const line = sudoersLines(inputs, facts.user).find((rule) => rule.endsWith(daemonReload));
  return [
    `${edited.join(', ')} was edited on the target without daemon-reload, and user ${facts.user} has no password-less sudo rule for \`${daemonReload}\`; run that on the target, or add with visudo:\n${line}`,
  ];
}

/** A restart that nobody needs is no answer to "could not tell", and neither is green. */
function untoldRefusals(artifacts: LocalArtifact[], facts: HostFacts): string[] {
  return artifacts.flatMap(({ type, path, units, activate, sha256 }, index) => {
    if (type !== 'binary' || activate.how === 'none' || facts.files[index]?.sha256 !== sha256) return [];
    return facts.units
      .filter((unit) => units.includes(unit.name) && hasProcess(unit) && unit.activeState === 'active')
      .filter((unit) => whatRuns(unit, path) === 'unknown')
      .map(
        ({ name, mainPid }) =>
          `It could not be told what ${name} runs; try \`sudo -n sha256sum /proc/${mainPid}/exe\` as ${facts.user} on the target, and deploy again.`,
      );
  });
}

function sudoRefusal(inputs: Inputs, facts: HostFacts, missing: string[]): string {
  const commands = missing.map((command) => `\`${command}\``).join(', ');
  return `User ${facts.user} has no password-less sudo rule for ${commands}; add with visudo on the target:\n${sudoersLines(inputs, facts.user).join('\n')}`;
}

function elfRefusals({ name, elf, type, source }: LocalArtifact, facts: HostFacts): string[] {
  // Without a source no file travels: what is gone back to has run on this very host.
  if (type !== 'binary' || source === '') return [];
  if (!elf) return [`${name} is to be a binary, but it is not an ELF file; give type: config if it is a script.`];
  const machine =
    elf.machine === facts.machine || (elf.machine === 'i386' && /^(i[3-6]86|x86_64)$/.test(facts.machine));
  if (!machine)
    return [`${name} is built for ${elf.machine}, the target is ${facts.machine}; build it for the target.`];
  if (elf.libc !== 'glibc') return [];
  if (!facts.glibc)
    return [`${name} needs glibc, and the target's C library is another; link it statically or against musl.`];
  if (elf.glibc && compareVersions(elf.glibc, facts.glibc) > 0) {
    return [
      `${name} needs GLIBC_${elf.glibc}, the target has ${facts.glibc}; build it on a system no newer than the target.`,
    ];
  }
  return [];
}

function fileRefusals(artifact: LocalArtifact, file: FileFacts, facts: HostFacts): string[] {
  const { path } = artifact;
  if (file.kind === 'link') return [`${path} is a symbolic link to ${file.linkTarget}; give that path instead.`];
  if (file.kind === 'folder') return [`${path} is a folder; give the path of a file.`];
  if (file.notFolder) return [`${file.notFolder} is not a folder; ${path} cannot be below it.`];
  if (file.readOnly) return [`The file system of ${path} is read-only; remount it for writing.`];
  if (!file.writable)
    return [`User ${facts.user} may not write in ${file.nearest}; make it writable for that user, or deploy as root.`];
  if (file.storeLocked)
    return [
      `User ${facts.user} may not write in .gbo-deploy beside ${path}; it belongs to the user who deployed before.`,
    ];
  if (file.kind === 'file' && file.sha256 === undefined)
    return [`User ${facts.user} may not read ${path}; make it readable, or deploy as root.`];
  const foreignOwner = artifact.owner && facts.uid !== 0 && artifact.owner.split(':')[0] !== facts.user;
  return foreignOwner ? [`Only root may give ${path} to ${artifact.owner}; deploy as root, or leave owner out.`] : [];
}

function spaceRefusals(artifacts: LocalArtifact[], facts: HostFacts): string[] {
  // By the free bytes reported, since two paths on one file system share them.
  const byFileSystem = new Map<number, { paths: string[]; bytes: number; inodes: number }>();
  for (const [index, artifact] of artifacts.entries()) {
    const file = facts.files[index];
    if (!file || file.sha256 === artifact.sha256) continue;
    const sum = byFileSystem.get(file.freeBytes) ?? { paths: [], bytes: 0, inodes: file.freeInodes };
    const copies = (artifact.source === '' ? 0 : 1) + (artifact.type === 'binary' ? 0 : 2);
    byFileSystem.set(file.freeBytes, {
      ...sum,
      paths: [...sum.paths, artifact.path],
      bytes: sum.bytes + copies * artifact.size,
    });
  }
  return [...byFileSystem].flatMap(([free, { paths, bytes, inodes }]) => {
    if (bytes + RESERVE_BYTES > free) {
      return [
        `There are ${formatBytes(free)} free for ${paths.join(', ')}, and ${formatBytes(bytes)} are needed with ${formatBytes(RESERVE_BYTES)} to spare; free some on the target.`,
      ];
    }
    // File systems without a fixed number of inodes (btrfs) report 0 of 0.
    return inodes > 0 && inodes < RESERVE_INODES
      ? [`There are ${inodes} inodes free for ${paths.join(', ')}; remove files on the target.`]
      : [];
  });
}

function unitRefusals(artifacts: LocalArtifact[], facts: HostFacts): string[] {
  const brought = new Set(artifacts.filter(({ type }) => type === 'unit').map(({ name }) => name));
  const refused = facts.units.flatMap((unit) => {
    if (brought.has(unit.name)) return [];
    if (unit.loadState === 'masked')
      return [`Unit ${unit.name} is masked; run \`systemctl unmask ${unit.name}\` on the target.`];
    if (unit.loadState !== 'loaded')
      return [`Unit ${unit.name} is not known on the target; deploy its unit file too, or mend the name.`];
    return [];
  });
  const strangers = artifacts.flatMap(({ type, path, units }) =>
    type !== 'binary'
      ? []
      : facts.units
          .filter((unit) => units.includes(unit.name) && !brought.has(unit.name) && isStranger(unit, path))
          .map(
            (unit) =>
              `Unit ${unit.name} starts ${unit.execStart.join(', ')}, not ${path}; mend path or unit, or deploy the unit file too.`,
          ),
  );
  return [...refused, ...strangers];
}

function isStranger(unit: UnitFacts, path: string): boolean {
  return unit.loadState === 'loaded' && unit.name.endsWith('.service') && !unit.execStart.includes(path);
}

function healthRefusals(artifacts: LocalArtifact[], facts: HostFacts): string[] {
  const needsNetwork = artifacts.some(({ health }) => health.some(({ kind }) => kind !== 'command'));
  if (!needsNetwork || facts.forwarding !== 'refused' || facts.hasCurl) return [];
  return [
    'The health address cannot be asked: sshd on the target forbids forwarding and there is no curl; allow it (permitopen) or install curl.',
  ];
}
