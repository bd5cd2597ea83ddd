import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { messageOf } from '@gbo/shared/errors';
import { type Connection, ConnectionLost } from '@gbo/shared/ssh/connection';
import { shellQuote as q } from '@gbo/shared/ssh/quote';
import type { HealthCheck } from './artifact-input.js';

export type Answer = { healthy: true } | { healthy: false; why: string };

/** How the target's own addresses are reached: through the SSH connection, or by curl on the target where sshd forbids that. */
export type Way = 'forward' | 'curl';

const ATTEMPT_MS = 5000;
const LONGEST_BODY = 256 * 1024;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

/** Asks once, from the target's side. Rejects only when the connection to the target is lost. */
export async function ask(connection: Connection, check: HealthCheck, way: Way): Promise<Answer> {
  try {
    if (check.kind === 'command') return await askCommand(connection, check.command);
    if (way === 'curl') return await askByCurl(connection, check);
    if (check.kind === 'tcp') {
      (await connection.forward(check.host, check.port)).destroy();
      return { healthy: true };
    }
    return await askHttp(connection, check);
  } catch (error) {
    if (error instanceof ConnectionLost) throw error;
    return { healthy: false, why: `${nameOf(check)}: ${messageOf(error)}` };
  }
}

/** What a health check is called in a sentence. */
export function nameOf(check: HealthCheck): string {
  if (check.kind === 'http') return check.url;
  return check.kind === 'tcp' ? `tcp://${check.host}:${check.port}` : 'health-command';
}

async function askCommand(connection: Connection, command: string): Promise<Answer> {
  const { code, stdout, stderr } = await connection.script(`( ${command}\n) </dev/null`, { timeoutMs: ATTEMPT_MS * 2 });
  const said = (stderr || stdout).trim().slice(0, 300);
  return code === 0
    ? { healthy: true }
    : { healthy: false, why: `health-command ended with ${code}${said ? `: ${said}` : ''}` };
}

async function askHttp(connection: Connection, check: Extract<HealthCheck, { kind: 'http' }>): Promise<Answer> {
  const url = new URL(check.url);
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const stream = await connection.forward(host, Number(url.port) || (secure ? 443 : 80));
  const { status, body } = await get(url, stream, secure);
  return judge(check, status, body);
}

function judge(check: Extract<HealthCheck, { kind: 'http' }>, status: number, body: string): Answer {
  if (status !== check.status)
    return { healthy: false, why: `${check.url} answered ${status} in place of ${check.status}` };
  if (check.contains !== undefined && !body.includes(check.contains)) {
    return { healthy: false, why: `${check.url} answered without ${JSON.stringify(check.contains)}` };
  }
  return { healthy: true };
}

/** A service on the target's loopback has no public name to be certified for; every other one is checked. */
function certificate(hostname: string): { rejectUnauthorized: boolean; servername?: string } {
  if (LOOPBACK.test(hostname)) return { rejectUnauthorized: false };
  return { rejectUnauthorized: true, servername: isIP(hostname) ? undefined : hostname };
}

function get(url: URL, stream: Duplex, secure: boolean): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      // With an agent, node would open a connection of its own, to the runner's localhost.
      createConnection: () => (secure ? tlsConnect({ socket: stream, ...certificate(url.hostname) }) : stream),
      headers: { connection: 'close', 'user-agent': 'gbo-action-deploy' },
    };
    const request = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
        if (body.length > LONGEST_BODY) finish();
      });
      const finish = () => {
        clearTimeout(limit);
        resolve({ status: response.statusCode ?? 0, body });
        stream.destroy();
      };
      response.on('end', finish).on('error', reject);
    });
    const limit = setTimeout(() => request.destroy(new Error(`no answer within ${ATTEMPT_MS / 1000} s`)), ATTEMPT_MS);
    request.on('error', (error) => {
      clearTimeout(limit);
      stream.destroy();
      reject(error);
    });
    request.end();
  });
}

async function askByCurl(connection: Connection, check: Exclude<HealthCheck, { kind: 'command' }>): Promise<Answer> {
  if (check.kind === 'tcp') {
    const { code } = await connection.script(
      `curl -s --max-time ${ATTEMPT_MS / 1000} ${q(`telnet://${check.host}:${check.port}`)} </dev/null`,
      { timeoutMs: ATTEMPT_MS * 2 },
    );
    // 49: telnet option syntax, 28: connected and nothing more happened. Only 7 (refused) and 6 (no such host) say no.
    return code === 0 || code === 28 || code === 49
      ? { healthy: true }
      : { healthy: false, why: `${nameOf(check)}: curl ended with ${code}` };
  }
  const insecure = LOOPBACK.test(new URL(check.url).hostname) ? '-k' : '';
  const { code, stdout } = await connection.script(
    `curl -s ${insecure} --max-time ${ATTEMPT_MS / 1000} --max-filesize ${LONGEST_BODY} -w '\\n%{http_code}' ${q(check.url)} </dev/null`,
    { timeoutMs: ATTEMPT_MS * 2 },
  );
  const end = stdout.lastIndexOf('\n');
  const status = Number(stdout.slice(end + 1));
  return status > 0
    ? judge(check, status, stdout.slice(0, Math.max(0, end)))
    : { healthy: false, why: `${check.url}: curl ended with ${code}` };
}
