import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '../../action-deploy/test/harness.js';
import { type Contender, excesses, figures, goal, interleave, output, type Part, type Settings } from '../measure.js';
import { byHand, ours, type Target } from './target.js';

const prober = fileURLToPath(new URL('./prober.mjs', import.meta.url));

const bare = 'systemctl restart alone';
const switched = 'ours, during the whole deploy';

/** For how long does nobody answer on the service's port, asked on the target itself every millisecond or two? */
export async function downTime(settings: Settings, target: Target): Promise<Part> {
  const size = settings.quick ? 8 : 256;
  const versions = ['4.0.0', '4.0.1'];
  const version = (round: number) => versions[round % 2] ?? '';
  await run(await target.inputs(version(1), size));
  await inside(target, `systemctl stop ${byHand.unit}`); // a running program's file cannot be written to
  await output('scp', [
    '-q',
    ...target.ssh,
    await target.botserver(version(1), size),
    `${target.login}:${byHand.path}`,
  ]);
  await inside(target, `systemctl restart ${byHand.unit}`);
  const told: number[] = [];
  const probed = (name: string, port: number, action: (round: number) => Promise<void>): Contender => ({
    name,
    before: () => target.clean(),
    run: async (round) => ({ [name]: await longestGap(target, port, () => action(round)) }),
  });
  const samples = await interleave(settings, [
    probed('nothing done, for 2 s', ours.port, () => new Promise((resolve) => setTimeout(resolve, 2000))),
    probed(bare, ours.port, () => inside(target, `systemctl restart ${ours.unit}`)),
    probed(switched, ours.port, async (round) => {
      const { report, log, outputs } = await run(await target.inputs(version(round), size));
      if (report?.result !== 'deployed') throw new Error(`It was not deployed:\n${log}`);
      told.push(Number(outputs['downtime-ms']));
    }),
    {
      ...probed('by hand: stop, mv, start over ssh', byHand.port, async () => {
        const { unit, path } = byHand;
        const line = `systemctl stop ${unit}; mv ${path}.new ${path}; chmod +x ${path}; systemctl start ${unit}`;
        await output('ssh', [...target.ssh, target.login, line]);
      }),
      before: () => inside(target, `cp ${byHand.path} ${byHand.path}.new && sync`),
    },
  ]);
  return {
    title: `Down-time of the switch (${size} MiB): the longest time between two good answers`,
    figures: [...figures(samples), { name: 'ours, what its output downtime-ms says', unit: 'ms', values: told }],
    goals: [goal('ours, beyond the bare restart', excesses(samples, switched, bare), { atMost: 150 }, { unit: 'ms' })],
    notes: [
      "The prober is a process on this machine in the target's network namespace: no tunnel lies between it and the port.",
    ],
  };
}

/** Probes the port while `action` runs, and a moment before and after. */
async function longestGap({ host }: Target, port: number, action: () => Promise<void>): Promise<number> {
  const args = ['--target', String(host.pid), '--net', process.execPath, prober, String(port)];
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next();
  try {
    await action();
  } finally {
    setTimeout(() => child.stdin.end(), 300);
  }
  const { value } = await lines.next();
  await ended;
  return JSON.parse(value).gapMs;
}

async function inside({ host }: Target, command: string): Promise<void> {
  const { code, stderr } = await host.exec(command);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
}
