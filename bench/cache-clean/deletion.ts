import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Contender,
  figures,
  goal,
  interleave,
  output,
  type Part,
  ratios,
  type Settings,
  timed,
} from '../measure.js';
import { makeFolder } from './disk.js';

const deleter = fileURLToPath(new URL('./delete-process.ts', import.meta.url));
const text = Buffer.alloc(1200, 'fn main() {}\n');
const names = { rm: 'rm -rf', ours: 'ours: move into the trash, count, delete', move: 'ours: move into the trash' };

/** Sources of crates, as a run evicts them: 100 files in 12 folders each. */
export async function deletion(settings: Settings): Promise<Part> {
  const crates = settings.quick ? 20 : 600;
  const place = await makeFolder();
  const tree = join(place.path, 'tree');
  try {
    const contender = (name: string, run: () => Promise<Record<string, number>>): Contender => ({
      name,
      // What was written is on the disk, for both alike, and nobody waits for what the other left to be done.
      before: async () => {
        plant(tree, crates);
        await output('sync', []);
      },
      run: async () => {
        const took = await run();
        if (readdirSync(tree).length > 0) throw new Error(`${name} left something`);
        return took;
      },
    });
    const ourOwn = contender(names.ours, async () => {
      const { move, whole, problems } = JSON.parse(
        await output(process.execPath, ['--import', 'tsx', deleter, tree]),
      ) as { move: number; whole: number; problems: string[] };
      if (problems.length > 0) throw new Error(problems.join('\n'));
      return { [names.ours]: whole, [names.move]: move };
    });
    const rm = contender(names.rm, async () => ({
      [names.rm]: await timed('find', [tree, '-mindepth', '1', '-maxdepth', '1', '-exec', 'rm', '-rf', '{}', '+']),
    }));
    const samples = await interleave(settings, [rm, ourOwn]);
    return {
      title: `Deletion: ${crates * 100} files in ${crates * 12} folders`,
      figures: figures(samples),
      goals: [goal(`${names.ours} / ${names.rm}`, ratios(samples, names.ours, names.rm), { atMost: 1 })],
      notes: [
        "Ours is the action's own code in a process of its own, without the start of node, and also counts what is given back. What a build waits for is the move alone.",
      ],
    };
  } finally {
    await place.remove();
  }
}

function plant(tree: string, crates: number): void {
  for (let crate = 0; crate < crates; crate++) {
    const folders = Array.from({ length: 11 }, (_, each) => join(tree, `crate-${crate}`, `folder-${each}`));
    for (const folder of folders) mkdirSync(folder, { recursive: true });
    for (let file = 0; file < 100; file++) {
      writeFileSync(join(folders[file % folders.length] ?? '', `file-${file}.rs`), text);
    }
  }
}
