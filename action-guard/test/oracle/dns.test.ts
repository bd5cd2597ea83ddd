import { createSocket } from 'node:dgram';
import { decode, encode, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { coreDnsBinary, freeUdpPort, startCoreDns } from '../../../testbed/coredns.js';
import { parseNet } from '../../src/formats/cidr.js';
import { readCorefile } from '../../src/rules/dns/corefile.js';
import { evaluate } from '../../src/rules/dns/evaluate.js';
import { treeOf } from '../../src/tree.js';

// The real CoreDNS is the judge here: who gets an answer to what, and whether it starts at all.
const files = 120;

const pick = <T>(...of: T[]) => fc.constantFrom(...of);

const net = fc.oneof(
  {
    weight: 80,
    arbitrary: pick(
      ...['127.0.0.0/8', '127.0.0.2', '127.0.0.4/30', '127.0.1.0/24', '10.0.0.0/8', '0.0.0.0/0', '0.0.0.0/1', '*'],
      ...['::/0', '::1', '2001:db8::/32', '127.0.0.1/31', '128.0.0.0/1', '::/1'],
    ),
  },
  { weight: 1, arbitrary: pick('10.0.0.0/33', 'localhost', '127.0.0.01', '127.1', 'fe80::1%lo', ':::', '1::2::3') },
);
const type = fc.oneof(
  { weight: 80, arbitrary: pick('A', 'AAAA', 'TXT', 'ANY', 'MX', 'SOA', '*', 'NS') },
  { weight: 1, arbitrary: pick('any', 'Txt', 'NONSENSE', 'TYPE257') },
);
const action = fc.oneof(
  { weight: 80, arbitrary: pick('allow', 'block', 'filter', 'drop', 'Allow', 'BLOCK') },
  { weight: 1, arbitrary: pick('deny', 'refuse') },
);
const policy = fc
  .record({
    action,
    types: fc.array(type, { maxLength: 3 }),
    nets: fc.array(net, { maxLength: 3 }),
    netsFirst: fc.boolean(),
    odd: fc.nat(120),
  })
  .map(({ action: does, types, nets, netsFirst, odd }) => {
    const sections = [
      types.length > 0 ? `type ${types.join(' ')}` : '',
      nets.length > 0 ? `NET ${nets.join(' ')}` : '',
    ];
    if (netsFirst) sections.reverse();
    const end = odd === 0 ? ' type' : odd === 1 ? ' # a comment' : odd === 2 ? ' "net" 127.0.0.2' : '';
    return [does, ...sections].filter(Boolean).join(' ') + (odd === 3 ? ' 10.0.0.1' : end);
  });
const acl = fc
  .record({
    zone: pick('', '', '', 'sub.example.com', 'example.com.', 'EXAMPLE.org'),
    lines: fc.array(policy, { maxLength: 5 }),
  })
  .map(({ zone, lines }) => `acl ${zone} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}`);
const server = fc
  .record({
    keys: pick(
      'example.com:PORT',
      '.:PORT',
      'example.com:PORT example.org:PORT',
      'dns://Example.com.:PORT,\nexample.org:PORT',
    ),
    acls: fc.array(acl, { maxLength: 3 }),
    extra: fc.nat(40),
  })
  .map(({ keys, acls, extra }) => {
    const more = ['import shared', 'import more.conf', 'errors', 'nonsense', '# acl {', 'acl'][extra];
    return `${keys} {\n\tbind 127.0.0.1 ::1\n\twhoami\n${[...acls, ...(more ? [more] : [])].map((each) => `\t${each}\n`).join('')}}\n`;
  });
const corefile = fc.record({ server, kind: fc.nat(25) }).map(({ server: text, kind }) => {
  const shared = '(shared) {\n\tacl {\n\t\tblock type TXT\n\t}\n}\n';
  if (kind === 0) return shared + text + text;
  if (kind === 1) return shared + text.slice(0, -2);
  if (kind === 2) return shared + text.replaceAll('\n', '\r\n');
  if (kind === 3) return `${shared}${text}\nother.test:PORT {\n\tbind 127.0.0.1 ::1\n\twhoami\n}\n`;
  return shared + text;
});
const more = 'acl {\n\tallow type A net 127.0.0.2\n\tblock type A\n}\n';

type Answer = 'answered' | 'refused' | 'filtered' | 'silent';

/** What one query gets. Silence is only believed after two tries. */
async function ask(port: number, source: string, name: string, kind: string): Promise<Answer> {
  for (const wait of [400, 1500]) {
    const answer = await askOnce(port, source, name, kind, wait);
    if (answer !== 'silent') return answer;
  }
  return 'silent';
}

function askOnce(port: number, source: string, name: string, kind: string, wait: number): Promise<Answer> {
  const six = source.includes(':');
  const socket = createSocket(six ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    const end = (answer: Answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(end, wait, 'silent');
    socket.once('error', reject);
    socket.once('message', (message) => {
      const packet = decode(message) as ReturnType<typeof decode> & { rcode: string };
      if (packet.rcode === 'REFUSED') end('refused');
      // whoami answers with the address of whoever asked, among the additional records.
      else end(packet.additionals?.some((record) => record.type !== 'OPT') ? 'answered' : 'filtered');
    });
    socket.bind(0, source, () =>
      socket.send(
        encode({ type: 'query', id: 1, questions: [{ type: kind as RecordType, name }] }),
        port,
        six ? '::1' : '127.0.0.1',
      ),
    );
  });
}

const expected = { allow: 'answered', none: 'answered', block: 'refused', filter: 'filtered', drop: 'silent' } as const;
const sources = ['127.0.0.1', '127.0.0.2', '127.0.0.5', '127.0.1.9', '::1'];
const types = ['A', 'TXT', 'ANY', 'SOA'];

describe('the own reader of Corefiles says what CoreDNS does', () => {
  let binary: string;

  beforeAll(async () => {
    const before = Date.now();
    binary = await coreDnsBinary();
    console.log(`CoreDNS was there after ${Math.round((Date.now() - before) / 1000)} s`);
  }, 1_800_000);

  it(`on ${files} generated files: whether it starts, and who is answered what`, { timeout: 600_000 }, async () => {
    const counts = { started: 0, refusedToStart: 0, queries: 0, answered: 0, refused: 0, filtered: 0, silent: 0 };
    const differing: string[] = [];
    for (const text of fc.sample(corefile, { numRuns: files, seed: 7 })) {
      const port = await freeUdpPort();
      const written = { Corefile: text.replaceAll('PORT', String(port)), 'more.conf': more };
      const own = readCorefile(treeOf(written), 'Corefile', { environment: {} });
      const wrong = own.problems.filter(({ status }) => status === 'fail');
      const real = await startCoreDns(binary, written);
      try {
        counts[real.started ? 'started' : 'refusedToStart']++;
        if (real.started !== (wrong.length === 0)) {
          differing.push(`own: ${JSON.stringify(wrong)}\nCoreDNS: ${real.output}\n${written.Corefile}`);
          continue;
        }
        const [first] = own.servers;
        if (!real.started || !first) continue;
        const zones = first.keys.map(({ zone }) => zone || 'example.com');
        const queries = zones
          .slice(0, 2)
          .flatMap((zone) =>
            [zone, `sub.${zone}`, `a.sub.${zone}`].flatMap((name) =>
              sources.flatMap((source) => types.map((kind) => ({ name, source, kind }))),
            ),
          );
        await Promise.all(
          queries.map(async ({ name, source, kind }) => {
            const { family, low } = parseNet(source) as NonNullable<ReturnType<typeof parseNet>>;
            const told = expected[evaluate(first, { name, type: kind, family, source: low }).action];
            const said = await ask(port, source, name, kind);
            counts.queries++;
            counts[said]++;
            if (said !== told)
              differing.push(`${kind} ${name} from ${source}: own ${told}, CoreDNS ${said}\n${written.Corefile}`);
          }),
        );
      } finally {
        await real.stop();
      }
    }
    console.log('CoreDNS:', counts);
    expect(differing.slice(0, 3).join('\n---\n')).toBe('');
    expect(counts.started).toBeGreaterThanOrEqual(60);
    expect(Math.min(counts.answered, counts.refused, counts.filtered, counts.silent)).toBeGreaterThan(100);
  });
});
