import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { output } from '../measure.js';

export interface Shape {
  commits: number;
  files: number;
  /** Of a file; default: 20 to 60. */
  lines?: number;
  /** Lines that a commit rewrites in each of its two files; default: 1. */
  rewrites?: number;
}

/** Ten minutes between two commits: a busy repository, so that an hour or a day of history is many of them. */
const EVERY_SECONDS = 600;
const END = Date.UTC(2026, 0, 1) / 1000;
/** Out of so many commits three lie on a side branch, and one merges it. */
const CYCLE = 22;

/**
 * Writes a history to main of an empty bare repository, and packs it as a forge does from time to time. The same shape
 * gives the same commits.
 */
export async function writeHistory(repository: string, shape: Shape): Promise<void> {
  const git = (...args: string[]) => output('git', ['-C', repository, ...args]);
  const child = spawn('git', ['-C', repository, 'fast-import', '--quiet'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const closed = once(child, 'close');
  for (const chunk of history(shape)) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
  child.stdin.end();
  const [code] = await closed;
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`);
  await git('update-ref', '-d', 'refs/heads/side');
  await git('repack', '-a', '-d', '-f', '--quiet', '--write-bitmap-index');
  await git('commit-graph', 'write', '--reachable');
  await git('pack-refs', '--all');
}

function* history({ commits, files, lines, rewrites = 1 }: Shape): Generator<string> {
  const next = randomNumbers();
  const word = () => WORDS[next() % WORDS.length];
  const words = (count: number) => Array.from({ length: count }, word).join(' ');
  const texts = Array.from({ length: files }, () =>
    Array.from({ length: lines ?? 20 + (next() % 40) }, () => words(7)),
  );
  const change = (file: number) => {
    const text = `${texts[file]?.join('\n')}\n`;
    return `M 100644 inline part-${file % 20}/${file}.ts\ndata ${Buffer.byteLength(text)}\n${text}\n`;
  };
  const rewrite = (text: string[]) => {
    const news = Array.from({ length: Math.min(rewrites, text.length) }, () => words(7));
    text.splice(next() % (text.length - news.length + 1), news.length, ...news);
  };
  const commit = (mark: number, branch: string, more: string) => {
    const who = `Ada Acme <ada@example.com> ${END - (commits - mark) * EVERY_SECONDS} +0000`;
    const message = `${words(6)}\n\n${words(4 + (next() % 10))}\n`;
    const head = `commit refs/heads/${branch}\nmark :${mark}\nauthor ${who}\ncommitter ${who}\n`;
    return `${head}data ${Buffer.byteLength(message)}\n${message}${more}\n`;
  };
  yield commit(1, 'main', texts.map((_, file) => change(file)).join(''));
  let main = 1;
  let side = 0;
  let onSide: number[] = [];
  for (let mark = 2; mark <= commits; mark++) {
    const turn = mark % CYCLE;
    const merges = turn === 17 && onSide.length > 0;
    const changed = merges ? onSide : [next() % files, next() % files];
    if (!merges) for (const file of changed) rewrite(texts[file] ?? []);
    const changes = changed.map(change).join('');
    if (turn === 5 || turn === 9 || turn === 13) {
      const from = turn === 5 || onSide.length === 0 ? main : side;
      yield commit(mark, 'side', `from :${from}\n${changes}`);
      side = mark;
      onSide.push(...changed);
    } else {
      yield commit(mark, 'main', `from :${main}\n${merges ? `merge :${side}\n` : ''}${changes}`);
      main = mark;
      if (merges) onSide = [];
    }
  }
}

const WORDS = Array.from({ length: 2000 }, (_, index) => ((index * 2_654_435_761) % 4_294_967_296).toString(36));

/** Numbers that look random and are the same every time (the Mersenne twister's little sister, xorshift32). */
function randomNumbers(): () => number {
  let state = 2_463_534_242;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
