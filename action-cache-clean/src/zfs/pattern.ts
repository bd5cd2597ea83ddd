/**
 * Whether `name` matches the glob from its first to its last character: `*` any text, `?` one character, `[a-z0-9]` one of
 * a set, `[!0-9]` one not of it.
 *
 * Ours because the glob libraries compile to regular expressions, whose time a pattern with many stars makes explode;
 * this goes back to the last star only, so it takes at most length of name x length of pattern.
 */
export function matchesGlob(glob: string, name: string): boolean {
  const items = readGlob(glob);
  if (!items) return false;
  let at = 0;
  let item = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const wanted = items[item];
    if (wanted === 'star') {
      star = item++;
      starAt = at;
    } else if (wanted?.(name[at] as string)) {
      item++;
      at++;
    } else if (star >= 0) {
      item = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (items[item] === 'star') item++;
  return item === items.length;
}

/** What is wrong with a glob for snapshot names, in half a sentence; undefined when nothing is. */
export function globTrouble(glob: string): string | undefined {
  const shown = JSON.stringify(glob);
  if (/^\^|\$$|\.\*|\.\+|\\|[|(){}+]/.test(glob))
    return `${shown} looks like a regular expression; it is a glob such as auto-* or daily-????-??-??`;
  if (/[@/]/.test(glob)) return `${shown} is for the part behind the @ alone`;
  if (!readGlob(glob)) return `${shown} has a [ without its ]`;
  if (/^[*?]*$/.test(glob))
    return `${shown} matches every snapshot, those of other programs too; begin it with what your own have in common`;
  if (!/^[\w.: *?[\]!^-]+$/.test(glob)) return `${shown} holds a character that no snapshot name can have`;
  return undefined;
}

type Item = 'star' | ((character: string) => boolean);

function readGlob(glob: string): Item[] | undefined {
  const items: Item[] = [];
  for (let at = 0; at < glob.length; at++) {
    const character = glob[at] as string;
    if (character === '*') items.push('star');
    else if (character === '?') items.push(() => true);
    else if (character === '[') {
      const negated = glob[at + 1] === '!' || glob[at + 1] === '^';
      const from = at + (negated ? 2 : 1);
      // As in fnmatch(3), a ] that comes first is one of the set.
      const end = glob.indexOf(']', from + 1);
      if (end < 0) return undefined;
      const set = glob.slice(from, end);
      items.push((other) => inSet(set, other) !== negated);
      at = end;
    } else items.push((other) => other === character);
  }
  return items;
}

function inSet(set: string, character: string): boolean {
  for (let at = 0; at < set.length; at++) {
    const low = set[at] as string;
    const high = set[at + 2];
    if (set[at + 1] === '-' && high !== undefined) {
      if (low <= character && character <= high) return true;
      at += 2;
    } else if (low === character) return true;
  }
  return false;
}
