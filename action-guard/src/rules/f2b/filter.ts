import type { Finding, Look, Rule } from '../../rule.js';
import { files } from './files.js';
import { type Filter, filterOf, type Judged, judge, readFilter } from './filter-reading.js';
import { fatalOf, proxySetups, type Setup, setupsOf } from './jails.js';
import type { F2bOptions } from './options.js';
import { type Probe, probes } from './probes.js';
import { filterSamples } from './samples.js';

/** What fail2ban-regex said of one filter file, by its path: `look.tools.get('fail2ban')`. */
export type FilterRuns = Record<string, FilterRun>;

export interface FilterRun {
  /** It could not use the filter: its own words, in one line. */
  error?: string;
  /** Address counted for each probe of probes.ts, by the probe's name; null: nobody. */
  counted: Record<string, string | null>;
}

export const filter: Rule<F2bOptions> = {
  id: 'f2b/filter',
  severity: 'error',
  title: "The flood jail's filter counts every 4xx of Caddy's JSON log, and nothing else.",
  reason: `A filter that cannot be used is not noticed: \`fail2ban-client -t\` says OK, and the log fills with errors instead of bans. The
platform's own filter was such a one: \`datepattern = {"ts":\\s*%%s\` is no regular expression, so every line failed. Here the filter runs
over lines as Caddy writes them: 4xx over IPv4 and IPv6, 2xx, 3xx and 5xx, with headers that try to have another address banned.`,
  suppressible: true,
  files,
  check: (look) => [...flood(look), ...others(look)].filter(once()),
  samples: filterSamples,
};

function once(): (finding: Finding) => boolean {
  const seen = new Set<string>();
  return ({ at, message }) => {
    const key = JSON.stringify([at, message]);
    return !seen.has(key) && Boolean(seen.add(key));
  };
}

function flood(look: Look<F2bOptions>): Finding[] {
  const runs = (look.tools.get('fail2ban') ?? {}) as FilterRuns;
  return proxySetups(look).flatMap((setup) => {
    if (fatalOf(setup).length > 0 || !setup.jails.sections.has(look.options.jail)) return [];
    const reading = filterOf(setup, look.options.jail);
    if ('findings' in reading) return reading.findings;
    const { filter } = reading;
    const judged = judge(filter);
    // What was run is the file, without what the jail says in its place.
    const overruled = ['failregex', 'ignoreregex', 'datepattern'].some((key) =>
      setup.jails.raw(look.options.jail, key),
    );
    const run = filter.path === undefined || overruled ? undefined : runs[filter.path];
    if (judged.findings.some(({ status }) => status === 'fail')) return judged.findings;
    if (run) return ofRun(filter, run, judged);
    return [...judged.findings, ...ofProbes(filter, judged)];
  });
}

/** What the real program counts has the last word. */
function ofRun(filter: Filter, run: FilterRun, judged: Judged): Finding[] {
  const at = filter.failregex[0]?.at ?? filter.at;
  if (run.error !== undefined) {
    return [
      {
        status: 'fail',
        at,
        message: `fail2ban-regex cannot use this filter: ${run.error.slice(0, 200)}.`,
        todo: 'Try it with `fail2ban-regex LOG FILTER`.',
      },
    ];
  }
  return wrong(filter, (probe) => run.counted[probe.name] ?? undefined, judged);
}

function ofProbes(filter: Filter, judged: Judged): Finding[] {
  if (probes.some((probe) => judged.counts(probe) === 'unknown')) {
    if (judged.findings.length > 0) return [];
    return [
      {
        status: 'unknown',
        at: filter.at,
        message: 'What this filter counts could not be told: it is too large, or has a prefregex.',
        todo: 'Let the guard run where fail2ban-regex is installed.',
      },
    ];
  }
  return wrong(
    filter,
    (probe) => {
      const counted = judged.counts(probe);
      return counted === 'unknown' ? undefined : counted.client;
    },
    judged,
  );
}

function wrong(filter: Filter, counted: (probe: Probe) => string | undefined, judged: Judged): Finding[] {
  const at = filter.failregex[0]?.at ?? filter.at;
  const missed = probes.filter((probe) => probe.client !== undefined && counted(probe) === undefined);
  const extra = probes.filter((probe) => probe.client === undefined && counted(probe) !== undefined);
  const mistaken = probes.filter(
    (probe) => probe.client !== undefined && ![undefined, probe.client].includes(counted(probe)),
  );
  const by = (probe: Probe) => {
    const counts = judged.counts(probe);
    return counts === 'unknown' ? undefined : counts.by?.at;
  };
  const todo = 'Write `failregex = ^.*"remote_ip":"<HOST>",.*?"status":\\s?4\\d\\d,`.';
  const findings: Finding[] = [];
  if (missed[0]) {
    const all = missed.length === probes.filter(({ client }) => client !== undefined).length;
    findings.push({
      status: 'fail',
      at,
      message: all
        ? "The filter matches no 4xx line of Caddy's JSON log."
        : `The filter does not count ${missed.map(({ name }) => name).join(', ')}.`,
      todo,
    });
  }
  if (extra[0]) {
    findings.push({
      status: 'fail',
      at: by(extra[0]) ?? at,
      message: `The filter also counts ${extra.map(({ name }) => name).join(', ')}, so it bans visitors who did nothing.`,
      todo,
    });
  }
  if (mistaken[0]) {
    findings.push({
      status: 'fail',
      at: by(mistaken[0]) ?? at,
      message: `For ${mistaken[0].name} the filter counts another address than the client's, so anybody can have others banned.`,
      todo,
    });
  }
  return findings;
}

/** Filters of other jails: only whether fail2ban can use them at all. */
function others({ head, options }: Look<F2bOptions>): Finding[] {
  return setupsOf(head, options.package).flatMap((setup) => names(setup).flatMap((name) => usable(setup, name)));
}

function names({ folder }: Setup): string[] {
  const own = folder.list('filter.d/').filter((file) => /\.(?:conf|local)$/.test(file));
  return [...new Set(own.map((file) => file.slice('filter.d/'.length).replace(/\.(?:conf|local)$/, '')))];
}

function usable(setup: Setup, name: string): Finding[] {
  const config = setup.folder.config(`filter.d/${name}`);
  if (config.fatal) {
    return [
      {
        status: 'fail',
        at: config.fatal.at,
        message: `Fail2ban cannot read the filter ${name}: ${config.fatal.what}.`,
        todo: 'Mend this line.',
      },
    ];
  }
  if (!config.raw('Definition', 'failregex')) return [];
  const reading = readFilter(setup, undefined, config, name);
  // What one of these cannot tell is said of the flood jail's alone.
  if ('findings' in reading) return reading.findings.filter(({ status }) => status === 'fail' && !config.incomplete);
  return judge(reading.filter).findings.filter(({ status }) => status === 'fail');
}
