import { help, inputsFromCommandLine } from '@gbo/shared/command-line';
import { ExpectedError, messageOf } from '@gbo/shared/errors';
import { tenantDeploys } from './artifacts.js';
import { authorizedKey, secretLines, targetScript, tenantSudoers } from './lines.js';
import { options, type Part, type SetupOptions } from './options.js';
import { scanHostKeys } from './scan.js';
import { workflows } from './workflows.js';
import { marked, mustBeFolder, type Written, writeMarked } from './write.js';

const about = `setup: all that a tenant needs for its first deploy.

    node dist/index.js setup --tenant acme --forge https://forge.example.com [--write CHECKOUT] [--scan]

Prints the workflow files, the secrets to create, and the lines for known_hosts, sudoers and authorized_keys. With --write
it writes the workflows into a checkout of the root, with --write-submodule that of the submodules; what was edited by hand
stays. It connects to nothing, unless --scan asks the target for its host key.`;

/** `node dist/index.js setup ...`. Never rejects; sets `process.exitCode`. */
export async function setup(args: string[]): Promise<void> {
  const say = (text: string) => void process.stdout.write(`${text}\n`);
  process.stdout.on('error', () => {});
  if (args.includes('--help')) return say([about, '', ...help(options.declared)].join('\n'));
  try {
    if (await carryOut(parse(args), say)) return;
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    process.stderr.write(`Error: ${error.message}\n`);
  }
  process.exitCode = 1;
}

/** @throws ExpectedError */
export function parse(args: string[]): SetupOptions {
  try {
    // A switch, where the inputs of an action all have values.
    const raw = inputsFromCommandLine(
      args.map((arg) => (arg === '--scan' ? '--scan=true' : arg)),
      options.declared,
    );
    const parsed = options.parse(raw);
    tenantDeploys(parsed.tenant, (text) => {
      throw new ExpectedError(`Bad input: ${text}.`, '', '');
    });
    return parsed;
  } catch (error) {
    const what = error instanceof ExpectedError ? error.what : messageOf(error);
    throw new ExpectedError(
      what.replaceAll(/\binput (?=[a-z-]+)/g, '--'),
      'Nothing was written.',
      '`setup --help` lists all.',
    );
  }
}

/** @returns whether everything is as it was asked for */
async function carryOut(asked: SetupOptions, say: (text: string) => void): Promise<boolean> {
  const scanned = asked.scan ? await scanHostKeys(asked.tenant.host, asked.tenant.port) : [];
  const targets = await targetsOf(asked);
  // Who writes wants to know what became of the files; the lines are one call without --write away.
  if (targets.length === 0 || asked.print !== 'all' || asked.scan) for (const line of print(asked, scanned)) say(line);
  const states: Written['state'][] = [];
  for (const { folder, path, text } of targets) {
    const written = await writeMarked(folder, path, text);
    for (const line of told(written)) say(line);
    states.push(written.state);
  }
  if (states.length > 0 && states.every((state) => state === 'unchanged'))
    say('Nothing to do: every workflow is as it should be.');
  if (asked.write !== undefined && asked.writeSubmodules.length === 0)
    say('A root that nobody pushed is found by its submodules alone: --write-submodule CHECKOUT,... writes theirs.');
  return !states.includes('kept');
}

/** The files to write. No file is written before every folder was looked at. */
async function targetsOf({ tenant, write, writeSubmodules }: SetupOptions) {
  const all = workflows(tenant);
  const into = (folder: string, repository: string) =>
    all.filter((workflow) => workflow.repository === repository).map((workflow) => ({ folder, ...workflow }));
  const folders = [...(write === undefined ? [] : [write]), ...writeSubmodules];
  for (const folder of folders) await mustBeFolder(folder);
  return [
    ...(write === undefined ? [] : into(write, 'root')),
    ...writeSubmodules.flatMap((folder) => into(folder, 'submodule')),
  ];
}

function told(file: Written): string[] {
  if (file.state !== 'kept') return [`${file.state}: ${file.path}`];
  return [
    `kept: ${file.path} was edited by hand, or is not of setup. It was left as it is; take over what you want of this, or`,
    'delete the file and run again:',
    file.diff.trimEnd(),
  ];
}

type Scanned = Awaited<ReturnType<typeof scanHostKeys>>;

function print(asked: SetupOptions, scanned: Scanned): string[] {
  const { tenant } = asked;
  const sections: Record<Exclude<Part, 'all'>, { title: string; lines: string[] }> = {
    workflows: {
      title: 'Workflows (--write CHECKOUT writes them, --write-submodule CHECKOUT the last one)',
      lines: workflows(tenant).flatMap(({ repository, path, what, text }) => [
        `--- ${repository === 'root' ? tenant.root : 'each submodule'}: ${path} (${what})`,
        marked(text),
      ]),
    },
    secrets: { title: 'Secrets and variables to create', lines: secretLines(tenant) },
    'known-hosts': { title: 'known_hosts', lines: hostKeyLines(asked, scanned) },
    sudoers: {
      title: `sudoers on ${tenant.host} (visudo -f /etc/sudoers.d/gbo-deploy; needs sudo 1.9.10 or later)`,
      lines: tenant.user === 'root' ? ['# none needed: root deploys'] : tenantSudoers(tenant),
    },
    'authorized-keys': {
      title: `authorized_keys of ${tenant.user} on ${tenant.host}`,
      lines: [authorizedKey(tenant)],
    },
    target: { title: `All of it as a script for root on ${tenant.host}`, lines: [targetScript(tenant).trimEnd()] },
  };
  if (asked.print === 'target' && !tenant.publicKey) {
    throw new ExpectedError(
      '--public-key is missing.',
      'Nothing was printed.',
      'Give it as --public-key @deploy_key.pub.',
    );
  }
  if (asked.print !== 'all') return sections[asked.print].lines;
  // The script repeats what stands above it, for those who would rather run than paste.
  const { target: _, ...shown } = sections;
  const hint = `--print target prints a script that brings the lines to ${tenant.host}; --print NAME prints one section alone.`;
  return [...Object.values(shown).flatMap(({ title, lines }) => [`# ${title}`, ...lines, '']), hint];
}

function hostKeyLines({ tenant, scan }: SetupOptions, scanned: Scanned): string[] {
  if (!scan)
    return [`# not asked for over the network; the target itself prints it (see DEPLOY_KNOWN_HOSTS), or use --scan`];
  return [
    `# What the network shows as ${tenant.host}. Compare with the target itself before you trust a line:`,
    '#   ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
    ...scanned.flatMap(({ line, fingerprint }) => [`# ${fingerprint}`, line]),
  ];
}
