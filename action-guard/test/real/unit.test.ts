import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type SystemdHost, startSystemdHost, testbedAvailable } from '../../../testbed/systemd.js';
import { servicesOf, variableOf } from '../../src/rules/unit/service.js';
import { askSystemd } from '../../src/tools/systemd-analyze.js';
import { treeOf } from '../../src/tree.js';

const units = Number(process.env.GUARD_ORACLE_UNITS ?? 200);
const names = ['A', 'B', 'BOTSERVER_URL'];
const available = await testbedAvailable();

if (process.env.CI === 'true')
  test('a machine of the CI can start systemd', () => {
    expect(available).toEqual({ ok: true });
  });

const pick = <T>(...values: T[]) => fc.constantFrom(...values);
const value = pick(
  '1',
  'http://localhost:5858',
  'x=y',
  '',
  'a\\x41b',
  '%%h',
  'a\\sb',
  'ü',
  '$A',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: systemd's own notation.
  '${B}',
  'a;b',
  'a#b',
  'C:\\\\x',
  '\\101',
  '-',
);
const item = fc
  .tuple(pick(...names), value, pick('plain', 'whole', 'single', 'inner', 'spaced', 'broken', 'words'))
  .map(([name, text, form]) => {
    switch (form) {
      case 'whole':
        return `"${name}=${text} z"`;
      case 'single':
        return `'${name}=${text}'`;
      case 'inner':
        return `${name}="${text} q"`;
      case 'spaced':
        return `${name} = ${text}`;
      case 'broken':
        return text.length % 3 === 0 ? `"${name}=${text}` : `${name}=${text}\\q`;
      case 'words':
        return `${name}=${text} 9x=1 word`;
      default:
        return `${name}=${text}`;
    }
  });
const line = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => `Environment=${items.join(' ')}`),
  },
  { weight: 1, arbitrary: fc.constant('Environment=') },
  { weight: 2, arbitrary: fc.tuple(item, item).map(([a, b]) => `Environment = ${a} \\\n  # between: A=no\n\t${b}`) },
  {
    weight: 1,
    arbitrary: pick(
      '# Environment=A=comment',
      ';Environment=B=comment',
      'Environment=A=2\\\\',
      'UnsetEnvironment=A',
      'Bogus=1',
      'no equals',
    ),
  },
);
const fileLine = fc
  .tuple(
    pick(...names, 'export A', '9x', ' B'),
    pick(
      '1',
      '"a b"',
      "'a b'",
      'a b  ',
      '"x\\"y" z',
      '"x\\ny"',
      'a\\\nb',
      'a # b',
      '',
      '"two\nlines"',
      '\'a\'"b"c',
      '\\a',
      '"$A`"',
      'http://localhost:5858',
    ),
    pick('=', ' = ', '= '),
  )
  .map(([name, text, equals]) => `${name}${equals}${text}`);
const environmentFile = fc
  .array(fc.oneof({ weight: 6, arbitrary: fileLine }, pick('# A=comment', '; B=x', '', 'word', '  # A=indented')), {
    maxLength: 5,
  })
  .map((lines) => lines.join('\n'));

/** A unit with what belongs to it, by its path below the root. */
const service = fc.tuple(
  fc.array(line, { maxLength: 4 }),
  fc.array(fc.array(line, { minLength: 1, maxLength: 2 }), { maxLength: 2 }),
  fc.option(environmentFile),
  fc.boolean(),
  fc.boolean(),
);

describe.runIf(available.ok)('the environment of a real service', () => {
  let host: SystemdHost;
  beforeAll(async () => {
    host = await startSystemdHost();
  }, 600_000);
  afterAll(async () => {
    await host?.stop();
  });

  it('is what the guard reads from its unit, drop-ins and environment file, for generated ones', async () => {
    const trees = fc
      .sample(service, { seed: 11, numRuns: units })
      .map(([lines, dropIns, env, section, optional], index) => {
        const name = `gen${index}.service`;
        const files: Record<string, string> = {};
        // Environment of [Unit] does not count.
        const elsewhere = section ? '[Unit]\nEnvironment=A=unit\n' : '';
        const reads = env === null ? [] : [`EnvironmentFile=${optional ? '-' : ''}/etc/gen/${index}.env`];
        files[`etc/systemd/system/${name}`] =
          `${elsewhere}[Service]\nType=oneshot\nExecStart=/usr/bin/env -0\nStandardOutput=file:/var/gen/${index}\nPassEnvironment=\n${[...lines, ...reads].join('\n')}\n`;
        for (const [nth, inside] of dropIns.entries())
          files[`etc/systemd/system/${name}.d/${nth === 0 ? '20-b' : '10-a'}.conf`] =
            `[Service]\n${inside.join('\n')}\n`;
        if (env !== null) files[`etc/gen/${index}.env`] = env;
        return { name, files, index };
      });
    for (const { files } of trees) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(host.rootDir, path)), { recursive: true });
        await writeFile(join(host.rootDir, path), text);
      }
    }
    await host.exec(
      `mkdir -p /var/gen; systemctl daemon-reload; systemctl start $(seq -f 'gen%g.service' 0 ${units - 1}) || true`,
      {
        timeoutMs: 120_000,
      },
    );
    const said = await host.exec(
      'cd /var/gen && for f in *; do printf \'FILE %s\\0\' "$f"; cat "$f"; done | base64 -w0',
    );
    const real = new Map<string, Map<string, string>>();
    let current = new Map<string, string>();
    for (const entry of Buffer.from(said.stdout, 'base64').toString().split('\0')) {
      if (entry.startsWith('FILE ')) {
        current = new Map();
        real.set(entry.slice(5), current);
      } else if (entry.includes('='))
        current.set(entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1));
    }
    const wrong: string[] = [];
    const count = { set: 0, unset: 0, unknown: 0, 'did not start': 0 };
    for (const { name, files, index } of trees) {
      const tree = treeOf(files);
      const [found] = servicesOf(tree, ['**/*.service', '**/*.service.d/*.conf'], (each) => each === name);
      const environment = real.get(String(index));
      if (!found || !environment) {
        count['did not start']++;
        continue;
      }
      for (const variable of names) {
        const { status, value: told } = variableOf(found, variable, tree);
        count[status]++;
        const is = environment.get(variable);
        const right = status === 'unknown' || (status === 'set' ? told === is : is === undefined);
        if (!right)
          wrong.push(
            `${JSON.stringify(files, null, 1)}\n${variable}: ${JSON.stringify(is)}, guard: ${status} ${JSON.stringify(told)}`,
          );
      }
    }
    console.log(`units: ${trees.length}, ${JSON.stringify(count)}, ${wrong.length} wrong`);
    expect(wrong).toEqual([]);
    expect(Math.min(count.set, count.unset)).toBeGreaterThan(units / 4);
    expect(count.unknown + count['did not start']).toBeLessThan(units / 10);
  }, 180_000);
});

describe('systemd-analyze', () => {
  it('says what it ignores in a unit and in its drop-in, in spite of its exit code', async () => {
    const report = await askSystemd([
      {
        path: 'a/ui.service',
        text: '[Service]\nExecStart=/nowhere/botui\nEnvironment=BOTSERVER_URL = x\nRestart=allways\n',
      },
      { path: 'a/ui.service.d/x.conf', text: '[Service]\nRestartSec=soon\n' },
      { path: 'b/ui.service', text: '[Service]\nExecStart=/bin/true\n' },
    ]);
    expect(report?.problems.filter(({ line }) => line).map(({ path, line }) => `${path}:${line}`)).toEqual([
      'a/ui.service:3',
      'a/ui.service:3',
      'a/ui.service:3',
      'a/ui.service:4',
      'a/ui.service.d/x.conf:2',
    ]);
  });
});
