import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { keyRestrictions } from '../authorized-keys.js';
import { sudoersLines } from '../privileged.js';
import { tenantDeploys } from './artifacts.js';
import type { TenantOptions } from './options.js';
import { marked } from './write.js';

/** Where the public key goes when it was not given. */
const placeholder = 'ssh-ed25519 AAAA...';

/** What to create in Forgejo, and how to make each. */
export function secretLines({ tenant, host, port, owner, forge, root, origin }: TenantOptions): string[] {
  const scan = port === 22 ? host : `-p ${port} ${host}`;
  return [
    `In ${forge}/${owner}/${root}/settings/actions, or of ${owner} for all its repositories:`,
    'secret DEPLOY_KEY: the private key of the deploys. Make the pair, paste deploy_key, then delete that file:',
    `    ssh-keygen -q -t ed25519 -N '' -C 'deploy ${tenant}' -f deploy_key`,
    `secret READ_TOKEN: a token that may read the repositories of ${owner} (of a user of its own, scope read:repository):`,
    `    ${forge}/user/settings/applications; as a secret of ${owner}, since root-pin.yml in the submodules needs it too`,
    `    (are the repositories at ${origin} private? then one of theirs as well, as a second line of \`tokens:\`)`,
    'variable DEPLOY_KNOWN_HOSTS: the known_hosts line of the target. From the target itself:',
    `    ${hostKeyCommand} && ${knownHostsCommand(host, port)}`,
    `  (it finds no key? ${noHostKey})`,
    `  or over the network (ssh-keyscan ${scan}), after comparing the fingerprint on the target; \`setup --scan\` shows both.`,
  ];
}

/** Run on the target, and so by nobody in between; fails where there is no such key, when a line would be a name alone. */
const hostKeyCommand = `host_key=$(grep -o '^ssh-ed25519 [^ ]*' /etc/ssh/ssh_host_ed25519_key.pub)`;
const noHostKey = '`ssh-keygen -A` makes one, and a restart of sshd shows it; then run this again';

/** Prints the known_hosts line of what the command above found. */
function knownHostsCommand(host: string, port: number): string {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  return `echo ${q(name)} "$host_key"`;
}

/** Empty for root. */
export function tenantSudoers(tenant: TenantOptions): string[] {
  return tenant.user === 'root' ? [] : sudoersLines(tenantDeploys(tenant), tenant.user);
}

/** The line for authorized_keys: the key may do what a deploy does, and only from the runner where that is known. */
export function authorizedKey(tenant: TenantOptions): string {
  const from = tenant.from.length > 0 ? `from="${tenant.from.join(',')}",` : '';
  const key = tenant.publicKey ?? `${placeholder} deploy ${tenant.tenant}`;
  return `${from}${keyRestrictions(tenantDeploys(tenant).artifacts)} ${key}`;
}

/**
 * One sh script for root on the target that brings all the lines there, and changes nothing when they are there already.
 * On stdout it prints the known_hosts line alone, on stderr what it did.
 */
export function targetScript(tenant: TenantOptions): string {
  const { user, folder } = tenant;
  const key = authorizedKey(tenant);
  const base64 = key.split(' ').find((word) => word.startsWith('AAAA')) ?? '';
  const sudoers = tenantSudoers(tenant);
  return `#!/bin/sh
# Prepares this machine for deploys of ${tenant.tenant} by ${user}. Written by setup of gbo/action-deploy; read it, then run it as root.
set -eu
umask 022
told() { echo "$1" >&2; }
[ "$(id -u)" = 0 ] || { echo 'This must run as root. Nothing was changed.' >&2; exit 1; }
${sudoers.length > 0 ? `command -v visudo >/dev/null || { echo 'There is no sudo here; install it. Nothing was changed.' >&2; exit 1; }\n` : ''}${
  user === 'root'
    ? ''
    : `# Whoever owns the folder may have a unit that creates files in it.
owner=${user}; [ ! -d ${q(folder)} ] || owner=$(stat -Lc %U ${q(folder)})
case $owner in root|${user}) ;; *)
  echo "${folder} belongs to $owner, and was left so: run setup with --user $owner, with another --folder, or, when nothing of $owner creates files there, run this again after: chown ${user} ${folder}. Nothing was changed." >&2; exit 1;;
esac
# '*' for a password: none fits, and yet sshd without PAM does not take the account for a locked one.
if ! id ${user} >/dev/null 2>&1; then useradd --create-home --shell /bin/sh ${user}; usermod -p '*' ${user}; told 'made the user ${user}'; fi
# So that a failed deploy can show the journal of the unit.
if getent group systemd-journal >/dev/null && ! id -nG ${user} | grep -qw systemd-journal; then
  usermod -aG systemd-journal ${user}; told 'let ${user} read the journal'
fi
`
}# The folder alone: a release is put there by rename, and what lies there now keeps its owner.
if [ ! -d ${q(folder)} ]; then mkdir -p ${q(folder)}; told ${q(`made ${folder}`)}; fi
${
  user === 'root'
    ? ''
    : `if [ "$(stat -Lc %U ${q(folder)})" != ${user} ]; then chown ${user} ${q(folder)}; told ${q(`gave ${folder} to ${user}`)}; fi
`
}home=$(getent passwd ${user} | cut -d: -f6)
keys=$home/.ssh/authorized_keys
wanted=${q(key)}
if ! grep -qxF -- "$wanted" "$keys" 2>/dev/null; then
  if grep -qF -- ${q(base64)} "$keys" 2>/dev/null; then
    echo "$keys has this key with other restrictions; replace that line by this one, and run this again:" >&2
    printf '%s\\n' "$wanted" >&2; exit 1
  fi
  [ -d "$home/.ssh" ] || install -d -m 700 -o ${user} -g "$(id -g ${user})" "$home/.ssh"
  # As the user: in a folder of theirs, a link could lead root to another's file.
  printf '%s\\n' "$wanted" | runuser -u ${user} -- sh -c 'umask 077; { [ -z "$(tail -c 1 "$1" 2>/dev/null)" ] || echo; cat; } >> "$1"' sh "$keys"
  told "let the key in ($keys)"
fi
${sudoers.length > 0 ? installSudoers(sudoers) : ''}${hostKeyCommand} || {
  echo ${q(`All is in place but the known_hosts line: this machine has no ed25519 host key. ${noHostKey}.`)} >&2; exit 1
}
${knownHostsCommand(tenant.host, tenant.port)}
`;
}

function installSudoers(lines: string[]): string {
  // sudo passes over a name with a dot in it, so that the new file counts for nothing until it was judged and renamed.
  return `rules=/etc/sudoers.d/gbo-deploy
cat > "$rules.new" << 'LINES'
${marked(`${lines.join('\n')}\n`)}LINES
chmod 440 "$rules.new"
ours() { [ "$(sed -n '1s/^# setup of [^(]*(\\([0-9a-f]*\\)).*/\\1/p' "$1")" = "$(sed 1d "$1" | sha256sum | cut -c 1-12)" ]; }
if cmp -s "$rules.new" "$rules" || sed 1d "$rules.new" | cmp -s - "$rules"; then rm -f "$rules.new"
elif [ -e "$rules" ] && ! ours "$rules"; then
  rm -f "$rules.new"
  echo "$rules was edited by hand, or is not of setup. It was left as it is: move its lines to another file there, and run this again." >&2; exit 1
elif visudo -cqf "$rules.new" >&2; then mv -f "$rules.new" "$rules"; told "wrote $rules"
else rm -f "$rules.new"; echo 'visudo refuses the rules; sudo 1.9.10 or later is needed. They were not installed.' >&2; exit 1; fi
`;
}
