import { type Report, textTable } from '@gbo/shared/report';
import { keyRestrictions } from './authorized-keys.js';
import type { Facts, HostFacts, LocalArtifact } from './facts.js';
import type { Inputs } from './inputs.js';
import { sudoersLines } from './privileged.js';
import { refusals, reloadRefusals } from './refusals.js';

/** The report of mode check: is the host ready for its first deploy, and the lines an operator must add. */
export function readinessReport(inputs: Inputs, facts: Facts): Report {
  // Without local files the gates that read them stay silent; the rest holds for any artifact.
  const artifacts = facts.artifacts.length > 0 ? facts.artifacts : inputs.artifacts.map(withoutFile);
  const hosts = facts.hosts.map((host) => ({
    host,
    against: [...refusals(inputs, artifacts, host), ...reloadRefusals(inputs, host)],
  }));
  const bad = hosts.filter(({ against }) => against.length > 0);
  const failed = [
    ...bad.map(({ host, against }) => `${host.host} is not ready: ${against.join('\n')}`),
    ...facts.lost.map(({ host, reason }) => `${host} is not ready: ${reason}`),
  ];
  return {
    failed: failed.join('\n') || undefined,
    outputs: {
      result: facts.lost.length > 0 ? 'failed' : bad.length > 0 ? 'refused' : 'unchanged',
      release: '',
      previous: '',
      sha256: '',
      'downtime-ms': '',
      report: JSON.stringify({
        mode: 'check',
        hosts: [
          ...hosts.map(({ host, against }) => ({ host: host.host, ready: against.length === 0, refusals: against })),
          ...facts.lost.map(({ host, reason }) => ({ host, ready: false, refusals: [reason] })),
        ],
      }),
    },
    log: [
      ...hosts.flatMap(({ host, against }) => [
        {
          title: `${host.host}: ${against.length > 0 ? 'NOT ready' : 'ready'}`,
          lines: [...factLines(host, facts.artifacts.length > 0), ...against],
        },
        { title: `Lines for ${host.host}`, lines: operatorLines(inputs, host) },
      ]),
      ...facts.lost.map(({ host, reason }) => ({ title: `${host}: NOT ready`, lines: [reason] })),
    ],
    summary: [
      ...hosts.map(
        ({ host, against }) =>
          `### ${host.host}: ${against.length > 0 ? `not ready\n${against.map((line) => `- ${line}`).join('\n')}` : 'ready'}`,
      ),
      ...facts.lost.map(({ host, reason }) => `### ${host}: not ready\n- ${reason}`),
    ].join('\n\n'),
  };
}

function withoutFile(spec: Inputs['artifacts'][number]): LocalArtifact {
  return { ...spec, source: '', type: spec.type ?? 'config', size: 0, sha256: '' };
}

function factLines(host: HostFacts, withFiles: boolean): string[] {
  return textTable(
    ['fact', 'value'],
    [
      ['logged in as', `${host.user} (uid ${host.uid})`],
      ['machine', host.machine],
      ['C library', host.glibc ? `glibc ${host.glibc}` : 'not glibc'],
      ['systemd', host.systemd ? String(host.systemd) : 'not found'],
      ['round trip', `${host.roundTripMs.toFixed(1)} ms`],
      ['port forwarding', host.forwarding],
      [
        'local files',
        withFiles ? 'checked against the target' : 'none given: architecture, glibc and space were not checked',
      ],
      ...host.units.map((unit) => [
        unit.name,
        `${unit.loadState}, ${unit.activeState}, starts ${unit.execStart.join(', ') || 'nothing'}`,
      ]),
    ],
  );
}

function operatorLines(inputs: Inputs, host: HostFacts): string[] {
  const lines = [
    'known-hosts (the keys this run accepted; compare them with the target before you trust them):',
    ...host.hostKeys.map(({ knownHostsLine, fingerprint }) => `${knownHostsLine}   # ${fingerprint}`),
    `authorized_keys of ${host.user} on the target (put before the public key):`,
    keyRestrictions(inputs.artifacts),
  ];
  if (host.uid === 0) return [...lines, 'sudoers: none needed, root deploys.'];
  return [
    ...lines,
    'sudoers (visudo -f /etc/sudoers.d/gbo-deploy; needs sudo 1.9.10 or later):',
    ...sudoersLines(inputs, host.user),
  ];
}
