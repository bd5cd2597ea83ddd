import { start } from '../../action-deploy/test/harness.js';
import { output } from '../measure.js';
import type { Way } from './peers.js';
import type { Target } from './target.js';

/** The action's own connect and upload alone, in a process of its own; times in ms, without the start of node. */
export async function uploadAlone(
  { host, uploader }: Target,
  way: Way,
  from: string,
  channels?: number,
): Promise<{ connect: number; upload: number }> {
  const knownHosts = `[${way.host}]:${way.port} ${host.hostKey}\n${way.host} ${host.hostKey}`;
  const endpoint = { host: way.host, port: way.port, user: host.user, knownHosts };
  const question = JSON.stringify({ endpoint, from, to: '/opt/peer/ours', channels });
  return JSON.parse(await output(process.execPath, [uploader, question], { KEY: host.privateKey }));
}

/** One deploy of a changed botserver by the bundle, as a runner starts it; times in ms. */
export async function deploy(
  target: Target,
  version: string,
  sizeMiB: number,
): Promise<{ upload: number; untilVerified: number; soak: number; whole: number }> {
  const inputs = await target.inputs(version, sizeMiB);
  const began = performance.now();
  const running = start(inputs);
  let verified = 0;
  running.onLine((line) => {
    if (/verify botserver.*: done/.test(line)) verified = performance.now();
  });
  const { code, log, report } = await running.finished;
  const whole = performance.now() - began;
  const took = (id: string) => {
    const entry = report?.hosts[0]?.timeline.find(({ step }) => step === id);
    return entry ? entry.ended - entry.began : Number.NaN;
  };
  if (code !== 0 || verified === 0) throw new Error(`The deploy of ${version} went wrong:\n${log}`);
  return { upload: took('upload:botserver'), untilVerified: verified - began, soak: took('soak'), whole };
}
