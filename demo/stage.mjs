import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { runAction } from './action.mjs';
import { artifactBytes, buildArtifact, nodeIsElf } from './artifact.mjs';
import { startProber } from './prober.mjs';
import { startTarget } from './start-target.mjs';
import { fileHash, treeHash } from './tree.mjs';

/** The most copies of the binary at one time (three kept on the target, one to be sent), and what the action wants spare. */
const COPIES = 4;
const SPARE_BYTES = 128 * 1024 * 1024;

/** Everything the acts play on: a target, a service address that is asked all the time, and a way to deploy. */
export async function setStage({ signal, say }) {
  if (!(await nodeIsElf())) throw new Error('The demo needs Linux: its target runs Linux programs as services.');
  await mustFit(tmpdir());
  const root = await mkdtemp(join(tmpdir(), 'gbo-demo-'));
  let target;
  try {
    target = await startTarget(root);
    return new Stage(root, target, startProber(target.url), signal, say);
  } catch (error) {
    await target?.end();
    await rm(root, { recursive: true, force: true });
    throw error;
  }
}

async function mustFit(folder) {
  const { bavail, bsize } = await statfs(folder);
  const wanted = COPIES * (await artifactBytes()) + SPARE_BYTES;
  const mib = (bytes) => `${Math.round(bytes / 1024 / 1024)} MiB`;
  if (bavail * bsize >= wanted) return;
  throw new Error(
    `The demo needs ${mib(wanted)} for a while, and ${folder} has ${mib(bavail * bsize)}; name another folder by TMPDIR.`,
  );
}

class Stage {
  #root;
  #signal;
  #say;
  #runs = 0;

  constructor(root, target, prober, signal, say) {
    this.#root = root;
    this.target = target;
    this.#signal = signal;
    this.#say = say;
    this.prober = prober;
  }

  /** Builds a release and deploys it by the action, as a runner would. */
  async deploy(release) {
    this.#signal.throwIfAborted();
    const artifact = join(this.#root, 'build', release.version, 'acme-shop');
    await buildArtifact(artifact, release);
    mustRun(artifact);
    const sha256 = await fileHash(artifact);
    const { target } = this;
    const inputs = {
      host: '127.0.0.1',
      port: String(target.port),
      user: userName(),
      'private-key': target.privateKey,
      'known-hosts': target.knownHosts,
      artifact,
      path: target.path,
      unit: target.unit,
      'health-url': target.url,
      'health-contains': `"version":"${release.version}"`,
    };
    this.#runs += 1;
    const env = {
      GITHUB_SERVER_URL: 'https://git.example.com',
      GITHUB_REPOSITORY: 'acme/shop',
      GITHUB_RUN_NUMBER: String(this.#runs),
      GITHUB_ACTOR: 'demo',
    };
    const run = await runAction(inputs, { say: this.#say, signal: this.#signal, env, parent: this.#root });
    await rm(artifact);
    this.#signal.throwIfAborted();
    const { result = 'failed', 'downtime-ms': downtime } = run.outputs;
    return {
      ...run,
      sha256,
      title: `v${release.version}`,
      result,
      reason: run.host?.reason,
      bytesSent: run.host?.bytesSent ?? 0,
      downtimeMs: downtime ? Number(downtime) : undefined,
      steps: run.host?.timeline ?? [],
      outages: this.prober.outages(run.began, run.ended),
    };
  }

  /** What the service's main process is an execution of, read from the kernel and not from the path. */
  async running() {
    const pid = await this.target.mainPid();
    return { pid, sha256: pid ? await fileHash(`/proc/${pid}/exe`) : '' };
  }

  treeHash() {
    return treeHash(this.target.folder);
  }

  async clear() {
    this.prober.stop();
    await this.target.end();
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** Some machines forbid programs in the temp folder, and some nodes need libraries beside them. */
function mustRun(program) {
  const { status, error, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim();
  throw new Error(`A copy of node does not run in ${tmpdir()} (${why}); name another folder by TMPDIR.`);
}

/** The name is only shown; in a container the user may have none. */
function userName() {
  try {
    return userInfo().username;
  } catch {
    return 'deploy';
  }
}
