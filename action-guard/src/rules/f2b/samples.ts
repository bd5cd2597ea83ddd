import type { Rule } from '../../rule.js';
import type { F2bOptions } from './options.js';

type Samples = Rule<F2bOptions>['samples'];

const root = 'acme-proxy/etc/fail2ban';
const local = `${root}/jail.local`;
const packaged = `${root}/jail.d/defaults-debian.conf`;
const caddyFilter = `${root}/filter.d/caddy.conf`;

const jail = (change: Record<string, string | undefined> = {}) => {
  const options = {
    enabled: 'true',
    filter: 'caddy',
    backend: 'auto',
    logpath: '/opt/gbo/logs/access.log',
    maxretry: '100',
    findtime: '60s',
    bantime: '1h',
    ...change,
  };
  const lines = Object.entries(options).flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${value}`]));
  return `[caddy-http-flood]\n${lines.join('\n')}\n`;
};
const off = '[sshd]\nenabled = false\n';
const good = `[Definition]
failregex = ^.*"remote_ip":"<HOST>",.*?"status":\\s?4\\d\\d,
datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?
`;
const files = (more: Record<string, string> = {}, change: Record<string, string | undefined> = {}) => ({
  [local]: jail(change),
  [packaged]: off,
  [caddyFilter]: good,
  ...more,
});
const caddyfile = (log: string) => ({
  'acme-proxy/opt/gbo/conf/config': `bot.acme.example.com {\n\tlog {\n\t\t${log}\n\t}\n\treverse_proxy 10.0.0.5:5858\n}\n`,
});

const site = (...lines: string[]) =>
  `bot.acme.example.com {\n${lines.map((line) => `\t${line}\n`).join('')}\treverse_proxy 10.0.0.5:5858\n}\n`;
const snippet = (name: string, log: string) => `(${name}) {\n\tlog {\n\t\toutput file ${log}\n\t}\n}\n`;
const CADDY = 'acme-proxy/opt/gbo/conf/config';
const LOG = '/opt/gbo/logs/access.log';
const written = (...writers: { filename: string; encoder?: string }[]) => ({
  caddy: {
    [CADDY]: { asked: true, accepted: true, version: 'v2.6.2', hosts: [], skipped: [], noLog: false, writers },
  },
});

export const floodSamples: Samples = {
  good: [
    {
      name: 'the log that Caddy writes, by a snippet',
      files: files({ [CADDY]: `${snippet('logged', LOG)}${site('import logged')}` }),
      tools: written({ filename: LOG, encoder: 'json' }),
    },
    {
      name: 'the log that Caddy writes, by an imported file',
      files: files({
        [CADDY]: `import snippets/log.caddy\n${site('import logged')}`,
        'acme-proxy/opt/gbo/conf/snippets/log.caddy': snippet('logged', LOG),
      }),
    },
    {
      name: 'the log of a site, by the global log',
      files: files({ [CADDY]: `{\n\tlog {\n\t\toutput file ${LOG}\n\t}\n}\n${site('log')}` }),
    },
    { name: 'the jail of the guide', files: files() },
    { name: 'times in other spellings', files: files({}, { findtime: '1 minute', bantime: '60m' }) },
    { name: 'times in seconds', files: files({}, { findtime: '60', bantime: '3600' }) },
    {
      name: 'the numbers come from [DEFAULT]',
      files: files({
        [local]: `[DEFAULT]\nmaxretry = 100\nfindtime = 1m\nbantime = 1h\n\n${jail({ maxretry: undefined, findtime: undefined, bantime: undefined })}`,
      }),
    },
    {
      name: 'the numbers come from variables',
      files: files({ [local]: `[DEFAULT]\nhour = 1h\n\n${jail({ bantime: '%(hour)s' })}` }),
    },
    {
      name: 'a comment after a value begins with a semicolon',
      files: files({}, { maxretry: '100 ; agreed with the operators' }),
    },
    { name: 'a longer ban', files: files({}, { bantime: '1d' }) },
    { name: 'a ban for ever', files: files({}, { bantime: '-1' }) },
    { name: 'switched on in capitals', files: files({}, { enabled: 'Yes' }) },
    {
      name: 'switched off in a file that is read earlier',
      files: files({ [`${root}/jail.d/flood.conf`]: '[caddy-http-flood]\nenabled = false\n' }),
    },
    { name: 'the file that Caddy writes', files: files(caddyfile('output file /opt/gbo/logs/access.log')) },
    {
      name: 'one of the files that a pattern names',
      files: files(caddyfile('output file /opt/gbo/logs/access.log'), { logpath: '/opt/gbo/logs/*.log' }),
    },
    {
      name: 'a ban of the web ports only',
      files: files({}, { action: 'iptables-multiport[name=caddy, port="http,https", protocol=tcp]' }),
    },
    {
      name: 'the jail was moved to another file and folder',
      files: { 'containers/proxy/fail2ban/jail.d/flood.local': jail() },
      base: files(),
    },
  ],
  bad: [
    {
      name: 'the jail is switched off',
      files: files({}, { enabled: 'false' }),
      finds: [{ at: `${local}:2:1`, says: /off after all files are merged/ }],
    },
    { name: 'y is no yes', files: files({}, { enabled: 'y' }), finds: [{ at: `${local}:2:1`, says: /enabled = y/ }] },
    {
      name: 'nothing switches it on',
      files: files({}, { enabled: undefined }),
      finds: [{ at: `${local}:1:1`, says: /nothing enables it/ }],
    },
    {
      name: 'a file that is read later switches it off',
      files: files({ [`${root}/jail.d/zz-quiet.local`]: '[caddy-http-flood]\nenabled = off\n' }),
      finds: [{ at: `${root}/jail.d/zz-quiet.local:2:1`, says: /off/ }],
    },
    {
      name: 'the jail is commented out',
      files: files({ [local]: jail().replace(/^/gm, '#') }),
      finds: [{ at: `${local}:1:1`, says: /There is no jail/ }],
    },
    { name: 'the jail is called otherwise', files: files({ [local]: jail().replace('http-flood', 'flood') }) },
    {
      name: 'the jail was deleted from its file',
      files: files({ [local]: '[DEFAULT]\nbantime = 1h\n' }),
      base: files(),
      finds: [{ at: `${local}:1:1`, says: /There is no jail/ }],
    },
    {
      name: 'the whole folder was deleted',
      files: { 'README.md': 'nothing' },
      base: files(),
      finds: [{ at: `${local}:1:1`, says: /deleted with its folder/ }],
    },
    {
      name: 'a ban of ten minutes, which is the default of the package',
      files: files({}, { bantime: undefined }),
      finds: [{ at: `${local}:1:1`, says: /600 s only \(the default of the package/ }],
    },
    {
      name: 'a ban of ten minutes from [DEFAULT]',
      files: files({ [local]: `[DEFAULT]\nbantime = 10m\n${jail({ bantime: undefined })}` }),
      finds: [{ at: `${local}:2:1`, says: /600 s only/ }],
    },
    {
      name: 'far more errors than agreed',
      files: files({}, { maxretry: '1000' }),
      finds: [{ at: `${local}:6:1`, says: /after 1000 errors/ }],
    },
    {
      name: 'far fewer errors than agreed',
      files: files({}, { maxretry: '3' }),
      finds: [{ at: `${local}:6:1`, says: /after 3 errors already/ }],
    },
    {
      name: 'a shorter window',
      files: files({}, { findtime: '1' }),
      finds: [{ at: `${local}:7:1`, says: /over 1 s/ }],
    },
    {
      name: 'a hash after a number is part of it',
      files: files({}, { maxretry: '100 # agreed' }),
      finds: [{ at: `${local}:6:1`, says: /no whole number.*begins no comment/ }],
    },
    {
      name: 'a time that is none',
      files: files({}, { bantime: 'one hour' }),
      finds: [{ at: `${local}:8:1`, says: /no time/ }],
    },
    { name: 'no log', files: files({}, { logpath: undefined }), finds: [{ at: `${local}:1:1`, says: /no logpath/ }] },
    {
      name: 'another log than the one Caddy writes',
      files: files(caddyfile('output file /opt/gbo/logs/caddy/access.log')),
      finds: [{ at: `${local}:5:1`, says: /reads \/opt\/gbo\/logs\/access.log, and Caddy writes/ }],
    },
    {
      name: 'the log of a snippet that nobody imports',
      files: files({
        [CADDY]: `${snippet('unused', LOG)}${site('log {', '\toutput file /var/log/caddy/access.log', '}')}`,
      }),
      finds: [{ at: `${local}:5:1`, says: /Caddy writes its log to \/var\/log\/caddy\/access.log/ }],
    },
    {
      name: 'the global log, which the sites do not use',
      files: files({
        [CADDY]: `{\n\tlog {\n\t\toutput file ${LOG}\n\t}\n}\n${site('log {', '\toutput file /var/log/a.log', '}')}`,
      }),
      finds: [{ at: `${local}:5:1`, says: /Caddy writes its log to/ }],
    },
    {
      name: 'Caddy writes its log to no file',
      files: files({ [CADDY]: site('log {', '\toutput stdout', '}') }),
      finds: [{ at: `${local}:5:1`, says: /No Caddyfile here writes an access log to a file/, status: 'unknown' }],
    },
    {
      name: 'the real Caddy writes another format',
      files: files({ [CADDY]: site('log {', `\toutput file ${LOG}`, '}') }),
      tools: written({ filename: LOG, encoder: 'console' }),
      finds: [{ at: `${local}:5:1`, says: /as console/ }],
    },
    {
      name: 'a log that is not JSON',
      files: files(caddyfile('output file /opt/gbo/logs/access.log\n\t\tformat console')),
      finds: [{ at: `${local}:5:1`, says: /as console/ }],
    },
    {
      name: 'everybody is left out',
      files: files({}, { ignoreip: '127.0.0.1/8 0.0.0.0/0' }),
      finds: [{ at: `${local}:9:1`, says: /leaves out everybody/ }],
    },
    {
      name: 'a ban without action',
      files: files({}, { action: '' }),
      finds: [{ at: `${local}:9:1`, says: /no action/ }],
    },
    {
      name: 'a ban that leaves HTTPS open',
      files: files({}, { action: 'iptables-multiport[name=caddy, port="80", protocol=tcp]' }),
      finds: [{ at: `${local}:9:1`, says: /leaves port 443 open/ }],
    },
    {
      name: 'a section that comes twice: fail2ban refuses everything',
      files: files({ [local]: `${jail()}[caddy-http-flood]\nenabled = true\n` }),
      finds: [{ at: `${local}:9:1`, says: /refuses all its jails.*comes twice/ }],
    },
    {
      name: 'an option before any section',
      files: files({ [local]: `enabled = true\n${jail()}` }),
      finds: [{ at: `${local}:1:1`, says: /before the first \[section\]/ }],
    },
    {
      name: 'a variable that nothing defines',
      files: files({ [`${root}/jail.conf`]: '[DEFAULT]\nenabled = false\n' }, { bantime: '%(ban_hours)s' }),
      finds: [{ at: `${local}:8:1`, says: /ban_hours/ }],
    },
    {
      name: 'fail2ban folders of which none is known to be the proxy',
      files: { 'host/fail2ban/jail.local': '[sshd]\nenabled = true\n' },
      finds: [{ at: 'host/fail2ban/jail.local:1:1', says: /none is known to be the proxy's/, status: 'unknown' }],
    },
  ],
};

export const filterSamples: Samples = {
  good: [
    { name: 'the filter of the guide', files: files() },
    {
      name: 'a filter without datepattern: the time of arrival counts',
      files: files({ [caddyFilter]: good.replace(/datepattern.*\n/, '') }),
    },
    {
      name: 'one line for each kind of address field',
      files: files({
        [caddyFilter]: `[Definition]\nfailregex = ^.*"remote_ip":"<HOST>".*"status":4[0-9][0-9],.*$\n            ^.*"client_ip":"<ADDR>".*"status":4[0-9][0-9],.*$\nignoreregex =\n`,
      }),
    },
    {
      name: 'a pattern out of parts',
      files: files({
        [caddyFilter]: `[Definition]\n_status = 4\\d{2}\nfailregex = "remote_ip":"<ADDR>",.*"status":<_status>,\n`,
      }),
    },
    {
      name: 'the failregex stands in the jail',
      files: files({}, { filter: '', failregex: '"remote_ip":"<HOST>",.*"status":4\\d\\d,' }),
    },
    { name: 'the filter named with options', files: files({}, { filter: 'caddy[mode=normal]' }) },
    {
      name: 'fail2ban-regex takes what the guard cannot follow',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>",.*"status":(?=4)\\d\\d\\d,\n' }),
      tools: {
        fail2ban: {
          [caddyFilter]: {
            counted: {
              'a 404': '203.0.113.7',
              'a 404 of a newer Caddy': '203.0.113.7',
              'a 400': '198.51.100.23',
              'a 401': '198.51.100.23',
              'a 403': '198.51.100.23',
              'a 429': '198.51.100.23',
              'a 404 over IPv6': '2001:db8::1:7',
              'a 404 whose headers name another address': '203.0.113.7',
            },
          },
        },
      },
    },
  ],
  bad: [
    {
      name: "the platform's own filter, which fails on every line",
      files: files({
        [caddyFilter]: `[Definition]
failregex = ^.*"remote_ip":"<HOST>".*"status":4[0-9][0-9].*$
            ^.*"client_ip":"<HOST>".*"status":4[0-9][0-9].*$
ignoreregex =
datepattern = {"ts":\\s*%%s
`,
      }),
      finds: [{ at: `${caddyFilter}:5:15`, says: /no %s in a datepattern/ }],
    },
    {
      name: 'the filter is not there',
      files: { [local]: jail(), [packaged]: off },
      finds: [{ at: `${local}:3:1`, says: /is not in the repository/ }],
    },
    {
      name: 'nobody to ban',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "status":4\\d\\d,\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /No failure-id group/ }],
    },
    {
      name: 'two addresses in one line',
      files: files({
        [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>".*"client_ip":"<HOST>".*"status":4\\d\\d,\n',
      }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /comes twice/ }],
    },
    {
      name: 'a bracket that is not closed',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>".*"status":4[0-9\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /\[ without its \]/ }],
    },
    {
      name: 'no failregex',
      files: files({ [caddyFilter]: '[Definition]\nignoreregex =\n' }),
      finds: [{ at: `${caddyFilter}:1:1`, says: /no failregex/ }],
    },
    {
      name: 'a pattern for another log',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = ^<HOST> .* "GET .*" 4\\d\\d \n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /no 4xx line/ }],
    },
    {
      name: 'a pattern for 404 only',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>",.*"status":404,\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /does not count a 400/ }],
    },
    {
      name: 'a pattern that counts answers of 200 too',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>",.*4\\d\\d\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /also counts/ }],
    },
    {
      name: 'a pattern that lets clients choose who is banned',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = .*remote_ip[^0-9a-f]+<ADDR>.*"status":4\\d\\d,\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /another address than the client's/ }],
    },
    {
      name: 'a percent sign that is not doubled',
      files: files({
        [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>",.*"status":4\\d\\d,\ndatepattern = %Y-%m-%d\n',
      }),
      finds: [{ at: `${caddyFilter}:3:1`, says: /neither %% nor/ }],
    },
    {
      name: 'a filter that Python cannot read',
      files: files({ [caddyFilter]: 'failregex = <HOST>\n' }),
      finds: [{ at: `${caddyFilter}:1:1`, says: /before the first \[section\]/ }],
    },
    {
      name: 'fail2ban-regex says no',
      files: files(),
      tools: { fail2ban: { [caddyFilter]: { error: 'No failure-id group', counted: {} } } },
      finds: [{ at: `${caddyFilter}:2:13`, says: /No failure-id group/ }],
    },
    {
      name: 'a pattern that looks ahead, without fail2ban-regex to ask',
      files: files({ [caddyFilter]: '[Definition]\nfailregex = "remote_ip":"<HOST>",.*"status":(?=4)\\d\\d\\d,\n' }),
      finds: [{ at: `${caddyFilter}:2:13`, says: /looks ahead/, status: 'unknown' }],
    },
    {
      name: 'a filter of another jail that bans nobody',
      files: files({ [`${root}/filter.d/mail.conf`]: '[Definition]\nfailregex = auth failed\n' }),
      finds: [{ at: `${root}/filter.d/mail.conf:2:13`, says: /No failure-id group/ }],
    },
  ],
};

export const backendSamples: Samples = {
  good: [
    { name: 'the jail says backend = auto', files: files() },
    { name: 'polling', files: files({}, { backend: 'polling' }) },
    { name: 'pyinotify', files: files({}, { backend: 'pyinotify' }) },
    {
      name: 'auto for all jails in jail.local',
      files: files({ [local]: `[DEFAULT]\nbackend = auto\n${jail({ backend: undefined })}` }),
    },
    {
      name: "the package's default is taken back in its own file",
      files: files({ [packaged]: `[DEFAULT]\nbackend = auto\n${off}` }, { backend: undefined }),
    },
    {
      name: 'the package of Debian 12, whose default is auto',
      files: { [local]: jail({ backend: undefined }) },
      options: { package: 'debian-12' },
    },
    { name: 'the jail is off', files: files({}, { backend: 'systemd', enabled: 'false' }) },
    {
      name: "mail jails with the package's own filters may read the journal",
      files: {
        'acme-email/fail2ban/jail.local':
          '[DEFAULT]\nbackend = systemd\n[postfix]\nenabled = true\nlogpath = %(postfix_log)s\n',
      },
    },
  ],
  bad: [
    {
      name: "the package's file was kept and only sshd switched off elsewhere: its default makes the jail deaf",
      files: { [local]: `${off}${jail({ backend: undefined })}` },
      finds: [{ at: `${local}:3:1`, says: /package's default/ }],
    },
    {
      name: 'systemd for all jails',
      files: files({ [local]: `[DEFAULT]\nbackend = systemd\n${jail({ backend: undefined })}` }),
      finds: [{ at: `${local}:2:1`, says: /never reads its logpath/ }],
    },
    {
      name: 'systemd in a copy of the file of the package',
      files: files({ [packaged]: `[DEFAULT]\nbackend = systemd\n${off}` }, { backend: undefined }),
      finds: [{ at: `${packaged}:2:1`, says: /never reads its logpath/ }],
    },
    {
      name: 'systemd in the jail',
      files: files({}, { backend: 'systemd' }),
      finds: [{ at: `${local}:4:1`, says: /never reads/ }],
    },
    {
      name: 'systemd with options',
      files: files({}, { backend: 'systemd[journalflags=1]' }),
      finds: [{ at: `${local}:4:1`, says: /never reads/ }],
    },
    {
      name: 'systemd through a variable',
      files: files({ [local]: `[DEFAULT]\nhow = systemd\n${jail({ backend: '%(how)s' })}` }),
      finds: [{ at: `${local}:6:1`, says: /never reads/ }],
    },
    {
      name: 'a backend that does not exist',
      files: files({}, { backend: 'inotify' }),
      finds: [{ at: `${local}:4:1`, says: /knows no backend "inotify"/ }],
    },
    {
      name: 'a log of its own for a jail that reads the journal',
      files: {
        'host/fail2ban/jail.local':
          '[DEFAULT]\nbackend = systemd\n[nginx-http-auth]\nenabled = true\nlogpath = /opt/gbo/logs/web.log\n',
      },
      finds: [{ at: 'host/fail2ban/jail.local:2:1', says: /nginx-http-auth never reads/ }],
    },
  ],
};

export const sshdSamples: Samples = {
  good: [
    { name: 'off in the file of the package, as in the guide', files: files() },
    { name: 'off in jail.local', files: { [local]: `${off}${jail()}`, [caddyFilter]: good } },
    { name: 'the package leaves it off', files: { [local]: jail() }, options: { package: 'none' } },
    {
      name: 'on where it belongs: on the host',
      files: { ...files(), 'host/fail2ban/jail.local': '[sshd]\nenabled = true\n' },
    },
    {
      name: 'on in a file that is read earlier',
      files: files({ [`${root}/jail.d/aa.conf`]: '[sshd]\nenabled = true\n' }),
    },
  ],
  bad: [
    {
      name: 'jail.local undoes what the file of the package says',
      files: files({ [local]: `[sshd]\nenabled = true\n${jail()}` }),
      finds: [{ at: `${local}:2:1`, says: /on after all files are merged/ }],
    },
    {
      name: 'all jails are switched on',
      files: files({ [local]: `[DEFAULT]\nenabled = true\n${jail()}`, [packaged]: '[sshd]\nport = ssh\n' }),
      finds: [{ at: `${local}:2:1`, says: /on after all/ }],
    },
    {
      name: 'nothing switches off what the package switches on',
      files: { [local]: jail(), [caddyFilter]: good },
      finds: [{ at: `${local}:1:1`, says: /package switches it on/ }],
    },
    {
      name: 'its section was deleted',
      files: { [local]: jail(), [caddyFilter]: good },
      base: files(),
      finds: [{ at: `${local}:1:1`, says: /package switches it on/ }],
    },
    {
      name: 'a later file switches it on',
      files: files({ [`${root}/jail.d/ssh.local`]: '[sshd]\nenabled = yes\n' }),
      finds: [{ at: `${root}/jail.d/ssh.local:2:1`, says: /on after all/ }],
    },
  ],
};
