import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { activationScript } from './activation-script.js';
import * as layout from './layout.js';
import { moveScript } from './move-script.js';
import { deadManArguments } from './privileged.js';
import type { Work } from './steps.js';
import { shellLibrary } from './survey-script.js';

type Scripted = Exclude<Work, { kind: 'lock' | 'upload' | 'soak' | 'prove' | 'unlock' }>;

/** Longest time a trial run or a check may take on the target, in seconds. */
export const TRIAL_SECONDS = 10;
export const CHECK_SECONDS = 60;

/** The sh script of one step. `$S` in it is empty for root and `sudo -n` for others. Exit status 0 is the only success. */
export function stepScript(work: Scripted, user: { uid: number; name: string }): string {
  return [shellLibrary, `S=${user.uid === 0 ? '' : q('sudo -n')}`, 'set -u', body(work, user)].join('\n');
}

function body(work: Scripted, user: { uid: number; name: string }): string {
  switch (work.kind) {
    case 'settle':
      return `sh ${q(layout.undoScriptFile(work.stateDir, work.release))} action`;
    case 'stage':
      return `umask 077; mkdir -p -- ${work.folders.map(q).join(' ')}`;
    case 'verify':
      return verify(work);
    case 'keep':
      return work.links.map(keep).join(' &&\n');
    case 'probe':
      // sh has no PIPESTATUS: the output goes through a variable, which keeps the status.
      return `out=$(timeout -k 1 ${TRIAL_SECONDS} ${q(work.file)} ${work.args} </dev/null 2>&1); status=$?
printf '%s\\n' "$out" | head -c 4096
exit "$status"`;
    case 'check':
      return `( timeout -k 1 ${CHECK_SECONDS} sh -c ${q(work.command.replaceAll('{file}', q(work.file)))} ) </dev/null 2>&1`;
    case 'verify-unit':
      return verifyUnit(work);
    case 'arm':
      return arm(work, user);
    case 'switch':
      return `${stillArmed(work.armed)}\nbad=0\n${work.moves.map((move) => `${moveScript(move)} || bad=1`).join('\n')}\nexit "$bad"`;
    case 'activate':
      return `${stillArmed(work.armed)}\n${activationScript(work.activation, false)}\nexit "$activation_failed"`;
    case 'confirm':
      return confirm(work);
    case 'prune':
      return prune(work);
  }
}

/** The target may have lost patience with us: then it has undone, or is about to, and nothing may be added to that. */
function stillArmed(file: string): string {
  return `[ -e ${q(file)} ] || { echo "the target has begun to undo it by itself" >&2; exit 9; }`;
}

function verify({ part, to, sha256, size, mode, owner }: Extract<Work, { kind: 'verify' }>): string {
  const file = q(part);
  return [
    `[ -f ${file} ] || { echo "the file is gone" >&2; exit 1; }`,
    // fsync before the hash is believed: what is verified is what a power loss leaves.
    `sync ${file} || exit 1`,
    `size=$(stat -c %s ${file}); [ "$size" = ${size} ] || { echo "it has $size bytes in place of ${size}" >&2; exit 1; }`,
    `sum=$(sum ${file}); [ "$sum" = ${sha256} ] || { echo "its sha256 is $sum in place of ${sha256}" >&2; ${part === to ? ':' : `rm -f ${file}`}; exit 1; }`,
    owner ? `[ "$(id -u)" != 0 ] || chown ${q(owner)} ${file} || exit 1` : '',
    mode ? `chmod ${mode} ${file} || exit 1` : '',
    part === to ? '' : `mv -fT ${file} ${q(to)} && sync ${q(posix.dirname(to))}`,
  ]
    .filter(Boolean)
    .join('\n');
}

function keep({ from, to, copy, sha256 }: { from: string; to: string; copy: boolean; sha256: string }): string {
  const copied = `{ cp -p --reflink=auto -- ${q(from)} ${q(to)} && sync ${q(to)}; }`;
  // A link fails where the file belongs to another user (fs.protected_hardlinks); a copy costs space, not safety.
  const done = copy ? copied : `{ ln -f -- ${q(from)} ${q(to)} 2>/dev/null || ${copied}; }`;
  const proof = copy ? ` && [ "$(sum ${q(to)})" = ${sha256} ]` : '';
  return `{ ${done}${proof}; }`;
}

function verifyUnit({ file, replace }: Extract<Work, { kind: 'verify-unit' }>): string {
  // The program that ExecStart names may come with this very deploy: a copy of the unit names the staged one instead.
  const folder = `${q(posix.dirname(file))}/verify.$$`;
  const copy = `${folder}/${q(posix.basename(file))}`;
  // Not | between the parts: sed would then take \| for a plain |.
  const literal = (text: string) => text.replaceAll(/[\\&.[\]*^$#]/g, '\\$&');
  const edits = replace
    .map(({ from, to }) => `-e ${q(`s#${literal(from)}\\([[:space:]]\\|$\\)#${literal(to)}\\1#`)}`)
    .join(' ');
  return `mkdir -p ${folder} && sed ${edits || '-n p'} ${q(file)} > ${copy} || exit 1
out=$(timeout ${CHECK_SECONDS} systemd-analyze verify --man=no ${copy} 2>&1 </dev/null); status=$?
rm -rf ${folder}
printf '%s\\n' "$out" | head -c 4096
exit "$status"`;
}

function arm(
  { stateDir, release, seconds, script }: Extract<Work, { kind: 'arm' }>,
  user: { uid: number; name: string },
): string {
  const file = q(layout.undoScriptFile(stateDir, release));
  const armed = q(layout.undoStateFile(stateDir, release, 'armed'));
  const options = deadManArguments(user.uid === 0 ? '' : user.name, release, seconds);
  return `umask 077
printf '%s' ${q(script)} > ${file} && sync ${file} || exit 1
: > ${armed} || exit 1
$S systemd-run ${options} /bin/sh ${file} dead-man || { rm -f ${armed}; exit 1; }`;
}

function confirm({ stateDir, release, record }: Extract<Work, { kind: 'confirm' }>): string {
  const armed = q(layout.undoStateFile(stateDir, release, 'armed'));
  const confirmed = q(layout.undoStateFile(stateDir, release, 'confirmed'));
  const file = q(layout.recordFile(stateDir));
  return `mv ${armed} ${confirmed} || { echo "the target has begun to undo it by itself" >&2; exit 9; }
{ ${record.map((line) => `printf '%s\\n' ${q(line)}`).join('; ')}; } >> ${file} && sync ${file} || exit 1
$S systemctl stop ${layout.deadManUnit(release)}.timer 2>/dev/null
logger -t gbo-deploy ${q(`release ${release} confirmed`)} 2>/dev/null
exit 0`;
}

function prune({ stateDir, files, remove }: Extract<Work, { kind: 'prune' }>): string {
  const sums = q(layout.sumsFile(stateDir));
  return `${remove.map((file) => `rm -f ${q(file)}; rmdir ${q(posix.dirname(file))} 2>/dev/null`).join('\n')}
find ${[...new Set(files.map(({ path }) => q(`${layout.store(path)}/incoming`)))].join(' ')} -type f -mtime +7 -delete 2>/dev/null
find ${q(posix.join(stateDir, 'undo'))} -type f -mtime +30 -delete 2>/dev/null
: > ${sums}.new
${files.map(({ path, sha256 }) => `printf '%s %s\\n' ${sha256} "$(ident ${q(path)})" >> ${sums}.new`).join('\n')}
mv -f ${sums}.new ${sums}
exit 0`;
}
