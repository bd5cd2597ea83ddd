import type { Finding, Look, Position, Rule } from '../../rule.js';
import { matcher } from '../../tree.js';
import { leaveOut } from '../../unread.js';
import { accessLogs } from './caddy-log.js';
import { seconds } from './duration.js';
import { files, reads } from './files.js';
import { fatalOf, isOn, nameBefore, placeOf, proxySetups, type Setup, setupsOf, textOf, trouble } from './jails.js';
import type { F2bOptions } from './options.js';
import { floodSamples as samples } from './samples.js';

export const floodJail: Rule<F2bOptions> = {
  id: 'f2b/flood-jail',
  severity: 'error',
  title: 'The proxy bans who floods it: 100 answers of 4xx within 60 s, for an hour.',
  reason: `The proxy container has its own fail2ban, since only there the addresses of clients are seen. What counts is what is left
after all files were merged: \`jail.conf\`, \`jail.d/*.conf\`, \`jail.local\`, \`jail.d/*.local\`, each above the one before. A jail
that a later file switches off, whose \`bantime\` falls back to the package's 10 minutes, or whose \`logpath\` is not the file that Caddy
writes, looks well in review and bans nobody.`,
  suppressible: true,
  files,
  reads,
  check: (look) => {
    const setups = proxySetups(look);
    const findings = setups.flatMap((setup) => (fatalOf(setup).length > 0 ? fatalOf(setup) : judge(setup, look)));
    const gone = vanished(look, setups);
    const all = setupsOf(look.head, look.options.package);
    if (setups.length === 0 && gone.length === 0 && all[0]) {
      return [
        {
          status: 'unknown',
          at: all[0].first,
          message: `None of the fail2ban folders has a jail ${look.options.jail}, and none is known to be the proxy's.`,
          todo: 'Name the folder in the option `f2b.proxy` of the policy, or add the jail.',
        },
      ];
    }
    return [...findings, ...gone];
  },
  samples,
};

/** Folders whose flood jail was there before, with no folder left that could have it. */
function vanished({ base, options }: Look<F2bOptions>, setups: Setup[]): Finding[] {
  if (!base || setups.some(({ jails }) => jails.sections.has(options.jail))) return [];
  return setupsOf(base, options.package)
    .filter(({ root, jails }) => jails.sections.has(options.jail) && !setups.some((setup) => setup.root === root))
    .map(({ jails, first }) => ({
      status: 'fail' as const,
      at: jails.places.get(options.jail) ?? first,
      message: `The jail ${options.jail} was deleted with its folder, so nobody bans floods any more.`,
      todo: 'Bring it back.',
    }));
}

function judge(setup: Setup, look: Look<F2bOptions>): Finding[] {
  const { jails } = setup;
  const { jail } = look.options;
  if (!jails.sections.has(jail)) {
    return [
      {
        status: jails.incomplete && setup.folder.owns('jail.conf') ? 'unknown' : 'fail',
        at: placeOf(setup, jail),
        message: `There is no jail ${jail}, so nobody bans floods here.`,
        todo: `Add [${jail}] to jail.local: enabled, filter, logpath, maxretry, findtime and bantime.`,
      },
    ];
  }
  const enabled = jails.get(jail, 'enabled');
  const at = placeOf(setup, jail, enabled);
  const stop = trouble(enabled, at, `Whether ${jail} is on`);
  if (stop) return [stop];
  if (!isOn(textOf(enabled) ?? 'false')) {
    const said =
      enabled.kind === 'value' && enabled.option.at
        ? `enabled = ${textOf(enabled)?.slice(0, 20)}`
        : 'nothing enables it';
    return [
      {
        status: 'fail',
        at,
        message: `The jail ${jail} is off after all files are merged (${said}).`,
        todo: 'Write `enabled = true` in the file that has the last word.',
      },
    ];
  }
  return [
    ...numbers(setup, look.options),
    ...logpath(setup, look),
    ...ignored(setup, jail),
    ...action(setup, look.options),
  ];
}

function numbers(setup: Setup, { jail, maxretry, findtime, bantime }: F2bOptions): Finding[] {
  const findings: Finding[] = [];
  const read = (key: string, parse: (text: string) => number | undefined) => {
    const value = setup.jails.get(jail, key);
    const at = placeOf(setup, jail, value);
    const stop = trouble(value, at, `${key} of ${jail}`);
    if (stop) findings.push(stop);
    if (value.kind !== 'value') return undefined;
    const number = parse(value.text);
    const hash = value.text.includes('#') ? ' (`#` begins no comment after a value; `;` does)' : '';
    if (number === undefined) {
      findings.push({
        status: 'fail',
        at,
        message: `${key} of ${jail} is no ${key === 'maxretry' ? 'whole number' : 'time'} to fail2ban${hash}.`,
        todo: `Write ${key === 'maxretry' ? maxretry : key === 'findtime' ? `${findtime}s` : `${bantime}s`}.`,
      });
      return undefined;
    }
    return { number, at, own: value.option.at !== undefined };
  };
  const retries = read('maxretry', whole);
  const window = read('findtime', seconds);
  const ban = read('bantime', seconds);
  const from = (own: boolean) => (own ? '' : ' (the default of the package: nothing here sets it)');
  if (retries && retries.number !== maxretry) {
    const lax = retries.number > maxretry || retries.number < 1;
    findings.push({
      status: 'fail',
      severity: lax ? undefined : 'warning',
      at: retries.at,
      message: lax
        ? `${jail} bans after ${retries.number} errors${from(retries.own)}, not after ${maxretry}.`
        : `${jail} bans after ${retries.number} errors already${from(retries.own)}; ${maxretry} are agreed, and a broken page makes many.`,
      todo: `Write \`maxretry = ${maxretry}\`.`,
    });
  }
  if (window && window.number !== findtime) {
    const lax = window.number < findtime;
    findings.push({
      status: 'fail',
      severity: lax ? undefined : 'warning',
      at: window.at,
      message: `${jail} counts errors over ${window.number} s${from(window.own)}, not over ${findtime} s.`,
      todo: `Write \`findtime = ${findtime}s\`.`,
    });
  }
  // Below zero is for ever.
  if (ban && ban.number >= 0 && ban.number < bantime) {
    findings.push({
      status: 'fail',
      at: ban.at,
      message: `${jail} bans for ${ban.number} s only${from(ban.own)}, not for ${bantime} s.`,
      todo: `Write \`bantime = ${bantime}s\`.`,
    });
  }
  return findings;
}

/** As Python's int() reads it. */
function whole(text: string): number | undefined {
  return /^[+-]?\d(?:_?\d){0,14}$/.test(text) ? Number(text.replaceAll('_', '')) : undefined;
}

function logpath(setup: Setup, look: Look<F2bOptions>): Finding[] {
  const { options } = look;
  const value = setup.jails.get(options.jail, 'logpath');
  const at = placeOf(setup, options.jail, value);
  const stop = trouble(value, at, `logpath of ${options.jail}`);
  if (stop) return [stop];
  const paths = (textOf(value) ?? '')
    .split('\n')
    .map((line) => line.replace(/ (?:head|tail)$/, '').trim())
    .filter(Boolean);
  if (paths.length === 0) {
    return [
      {
        status: 'fail',
        at,
        message: `${options.jail} has no logpath, so it reads nothing.`,
        todo: 'Name the access log that Caddy writes.',
      },
    ];
  }
  const { logs, asked, unread } = accessLogs(look);
  if (!asked) return [];
  const matches = logs.filter(({ path }) => paths.some((glob) => glob === path || matcher([glob])(path)));
  if (matches.length === 0) {
    // The log may be in what was not read.
    for (const each of unread) leaveOut(each);
    if (unread.length > 0) return [];
    const [first] = logs;
    if (!first)
      return [
        {
          status: 'unknown',
          at,
          message: `No Caddyfile here writes an access log to a file, so whether ${options.jail} reads the right one is not known.`,
          todo: "Give the sites a `log` with `output file`, or name the proxy's Caddyfile in the option `f2b.caddy` of the policy.",
        },
      ];
    return [
      {
        status: logs.some(({ variable }) => variable) ? 'unknown' : 'fail',
        at,
        message: `${options.jail} reads ${paths[0]?.slice(0, 100)}, and Caddy writes its log to ${first.path.slice(0, 100)}.`,
        todo: 'Let both name the same file.',
      },
    ];
  }
  return matches
    .filter(({ format }) => format !== '' && format !== 'json' && format !== 'filter' && format !== 'append')
    .map(({ format, path }) => ({
      status: 'fail' as const,
      at,
      message: `Caddy writes ${path.slice(0, 100)} as ${format.slice(0, 20)}, and the filter reads JSON.`,
      todo: 'Write `format json` in the log block of the Caddyfile.',
    }));
}

function ignored(setup: Setup, jail: string): Finding[] {
  const value = setup.jails.get(jail, 'ignoreip');
  const all = (textOf(value) ?? '').split(/[ ,\n]+/).find((each) => /\/0+$/.test(each));
  if (!all) return [];
  return [
    {
      status: 'fail',
      at: placeOf(setup, jail, value),
      message: `ignoreip of ${jail} leaves out everybody (${all.slice(0, 40)}).`,
      todo: 'Leave out loopback and your own addresses only.',
    },
  ];
}

/** Which ports a ban closes, where the jail names them itself. */
function action(setup: Setup, { jail, ports }: F2bOptions): Finding[] {
  const value = setup.jails.get(jail, 'action');
  if (value.kind !== 'value') return [];
  const at: Position = placeOf(setup, jail, value);
  if (value.text.trim() === '') {
    return [
      {
        status: 'fail',
        at,
        message: `${jail} has no action, so a ban does nothing.`,
        todo: 'Remove `action`, or give it one.',
      },
    ];
  }
  const text = value.text.slice(0, 2000);
  if (nameBefore(text).includes('allports')) return [];
  const quoted = /\bport\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\]]*))/.exec(text);
  const list = quoted ? (quoted[1] ?? quoted[2] ?? quoted[3] ?? '') : undefined;
  if (list === undefined) return [];
  const open = ports.filter((port) => !list.split(',').some((part) => covers(part.trim(), port)));
  if (open.length === 0 || list.includes('<')) return [];
  return [
    {
      status: 'fail',
      at,
      message: `A ban of ${jail} leaves port ${open.join(' and ')} open.`,
      todo: `Write \`port = ${ports.join(',')}\`.`,
    },
  ];
}

const services: Record<string, number> = { http: 80, https: 443, www: 80 };

function covers(part: string, port: number): boolean {
  const [low = '', high = low] = part.split(/[:-]/);
  const number = (text: string) =>
    Object.hasOwn(services, text) ? (services[text] as number) : Number(text === '' ? Number.NaN : text);
  return number(low) <= port && port <= number(high);
}
