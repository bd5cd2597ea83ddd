import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { packetFilterAvailable } from '../../../testbed/packet-filter.js';
import { installMissing } from '../../../testbed/systemd.js';
import { ufw } from '../../src/rules/ufw/index.js';
import { check } from '../unit/samples.js';

const run = promisify(execFile);
const files = Number(process.env.GUARD_ORACLE_UFW ?? 120);

const available = await packetFilterAvailable();
let why = available.ok ? '' : available.why;
if (!why) await installMissing(['ufw']).catch((error: unknown) => (why = String(error)));

if (process.env.CI === 'true')
  test('a machine of the CI can run ufw in a namespace', () => {
    expect(why).toBe('');
  });

const pick = <T>(...values: T[]) => fc.constantFrom(...values);
const value = pick(
  'ACCEPT',
  '"ACCEPT"',
  '"ACCEPT"',
  '"ACCEPT"',
  '"ACCEPT"',
  '"ACCEPT"',
  "'ACCEPT'",
  '"DROP"',
  'DROP',
  'REJECT',
  '"accept"',
  'Accept',
  '""',
  '"ACCEPT" # for LXD',
  'ACCEPT ',
  'AC"CEPT"',
  '"ACCEPT"x',
  'ACCEPT;',
  '"ACCEPT DROP"',
  'ACC\\EPT',
  '"ACCEPT"\r',
);
const name = pick(
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARD_POLICY',
  'export DEFAULT_FORWARD_POLICY',
  ' DEFAULT_FORWARD_POLICY',
  '# DEFAULT_FORWARD_POLICY',
  'DEFAULT_FORWARDS_POLICY',
  'readonly DEFAULT_FORWARD_POLICY',
  'default_forward_policy',
  'X=1 DEFAULT_FORWARD_POLICY',
);
const line = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(name, pick('=', '=', '=', '=', '=', '=', ' = '), value).map((all) => all.join('')),
  },
  pick(
    'unset DEFAULT_FORWARD_POLICY',
    '# a comment',
    '',
    'MANAGE_BUILTINS=no',
    'if true; then DEFAULT_FORWARD_POLICY="ACCEPT"; fi',
    'OTHER="a b"',
    'DEFAULT_FORWARD_POLICY="ACC\\\nEPT"',
  ),
);
const host = fc.record({ lines: fc.array(line, { minLength: 1, maxLength: 2 }), conf: fc.option(line, { freq: 4 }) });

/** What ufw's own code reads, by folder. */
const cli = `
import sys, json
sys.path.insert(0, '/usr/lib/python3/dist-packages')
import ufw.backend
answers = {}
for folder in sys.argv[1:]:
    class Backend(ufw.backend.UFWBackend):
        def __init__(self): pass
    backend = Backend()
    backend.files = {'defaults': folder + '/etc/default/ufw', 'conf': folder + '/etc/ufw/ufw.conf'}
    try:
        backend._get_defaults()
        answers[folder] = backend.defaults['default_forward_policy']
    except Exception as error:
        answers[folder] = 'error'
print(json.dumps(answers))
`;

describe.runIf(why === '')('what ufw itself makes of /etc/default/ufw', () => {
  let work: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'guard-ufw-'));
  });
  afterAll(async () => {
    await rm(work, { recursive: true, force: true });
  });

  it('is what the guard says, at boot in a namespace and on its command line', async () => {
    const conf = await readFile('/etc/ufw/ufw.conf', 'utf8');
    const cases = fc.sample(host, { seed: 5, numRuns: files }).map((each, index) => ({
      folder: join(work, String(index)),
      // What the rest of ufw needs; no kernel setting of this machine is touched.
      defaults: `IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\nDEFAULT_APPLICATION_POLICY="SKIP"\nMANAGE_BUILTINS=no\nIPT_SYSCTL=/dev/null\nIPT_MODULES=""\n${each.lines.join('\n')}\n`,
      conf: `${conf.replace(/^ENABLED=.*/m, 'ENABLED=yes')}${each.conf === null ? '' : `${each.conf}\n`}`,
    }));
    for (const { folder, defaults, conf: text } of cases) {
      await mkdir(join(folder, 'etc/default'), { recursive: true });
      await cp('/etc/ufw', join(folder, 'etc/ufw'), { recursive: true });
      await writeFile(join(folder, 'etc/default/ufw'), defaults);
      await writeFile(join(folder, 'etc/ufw/ufw.conf'), text);
    }
    const { stdout } = await run('/usr/bin/python3', ['-c', cli, ...cases.map(({ folder }) => folder)]);
    const read = JSON.parse(stdout) as Record<string, string>;
    const wrong: string[] = [];
    const count = { good: 0, bad: 0, unknown: 0 };
    for (const { folder, defaults, conf: text } of cases) {
      const script =
        'mount -t tmpfs tmpfs /run; ip link set lo up; /lib/ufw/ufw-init --datadir "$1" start >/dev/null 2>&1 && iptables -S FORWARD';
      const booted = await run('unshare', ['--net', '--mount', 'sh', '-c', script, 'sh', folder], {
        timeout: 20_000,
      }).then(
        (result) => result.stdout,
        () => '',
      );
      const boot = booted.startsWith('-P FORWARD ACCEPT');
      const is = boot && read[folder] === 'accept';
      const findings = check(ufw, 'ufw/forward-policy', {
        name: '',
        files: { 'etc/default/ufw': defaults, 'etc/ufw/ufw.conf': text },
      });
      if (findings.some(({ status }) => status === 'unknown')) {
        count.unknown++;
        continue;
      }
      count[is ? 'good' : 'bad']++;
      if (is !== (findings.length === 0))
        wrong.push(
          `${defaults.slice(defaults.indexOf('IPT_MODULES'))}--- ufw.conf\n${text.slice(conf.length)}\nboot: ${boot}, command line: ${read[folder]}, guard: ${JSON.stringify(findings.map(({ message }) => message))}`,
        );
    }
    console.log(`ufw: ${cases.length}, ${JSON.stringify(count)}, ${wrong.length} wrong`);
    expect(wrong).toEqual([]);
    expect(Math.min(count.good, count.bad)).toBeGreaterThan(files / 8);
    expect(count.unknown).toBeLessThan(files / 8);
  });
});
