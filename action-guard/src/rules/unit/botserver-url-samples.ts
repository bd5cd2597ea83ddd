import type { Sample } from '../../rule.js';
import type { UnitOptions } from './index.js';

const good5858 = 'BOTSERVER_URL=http://localhost:5858';
/** ui.service; `lines` stand from line 5 on. */
const unit = (...lines: string[]) =>
  [
    '[Unit]',
    'Description=botui',
    '[Service]',
    'ExecStart=/opt/gbo/bin/botui',
    ...lines,
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
const ui = (...lines: string[]) => ({ 'etc/systemd/system/ui.service': unit(...lines) });
const at = (line: number, column: number, says: RegExp) => [
  { at: `etc/systemd/system/ui.service:${line}:${column}`, says },
];

export const good: Sample<UnitOptions>[] = [
  { name: 'the exact value', files: ui(`Environment=${good5858}`) },
  { name: 'a slash at its end', files: ui(`Environment=${good5858}/`) },
  { name: 'quotes around the whole assignment', files: ui(`Environment="${good5858}"`) },
  { name: 'single quotes, among others', files: ui(`Environment=A=1 '${good5858}' "B=2 3"`) },
  {
    name: 'a later line overrides a bad one',
    files: ui('Environment=BOTSERVER_URL=https://bot.example.com', `Environment=${good5858}`),
  },
  {
    name: 'a drop-in overrides a bad one',
    files: {
      ...ui('Environment=BOTSERVER_URL=https://bot.example.com'),
      'etc/systemd/system/ui.service.d/10-url.conf': `[Service]\nEnvironment=${good5858}\n`,
    },
  },
  {
    name: 'it is in a file of the repository',
    files: { ...ui('EnvironmentFile=/opt/gbo/ui.env'), 'tenant/opt/gbo/ui.env': `# where it is\n${good5858}\n` },
  },
  {
    name: 'the file of the repository overrides a bad one',
    files: {
      ...ui('Environment=BOTSERVER_URL=https://bot.example.com', 'EnvironmentFile=-/etc/default/botui'),
      'etc/default/botui': `BOTSERVER_URL="http://localhost:5858"\n`,
    },
  },
  {
    name: 'the file of the repository says nothing of it',
    files: {
      ...ui(`Environment=${good5858}`, 'EnvironmentFile=/etc/default/botui'),
      'etc/default/botui': 'RUST_LOG=info\n',
    },
  },
  {
    name: 'a line that goes on',
    files: ui('Environment=A=1 \\', '# not this: BOTSERVER_URL=https://x', `  ${good5858}`),
  },
  {
    name: 'set in the command',
    files: { 'ui.service': `[Service]\nExecStart=/usr/bin/env ${good5858} /opt/gbo/bin/botui\n` },
  },
  { name: 'the unit of another service', files: { 'caddy.service': '[Service]\nExecStart=/usr/bin/caddy run\n' } },
  {
    name: 'a drop-in of it that says nothing',
    files: { 'ui.service.d/limits.conf': '[Service]\nLimitNOFILE=65536\n' },
  },
  { name: 'another name of the unit', files: { 'botui.service': unit(`Environment=${good5858}`) } },
  {
    name: 'set, taken away and set again',
    files: ui('Environment=BOTSERVER_URL=https://x', 'Environment=', `Environment=${good5858}`),
  },
  {
    name: 'a private address, where that is allowed',
    files: ui('Environment=BOTSERVER_URL=http://10.0.3.7:5858'),
    options: { url: { variable: 'BOTSERVER_URL', hosts: ['localhost'], privateAddresses: true } },
  },
];

export const bad: Sample<UnitOptions>[] = [
  {
    name: 'the external https URL',
    files: ui('Environment=BOTSERVER_URL=https://bot.example.com'),
    finds: at(5, 13, /https through the proxy/),
  },
  {
    name: 'https on localhost',
    files: ui('Environment=BOTSERVER_URL=https://localhost:5858'),
    finds: at(5, 13, /https/),
  },
  {
    name: 'another host',
    files: ui('Environment=BOTSERVER_URL=http://bot.example.com:5858'),
    finds: at(5, 13, /names host bot.example.com/),
  },
  {
    name: 'another port',
    files: ui('Environment=BOTSERVER_URL=http://localhost:9000'),
    finds: at(5, 13, /names port 9000/),
  },
  { name: 'no port', files: ui('Environment=BOTSERVER_URL=http://localhost'), finds: at(5, 13, /names port 80/) },
  {
    name: 'a longer port',
    files: ui('Environment=BOTSERVER_URL=http://localhost:58580'),
    finds: at(5, 13, /names port 58580/),
  },
  {
    name: 'a user before another host',
    files: ui('Environment=BOTSERVER_URL=http://localhost:5858@evil.example.com'),
    finds: at(5, 13, /more than a host/),
  },
  {
    name: 'a path',
    files: ui('Environment=BOTSERVER_URL=http://localhost:5858/api'),
    finds: at(5, 13, /more than a host/),
  },
  { name: 'none at all', files: ui(), finds: at(3, 1, /without BOTSERVER_URL/) },
  {
    name: 'taken away later',
    files: ui(`Environment=${good5858}`, 'Environment='),
    finds: at(6, 1, /without BOTSERVER_URL/),
  },
  {
    name: 'unset later',
    files: ui(`Environment=${good5858}`, 'UnsetEnvironment=X BOTSERVER_URL'),
    finds: at(6, 20, /without/),
  },
  { name: 'commented', files: ui(`# Environment=${good5858}`), finds: at(3, 1, /without/) },
  {
    name: 'below [Unit]',
    files: { 'ui.service': `[Unit]\nEnvironment=${good5858}\n[Service]\nExecStart=/opt/gbo/bin/botui\n` },
    finds: [{ at: 'ui.service:3:1', says: /without/ }],
  },
  {
    name: 'spaces around =',
    files: ui('Environment=BOTSERVER_URL = http://localhost:5858'),
    finds: at(3, 1, /without/),
  },
  {
    name: 'a good unit and a bad file',
    files: {
      ...ui(`Environment=${good5858}`, 'EnvironmentFile=/etc/default/botui'),
      'etc/default/botui': 'BOTSERVER_URL=https://bot.example.com\n',
    },
    finds: [{ at: 'etc/default/botui:1:1', says: /https/ }],
  },
  {
    name: 'a good unit and a bad drop-in',
    files: {
      ...ui(`Environment=${good5858}`),
      'etc/systemd/system/ui.service.d/override.conf': '[Service]\nEnvironment=BOTSERVER_URL=https://bot.example.com\n',
    },
    finds: [{ at: 'etc/systemd/system/ui.service.d/override.conf:2:13', says: /https/ }],
  },
  {
    name: 'a drop-in that empties it',
    files: {
      ...ui(`Environment=${good5858}`),
      'etc/systemd/system/ui.service.d/override.conf': '[Service]\nEnvironment=\n',
    },
    finds: [{ at: 'etc/systemd/system/ui.service.d/override.conf:2:1', says: /without/ }],
  },
  {
    name: 'only a drop-in is here, and it is bad',
    files: { 'ui.service.d/url.conf': '[Service]\nEnvironment=BOTSERVER_URL=https://bot.example.com\n' },
    finds: [{ at: 'ui.service.d/url.conf:2:13', says: /https/ }],
  },
  {
    name: 'drop-ins count by their names',
    files: {
      ...ui(),
      'etc/systemd/system/ui.service.d/20-b.conf': '[Service]\nEnvironment=BOTSERVER_URL=https://b.example.com\n',
      'etc/systemd/system/ui.service.d/10-a.conf': `[Service]\nEnvironment=${good5858}\n`,
    },
    finds: [{ at: 'etc/systemd/system/ui.service.d/20-b.conf:2:13', says: /https/ }],
  },
  {
    name: '127.0.0.1 is not what the guide says',
    files: ui('Environment=BOTSERVER_URL=http://127.0.0.1:5858'),
    finds: at(5, 13, /127.0.0.1:5858 in place of/),
  },
  {
    name: 'quotes in the middle',
    files: ui('Environment=BOTSERVER_URL="http://localhost:5858"'),
    finds: at(5, 13, /around its value/),
  },
  {
    name: 'the command overrides it',
    files: {
      'ui.service': `[Service]\nEnvironment=${good5858}\nExecStart=/usr/bin/env BOTSERVER_URL=https://x.example.com /opt/gbo/bin/botui\n`,
    },
    finds: [{ at: 'ui.service:3:24', says: /https/ }],
  },
  {
    name: 'botui in a unit of another name',
    files: { 'frontend.service': '[Service]\nExecStart=/opt/gbo/bin/botui\n' },
    finds: [{ at: 'frontend.service:1:1', says: /without/ }],
  },
  { name: 'an empty value', files: ui('Environment=BOTSERVER_URL='), finds: at(5, 13, /is empty/) },
  { name: 'no scheme', files: ui('Environment=BOTSERVER_URL=localhost:5858'), finds: at(5, 13, /is no http/) },
  {
    name: 'a file that is not in the repository may override it',
    files: ui(`Environment=${good5858}`, 'EnvironmentFile=-/opt/gbo/.env'),
    finds: [{ at: 'etc/systemd/system/ui.service:6:1', says: /may set it/, status: 'unknown' }],
  },
  {
    name: 'a specifier',
    files: ui('Environment=BOTSERVER_URL=http://%H:5858'),
    finds: [{ at: 'etc/systemd/system/ui.service:5:13', says: /specifier/, status: 'unknown' }],
  },
  {
    name: 'the command is a script that sets it',
    files: {
      'ui.service': `[Service]\nEnvironment=${good5858}\nExecStart=/bin/sh -c 'BOTSERVER_URL=$X exec /opt/gbo/bin/botui'\n`,
    },
    finds: [{ at: 'ui.service:3:1', says: /the command itself/, status: 'unknown' }],
  },
];
