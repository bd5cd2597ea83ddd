// npx tsx bench/cache-clean/stress.ts [MINUTES, default 30] [--old]: the tests' stress of two minutes, for longer.
import { stress } from '../../action-cache-clean/test/stress.js';
import { sccaches } from '../../testbed/sccache.js';

const minutes = Number(process.argv[2] ?? 30);
const all = await sccaches();
const sccache = process.argv.includes('--old') ? all[0] : all.at(-1);
if (!sccache || !(minutes > 0)) throw new Error('npx tsx bench/cache-clean/stress.ts MINUTES');
console.error(`${minutes} min with ${sccache.version}`);
const result = await stress(minutes * 60_000, sccache, (line) => console.error(line));
console.log(JSON.stringify({ minutes, sccache: sccache.version, ...result }, null, 2));
process.exitCode = result.failed.length > 0 ? 1 : 0;
