import { startProxy } from '../../testbed/proxy.js';
import { type Contender, figures, goal, interleave, type Part, ratios, type Settings } from '../measure.js';
import { uploadAlone } from './ours.js';
import { putFile, rsync, scp, through } from './peers.js';
import type { Target } from './target.js';

const DELAY_MS = 100;

/** The same upload over a long way: OpenSSH lets a channel have 2 MiB under way, so one channel is slow there. */
export async function roundTrip(settings: Settings, target: Target): Promise<Part> {
  const size = settings.quick ? 4 : 96;
  const from = await target.botserver('3.0.0', size);
  const proxy = await startProxy({ to: target.host, delayMs: DELAY_MS });
  try {
    const way = through(target, proxy.port);
    const before = () => target.clean();
    const peer = (name: string, run: () => Promise<number>): Contender => ({
      name,
      before,
      run: async () => ({ [name]: await run() }),
    });
    const own = (name: string, channels?: number): Contender => ({
      name,
      before,
      run: async () => {
        const { connect, upload } = await uploadAlone(target, way, from, channels);
        return { [`${name}, upload`]: upload, [`${name}, with connect`]: connect + upload };
      },
    });
    const samples = await interleave(settings, [
      own('ours, one channel', 1),
      own('ours'),
      peer('scp', () => scp(way, from)),
      peer('rsync', () => rsync(way, from, target.rsyncPath)),
      peer('node-ssh putFile', () => putFile(way, from, target.host.privateKey)),
    ]);
    const compare = (slow: string, fast: string) =>
      goal(`${slow} / ${fast}`, ratios(samples, slow, fast), { atLeast: 1.8 });
    return {
      title: `Round trip of ${DELAY_MS} ms: ${size} MiB`,
      figures: figures(samples),
      goals: [compare('ours, one channel, upload', 'ours, upload'), compare('scp', 'ours, with connect')],
      notes: ['Ours chooses four channels by itself, since it measured the round trip after it had connected.'],
    };
  } finally {
    await proxy.stop();
  }
}
