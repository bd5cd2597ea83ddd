import { run } from '../../action-deploy/test/harness.js';
import { figures, goal, interleave, most, type Part, ratios, type Settings, timed } from '../measure.js';
import { directly, rsync } from './peers.js';
import { ours, type Target } from './target.js';

const deployed = 'ours, whole run';
const connects = 'three times ssh true';

/** The same deploy again: how soon does it know that there is nothing to do, and does it keep its hands off? */
export async function unchanged(settings: Settings, target: Target): Promise<Part> {
  const size = settings.quick ? 8 : 256;
  const inputs = await target.inputs('2.0.0', size);
  const file = await target.botserver('2.0.0', size);
  const way = directly(target);
  await run(inputs);
  await target.clean();
  await rsync(way, file, target.rsyncPath);
  const restarted: number[] = [];
  const samples = await interleave(settings, [
    {
      name: 'ssh',
      run: async () => {
        const began = performance.now();
        for (let i = 0; i < 3; i++) await timed('ssh', [...way.ssh, way.login, 'true']);
        return { [connects]: performance.now() - began };
      },
    },
    {
      name: 'ours',
      run: async () => {
        const before = await starts(target);
        const began = performance.now();
        const { report, log } = await run(inputs);
        const took = performance.now() - began;
        if (report?.result !== 'unchanged') throw new Error(`It was not unchanged:\n${log}`);
        restarted.push((await starts(target)) === before ? 0 : 1);
        return { [deployed]: took };
      },
    },
    { name: 'rsync', run: async () => ({ 'rsync, by size and time': await rsync(way, file, target.rsyncPath) }) },
  ]);
  return {
    title: `Unchanged: the same ${size} MiB again`,
    figures: figures(samples),
    goals: [
      goal(
        'ours / the time of an ssh connect',
        ratios(samples, deployed, connects).map((times) => 3 * times),
        { atMost: 3 },
      ),
      goal('starts of the unit meanwhile', restarted, { atMost: 0 }, { counts: most }),
    ],
    notes: [
      "An ssh connect is OpenSSH's own client that logs in, runs `true` and leaves. Ours includes the start of node.",
    ],
  };
}

/** Changes with each start of the unit, whoever caused it. */
async function starts({ host }: Target): Promise<string> {
  return (
    await host.exec(`systemctl show -p InvocationID -p NRestarts -p ExecMainStartTimestampMonotonic ${ours.unit}`)
  ).stdout;
}
