/** A proxy's Caddyfile as the operators' guide wants it, with this many sites. */
export function proxyOf(count: number, more = ''): string {
  return `${storageBlock}${sitesOf(count)}${more}`;
}

export const storageBlock = `{
	storage file_system {
		root /opt/gbo/data/caddy
	}
}

`;

/** Sites one.example.com and so on. */
export function sitesOf(count: number, from = 1): string {
  return Array.from(
    { length: count },
    (_, index) => `site${index + from}.example.com {
	log {
		output file /opt/gbo/logs/access.log
		format json
	}
	reverse_proxy localhost:5858
}
`,
  ).join('\n');
}

/** A zone with addresses for the names. */
export function zoneOf(...names: string[]): string {
  return `$ORIGIN example.com.
@ 3600 IN SOA ns1 admin 2026010101 7200 3600 1209600 3600
@ IN NS ns1
ns1 IN A 192.0.2.1
${names.map((name) => `${name} IN A 192.0.2.10\n`).join('')}`;
}
