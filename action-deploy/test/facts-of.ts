import type { ArtifactSpec } from '../src/artifact-input.js';
import type { Facts, FileFacts, HostFacts, LocalArtifact, UnitFacts } from '../src/facts.js';
import type { Inputs } from '../src/inputs.js';

/** Facts and inputs for the pure rooms: a healthy tenant, of which each case changes one thing. */

export const sha = (digit: string) => digit.repeat(64);

export const artifactOf = (change: Partial<LocalArtifact> = {}): LocalArtifact => ({
  name: 'botserver',
  source: 'target/release/botserver',
  path: '/opt/gbo/bin/botserver',
  type: 'binary',
  units: ['system.service'],
  activate: { how: 'restart' },
  probe: '--version',
  health: [],
  size: 100 * 1024 * 1024,
  sha256: sha('b'),
  elf: {
    machine: 'x86_64',
    bits: 64,
    endian: 'little',
    type: 'shared',
    libc: 'glibc',
    glibc: '2.34',
    needed: ['libc.so.6'],
  },
  ...change,
});

export const fileOf = (change: Partial<FileFacts> = {}): FileFacts => ({
  kind: 'file',
  size: 90 * 1024 * 1024,
  sha256: sha('a'),
  mode: '0755',
  owner: 'root:root',
  changed: '20260101T000000Z',
  nearest: '/opt/gbo/bin',
  writable: true,
  storeLocked: false,
  readOnly: false,
  freeBytes: 50 * 1024 ** 3,
  freeInodes: 1_000_000,
  kept: [],
  ...change,
});

export const unitOf = (change: Partial<UnitFacts> = {}): UnitFacts => ({
  name: 'system.service',
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  restarts: 0,
  mainPid: 100,
  type: 'simple',
  execStart: ['/opt/gbo/bin/botserver'],
  needsReload: false,
  triggeredBy: '',
  since: '',
  stopTimeoutMs: 90_000,
  enabled: 'enabled',
  runs: ['/opt/gbo/bin/botserver'],
  ...change,
});

export const hostOf = (change: Partial<HostFacts> = {}): HostFacts => ({
  host: 'acme-system',
  address: 'acme-system:22',
  uid: 0,
  user: 'root',
  machine: 'x86_64',
  glibc: '2.36',
  systemd: 252,
  missingTools: [],
  sudoMissing: [],
  stateMark: '1-2',
  files: [fileOf()],
  units: [unitOf()],
  record: [],
  pending: [],
  foundId: '20260101T000000Z-ffffffffffff',
  caddyHosts: {},
  forwarding: 'untested',
  hasCurl: true,
  roundTripMs: 1,
  hostKeys: [],
  ...change,
});

export const factsOf = (artifacts: LocalArtifact[], ...hosts: HostFacts[]): Facts => ({
  now: '20260131T120000Z',
  artifacts,
  contentId: '0123456789ab',
  hosts,
  lost: [],
  provenance: {},
});

export const inputsOf = (artifacts: ArtifactSpec[], change: Partial<Inputs> = {}): Inputs => ({
  mode: 'deploy',
  dryRun: false,
  hosts: [],
  artifacts,
  stateDir: '/opt/gbo/bin/.gbo-deploy',
  keep: 5,
  lockWaitMs: 600_000,
  soakMs: 3000,
  canary: 1,
  batch: { percent: 100 },
  onFailure: 'all',
  maxFailed: 0,
  ...change,
});
