import { posix } from 'node:path';
import { artifactFrom } from '../artifact-input.js';
import type { Deployed } from '../privileged.js';
import type { TenantOptions } from './options.js';

/** What a tenant deploys: the entries of the `artifacts` input in its deploy workflow. */
export function tenantEntries({ folder, serverUnit, uiUnit, serverHealth, uiHealth }: TenantOptions) {
  return [
    {
      artifact: 'target/release/botserver',
      path: posix.join(folder, 'botserver'),
      unit: serverUnit,
      'health-url': serverHealth,
    },
    { artifact: 'target/release/botui', path: posix.join(folder, 'botui'), unit: uiUnit, 'health-url': uiHealth },
  ];
}

/** The same as the action reads it: sudo rules and key restrictions come from what it will do, not from a second list. */
export function tenantDeploys(tenant: TenantOptions, problem: (text: string) => void = () => {}): Deployed {
  return {
    artifacts: tenantEntries(tenant).map((entry) => artifactFrom(entry, '', true, problem)),
    stateDir: posix.join(tenant.folder, '.gbo-deploy'),
  };
}
