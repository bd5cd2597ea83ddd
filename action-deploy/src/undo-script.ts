import { posix } from 'node:path';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import { activationScript } from './activation-script.js';
import { moveLibrary, moveScript, oursScript } from './move-script.js';
import type { Activation, Move } from './steps.js';

export interface Undo {
  stateDir: string;
  /** The release that is undone. */
  release: string;
  moves: Move[];
  activation: Activation;
  /** Record lines, with `@TIME@` and `@BY@` where the script puts the time and who ran it. */
  done: string;
  failed: string;
}

/**
 * The script that puts the target back, the same for the dead-man, for a lost deployer and for the action itself.
 *
 * Whoever renames `<release>.armed` to `.undoing` has the word, so that "undo" and "confirm" cannot both happen.
 * Called with who asks (`dead-man`, `lost-contact`, `action`, `return`); only `return` takes back what was
 * confirmed, and `again` repeats an undo that did not hold.
 * A file that somebody else has put at a path meanwhile is left there, which is no failure.
 *
 * An activation that fails leaves it begun, for somebody who can look: `accept` closes it, from who has seen that all is well.
 * `settle`, from a later deploy, closes it when the files are back, or the failing activation would be run by every deploy
 * that follows; where they are not, it tells no unit.
 * Exit: 0 undone, closed or nothing to do, 1 tried and failed.
 */
export function undoScript({ stateDir, release, moves, activation, done, failed }: Undo): string {
  const undo = posix.join(stateDir, 'undo', release);
  const record = q(posix.join(stateDir, 'record.jsonl'));
  return `#!/bin/sh
# Undoes release ${release}. Written by gbo-actions before the switch; do not edit.
LC_ALL=C; export LC_ALL
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
by=\${1:-hand}
u=${q(undo)}
exec 8< "$u.sh" || exit 1
flock 8 || exit 1
if { [ "$by" != accept ] && mv "$u.armed" "$u.undoing" 2>/dev/null; } || [ -e "$u.undoing" ]; then :
elif [ "$by" = accept ]; then exit 0
elif [ "$by" = return ] && mv "$u.confirmed" "$u.undoing" 2>/dev/null; then :
elif [ "$by" = again ] && mv "$u.undone" "$u.undoing" 2>/dev/null; then :
elif [ -e "$u.undone" ]; then echo "undo: was undone before"; exit 0
else echo "undo: nothing to undo"; exit 0; fi
S=; [ "$(id -u)" = 0 ] || S='sudo -n'
write_record() { [ -z "$(tail -c 1 ${record})" ] || echo >> ${record}; printf '%s\\n' "$1" | sed "s/@TIME@/$(date -u +%Y-%m-%dT%H:%M:%SZ)/; s/@BY@/$by/" >> ${record}; sync ${record}; }
close() { write_record ${q(done)}; mv "$u.undoing" "$u.undone"; logger -t gbo-deploy "release ${release} undone by $by" 2>/dev/null; }
if [ "$by" = accept ]; then by=action; close; exit 0; fi
bad=0
${moveLibrary}
${moves.map(undoMove).join('\n')}
activation_failed=0
if [ "$by" != settle ] || [ "$bad" = 0 ]; then
${activationScript(activation, true)}
fi
if [ "$bad$activation_failed" = 00 ]; then
  close
  echo "undo: undone by $by"
elif [ "$bad$by" = 0settle ]; then
  close
  echo "undo: the files are back, but not everything could be told"
else
  bad=1
  write_record ${q(failed)}
  logger -t gbo-deploy "undo of release ${release} by $by FAILED" 2>/dev/null
  echo "undo: failed"
fi
exit "$bad"
`;
}

/** Without the copy of what was brought, nobody could tell whose file is there. */
function undoMove(move: Move): string {
  const unknown = move.over ? `elif [ ! -e ${q(move.over)} ]; then bad=1; ` : '';
  return `if ${oursScript(move)}; then ${moveScript(move)} || bad=1; ${unknown}fi`;
}
