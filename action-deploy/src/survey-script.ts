import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import * as layout from './layout.js';

/** Shell functions that survey and apply share. `sum` prefers openssl: coreutils' own code is about five times slower. */
export const shellLibrary = `
LC_ALL=C; export LC_ALL
sum() {
  if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r < "$1" | cut -c1-64
  else sha256sum < "$1" | cut -c1-64; fi
}
ident() { stat -c '%d:%i:%s:%Y:%Z:%y:%z' -- "$1" 2>/dev/null | tr -d ' '; }
# state_mark STATE PATH...: changes when anybody else deployed, undid or touched a file.
state_mark() {
  { tail -n 1 -- "$1/record.jsonl"; ls -- "$1/undo"; shift; for f; do ident "$f"; done; } 2>/dev/null | cksum | tr ' ' -
}
`;

export interface SurveyQuestion {
  stateDir: string;
  paths: string[];
  units: string[];
  /** Command lines that would need sudo, without it. */
  privileged: string[];
  /** Tools that have to be there. */
  tools: string[];
  /** For a Caddyfile: its path, and the new text, to let the target's caddy read both. */
  caddyfiles: { path: string; text: string }[];
}

export const unitProperties =
  'LoadState,ActiveState,SubState,NRestarts,MainPID,Type,ExecStart,NeedDaemonReload,TriggeredBy,ActiveEnterTimestamp,TimeoutStopUSec,UnitFileState';

/**
 * One read-only sh script that answers the whole question in one round trip, as lines `key<TAB>value`.
 * It creates, changes and locks nothing (the lock is looked up in /proc/locks, not tried).
 */
export function surveyScript(question: SurveyQuestion): string {
  const { stateDir, paths, units } = question;
  return [
    shellLibrary,
    `say() { printf '%s\\t%s\\n' "$1" "$2"; }`,
    `say uid "$(id -u)"; say user "$(id -un)"; say machine "$(uname -m)"`,
    `say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //')"`,
    `say systemd "$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p')"`,
    `for tool in ${question.tools.map(q).join(' ')}; do command -v "$tool" >/dev/null 2>&1 || say missing "$tool"; done`,
    ...question.privileged.map(
      (command, index) => `[ "$(id -u)" = 0 ] || { sudo -n -l -- ${command} >/dev/null 2>&1 && say sudo ${index}; }`,
    ),
    `state=${q(stateDir)}`,
    `say mark "$(state_mark "$state" ${paths.map(q).join(' ')})"`,
    ...paths.map((path, index) => fileQuestion(path, index, stateDir)),
    ...units.map((unit, index) => unitQuestion(unit, index, paths)),
    `[ -r "$state/record.jsonl" ] && tail -n 400 "$state/record.jsonl" | sed 's/^/record\\t/'`,
    `for f in "$state"/undo/*.armed "$state"/undo/*.undoing; do [ -e "$f" ] && say pending "\${f##*/}"; done`,
    `if [ -e "$state/lock" ]; then inode=$(stat -c %i "$state/lock"); grep -q ":$inode " /proc/locks && say holder "$(tail -n 1 "$state/lock.holder" 2>/dev/null)"; fi`,
    ...question.caddyfiles.map(caddyQuestion),
    // The hashes of what runs.
    'wait',
    `say end yes`,
  ].join('\n');
}

function fileQuestion(path: string, index: number, stateDir: string): string {
  const key = `file.${index}`;
  return `
p=${q(path)}; d=${q(posix.dirname(path))}; s=${q(layout.store(path))}
if [ -L "$p" ]; then say ${key}.kind link; say ${key}.target "$(readlink -f -- "$p")"
elif [ -d "$p" ]; then say ${key}.kind folder
elif [ -f "$p" ]; then
  say ${key}.kind file; say ${key}.size "$(stat -c %s -- "$p")"; say ${key}.mode "$(stat -c %04a -- "$p")"
  say ${key}.owner "$(stat -c %U:%G -- "$p")"; say ${key}.mtime "$(date -u -r "$p" +%Y%m%dT%H%M%SZ)"
  id=$(ident "$p"); known=$(awk -v id="$id" '$2 == id { print $1; exit }' ${q(layout.sumsFile(stateDir))} 2>/dev/null)
  if [ -r "$p" ]; then say ${key}.sha256 "\${known:-$(sum "$p")}"; fi
fi
n=$d; while [ ! -e "$n" ]; do n=$(dirname -- "$n"); done
say ${key}.nearest "$n"; [ -d "$n" ] || say ${key}.notfolder "$n"
[ -w "$n" ] && say ${key}.writable yes
[ ! -e "$s" ] || [ -w "$s" ] || say ${key}.storelocked yes
stat -f -c '%a %S %d' -- "$n" | { read -r blocks size inodes; say ${key}.free "$((blocks * size))"; say ${key}.inodes "$inodes"; }
case ",$(awk -v d="$(stat -c %m -- "$n")" '$2 == d { o = $4 } END { print o }' /proc/mounts)," in *,ro,*) say ${key}.readonly yes;; esac
for r in "$s"/releases/*/${q(posix.basename(path))}; do [ -e "$r" ] && { r=\${r%/*}; say ${key}.kept "\${r##*/}"; }; done`;
}

/**
 * Of another user's process the kernel tells only root what it runs (proc_pid_exe(5)), so that it is asked by the sudo
 * rule which the proof has as well: the hash of the running image, those of several units side by side.
 */
function unitQuestion(unit: string, index: number, paths: string[]): string {
  const key = `unit.${index}`;
  return `
u=$(systemctl show -p ${unitProperties} -- ${q(unit)} 2>/dev/null); printf '%s\\n' "$u" | sed 's/^/${key}./; s/=/\\t/'
pid=$(printf '%s\\n' "$u" | sed -n 's/^MainPID=//p'); exe=/proc/$pid/exe
if [ "\${pid:-0}" -gt 0 ] 2>/dev/null; then
  if [ -e "$exe" ]; then
    for p in ${paths.map(q).join(' ')}; do [ "$exe" -ef "$p" ] && say ${key}.runs "$p"; done
    say ${key}.exe "$(readlink "$exe")"
  else
    { if got=$(sudo -n sha256sum "$exe" 2>/dev/null); then say ${key}.running "\${got%% *}"
    elif [ ! -d "/proc/$pid" ]; then say ${key}.ended yes; fi; } &
  fi
fi`;
}

function caddyQuestion({ path, text }: { path: string; text: string }, index: number): string {
  // Told apart by exit status: a text that caddy cannot read must not pass for one without host names.
  return `
if command -v caddy >/dev/null 2>&1; then
  if out=$(caddy adapt --config ${q(path)} --adapter caddyfile 2>/dev/null); then say caddy.${index}.old "$(printf %s "$out" | tr -d '\\n')"; fi
  if out=$(printf %s ${q(text)} | caddy adapt --config /dev/stdin --adapter caddyfile 2>/dev/null); then say caddy.${index}.new "$(printf %s "$out" | tr -d '\\n')"; fi
fi`;
}
