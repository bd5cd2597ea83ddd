import { z } from 'zod';
import { ExpectedError, messageOf } from '../errors.js';
import type { Endpoint } from './endpoint.js';
import { parseKnownHosts } from './known-hosts.js';

const userPattern = /^[a-z_][a-z0-9_.-]{0,31}\$?$/i;
const hostPattern = /^(\[[0-9a-f:.%a-z]+\]|[0-9a-f:]*:[0-9a-f:.]+(%[a-z0-9]+)?|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)$/i;

const quoted = (input: unknown) => JSON.stringify(input);

/** A host name or address, as a person writes it: an IPv6 address may have its brackets. */
export const hostName = z.string().regex(hostPattern, {
  error: (issue) => `${quoted(issue.input)} is not a host name or address (no user@, no port, no ssh://)`,
});

export const userName = z
  .string()
  .regex(userPattern, { error: (issue) => `${quoted(issue.input)} is not a user name` });

export const portNumber = z.union([z.string(), z.number()]).transform((value, context) => {
  const port = /^\d{1,5}$/.test(String(value)) ? Number(value) : 0;
  if (port >= 1 && port <= 65535) return port;
  context.addIssue({ code: 'custom', message: `${quoted(value)} is not a port from 1 to 65535` });
  return z.NEVER;
});

/** The host without the brackets of an IPv6 address. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/** Reports a known_hosts text that cannot be read as a mistake in `input`. */
export function checkKnownHosts(input: string, text: string, problem: (text: string) => void): void {
  try {
    parseKnownHosts(text);
  } catch (error) {
    problem(`input ${input}: ${error instanceof ExpectedError ? error.what.replace(/\.$/, '') : messageOf(error)}`);
  }
}

export type Address = Pick<Endpoint, 'host' | 'port' | 'user'>;

/** `[user@]host[:port]`, several separated by commas, in the order of travel. */
export function readJumps(input: string, text: string, problem: (text: string) => void): Address[] {
  return text
    .split(',')
    .map((jump) => jump.trim())
    .filter(Boolean)
    .map((jump) => readJump(input, jump, problem));
}

function readJump(input: string, text: string, problem: (text: string) => void): Address {
  const match = /^(?:([^@\s]+)@)?(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(text);
  const [, user = 'root', host = '', port = '22'] = match ?? [];
  if (!match || !hostPattern.test(host) || !userPattern.test(user) || Number(port) < 1 || Number(port) > 65535) {
    problem(`input ${input}: ${quoted(text)} is not [user@]host[:port]`);
  }
  return { host: withoutBrackets(host), port: Number(port), user };
}
