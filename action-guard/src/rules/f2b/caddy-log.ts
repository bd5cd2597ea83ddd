import type { CaddyAnswers } from '../../formats/answers.js';
import { caddyConfigs } from '../../formats/caddy-config.js';
import type { Look } from '../../rule.js';
import { listen, type Unread } from '../../unread.js';
import { presets } from '../caddy/options.js';
import type { F2bOptions } from './options.js';

/** A file that Caddy writes its access log to. */
export interface AccessLog {
  path: string;
  /** json, console, filter... */
  format: string;
  /** Whether the path has an environment variable in it. */
  variable: boolean;
}

export interface AccessLogs {
  logs: AccessLog[];
  /** Whether there is a Caddyfile at all. */
  asked: boolean;
  /** What the Caddyfiles hold that could not be read. */
  unread: Unread[];
}

/**
 * Files that sites of the Caddyfiles write their access logs to, through snippets and imports. Where a real Caddy said what it
 * makes of the file, a log has to be among its writers, and has the format that it names.
 */
export function accessLogs({ head, tools, options }: Look<F2bOptions>): AccessLogs {
  const { served, plugins } = presets['guide-lxd'];
  const answers = (tools.get('caddy') ?? {}) as CaddyAnswers;
  const { result: configs, unread } = listen(() => caddyConfigs(head, options.caddy, { served, plugins }));
  const logs = configs.flatMap((config): AccessLog[] => {
    const answer = answers[config.path];
    const writers =
      answer?.asked && answer.accepted && !config.variables && !config.incomplete ? answer.writers : undefined;
    return config.logs.flatMap(({ scope, name, output, filename, format, variable }): AccessLog[] => {
      // The global log `default` has the requests of sites that set nothing, and then stands there as theirs.
      if (output !== 'file' || filename === undefined || (scope === 'global' && name === 'default')) return [];
      const writer = writers?.find((each) => each.filename === filename);
      if (writers && !writer) return [];
      return [{ path: filename, format: writer?.encoder ?? format, variable }];
    });
  });
  return { logs, asked: configs.length > 0, unread };
}
