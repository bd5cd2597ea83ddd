import type { Sample } from '../../rule.js';
import type { UnitOptions } from './index.js';

const unit = (program: string, ...lines: string[]) =>
  ['[Service]', `ExecStart=/opt/gbo/bin/${program}`, ...lines, ''].join('\n');

export const good: Sample<UnitOptions>[] = [
  {
    name: 'both say their ports',
    files: {
      'ui.service': unit('botui', 'Environment=BOTUI_PORT=5859'),
      'system.service': unit('botserver', 'Environment=PORT=5858'),
    },
  },
  {
    name: 'the port is in the .env of the repository',
    files: {
      'system.service': unit('botserver', 'EnvironmentFile=/opt/gbo/bin/.env'),
      'opt/gbo/bin/.env': 'PORT=5858\nVAULT_ADDR=https://localhost:8200\n',
    },
  },
  { name: 'other services have other ports', files: { 'forgejo.service': unit('forgejo', 'Environment=PORT=3000') } },
  {
    name: 'the units move, and one is renamed',
    base: { 'ui.service': unit('botui', 'Environment=BOTUI_PORT=5859') },
    files: { 'acme-system/botui.service': unit('botui', 'Environment=BOTUI_PORT=5859') },
  },
  { name: 'only a drop-in without a port is here', files: { 'ui.service.d/x.conf': '[Service]\nNice=5\n' } },
];

export const bad: Sample<UnitOptions>[] = [
  {
    name: 'botui does not say its port',
    files: { 'ui.service': unit('botui') },
    finds: [{ at: 'ui.service:1:1', says: /takes 3000/ }],
  },
  {
    name: 'botui on the port of its README',
    files: { 'ui.service': unit('botui', 'Environment=BOTUI_PORT=9000') },
    finds: [{ at: 'ui.service:3:13', says: /is 9000/ }],
  },
  {
    name: 'PORT is not BOTUI_PORT',
    files: { 'botui.service': unit('botui', 'Environment=PORT=5859') },
    finds: [{ at: 'botui.service:1:1', says: /does not say/ }],
  },
  {
    name: 'botserver on another port',
    files: { 'botserver.service': unit('botserver', 'Environment=PORT=8080') },
    finds: [{ at: 'botserver.service:3:13', says: /is 8080/ }],
  },
  {
    name: 'the .env overrides the unit',
    files: {
      'system.service': unit('botserver', 'Environment=PORT=5858', 'EnvironmentFile=/opt/gbo/bin/.env'),
      'opt/gbo/bin/.env': 'PORT=9000\n',
    },
    finds: [{ at: 'opt/gbo/bin/.env:1:1', says: /is 9000/ }],
  },
  {
    name: 'the .env of botserver is not here',
    files: { 'system.service': unit('botserver', 'EnvironmentFile=/opt/gbo/bin/.env') },
    finds: [{ at: 'system.service:3:1', says: /may set it/, status: 'unknown' }],
  },
  {
    name: 'botserver says nothing',
    files: { 'system.service': unit('botserver') },
    finds: [{ at: 'system.service:1:1', says: /its own .env/, status: 'unknown' }],
  },
  {
    name: 'the unit of botui is deleted',
    base: { 'ui.service': unit('botui', 'Environment=BOTUI_PORT=5859'), 'x.service': unit('x') },
    files: { 'x.service': unit('x') },
    finds: [{ at: 'ui.service:1:1', says: /ui.service is deleted, and no other unit starts botui/ }],
  },
  {
    name: 'the unit of botserver is deleted, and a drop-in is left',
    base: { 'host/botserver.service': unit('botserver', 'Environment=PORT=5858') },
    files: { 'host/system.service.d/a.conf': '[Service]\nEnvironment=PORT=5858\n' },
    finds: [{ at: 'host/botserver.service:1:1', says: /is deleted/ }],
  },
];
