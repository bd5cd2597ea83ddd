import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { activationScript } from './activation-script.js';
import * as layout from './layout.js';
import { moveLibrary, moveScript, oursScript } from './move-script.js';
import { deadManArguments } from './privileged.js';
import type { Move, Surplus, Work } from './steps.js';
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
      return `sh ${q(layout.undoScriptFile(work.stateDir, work.release))} settle`;
    case 'stage':
      return layout.makeFolders(work.parents, work.folders);
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
      return switchFiles(work);
    case 'activate':
      return `${stillArmed(work)}\n${activationScript(work.activation, false)}\nexit "$activation_failed"`;
    case 'confirm':
      return confirm(work);
    case 'prune':
      return prune(work);
  }
}

/** All are looked at before the first is moved: a file that is not ours to move is found before anything was. */
function switchFiles(work: Extract<Work, { kind: 'switch' }>): string {
  const each = (script: (move: Move) => string) => work.moves.map((move) => `${script(move)} || bad=1`);
  return [
    undoKeptOut(work),
    stillArmed(work),
    'bad=0',
    moveLibrary,
    ...each(oursScript),
    '[ "$bad" = 0 ] || exit 1',
    ...each(moveScript),
    'exit "$bad"',
  ].join('\n');
}

type Guarded = Extract<Work, { kind: 'switch' | 'activate' }>;

/**
 * The lock of the undo script, until this script ends. An undo that began between two moves would find the second file
 * not yet switched, and leave behind what comes to it after. Activation moves nothing, and may take long: it takes no lock.
 */
function undoKeptOut({ stateDir, release }: Guarded): string {
  return `exec 8< ${q(layout.undoScriptFile(stateDir, release))} && flock 8 || exit 1`;
}

/** The target may have lost patience with us: then it has undone, or is about to, and nothing may be added to that. */
function stillArmed({ stateDir, release }: Guarded): string {
  return `[ -e ${q(layout.undoStateFile(stateDir, release, 'armed'))} ] || { echo "the target has begun to undo it by itself" >&2; exit 9; }`;
}

function verify({ part, to, sha256, size, mode, owner }: Extract<Work, { kind: 'verify' }>): string {
  const file = q(part);
  return [
    `[ -f ${file} ] || { echo "the file is gone" >&2; exit 1; }`,
    // What is verified is what a power loss leaves. The disk takes it while it is hashed.
    `sync ${file} & flushed=$!`,
    `size=$(stat -c %s ${file}); [ "$size" = ${size} ] || { echo "it has $size bytes in place of ${size}" >&2; exit 1; }`,
    `sum=$(sum ${file}); [ "$sum" = ${sha256} ] || { echo "its sha256 is $sum in place of ${sha256}" >&2; ${part === to ? ':' : `rm -f ${file}`}; exit 1; }`,
    'wait "$flushed" || exit 1',
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
  // The new record is complete on the disk before the word is given, so that a full disk cannot come between the two.
  const lines = record.map((line) => `printf '%s\\n' ${q(line)}`).join(' && ');
  return `{ { [ ! -e ${file} ] || awk 1 ${file}; } && ${lines}; } > ${file}.new && sync ${file}.new || { rm -f ${file}.new; exit 1; }
mv ${armed} ${confirmed} || { rm -f ${file}.new; echo "the target has begun to undo it by itself" >&2; exit 9; }
mv -f ${file}.new ${file} && sync ${q(stateDir)} || exit 1
$S systemctl stop ${layout.deadManUnit(release)}.timer 2>/dev/null
logger -t gbo-deploy ${q(`release ${release} confirmed`)} 2>/dev/null
exit 0`;
}

function prune({ stateDir, files, surplus }: Extract<Work, { kind: 'prune' }>): string {
  const sums = q(layout.sumsFile(stateDir));
  return `${removeSurplus(surplus)}
find ${[...new Set(files.map(({ path }) => q(`${layout.store(path)}/incoming`)))].join(' ')} -type f -mtime +7 -delete 2>/dev/null
find ${q(posix.join(stateDir, 'undo'))} -type f -mtime +30 -delete 2>/dev/null
: > ${sums}.new
${files.map((file) => `${remember(file)} >> ${sums}.new`).join('\n')}
mv -f ${sums}.new ${sums}
exit 0`;
}

/**
 * Removes releases of which no unit's main process is an execution. Several may hold the file that runs, since what does not
 * change is in each: then one that stays anyway is taken for the running one, else the newest.
 */
function removeSurplus({ remove, stay, units }: Surplus): string {
  if (remove.length === 0) return ':';
  const any = (files: string[]) => `any=1; ${files.map((file) => `claim ${q(file)} && any=0`).join('; ')}`;
  const gone = (file: string) => `rm -f ${q(file)}; rmdir ${q(posix.dirname(file))} 2>/dev/null`;
  return `processes=
for unit in ${units.map(q).join(' ')}; do
  pid=$(systemctl show --value -p MainPID -- "$unit" 2>/dev/null); exe=/proc/$pid/exe
  [ "\${pid:-0}" -gt 0 ] || continue
  if [ -r "$exe" ] && [ -e "$exe" ]; then processes="$processes $pid:"
  else processes="$processes $pid:$(sudo -n sha256sum "$exe" 2>/dev/null | cut -c1-64)"; fi
done
# claim FILE: whether one of the processes runs it; those that do are not asked again.
claim() {
  found=1; others=
  for process in $processes; do
    exe=/proc/\${process%%:*}/exe; known=\${process#*:}
    if [ -n "$known" ]; then [ "$known" = "$(sum "$1" 2>/dev/null)" ]; else [ "$exe" -ef "$1" ] || cmp -s "$exe" "$1"; fi
    if [ $? = 0 ]; then found=0; else others="$others $process"; fi
  done
  processes=$others; return $found
}
${any(stay)}
${remove.map((files) => `${any(files)}\nif [ $any = 1 ]; then\n${files.map(gone).join('\n')}\nfi`).join('\n')}`;
}

/** The sum of a file, unless somebody has changed the file since it was switched: the next survey believes what is said here. */
function remember({ path, kept, sha256 }: { path: string; kept: string; sha256: string }): string {
  const same = `{ [ ${q(path)} -ef ${q(kept)} ] || cmp -s ${q(path)} ${q(kept)}; }`;
  return `id=$(ident ${q(path)}); ${same} && [ "$(ident ${q(path)})" = "$id" ] && printf '%s %s\\n' ${sha256} "$id"`;
}
