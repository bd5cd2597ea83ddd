/**
 * What the distribution's package puts below /etc/fail2ban, as far as the rules ask: a repository usually holds only what
 * differs from it.
 */
const common = `[DEFAULT]
bantime = 10m
findtime = 10m
maxretry = 5
maxmatches = %(maxretry)s
backend = auto
usedns = warn
logencoding = auto
enabled = false
mode = normal
filter = %(__name__)s[mode=%(mode)s]
port = 0:65535
protocol = tcp
banaction = iptables-multiport
banaction_allports = iptables-allports
action_ = %(banaction)s[port="%(port)s", protocol="%(protocol)s", chain="<known/chain>"]
action = %(action_)s
default_backend = %(default/backend)s
sshd_backend = %(default_backend)s
syslog_authpriv = /var/log/auth.log
syslog_mail = /var/log/mail.log
sshd_log = %(syslog_authpriv)s
postfix_log = %(syslog_mail)s
postfix_backend = %(default_backend)s
dovecot_log = %(syslog_mail)s
dovecot_backend = %(default_backend)s
[sshd]
port = ssh
logpath = %(sshd_log)s
backend = %(sshd_backend)s
[postfix]
port = smtp,465,submission
logpath = %(postfix_log)s
backend = %(postfix_backend)s
[dovecot]
port = pop3,pop3s,imap,imaps,submission,465,sieve
logpath = %(dovecot_log)s
backend = %(dovecot_backend)s
`;

export const packages = ['ubuntu-24.04', 'debian-12', 'none'] as const;
export type Package = (typeof packages)[number];

/** Texts by path below /etc/fail2ban. */
export const packageFiles: Record<Package, Record<string, string>> = {
  'ubuntu-24.04': {
    'jail.conf': common,
    'jail.d/defaults-debian.conf': `[DEFAULT]
banaction = nftables
banaction_allports = nftables[type=allports]
backend = systemd
[sshd]
enabled = true
`,
  },
  'debian-12': { 'jail.conf': common, 'jail.d/defaults-debian.conf': '[sshd]\nenabled = true\n' },
  none: {},
};

/** Filters that the package brings. */
export const packagedFilters: ReadonlySet<string> = new Set(
  `3proxy apache-auth apache-badbots apache-botsearch apache-common apache-fakegooglebot apache-modsecurity
apache-nohome apache-noscript apache-overflows apache-pass apache-shellshock assp asterisk bitwarden
botsearch-common centreon common counter-strike courier-auth courier-smtp cyrus-imap directadmin domino-smtp
dovecot dropbear drupal-auth ejabberd-auth exim exim-common exim-spam freeswitch froxlor-auth gitlab grafana
groupoffice gssftpd guacamole haproxy-http-auth horde kerio lighttpd-auth mongodb-auth monit monitorix mssql-
auth murmur mysqld-auth nagios named-refused nginx-bad-request nginx-botsearch nginx-http-auth nginx-limit-req
nsd openhab openwebmail oracleims pam-generic perdition php-url-fopen phpmyadmin-syslog portsentry postfix
proftpd pure-ftpd qmail recidive roundcube-auth scanlogd screensharingd selinux-common selinux-ssh sendmail-
auth sendmail-reject sieve slapd softethervpn sogo-auth solid-pop3d squid squirrelmail sshd stunnel suhosin
tine20 traefik-auth uwimap-auth vsftpd webmin-auth wuftpd xinetd-fail znc-adminlog zoneminder`.split(/\s+/),
);
