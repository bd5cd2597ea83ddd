import type { Sample } from '../../rule.js';
import type { UnitOptions } from './index.js';

const service = '[Service]\nExecStart=/opt/gbo/bin/botserver\n';
const install = '[Install]\nWantedBy=multi-user.target\n';

export const good: Sample<UnitOptions>[] = [
  { name: 'it is wanted, and started again', files: { 'system.service': `${service}Restart=always\n${install}` } },
  { name: 'started again on failure', files: { 'ui.service': `${service}Restart=on-failure\n${install}` } },
  {
    name: 'a drop-in starts it again',
    files: { 'system.service': `${service}${install}`, 'system.service.d/restart.conf': '[Service]\nRestart=always\n' },
  },
  {
    name: 'other services do as they like',
    files: { 'backup.service': '[Service]\nType=oneshot\nExecStart=/usr/bin/true\n' },
  },
];

export const bad: Sample<UnitOptions>[] = [
  {
    name: 'no [Install]',
    files: { 'system.service': `${service}Restart=always\n` },
    finds: [{ at: 'system.service:1:1', says: /cannot be enabled/ }],
  },
  {
    name: 'nothing wants it',
    files: { 'system.service': `${service}Restart=always\n[Install]\n# WantedBy=multi-user.target\n` },
    finds: [{ at: 'system.service:4:1', says: /cannot be enabled/ }],
  },
  {
    name: 'no Restart',
    files: { 'ui.service': `${service}${install}` },
    finds: [{ at: 'ui.service:1:1', says: /not started again/ }],
  },
  {
    name: 'Restart=no in a drop-in',
    files: { 'ui.service': `${service}Restart=always\n${install}`, 'ui.service.d/x.conf': '[Service]\nRestart=no\n' },
    finds: [{ at: 'ui.service.d/x.conf:2:1', says: /not started again/ }],
  },
];
