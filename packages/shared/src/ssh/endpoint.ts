/** One SSH server and how to log in to it. */
export interface Endpoint {
  /** Name or address; an IPv6 address without brackets. */
  host: string;
  port: number;
  user: string;
  /** Text that has been through normalisePrivateKey. */
  privateKey: string;
  passphrase?: string;
  /** Text of a known_hosts file; '' when none was given. */
  knownHosts: string;
  /** Accept any host key, with a warning in the log. */
  insecureHostKey: boolean;
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `user@host:port`: how an endpoint is called in every sentence. */
export function addressOf({ user, host, port }: Endpoint): string {
  return `${user}@${hostAndPort(host, port)}`;
}
