import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Contender, figures, goal, interleave, type Part, ratios, type Settings, timed } from './measure.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Sound inputs but for the local file: the first line comes after everything has been loaded, the SSH library included. */
const deployInputs = {
  INPUT_HOST: '127.0.0.1',
  INPUT_USER: 'root',
  INPUT_PATH: '/opt/gbo/bin/botserver',
  INPUT_ARTIFACT: '/nonexistent/botserver',
  INPUT_UNIT: 'system',
  'INPUT_PRIVATE-KEY': generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey,
  'INPUT_HOST-KEY-CHECK': 'insecure',
};

/** How long a bundle takes from its start to the first line a person can read, and how much there is to fetch. */
export async function startUp(settings: Settings): Promise<Part> {
  const bundles = readdirSync(root)
    .filter((name) => name.startsWith('action-') && existsSync(join(root, name, 'dist', 'index.js')))
    .sort();
  const bare: Contender = {
    name: 'node',
    run: async () => ({ 'node -e 0': await timed(process.execPath, ['-e', '0']) }),
  };
  const contenders = bundles.flatMap((name): Contender[] => {
    const start = (env: Record<string, string>, says: RegExp) =>
      firstLine(join(root, name, 'dist', 'index.js'), env, says);
    const asked = {
      name,
      // Two have no input that must be given.
      run: async () => ({ [`${name}, refusing its inputs`]: await start({ INPUT_MODE: 'nonsense' }, /bad input/i) }),
    };
    if (name !== 'action-deploy') return [asked];
    return [
      asked,
      {
        name,
        run: async () => ({
          [`${name}, all loaded`]: await start(deployInputs, /\/nonexistent\/botserver .*cannot be read/),
        }),
      },
    ];
  });
  const samples = await interleave(settings, [bare, ...contenders]);
  const sizes = bundles.map((name): [string, number] => [`${name}, bundle`, megabytes(join(root, name, 'dist'))]);
  const starts = [...samples.keys()].filter((name) => name !== 'node -e 0');
  return {
    title: 'Start: from the start of a bundle to its first log line, against bare node',
    figures: [...figures(samples), ...sizes.map(([name, size]) => ({ name, unit: 'MB' as const, values: [size] }))],
    goals: [
      ...starts.map((name) => goal(`${name} / node -e 0`, ratios(samples, name, 'node -e 0'), { atMost: 3 })),
      ...sizes.map(([name, size]) => goal(name, [size], { atMost: 2.5 }, { unit: 'MB', fixed: true })),
    ],
    notes: [
      'The masks a runner is told first (::add-mask::) do not count as a line.',
      'all loaded: every input is sound and the local file is missing, which is said after the SSH library was loaded.',
    ],
  };
}

/** Time to the first line that is no command for the runner. The process is ended then. */
function firstLine(bundle: string, env: Record<string, string>, says: RegExp): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child: ChildProcess = spawn(process.execPath, [bundle], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, GITHUB_ACTIONS: 'true', ...env },
    });
    let text = '';
    let took = 0;
    let expected = false;
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk;
      const line = text.split('\n').find((line) => line && !line.startsWith('::add-mask::'));
      if (line === undefined || took > 0) return;
      took = performance.now() - began;
      expected = says.test(line);
      child.kill();
    });
    child.on('error', reject);
    child.on('close', () => (expected ? resolve(took) : reject(new Error(`${bundle} said ${text || 'nothing'}`))));
  });
}

/** All that a release ships as dist/, licences included. */
function megabytes(folder: string): number {
  const files = readdirSync(folder).filter((name) => name !== '.sources');
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / 1e6;
}
