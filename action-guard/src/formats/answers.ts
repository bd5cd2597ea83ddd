/** What `caddy adapt` says of a Caddyfile. */
export type CaddyAnswer =
  | { asked: false; why: string }
  | {
      asked: true;
      version: string;
      accepted: true;
      /** Of all site addresses with a host, in lower case; sorted. */
      hosts: string[];
      storage?: { module: string; root?: string };
      /** Hosts whose requests are in no access log although their server has one. */
      skipped: string[];
      /** Whether no server has an access log. */
      noLog: boolean;
      writers: { filename: string; encoder?: string }[];
    }
  | { asked: true; version: string; accepted: false; message: string; path?: string; line?: number };

/** Answers by path of the Caddyfile. Rules get them under the key `caddy`. */
export type CaddyAnswers = Record<string, CaddyAnswer>;

/** What the name servers say of a domain. */
export type DnsAnswer =
  | { status: 'found' }
  | { status: 'none'; why: 'NXDOMAIN' | 'no address' }
  | { status: 'unknown'; why: string };

/** Answers by domain, in lower case. Rules get them under the key `resolve`. */
export type DnsAnswers = Record<string, DnsAnswer>;
