import { Resolver } from 'node:dns/promises';
import { domainToASCII } from 'node:url';
import type { DnsAnswer, DnsAnswers } from '../formats/answers.js';

export interface ResolveCall {
  /** Name servers; the machine's own when not given. */
  servers?: readonly string[];
  milliseconds?: number;
  tries?: number;
  /** How many at once. */
  parallel?: number;
  /** How many at all; nothing is said of the rest. */
  most?: number;
}

/** A pull request chooses the names; each can take seconds. */
const MOST_DOMAINS = 100;

/**
 * Whether domains have an address. Only "there is no such name" and "it has no address" are a no: a server that fails or
 * does not answer says nothing about the domain.
 */
export async function resolveDomains(domains: Iterable<string>, call: ResolveCall = {}): Promise<DnsAnswers> {
  const waiting = [...new Set(domains)].slice(0, call.most ?? MOST_DOMAINS);
  const answers: DnsAnswers = {};
  const worker = async () => {
    for (let domain = waiting.pop(); domain !== undefined; domain = waiting.pop())
      answers[domain] = await resolveDomain(domain, call);
  };
  await Promise.all(Array.from({ length: call.parallel ?? 10 }, worker));
  return answers;
}

async function resolveDomain(domain: string, call: ResolveCall): Promise<DnsAnswer> {
  const ascii = domainToASCII(domain);
  if (!ascii) return { status: 'unknown', why: 'it is no domain name' };
  // The trailing dot keeps search domains of this machine out.
  const name = `${ascii}.`;
  const resolver = new Resolver({ timeout: call.milliseconds ?? 3000, tries: call.tries ?? 2 });
  if (call.servers) resolver.setServers([...call.servers]);
  const [four, six] = await Promise.all([code(() => resolver.resolve4(name)), code(() => resolver.resolve6(name))]);
  if (four === 'found' || six === 'found') return { status: 'found' };
  // Broken servers are known to answer NXDOMAIN to AAAA alone, so both must say it.
  if (four === 'ENOTFOUND' && six === 'ENOTFOUND') return { status: 'none', why: 'NXDOMAIN' };
  const no = (each: string) => each === 'ENOTFOUND' || each === 'ENODATA';
  if (no(four) && no(six)) return { status: 'none', why: 'no address' };
  return { status: 'unknown', why: no(four) ? six : four };
}

async function code(ask: () => Promise<string[]>): Promise<string> {
  try {
    return (await ask()).length > 0 ? 'found' : 'ENODATA';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed';
  }
}
