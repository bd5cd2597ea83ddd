// The git servers and the long ways to them, in a process of their own: neither waits for the other. Ends with its parent.
import { type GitServer, startGitServer } from '../../testbed/git-server.js';
import { startProxy } from '../../testbed/proxy.js';

const [delayMs] = process.argv.slice(2).map(Number);
const names = ['origin', 'alm'];
const servers = await Promise.all(names.map(() => startGitServer()));
const proxies = await Promise.all(servers.map(({ port }) => startProxy({ to: { host: '127.0.0.1', port }, delayMs })));

/** Where a remote is, and how to reach it over the long way. */
export interface Address {
  name: string;
  dir: string;
  near: string;
  far: string;
}

/** Bodies of all requests to all servers since the last question. */
export interface Traffic {
  requests: number;
  bytes: number;
}

const addresses = servers.map(
  ({ dir, base, port }, index): Address => ({
    name: names[index] ?? '',
    dir,
    near: base,
    far: base.replace(`:${port}/`, `:${proxies[index]?.port}/`),
  }),
);
process.send?.(addresses);

process.on('message', () => {
  const sum = (count: (counters: GitServer['counters']) => number) =>
    servers.reduce((total, { counters }) => total + count(counters), 0);
  const traffic: Traffic = { requests: sum(({ requests }) => requests), bytes: sum(({ up, down }) => up + down) };
  for (const server of servers) server.reset();
  process.send?.(traffic);
});

process.on('disconnect', async () => {
  await Promise.all([...servers, ...proxies].map((each) => each.stop()));
  process.exit();
});
