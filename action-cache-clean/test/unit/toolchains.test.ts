import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compilerNumber, compilerNumbers, installedToolchains } from '../../src/toolchains.js';
import { plant, temporaryFolder } from './tree.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;

/** A cargo that writes this as the fingerprint of the crate it is asked to check. */
const writes = (path: string, text: string) => `#!/bin/sh
mkdir -p "$CARGO_TARGET_DIR/$(dirname '${path}')"
printf '%s' '${text}' > "$CARGO_TARGET_DIR/${path}"
`;
function toolchain(cargo: string, home = join(folder, String(++made)), name = 'stable'): string {
  const bin = join(home, 'toolchains', name, 'bin');
  plant(bin, { cargo, rustc: '#!/bin/sh\n' });
  chmodSync(join(bin, 'cargo'), 0o755);
  return bin;
}
const old = 'debug/.fingerprint/calibrate-0123456789abcdef/lib-calibrate.json';

describe('the number that cargo has for a compiler', () => {
  it.each([
    ['of 64 bits', writes(old, '{"rustc":17458672600737419911,"x":1}'), '17458672600737419911'],
    [
      'in the layout of cargo 1.100',
      writes('debug/build/calibrate/0123456789abcdef/fingerprint/lib-calibrate.json', '{"rustc":5}'),
      '5',
    ],
    ['anywhere in its line', writes(old, '{"features":"[]","rustc":77}'), '77'],
    ['that is 0 tells nothing', writes(old, '{"rustc":0}'), undefined],
    ['that is not there', writes(old, '{}'), undefined],
    ['of a fingerprint that is not there', '#!/bin/sh\nmkdir -p "$CARGO_TARGET_DIR"\n', undefined],
    ['of a cargo that fails', '#!/bin/sh\nexit 101\n', undefined],
    ['of a cargo that is none', 'x', undefined],
    [
      'is asked without anything of the environment that would change it',
      `#!/bin/sh\n[ -z "$RUSTC_WRAPPER$RUSTFLAGS$CARGO_BUILD_TARGET" ] || exit 1\n${writes(old, '{"rustc":9}').slice(10)}`,
      '9',
    ],
  ])('%s', async (_, cargo, number) => {
    Object.assign(process.env, { RUSTC_WRAPPER: 'sccache', RUSTFLAGS: '-x', CARGO_BUILD_TARGET: 'y' });
    try {
      expect(await compilerNumber(toolchain(cargo))).toBe(number);
    } finally {
      for (const name of ['RUSTC_WRAPPER', 'RUSTFLAGS', 'CARGO_BUILD_TARGET']) delete process.env[name];
    }
  });
});

describe('the compilers that are installed', () => {
  it('are all told, or none is: the one that cannot be told may have built everything', async () => {
    const home = join(folder, 'rustup');
    const env = { RUSTUP_HOME: home, PATH: '/nonexistent' };
    toolchain(writes(old, '{"rustc":5}'), home, 'stable');
    toolchain(writes(old, '{"rustc":6}'), home, 'nightly');
    expect(await compilerNumbers(env, '/nonexistent')).toEqual(new Set(['5', '6']));
    toolchain('#!/bin/sh\nexit 1\n', home, 'broken');
    expect(await compilerNumbers(env, '/nonexistent')).toBeUndefined();
  });

  it('are none where there is no toolchain, and then nothing is told', async () => {
    expect(await compilerNumbers({ PATH: '' }, '/nonexistent')).toBeUndefined();
  });

  it("are those of rustup and those on the path, each once, and not rustup's own links", () => {
    const home = join(folder, 'home');
    const [stable, nightly] = ['stable', 'nightly'].map((name) => toolchain('x', join(home, '.rustup'), name));
    const distribution = plant(join(folder, 'usr-bin'), { cargo: 'x', rustc: 'x' });
    const links = plant(join(folder, 'cargo-bin'), { cargo: 'x', rustc: 'x', rustup: 'x' });
    const half = plant(join(folder, 'half-bin'), { cargo: 'x' });
    const PATH = [links, half, distribution, '', stable].join(':');
    expect(installedToolchains({ PATH }, home).sort()).toEqual([distribution, nightly, stable].sort());
  });
});
