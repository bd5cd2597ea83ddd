import { run } from '../../action-deploy/test/harness.js';
import { figures, interleave, type Part, ratio, type Settings, timed } from '../measure.js';
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
  const before = await starts(target);
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
        const began = performance.now();
        const { report, log } = await run(inputs);
        if (report?.result !== 'unchanged') throw new Error(`It was not unchanged:\n${log}`);
        return { [deployed]: performance.now() - began };
      },
    },
    { name: 'rsync', run: async () => ({ 'rsync, by size and time': await rsync(way, file, target.rsyncPath) }) },
  ]);
  const after = await starts(target);
  return {
    title: `Unchanged: the same ${size} MiB again`,
    figures: figures(samples),
    goals: [
      {
        text: 'ours / the time of an ssh connect',
        value: 3 * ratio(samples, deployed, connects),
        unit: '',
        limit: { atMost: 3 },
      },
      { text: 'starts of the unit meanwhile', value: after === before ? 0 : 1, unit: '', limit: { atMost: 0 } },
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
