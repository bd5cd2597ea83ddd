import { posix } from 'node:path';
import { parseDuration } from '@gbo/shared/duration';
import { z } from 'zod';
import { isPlainAbsolutePath } from './plain-path.js';
import { yamlList } from './yaml-input.js';

/** What makes a unit take the new file. */
export type Activate =
  | { how: 'restart' | 'reload' | 'caddy' | 'none' }
  | { how: 'signal'; signal: string }
  | { how: 'command'; command: string };

/** What has to answer before a release counts as healthy, asked from the target's side. */
export type HealthCheck = { timeoutMs: number } & (
  | { kind: 'http'; url: string; status: number; contains?: string }
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'command'; command: string }
);

export type ArtifactType = 'binary' | 'unit' | 'config';

export interface ArtifactSpec {
  /** File name at the target: its name in the log. */
  name: string;
  /** Local file; empty where no file travels (rollback, status). */
  source: string;
  path: string;
  /** Absent: told from the path and the file's first bytes. */
  type?: ArtifactType;
  /** Four octal digits; absent: as it is on the target, else 0755 for a binary and 0644 for the rest. */
  fileMode?: string;
  owner?: string;
  units: string[];
  /** Command that judges the staged file, `{file}` in it stands for its path. */
  check?: string;
  activate: Activate;
  /** Arguments of the trial run of a staged binary; empty: no trial run. */
  probe: string;
  health: HealthCheck[];
}

const quoted = (input: unknown) => JSON.stringify(input);
const text = z.union([z.string(), z.number(), z.boolean()]).transform(String);

export const artifactFields = {
  artifact: z
    .string()
    .optional()
    .meta({ description: 'Local file to deploy. Required for mode deploy, unless `artifacts` is given.' }),
  path: z.string().optional().meta({ description: 'Where it goes on the target: an absolute file path.' }),
  type: z
    .enum(['binary', 'unit', 'config'], {
      error: (issue) => `${quoted(issue.input)} is not one of binary, unit, config`,
    })
    .optional()
    .meta({
      description:
        'binary, unit (a systemd unit file) or config. Default: told from the path and the first bytes of the file.',
    }),
  'file-mode': text.optional().meta({
    description:
      'Octal mode, such as 0755. Default: as it is on the target, else 0755 for a binary and 0644 for the rest.',
  }),
  owner: z
    .string()
    .optional()
    .meta({ description: '`user` or `user:group`. Default: as it is on the target, else the user logged in as.' }),
  unit: z
    .string()
    .optional()
    .meta({ description: 'systemd unit(s) that run the artifact, separated by commas. `.service` may be left out.' }),
  check: z.string().optional().meta({
    description:
      'Command on the target that judges the staged file before anything is switched; `{file}` stands for its path.',
  }),
  activate: z.string().optional().meta({
    description:
      'How the unit takes the new file: restart, reload, `signal HUP`, `command ...`, caddy (reload, but restart when a host name went away), or none. Default: restart, and none without a unit.',
  }),
  probe: z.string().optional().meta({
    description:
      'Arguments for a trial run of a staged binary on the target, which must exit 0 within 10 s. `none` leaves it out. Default: --version',
  }),
  'health-url': z.string().optional().meta({
    description:
      'http://, https:// or tcp:// address that must answer, asked from the target (so localhost is the target itself).',
  }),
  'health-status': text.optional().meta({ description: 'HTTP status that counts as healthy. Default: 200' }),
  'health-contains': z
    .string()
    .optional()
    .meta({ description: 'Text that the answer must contain, such as a version.' }),
  'health-command': z.string().optional().meta({ description: 'Command on the target that must exit 0.' }),
  'health-timeout': text
    .optional()
    .meta({ description: 'How long to wait for the first healthy answer. Default: 60s' }),
};

const artifactEntry = z.strictObject(artifactFields);
export const artifactList = yamlList(artifactEntry);

type Entry = z.output<typeof artifactEntry>;

/** One artifact from its texts. `prefix` names the place in a complaint. Reports through `problem`, once for each mistake. */
export function artifactFrom(
  entry: Entry,
  prefix: string,
  needsSource: boolean,
  problem: (text: string) => void,
): ArtifactSpec {
  const complain = (name: string, complaint: string) => problem(`${prefix}${name}${complaint}`);
  const path = entry.path ?? '';
  if (!path) complain('path', ' is required and empty');
  else if (!isPlainAbsolutePath(path)) complain('path', `: ${quoted(path)} is not a plain absolute path to a file`);
  else if (/^\/(proc|sys|dev)\//.test(path)) complain('path', `: ${quoted(path)} is not a place for files`);
  if (needsSource && !entry.artifact) complain('artifact', ' is required and empty');
  const mode = entry['file-mode'];
  if (mode && !/^0?[0-7]{3}$/.test(mode)) complain('file-mode', `: ${quoted(mode)} is not an octal mode such as 0755`);
  if (entry.owner && !/^[a-z_][\w.-]*(:[a-z_][\w.-]*)?$/i.test(entry.owner)) {
    complain('owner', `: ${quoted(entry.owner)} is neither user nor user:group`);
  }
  const units = (entry.unit ?? '')
    .split(',')
    .map((unit) => unit.trim())
    .filter(Boolean)
    .map(fullUnitName);
  for (const unit of units.filter((name) => !/^[\w:@.\\-]+\.(service|socket|timer|path|target)$/.test(name))) {
    complain('unit', `: ${quoted(unit)} is not a unit name`);
  }
  const type = entry.type ?? (/\.(service|socket|timer|path|target|mount)$/.test(path) ? 'unit' : undefined);
  return {
    name: posix.basename(path),
    source: entry.artifact ?? '',
    path,
    type,
    fileMode: mode?.padStart(4, '0'),
    owner: entry.owner,
    units,
    check: entry.check,
    activate: activation(entry.activate, units, (complaint) => complain('activate', complaint)),
    probe: entry.probe === 'none' ? '' : (entry.probe ?? '--version'),
    health: healthChecks(entry, complain),
  };
}

function fullUnitName(unit: string): string {
  return unit.includes('.') ? unit : `${unit}.service`;
}

function activation(written: string | undefined, units: string[], complain: (complaint: string) => void): Activate {
  const value = written ?? (units.length > 0 ? 'restart' : 'none');
  const needsUnit = !value.startsWith('command ') && value !== 'none';
  if (needsUnit && units.length === 0) complain(`: ${quoted(value)} needs a unit`);
  const signal = /^signal (?:SIG)?([A-Z][A-Z0-9]{1,9})$/.exec(value)?.[1];
  if (signal) return { how: 'signal', signal };
  const command = /^command\s+(\S.*)$/s.exec(value)?.[1];
  if (command) return { how: 'command', command };
  if (value === 'restart' || value === 'reload' || value === 'none' || value === 'caddy') return { how: value };
  complain(`: ${quoted(value)} is not one of restart, reload, signal NAME, command ..., caddy, none`);
  return { how: 'none' };
}

function healthChecks(entry: Entry, complain: (name: string, complaint: string) => void): HealthCheck[] {
  const checks: HealthCheck[] = [];
  const status = Number(entry['health-status'] ?? '200');
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    complain('health-status', `: ${quoted(entry['health-status'])} is not an HTTP status`);
  }
  let timeoutMs = 60_000;
  try {
    timeoutMs = parseDuration(entry['health-timeout'] ?? '60s');
  } catch (error) {
    complain('health-timeout', `: ${error instanceof Error ? error.message : String(error)}`);
  }
  const address = entry['health-url'];
  if (address) {
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (url && (url.username || url.password))
      complain('health-url', ' holds a user or password; that does not belong in a URL');
    else if (url?.protocol === 'tcp:' && url.hostname && url.port) {
      checks.push({ kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port), timeoutMs });
    } else if (url && (url.protocol === 'http:' || url.protocol === 'https:')) {
      checks.push({ kind: 'http', url: url.href, status, contains: entry['health-contains'], timeoutMs });
    } else complain('health-url', `: ${quoted(address)} is not an http://, https:// or tcp://host:port address`);
  } else if (entry['health-contains'] || entry['health-status']) {
    complain('health-url', ' is empty, but health-status or health-contains is given');
  }
  if (entry['health-command']) checks.push({ kind: 'command', command: entry['health-command'], timeoutMs });
  return checks;
}
