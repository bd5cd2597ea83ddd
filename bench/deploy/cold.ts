import { type Contender, figures, goal, interleave, type Part, ratios, type Settings } from '../measure.js';
import { deploy, uploadAlone } from './ours.js';
import { directly, handWritten, putFile, rsync, scp, scpVerified } from './peers.js';
import type { Target } from './target.js';

const names = {
  alone: 'ours, connect and upload alone',
  upload: 'ours, upload step of the deploy',
  verified: 'ours, from start to end of verify',
  whole: 'ours, whole deploy',
  withoutSoak: 'ours, whole deploy but for the soak',
  scp: 'scp',
  scpVerified: 'scp, sync and sha256sum',
  hand: 'the hand-written script',
};

const shared =
  'Server, node and what else runs share the cores of one machine, and node does all of an upload in one thread: of a busy neighbour it suffers most.';

/** A file the target has never seen: every way to bring it there, and the whole deploys around it. */
export async function cold(settings: Settings, target: Target): Promise<Part> {
  const size = settings.quick ? 8 : 256;
  const way = directly(target);
  // One more than rounds: the first is there before anything is measured, so that each deploy replaces something.
  const versions = Array.from({ length: settings.rounds + 1 }, (_, index) => `1.${size}.${index}`);
  const files = await Promise.all(versions.map((version) => target.botserver(version, size)));
  const file = (round: number) => files[round + 1] ?? '';
  const before = async (round: number) => {
    await target.clean();
    await target.warm(file(round));
  };
  await deploy(target, versions[0] ?? '', size);
  const peer = (name: string, run: (from: string) => Promise<number>): Contender => ({
    name,
    before,
    run: async (round) => ({ [name]: await run(file(round)) }),
  });
  // What is compared with each other runs one after the other.
  const samples = await interleave(settings, [
    peer(names.scp, (from) => scp(way, from)),
    peer(names.alone, async (from) => {
      const { connect, upload } = await uploadAlone(target, way, from);
      return connect + upload;
    }),
    peer('rsync', (from) => rsync(way, from, target.rsyncPath)),
    peer('node-ssh putFile', (from) => putFile(way, from, target.host.privateKey)),
    peer(names.scpVerified, (from) => scpVerified(way, from)),
    {
      name: 'ours',
      before,
      run: async (round) => {
        const { upload, untilVerified, soak, whole } = await deploy(target, versions[round + 1] ?? '', size);
        return {
          [names.upload]: upload,
          [names.verified]: untilVerified,
          [names.whole]: whole,
          [names.withoutSoak]: whole - soak,
        };
      },
    },
    peer(names.hand, (from) => handWritten(way, from)),
  ]);
  const compare = (slow: string, fast: string, atLeast?: number) =>
    goal(`${slow} / ${fast}`, ratios(samples, slow, fast), atLeast === undefined ? undefined : { atLeast }, {
      reason: shared,
    });
  return {
    title: `Cold: ${size} MiB of incompressible bytes that the target does not have`,
    figures: figures(samples),
    goals: [
      compare(names.scp, names.alone, 1.3),
      compare(names.scpVerified, names.verified, 1.3),
      compare(names.hand, names.whole, 3),
      compare(names.scp, names.verified),
      compare('rsync', names.alone),
      compare('node-ssh putFile', names.alone),
      compare(names.hand, names.withoutSoak),
    ],
    notes: [
      'scp and "connect and upload alone" do the same: log in, and hand the bytes to the other side. Neither knows whether they arrived.',
      'Until the end of verify ours has also started node, hashed the file here and there, surveyed, locked and fsynced; "scp, sync and sha256sum" ends with the same knowledge.',
      'The whole deploy contains the soak (2 s by default), as the hand-written script contains its sleep (10 s).',
    ],
  };
}
