import type { ArtifactSpec, HealthCheck } from './artifact-input.js';

/**
 * The options before the public key in authorized_keys with which a deploy still works: commands and SFTP, no terminal, no
 * agent, and forwarding to the health addresses alone.
 */
export function keyRestrictions(artifacts: ArtifactSpec[]): string {
  const open = [...new Set(artifacts.flatMap(({ health }) => health).flatMap(permitOpen))];
  return `restrict${open.length > 0 ? ',port-forwarding' : ''}${open.map((address) => `,permitopen="${address}"`).join('')}`;
}

function permitOpen(check: HealthCheck): string[] {
  if (check.kind === 'tcp') return [`${check.host}:${check.port}`];
  if (check.kind === 'command') return [];
  const url = new URL(check.url);
  return [`${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`];
}
