/** What a client does, as Caddy's JSON access log tells it, and whether the flood jail must count it. */
export interface Probe {
  name: string;
  line: string;
  /** Address to be counted; absent: nobody. */
  client?: string;
}

const SECOND = 1_763_900_000;

/** The fields in the order in which Caddy writes them. `client_ip` came with 2.7. */
function entry(
  status: number,
  ip: string,
  more: { uri?: string; headers?: object; size?: number; new?: boolean } = {},
): string {
  const request = {
    remote_ip: ip,
    remote_port: '44404',
    ...(more.new ? { client_ip: ip } : {}),
    proto: 'HTTP/2.0',
    method: 'GET',
    host: 'bot.acme.example.com',
    uri: more.uri ?? '/wp-login.php?try=404',
    headers: { 'User-Agent': ['Mozilla/5.0 (X11; Linux x86_64)'], Accept: ['*/*'], ...more.headers },
    tls: { resumed: false, version: 772, cipher_suite: 4865, proto: 'h2', server_name: 'bot.acme.example.com' },
  };
  return JSON.stringify({
    level: 'info',
    ts: SECOND + 0.4041234,
    logger: 'http.log.access.log0',
    msg: 'handled request',
    request,
    ...(more.new ? { bytes_read: 0 } : {}),
    user_id: '',
    duration: 0.000401,
    size: more.size ?? 0,
    status,
    resp_headers: { Server: ['Caddy'], 'Alt-Svc': ['h3=":443"; ma=2592000'], 'Content-Type': [] },
  });
}

const spoof = {
  'X-Forwarded-For': ['192.0.2.66'],
  'X-Note': ['"remote_ip":"192.0.2.66","client_ip":"192.0.2.66","status":404'],
};

export const probes: readonly Probe[] = [
  { name: 'a 404', line: entry(404, '203.0.113.7'), client: '203.0.113.7' },
  { name: 'a 404 of a newer Caddy', line: entry(404, '203.0.113.7', { new: true }), client: '203.0.113.7' },
  { name: 'a 400', line: entry(400, '198.51.100.23', { size: 11 }), client: '198.51.100.23' },
  { name: 'a 401', line: entry(401, '198.51.100.23', { size: 11 }), client: '198.51.100.23' },
  { name: 'a 403', line: entry(403, '198.51.100.23', { size: 11 }), client: '198.51.100.23' },
  { name: 'a 429', line: entry(429, '198.51.100.23'), client: '198.51.100.23' },
  { name: 'a 404 over IPv6', line: entry(404, '2001:db8::1:7'), client: '2001:db8::1:7' },
  {
    name: 'a 404 whose headers name another address',
    line: entry(404, '203.0.113.7', { headers: spoof }),
    client: '203.0.113.7',
  },
  { name: 'a 200', line: entry(200, '203.0.113.9', { size: 404 }) },
  { name: 'a 200 of a newer Caddy', line: entry(200, '203.0.113.9', { new: true, size: 4040 }) },
  { name: 'a 304', line: entry(304, '203.0.113.9') },
  { name: 'a 502', line: entry(502, '203.0.113.9') },
  {
    name: 'a 200 whose headers speak of 404',
    line: entry(200, '203.0.113.9', { headers: spoof, uri: '/?"status":404,' }),
  },
];

/** Where Caddy's time stands in a line, since fail2ban cuts out what its datepattern matches. */
export const TIME = /"ts":\d+\.\d+/;
