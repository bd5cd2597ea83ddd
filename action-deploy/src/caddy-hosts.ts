/**
 * Every host name that a Caddy configuration in JSON serves, sorted, each once.
 *
 * Host names stand in the matchers of HTTP routes and of the routes below them: `match: [{host: [...]}]` (Caddy docs,
 * JSON config structure, http.matchers.host). TLS automation policies only repeat them.
 */
export function hostsOfCaddyJson(config: unknown): string[] {
  const found = new Set<string>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const item of node) visit(item);
    else if (isRecord(node)) {
      for (const [key, value] of Object.entries(node)) {
        if (key === 'match' && Array.isArray(value)) for (const matcher of value) collect(matcher);
        visit(value);
      }
    }
  };
  const collect = (matcher: unknown) => {
    const hosts = isRecord(matcher) ? matcher.host : undefined;
    if (Array.isArray(hosts)) for (const host of hosts) if (typeof host === 'string') found.add(host.toLowerCase());
  };
  visit(isRecord(config) && isRecord(config.apps) ? config.apps.http : undefined);
  return [...found].sort();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
