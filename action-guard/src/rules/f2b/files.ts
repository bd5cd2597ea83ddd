import type { F2bOptions } from './options.js';

/** Everything that fail2ban reads of its folder. */
export const files = (_options: F2bOptions): string[] => [
  '**/jail.conf',
  '**/jail.local',
  '**/jail.d/*.{conf,local}',
  '**/filter.d/*.{conf,local}',
  '**/fail2ban/*.{conf,local}',
];

export const reads = ({ caddy, caddyImports }: F2bOptions): string[] => [...caddy, ...caddyImports];
