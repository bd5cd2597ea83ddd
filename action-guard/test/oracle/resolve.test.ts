import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CoreDns, coreDnsBinary, freeUdpPort, startCoreDns } from '../../../testbed/coredns.js';
import { resolveDomains } from '../../src/tools/resolve.js';

let server: CoreDns;
let call: { servers: string[]; milliseconds: number; tries: number };

beforeAll(async () => {
  const port = await freeUdpPort();
  call = { servers: [`127.0.0.1:${port}`], milliseconds: 1500, tries: 1 };
  server = await startCoreDns(await coreDnsBinary(), {
    Corefile: `example.com:${port} {
	bind 127.0.0.1
	file example.com.zone
	acl silent.example.com {
		drop
	}
	acl closed.example.com {
		block
	}
}
`,
    'example.com.zone': `$ORIGIN example.com.
@ 60 IN SOA ns1 admin 1 7200 3600 1209600 60
@ IN NS ns1
ns1 IN A 192.0.2.1
four IN A 192.0.2.2
six IN AAAA 2001:db8::1
alias IN CNAME four
broken IN CNAME nothing
text IN TXT "x"
bücher IN A 192.0.2.3
xn--bcher-kva IN A 192.0.2.3
`,
  });
  expect(server.started, server.output).toBe(true);
}, 1_800_000);

afterAll(() => server?.stop());

it.each([
  ['an A record', 'four.example.com', { status: 'found' }],
  ['an AAAA record alone', 'six.example.com', { status: 'found' }],
  ['a CNAME to an address', 'alias.example.com', { status: 'found' }],
  ['letters beyond ASCII', 'bücher.example.com', { status: 'found' }],
  ['a name that is not there', 'nothing.example.com', { status: 'none', why: 'NXDOMAIN' }],
  ['a CNAME to a name that is not there', 'broken.example.com', { status: 'none', why: 'NXDOMAIN' }],
  ['a name with a TXT record alone', 'text.example.com', { status: 'none', why: 'no address' }],
  ['a server that refuses', 'closed.example.com', { status: 'unknown', why: 'EREFUSED' }],
  ['a server that is silent', 'silent.example.com', { status: 'unknown', why: 'ETIMEOUT' }],
  ['no domain name at all', 'a b', { status: 'unknown' }],
])('looks up %s', async (_, domain, expected) => {
  expect((await resolveDomains([domain], call))[domain]).toMatchObject(expected);
});
