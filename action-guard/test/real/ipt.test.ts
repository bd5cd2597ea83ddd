import fc from 'fast-check';
import { afterAll, describe, expect, it, test } from 'vitest';
import {
  type Backend,
  type PacketFilter,
  packetFilterAvailable,
  startPacketFilter,
} from '../../../testbed/packet-filter.js';
import { Firewall } from '../../src/formats/firewall.js';
import type { Problem } from '../../src/formats/iptables.js';
import { readScript } from '../../src/formats/iptables-files.js';
import { inAllWorlds, readRules } from '../../src/rules/ipt/read.js';
import { treeOf } from '../../src/tree.js';

/** How many files each backend is asked about; seed 0 of the same sequence every time. */
const files = Number(process.env.GUARD_ORACLE_FILES ?? 150);
const ports = [22, 6379, 9000];

const available = await packetFilterAvailable();

if (process.env.CI === 'true')
  test('a machine of the CI can filter packets in a namespace, by nft and by legacy', () => {
    expect(available).toEqual({ ok: true, backends: ['nft', 'legacy'] });
  });

const pick = <T>(...values: T[]) => fc.constantFrom(...values);
const maybe = (arbitrary: fc.Arbitrary<string>, weight = 2) =>
  fc.oneof({ weight, arbitrary: fc.constant('') }, { weight: 1, arbitrary });
const joined = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((all) => all.filter(Boolean).join(' '));

const port = pick('6379', '22', '9000', '6379:6380', '9000:9001', ':1023', '1024:', 'redis', 'ssh', '443');
const list = fc.uniqueArray(pick('22', '6379', '9000:9010', '80', '443', '6000:6400'), { minLength: 1, maxLength: 4 });
const states = fc
  .uniqueArray(pick('NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED'), { minLength: 1, maxLength: 3 })
  .map((all) => all.join(','));
const not = maybe(fc.constant('!'), 3);
const addresses = {
  4: pick(
    '127.0.0.1',
    '127.0.0.0/8',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '127.0.0.2',
    '127.0.0.0/255.255.255.0',
    '0/0',
    '127.0.0.1,10.1.2.3',
  ),
  6: pick('::1', '::/0', 'fe80::/10', '2001:db8::/32', '::1/128', '::1,fe80::1', '::/1'),
};
const negated = { 4: ['! -s 10.0.0.0/8', '! -d 127.0.0.1'], 6: ['! -s 2001:db8::/32', '! -d ::1'] };
const ranges = { 4: '127.0.0.0-127.0.0.9', 6: '::-::2' };

const matchesOf = (family: 4 | 6, incoming: boolean | undefined) => {
  const device = pick('lo', 'lo', 'eth0', 'lo+', 'l+', 'lo0', '+');
  const way = incoming === undefined ? pick('-i', '-o') : fc.constant(incoming ? '-i' : '-o');
  const tcp = fc.oneof(
    joined(not, fc.constant('--dport'), port),
    joined(not, fc.constant('--sport'), port),
    joined(
      fc.constant('-m multiport'),
      not,
      pick('--dports', '--sports', '--ports'),
      list.map((all) => all.join(',')),
    ),
    joined(not, fc.constant('--syn')),
    joined(fc.constant('--tcp-flags'), pick('SYN,ACK', 'ALL', 'SYN,RST', 'FIN'), pick('SYN', 'ACK', 'SYN,ACK', 'NONE')),
  );
  return joined(
    maybe(joined(not, way, device), 1),
    maybe(
      fc.oneof(
        fc.constant('-p tcp'),
        joined(fc.constant('-p tcp'), tcp),
        joined(fc.constant('-p tcp'), tcp),
        pick('-p udp', '-p 6', '! -p udp', '-p all'),
      ),
      1,
    ),
    maybe(fc.oneof(joined(pick('-s', '-d'), addresses[family]), pick(...negated[family])), 3),
    maybe(
      fc.oneof(
        joined(fc.constant('-m conntrack'), not, fc.constant('--ctstate'), states),
        joined(fc.constant('-m state'), not, fc.constant('--state'), states),
      ),
      3,
    ),
    maybe(
      pick(
        '-m comment --comment "-i lo -j ACCEPT"',
        '-m comment --comment DROP',
        '-m comment --comment "a \\"b\\" --dport 22"',
      ),
      5,
    ),
    maybe(joined(fc.constant('-m mark'), not, fc.constant('--mark'), pick('0x1', '0', '1/3', '0x2/0xff')), 8),
    maybe(
      pick(
        '-m addrtype --dst-type LOCAL',
        '-m addrtype --src-type LOCAL',
        '-m addrtype ! --dst-type LOCAL',
        '-m addrtype --dst-type MULTICAST',
      ),
      9,
    ),
    maybe(fc.constant(`-m iprange --src-range ${ranges[family]}`), 12),
  );
};

const hooks = {
  filter: ['INPUT', 'INPUT', 'INPUT', 'OUTPUT'],
  mangle: ['INPUT', 'OUTPUT', 'PREROUTING', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
} as const;
type Table = keyof typeof hooks;
const incomingOf = (chain: string) => (/INPUT|PRE/.test(chain) ? true : /OUTPUT|POST/.test(chain) ? false : undefined);

const targetOf = (table: Table, chain: string) => {
  const later =
    chain === 'c1' ? ['c2', 'c3'] : chain === 'c2' ? ['c3'] : chain === 'c3' ? [] : ['c1', 'c1', 'c2', 'c3'];
  const own =
    table === 'filter'
      ? ['-j REJECT']
      : table === 'mangle'
        ? ['-j MARK --set-mark 1', '-j MARK --or-mark 2']
        : incomingOf(chain) === undefined
          ? []
          : ['-j CT --notrack'];
  return pick(
    '-j ACCEPT',
    '-j ACCEPT',
    '-j DROP',
    '-j DROP',
    '-j RETURN',
    '',
    ...own,
    ...later.flatMap((name) => [`-j ${name}`, `-j ${name}`, `-g ${name}`]),
  );
};

/** Lines of one table. Chains refer only to later ones, so that there are no circles. */
const tableOf = (family: 4 | 6, table: Table) => {
  const chains = [...hooks[table], 'c1', 'c2', 'c3'];
  const rule = pick(...chains).chain((chain) =>
    fc
      .tuple(fc.constant(chain), matchesOf(family, incomingOf(chain)), targetOf(table, chain))
      .map(([name, matches, target]) => ({ name, text: `${matches} ${target}`.trim() })),
  );
  const line = fc.oneof(
    { weight: 12, arbitrary: rule.map(({ name, text }) => `-A ${name} ${text}`) },
    { weight: 3, arbitrary: rule.map(({ name, text }) => `-I ${name} ${text}`) },
    { weight: 1, arbitrary: rule.map(({ name, text }) => `-I ${name} 1 ${text}`) },
    { weight: table === 'filter' ? 1 : 0, arbitrary: pick('-P INPUT DROP', '-P OUTPUT ACCEPT', '-P INPUT ACCEPT') },
  );
  const policy = table === 'filter' ? pick('ACCEPT', 'ACCEPT', 'DROP') : fc.constant('ACCEPT');
  return fc
    .tuple(policy, fc.array(line, { minLength: 1, maxLength: table === 'filter' ? 10 : 4 }), fc.boolean(), fc.nat(100))
    .map(([first, lines, remove, nth]) => {
      const declared = [...new Set(hooks[table])].map(
        (name) => `:${name} ${name === 'INPUT' ? first : 'ACCEPT'} [0:0]`,
      );
      // What was appended may be taken away again.
      const victim = lines[nth % lines.length] as string;
      const last = remove && victim.startsWith('-A ') ? [victim.replace('-A', '-D')] : [];
      return [
        `*${table}`,
        ...declared,
        ':c1 - [0:0]',
        ':c2 - [0:0]',
        ':c3 - [0:0]',
        ...lines,
        ...last,
        'COMMIT',
        '',
      ].join('\n');
    });
};

const fileOf = (family: 4 | 6) =>
  fc
    .tuple(tableOf(family, 'filter'), maybe(tableOf(family, 'raw'), 3), maybe(tableOf(family, 'mangle'), 3))
    .map(([filter, raw, mangle]) => raw + mangle + filter);

/** What iptables refuses, or nearly: one thing is broken in a file. */
const broken = fc
  .tuple(
    fileOf(4),
    fc.nat(1000),
    pick<[RegExp, string]>(
      [/-j DROP/, '-j DROPP'],
      [/-j ACCEPT/, '-j accept'],
      [/:INPUT (ACCEPT|DROP)/, ':INPUT drop'],
      [/-p tcp/, ''],
      [/-p tcp/, '-p udp'],
      [/--dport/, '--dports'],
      [/-i lo/, '-i ! lo'],
      [/-i lo/, '-o lo'],
      [/-i lo/, '-i lo -i lo'],
      [/COMMIT\n/, ''],
      [/COMMIT\n$/, 'COMMIT'],
      [/\*filter/, '*filters'],
      [/:c1 - \[0:0\]\n/, ''],
      [/6379/, '63790000'],
      [/ESTABLISHED/, 'ESTABLISHD'],
      [/-j c1/, '-j c9'],
      [/--ctstate/, '--state'],
      [/-A INPUT/, 'iptables -A INPUT'],
      [/-A INPUT/, '-A INPUTS'],
      [/-A INPUT/, '-A  INPUT'],
      [/-j DROP/, '-j DROP #x'],
      [/-j DROP/, '-j DROP --log-prefix x'],
      [/-j REJECT/, '-j REJECT --reject-with tcp-reset'],
      [/-j REJECT/, '-j REJECT --reject-with icmp-admin'],
      [/-A INPUT/, '-A INPUT -w'],
      [/-A INPUT/, '[1:2] -A INPUT'],
      [/-A INPUT/, '-D INPUT'],
      [/-A INPUT/, '-I INPUT 99'],
      [/-A INPUT/, '-R INPUT 1'],
      [/127\.0\.0\.0\/8/, '127.0.0.0/33'],
      [/127\.0\.0\.1/, '::1'],
      [/--syn/, '--syn 1'],
      [/-m comment --comment/, '-m comment'],
      [/"/, ''],
      [/-A INPUT/, ':INPUT ACCEPT'],
      [/-j RETURN/, '-j INPUT'],
      [/-g c2/, '-g DROP'],
      [/-m multiport/, ''],
      [/:/, ':\t'],
      [/ --dport /, ' --dport='],
      [/-A /, '--append '],
      [/-j /, '--jump='],
      [/-j /, '--jum '],
    ),
  )
  .map(([text, , [from, to]]) => text.replace(from, to));

/** What people write in scripts around the commands. Everything is known, so that one run tells. */
const scripts = (() => {
  const drops = pick(
    '-A INPUT -p tcp --dport 6379 -j DROP',
    '-A INPUT -p tcp -m multiport --dports 22,9000 -j REJECT',
    '-P INPUT DROP',
    '-A INPUT -j DROP',
    '-I INPUT -p tcp --dport 22 -j DROP',
    '-I INPUT 2 -p tcp --dport 9000 -j DROP',
  );
  const accepts = pick(
    '-A INPUT -i lo -j ACCEPT',
    '-I INPUT -i lo -j ACCEPT',
    '-I INPUT 2 -i lo -j ACCEPT',
    '-A INPUT -m state --state ESTABLISHED -j ACCEPT',
    '-A INPUT -p tcp --dport 22 -j ACCEPT',
  );
  const command = pick('iptables', '"$IPT"', '$IPT', 'iptables -w', '/usr/bin/env iptables', 'ipt');
  const takes = pick(
    '-D INPUT -i lo -j ACCEPT',
    '-F INPUT',
    '-D INPUT 1',
    '-R INPUT 1 -p tcp --dport 9000 -j DROP',
    '-F',
    '-N mine',
    '-A INPUT -j mine',
    '-A mine -i lo -j RETURN',
    '-A mine -j DROP',
    '-X mine',
    '-I mine -p tcp --dport 22 -j ACCEPT',
  );
  const plain = fc
    .tuple(command, fc.oneof({ weight: 2, arbitrary: drops }, { weight: 2, arbitrary: accepts }, takes))
    .map(([name, rest]) => `${name} ${rest}`);
  const line = fc.oneof(
    { weight: 6, arbitrary: plain },
    fc
      .tuple(drops, accepts)
      .map(
        ([a]) => `iptables ${a} && iptables -A INPUT -p tcp --dport 443 -j DROP || iptables -I INPUT -i lo -j ACCEPT`,
      ),
    fc.constant('iptables -C INPUT -i lo -j ACCEPT 2>/dev/null || iptables -I INPUT -i lo -j ACCEPT'),
    fc.constant(
      'if ! iptables -C INPUT -i lo -j ACCEPT; then\n  iptables -A INPUT -i lo -j ACCEPT\nelse\n  iptables -F INPUT\nfi',
    ),
    fc.constant('for p in 22 9000; do iptables -A INPUT -p tcp --dport $p -j DROP; done'),
    fc.constant('for p in $PORTS\ndo\n  ipt -A INPUT -p tcp --dport "$p" \\\n    -j REJECT\ndone'),
    fc.constant('while iptables -D INPUT -i lo -j ACCEPT; do :; done'),
    fc.constant("sh -c 'iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 22 -j DROP'"),
    fc.constant("iptables-restore -n << 'EOF'\n*filter\n-A INPUT -i lo -p tcp -j ACCEPT\nCOMMIT\nEOF"),
    fc.constant(
      'iptables-restore << EOF\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 9000 -j DROP\nCOMMIT\nEOF',
    ),
    fc.constant('# iptables -A INPUT -i lo -j ACCEPT'),
    fc.constant('echo "iptables -A INPUT -i lo -j ACCEPT"; (iptables -A INPUT -p tcp --dport 6379 -j DROP)'),
    fc.constant('{ iptables -A INPUT -i lo -p tcp --dport 6379 -j ACCEPT; } > /dev/null 2>&1'),
  );
  const head = 'IPT=iptables\nPORTS=\'22 6379\'\nipt() {\n  $IPT "$@"\n}\n';
  return fc.array(line, { minLength: 2, maxLength: 8 }).map((lines) => `${head}${lines.join('\n')}\n`);
})();

interface Expected {
  refused: Problem[];
  verdicts: string[];
}

const told = (firewall: Firewall) => ports.map((each) => firewall.loopback(each).verdict);

function expectedOf(text: string, family: 4 | 6): Expected {
  const rules = readRules(treeOf({ [`rules.v${family}`]: text }).file(`rules.v${family}`) as never, treeOf({}), 'x');
  return { refused: rules?.problems ?? [], verdicts: told(rules?.ruled[0]?.worlds[0] as Firewall) };
}

describe.runIf(available.ok)('what the kernel does with packets on lo', () => {
  const backends: Backend[] = available.ok ? available.backends : [];
  /** A namespace for each test, so that they can run at the same time. */
  const filters: PacketFilter[] = [];
  const start = async () => {
    const filter = await startPacketFilter();
    filters.push(filter);
    return filter;
  };
  afterAll(async () => {
    for (const filter of filters) await filter.stop();
  });

  /** What really happens; asked again with more patience where it is not what is expected. */
  const really = async (filter: PacketFilter, family: 4 | 6, expected: string[]) => {
    let connected = await filter.connects(family, ports);
    if (connected.some((each, index) => !each && expected[index] === 'accept'))
      connected = await filter.connects(family, ports, 1500);
    return connected.map((each) => (each ? 'accept' : 'drop'));
  };

  const cases = backends.flatMap((backend) => ([4, 6] as const).map((family) => ({ backend, family })));
  it.concurrent.each(cases)(
    'is what the guard says, for generated files of IPv$family loaded by iptables-$backend',
    async ({ backend, family }) => {
      const texts = fc.sample(fileOf(family), {
        seed: 42 + family,
        numRuns: family === 4 ? files : Math.ceil(files / 3),
      });
      const filter = await start();
      const wrong: string[] = [];
      const count = { accept: 0, drop: 0, unknown: 0, refused: 0 };
      for (const text of texts) {
        const { refused, verdicts } = expectedOf(text, family);
        const { error } = await filter.load(backend, family, text);
        if (error || refused.length > 0) {
          count.refused++;
          if (!error !== (refused.length === 0))
            wrong.push(`${text}\nrefused: ${error ?? 'no'}\nguard: ${JSON.stringify(refused)}`);
          continue;
        }
        const real = await really(filter, family, verdicts);
        for (const [index, verdict] of verdicts.entries()) {
          count[verdict as 'accept']++;
          if (verdict !== 'unknown' && verdict !== real[index])
            wrong.push(`${text}\nport ${ports[index]}: ${real[index]}, guard: ${verdict}`);
        }
      }
      console.log(
        `iptables-${backend} IPv${family}: ${texts.length} files, ${JSON.stringify(count)}, ${wrong.length} wrong`,
      );
      expect(wrong).toEqual([]);
      // Both answers have to be well represented, and the guard must not hide behind "unknown".
      expect(Math.min(count.accept, count.drop)).toBeGreaterThan(texts.length / 2);
      expect(count.unknown + count.refused).toBeLessThan(texts.length / 10);
    },
  );

  it.concurrent.each(backends)('a broken file is refused by iptables-%s and by the guard alike', async (backend) => {
    // iptables-nft 1.8.9 dies of a -R of a rule that is in the same file.
    const texts = fc
      .sample(broken, { seed: 7, numRuns: files })
      .filter((text) => backend === 'legacy' || !text.includes('\n-R '));
    const filter = await start();
    const wrong: string[] = [];
    const count = { refused: 0, taken: 0, unsure: 0 };
    for (const text of texts) {
      const { refused } = expectedOf(text, 4);
      const { error } = await filter.load(backend, 4, text);
      // The one thing that one of them takes and the other one does not.
      const legacyOnly = (message: string) => backend === 'nft' && message.startsWith('The last line has no line end');
      const sure = refused.filter(({ status, message }) => status === 'fail' && !legacyOnly(message));
      if (sure.length === 0 && refused.some(({ status }) => status === 'unknown')) count.unsure++;
      else if (!error !== (sure.length === 0))
        wrong.push(`${text}\nrefused: ${error ?? 'no'}\nguard: ${JSON.stringify(refused)}`);
      else count[error ? 'refused' : 'taken']++;
    }
    console.log(`iptables-${backend}: ${texts.length} broken files, ${JSON.stringify(count)}, ${wrong.length} wrong`);
    expect(wrong).toEqual([]);
  });

  it.concurrent.each(backends)(
    'is what the guard says, for generated scripts with the iptables of %s',
    async (backend) => {
      const texts = fc.sample(scripts, { seed: 3, numRuns: Math.ceil(files / 3) });
      const filter = await start();
      const wrong: string[] = [];
      const count = { accept: 0, drop: 0, unknown: 0 };
      for (const text of texts) {
        const worlds = readScript(text, 'firewall.sh').worlds.map(
          (world) => world.find(({ family }) => family === 4)?.firewall ?? new Firewall(4),
        );
        const verdicts = ports.map((each) => inAllWorlds(worlds, (firewall) => firewall.loopback(each)).verdict);
        await filter.script(backend, text);
        const real = await really(filter, 4, verdicts);
        for (const [index, verdict] of verdicts.entries()) {
          count[verdict as 'accept']++;
          if (verdict !== 'unknown' && verdict !== real[index])
            wrong.push(
              `${text}\nport ${ports[index]}: ${real[index]}, guard: ${verdict}\n${await filter.list(backend, 4)}`,
            );
        }
      }
      console.log(`scripts, ${backend}: ${texts.length}, ${JSON.stringify(count)}, ${wrong.length} wrong`);
      expect(wrong).toEqual([]);
      expect(Math.min(count.accept, count.drop)).toBeGreaterThan(texts.length / 4);
    },
  );
});
