import type { Sample } from '../../rule.js';
import type { UnitOptions } from './index.js';

const unit = (...lines: string[]) => ({
  'ui.service': ['[Service]', 'ExecStart=/opt/gbo/bin/botui', ...lines, ''].join('\n'),
});
const at = (line: number, column: number, says: RegExp) => [{ at: `ui.service:${line}:${column}`, says }];

export const good: Sample<UnitOptions>[] = [
  {
    name: 'all that people write',
    files: unit(
      'Restart=on-failure',
      '; a comment',
      'Environment="A=b c" D=e\\x20f',
      'EnvironmentFile=-/etc/default/x',
      'ExecStartPre=-+/bin/mkdir -p /run/x',
      'X-Ours=1',
      '[X-Team]',
      'Any=thing',
    ),
  },
  {
    name: 'values that are emptied',
    files: unit('Restart=', 'Environment=', 'ExecStart=', 'ExecStart=/opt/gbo/bin/botui'),
  },
  { name: 'a name that is looked for', files: { 'a.service': '[Service]\nExecStart=botui --port 1\n' } },
];

export const bad: Sample<UnitOptions>[] = [
  {
    name: 'spaces around the = of an assignment',
    files: unit('Environment=BOTSERVER_URL = http://localhost:5858'),
    finds: [
      ...at(3, 13, /`BOTSERVER_URL` is no assignment/),
      ...at(3, 27, /`` is no|no assignment/),
      ...at(3, 29, /no assignment/),
    ],
  },
  {
    name: 'a value of Restart that does not exist',
    files: unit('Restart=allways'),
    finds: at(3, 1, /Restart cannot be `allways`/),
  },
  {
    name: 'a key above the first section',
    files: { 'ui.service': 'Restart=always\n[Service]\nExecStart=/opt/x\n' },
    finds: at(1, 1, /before any section/),
  },
  {
    name: 'an unknown section',
    files: unit('[Services]', 'Restart=always'),
    finds: at(3, 1, /no section \[Services\]/),
  },
  {
    name: 'a section that is not closed',
    files: { 'ui.service': '[Service\nExecStart=/opt/x\n' },
    finds: [...at(1, 1, /not closed/), ...at(2, 1, /before any section/)],
  },
  { name: 'a line without =', files: unit('Restart always'), finds: at(3, 1, /has no `=`/) },
  {
    name: 'Environment below [Unit]',
    files: { 'ui.service': '[Unit]\nEnvironment=A=b\n[Service]\nExecStart=/opt/x\n' },
    finds: at(2, 1, /belongs into \[Service\]/),
  },
  {
    name: 'WantedBy below [Unit]',
    files: { 'ui.service': '[Unit]\nWantedBy=multi-user.target\n[Service]\nExecStart=/opt/x\n' },
    finds: at(2, 1, /belongs into \[Install\]/),
  },
  {
    name: 'a relative program',
    files: { 'ui.service': '[Service]\nExecStart=./botui\n' },
    finds: at(2, 1, /has to be absolute/),
  },
  { name: 'a quote that is not closed', files: unit('Environment="A=b c'), finds: at(3, 13, /quotes or backslashes/) },
  { name: 'a type that does not exist', files: unit('Type=daemon'), finds: at(3, 1, /Type cannot be/) },
  { name: 'a relative EnvironmentFile', files: unit('EnvironmentFile=.env'), finds: at(3, 1, /absolute/) },
  {
    name: 'what systemd itself says',
    files: unit('RestartSec=soon'),
    tools: {
      'systemd-analyze': {
        problems: [{ path: 'ui.service', line: 3, message: 'Failed to parse RestartSec= value, ignoring: soon' }],
      },
    },
    finds: at(3, 1, /systemd says: Failed to parse/),
  },
];
