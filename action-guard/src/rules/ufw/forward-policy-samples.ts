import type { Sample } from '../../rule.js';
import type { UfwOptions } from './index.js';

/** With what stands around it; `lines` begin at line 3. */
const defaults = (...lines: string[]) => ({
  'etc/default/ufw': ['IPV6=yes', 'DEFAULT_INPUT_POLICY="DROP"', ...lines, 'IPT_MODULES=""', ''].join('\n'),
});
const at = (line: number, column: number, says: RegExp) => [{ at: `etc/default/ufw:${line}:${column}`, says }];

export const good: Sample<UfwOptions>[] = [
  { name: 'as ufw writes it', files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT"') },
  { name: 'without quotes, as in the guide', files: defaults('DEFAULT_FORWARD_POLICY=ACCEPT') },
  { name: 'the last line wins', files: defaults('DEFAULT_FORWARD_POLICY="DROP"', 'DEFAULT_FORWARD_POLICY="ACCEPT"') },
  { name: 'a comment above', files: defaults('# DEFAULT_FORWARD_POLICY="DROP"', 'DEFAULT_FORWARD_POLICY="ACCEPT"') },
  {
    name: 'ufw.conf says nothing of it',
    files: { ...defaults('DEFAULT_FORWARD_POLICY="ACCEPT"'), 'etc/ufw/ufw.conf': 'ENABLED=yes\nLOGLEVEL=low\n' },
  },
  {
    name: 'the ufw.conf of another host',
    files: {
      ...defaults('DEFAULT_FORWARD_POLICY="ACCEPT"'),
      'other/etc/ufw/ufw.conf': 'DEFAULT_FORWARD_POLICY="DROP"\n',
    },
  },
  { name: 'white space behind it', files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT"  ') },
];

export const bad: Sample<UfwOptions>[] = [
  { name: 'DROP', files: defaults('DEFAULT_FORWARD_POLICY="DROP"'), finds: at(3, 1, /is DROP/) },
  { name: 'REJECT', files: defaults('DEFAULT_FORWARD_POLICY="REJECT"'), finds: at(3, 1, /is REJECT/) },
  { name: 'commented', files: defaults('# DEFAULT_FORWARD_POLICY="ACCEPT"'), finds: at(1, 1, /Nothing sets/) },
  { name: 'a carriage return', files: defaults('DEFAULT_FORWARD_POLICY=ACCEPT\r'), finds: at(3, 1, /carriage return/) },
  { name: 'lower case', files: defaults('DEFAULT_FORWARD_POLICY="accept"'), finds: at(3, 1, /not in capitals/) },
  {
    name: 'export',
    files: defaults('export DEFAULT_FORWARD_POLICY=ACCEPT'),
    finds: at(3, 8, /does not see this line/),
  },
  { name: 'spaces around =', files: defaults('DEFAULT_FORWARD_POLICY = "ACCEPT"'), finds: at(3, 1, /space beside/) },
  {
    name: 'a space behind =',
    files: defaults('DEFAULT_FORWARD_POLICY= "ACCEPT"'),
    finds: [{ at: 'etc/default/ufw:3:1', says: /only known when sh runs/, status: 'unknown' }],
  },
  {
    name: 'a later line',
    files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT"', 'DEFAULT_FORWARD_POLICY="DROP"'),
    finds: at(4, 1, /is DROP/),
  },
  {
    name: 'ufw.conf overrides it',
    files: {
      ...defaults('DEFAULT_FORWARD_POLICY="ACCEPT"'),
      'etc/ufw/ufw.conf': 'ENABLED=yes\nDEFAULT_FORWARD_POLICY="DROP"\n',
    },
    finds: [{ at: 'etc/ufw/ufw.conf:2:1', says: /is DROP/ }],
  },
  { name: 'single quotes', files: defaults("DEFAULT_FORWARD_POLICY='ACCEPT'"), finds: at(3, 1, /does not see/) },
  {
    name: 'a comment behind it',
    files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT" # for LXD'),
    finds: at(3, 1, /takes more of this line/),
  },
  { name: 'indented', files: defaults('  DEFAULT_FORWARD_POLICY="ACCEPT"'), finds: at(3, 3, /does not see/) },
  { name: 'another name', files: defaults('DEFAULT_FORWARDS_POLICY="ACCEPT"'), finds: at(1, 1, /Nothing sets/) },
  { name: 'two values', files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT DROP"'), finds: at(3, 1, /not ACCEPT/) },
  {
    name: 'a variable',
    files: defaults('DEFAULT_FORWARD_POLICY="$POLICY"'),
    finds: [{ at: 'etc/default/ufw:3:1', says: /only known/, status: 'unknown' }],
  },
  {
    name: 'another file is sourced',
    files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT"', '. /etc/default/ufw.local'),
    finds: [{ at: 'etc/default/ufw:4:1', says: /only known/, status: 'unknown' }],
  },
  {
    name: 'a quote that is not closed',
    files: defaults('DEFAULT_FORWARD_POLICY="ACCEPT'),
    finds: at(4, 14, /cannot read this file/),
  },
  {
    name: 'it is readonly, and set again',
    files: defaults('readonly DEFAULT_FORWARD_POLICY="DROP"', 'DEFAULT_FORWARD_POLICY="ACCEPT"'),
    finds: at(4, 24, /was made readonly/),
  },
  {
    name: 'the defaults are deleted',
    base: defaults('DEFAULT_FORWARD_POLICY="ACCEPT"'),
    files: { 'README.md': '' },
    finds: at(1, 1, /are deleted/),
  },
];
