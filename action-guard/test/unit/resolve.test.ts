import { createSocket } from 'node:dgram';
import { expect, it } from 'vitest';
import { resolveDomains } from '../../src/tools/resolve.js';

it('asks about 100 domains and no more, however many a pull request names', async () => {
  const asked = new Set<string>();
  const server = createSocket('udp4');
  server.on('message', (query, from) => {
    asked.add(query.subarray(12, query.indexOf(0, 12)).toString());
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8183, 2); // NXDOMAIN
    server.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  try {
    const domains = Array.from({ length: 150 }, (_, index) => `d${index}.example.com`);
    const answers = await resolveDomains(domains, { servers: [`127.0.0.1:${server.address().port}`] });
    expect(Object.keys(answers)).toEqual(expect.arrayContaining(domains.slice(0, 100)));
    expect([Object.keys(answers).length, asked.size]).toEqual([100, 100]);
  } finally {
    server.close();
  }
});
