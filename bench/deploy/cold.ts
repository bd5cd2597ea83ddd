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

/** Measured in November 2026 on 2 cores, each after 300 ms of quiet: /proc/stat around it, and what node says it used. */
const boundByCpu =
  'Chance decides: eleven rounds, each begun on a quiet machine, gave 0.80 to 2.00 times and 1.33 in the median; eleven beside a process that kept one of the 2 cores busy gave 1.11 to 1.68 and 1.31. Both are bound by CPU, and cost about as much of it: 256 MiB take 1.1 to 1.3 s by ours and 1.2 to 1.4 s by scp, sshd on the same cores included. Ours is one thread of node that encrypts, busy for 77 to 84 % of the time.';

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
  const compare = (slow: string, fast: string, atLeast?: number, reason?: string) =>
    goal(`${slow} / ${fast}`, ratios(samples, slow, fast), atLeast === undefined ? undefined : { atLeast }, { reason });
  return {
    title: `Cold: ${size} MiB of incompressible bytes that the target does not have`,
    figures: figures(samples),
    goals: [
      compare(names.scp, names.alone, 1.3, boundByCpu),
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
