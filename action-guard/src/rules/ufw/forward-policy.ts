import { dirname } from 'node:path/posix';
import { Lines } from '../../lines.js';
import type { Finding, Look, Rule } from '../../rule.js';
import type { SourceFile } from '../../tree.js';
import { readBySh, readByUfw, type Setting, type ShReading } from './defaults.js';
import { bad, good } from './forward-policy-samples.js';
import type { UfwOptions } from './index.js';

const name = 'DEFAULT_FORWARD_POLICY';

export const forwardPolicy: Rule<UfwOptions> = {
  id: 'ufw/forward-policy',
  severity: 'error',
  title: 'ufw forwards packets of containers: DEFAULT_FORWARD_POLICY is ACCEPT.',
  reason: `With ufw's own default, DROP, containers have no Internet after the next boot: certificates are not renewed, mail stays.

/etc/default/ufw is read twice, and not alike. At boot sh sources it: quotes may be left out, the last line wins, \`accept\` in
lower case is not \`ACCEPT\`, and a space beside \`=\` ends the start of ufw. ufw's command line looks for lines of its own
pattern: it does not see \`export\` nor single quotes, and takes a comment behind the value for a part of it. Both have to
come to ACCEPT.`,
  suppressible: true,
  files: (options) => options.defaults,
  reads: (options) => options.conf,
  check: (look) => check(look),
  samples: { good, bad },
};

function check(look: Look<UfwOptions>): Finding[] {
  const { head, options } = look;
  const findings: Finding[] = deleted(look);
  const confs = head.matching(options.conf);
  for (const file of head.matching(options.defaults)) {
    if (file.kind === 'link') {
      const at = { path: file.path, line: 1, column: 1 };
      findings.push({ status: 'unknown', at, message: 'It is a symbolic link, which is not followed.' });
      continue;
    }
    // The ufw.conf of the same host: the one below the same etc.
    const etc = dirname(dirname(file.path));
    const conf = confs.find(({ path, kind }) => kind === 'file' && dirname(dirname(path)) === etc);
    findings.push(...judge(file, conf));
  }
  return findings;
}

/** Defaults of the base that are gone, without others that came for them. */
function deleted({ head, base, options }: Look<UfwOptions>): Finding[] {
  const [now, before] = [head.select(options.defaults), base?.select(options.defaults) ?? []];
  const gone = before.filter((path) => !now.includes(path));
  if (now.length >= before.length) return [];
  return gone.map((path) => ({
    status: 'fail',
    at: { path, line: 1, column: 1 },
    message: "ufw's defaults are deleted, so that its own hold: packets of containers are dropped.",
    todo: 'Bring the file back.',
  }));
}

function judge(file: SourceFile, conf: SourceFile | undefined): Finding[] {
  const fixed = new Set<string>();
  const sh = merged(file, conf, (text, path) => readBySh(text, name, fixed, path));
  const place = (source: SourceFile, at: number) => ({ path: source.path, ...new Lines(source.text).at(at) });
  for (const { source, reading } of sh.readings) {
    const { failure } = reading;
    if (!failure) continue;
    const message =
      failure.kind === 'spaces'
        ? `sh takes ${name === failure.message ? name : 'this name'} for a command, as there is a space beside \`=\`, and ufw does not start.`
        : `sh cannot read this file from here on, as ${failure.message}.`;
    return [
      {
        status: 'fail',
        at: place(source, failure.at),
        message,
        todo: `Write \`${name}="ACCEPT"\`.`,
        ...fixLine(source, failure.kind === 'spaces' && failure.message === name ? failure.at : -1),
      },
    ];
  }
  const todo = `Write \`${name}="ACCEPT"\`.`;
  const { setting, source } = sh;
  const at = place(source, setting.at);
  const doubt = sh.readings.find(({ reading }) => reading.doubt);
  if (setting.unknown || doubt) {
    const where = setting.unknown ? at : place(doubt?.source as SourceFile, doubt?.reading.doubt?.at ?? 0);
    return [
      { status: 'unknown', at: where, message: `What ${name} becomes is only known when sh runs this line.`, todo },
    ];
  }
  if (setting.value === undefined)
    return [{ status: 'fail', at, message: `Nothing sets ${name}, so that packets of containers are dropped.`, todo }];
  const end = source.text.indexOf('\n', setting.at);
  if (source.text[(end < 0 ? source.text.length : end) - 1] === '\r') {
    const fix = { [source.path]: source.text.replaceAll('\r\n', '\n') };
    const message = `A carriage return at the end of the line is part of ${name}, which is not ACCEPT then.`;
    return [{ status: 'fail', at, message, todo: 'Save the file with Unix line ends.', fix }];
  }
  if (setting.value !== 'ACCEPT') {
    const lower = setting.value.toUpperCase() === 'ACCEPT';
    const message = lower
      ? `${name} is not in capitals: ufw's command line takes it, the start at boot does not.`
      : `${name} is ${['DROP', 'REJECT'].includes(setting.value) ? setting.value : 'not ACCEPT'}, so that packets of containers are dropped.`;
    return [{ status: 'fail', at, message, todo, ...fixLine(source, setting.at) }];
  }
  const cli = merged(file, conf, (text) => ({ setting: readByUfw(text, name) }));
  if (cli.setting.value !== 'accept') {
    const seen = cli.setting.value;
    const where = seen === undefined ? at : place(cli.source, cli.setting.at);
    const message =
      seen === undefined
        ? `sh reads ${name}, but ufw's command line does not see this line and refuses to run.`
        : `sh comes to ACCEPT, but ufw's command line takes more of this line for the value.`;
    const line = seen === undefined ? setting.at : cli.setting.at;
    return [{ status: 'fail', at: where, message, todo, ...fixLine(seen === undefined ? source : cli.source, line) }];
  }
  return [];
}

/** The later of the two files that sets it counts. */
function merged<Reading extends { setting: Setting } & Partial<ShReading>>(
  file: SourceFile,
  conf: SourceFile | undefined,
  read: (text: string, path: string) => Reading,
): { setting: Setting; source: SourceFile; readings: { source: SourceFile; reading: Reading }[] } {
  const readings = [file, ...(conf ? [conf] : [])].map((source) => ({
    source,
    reading: read(source.text, source.path),
  }));
  const [first, second] = readings as [(typeof readings)[0], (typeof readings)[0] | undefined];
  const last =
    second && (second.reading.setting.value !== undefined || second.reading.setting.unknown) ? second : first;
  return { setting: last.reading.setting, source: last.source, readings };
}

/** The file with the line at an offset put right; none where the line holds more than the assignment. */
function fixLine(source: SourceFile, at: number): { fix?: Record<string, string> } {
  if (at < 0) return {};
  const start = source.text.lastIndexOf('\n', at - 1) + 1;
  const newline = source.text.indexOf('\n', start);
  const end = newline < 0 ? source.text.length : newline;
  const line = source.text.slice(start, end);
  if (/[;&|`$()\\]/.test(line)) return {};
  return { fix: { [source.path]: `${source.text.slice(0, start)}${name}="ACCEPT"${source.text.slice(end)}` } };
}
