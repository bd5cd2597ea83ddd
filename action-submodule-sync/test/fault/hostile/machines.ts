import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ground, quoted, REFUSED, type Row } from './ground.js';
import type { Place } from './watched.js';

const exec = promisify(execFile);

/** What the machine of the runner, or an earlier step, may have set up. The commit is everywhere, and that must be seen. */
export const machines: Row[] = (
  [
    [
      'variables that say where the repository is',
      ({ place }) => ({
        env: {
          GIT_DIR: place.folder,
          GIT_WORK_TREE: place.folder,
          GIT_INDEX_FILE: '/dev/null',
          GIT_OBJECT_DIRECTORY: place.folder,
          GIT_ALTERNATE_OBJECT_DIRECTORIES: place.folder,
          GIT_COMMON_DIR: place.folder,
          GIT_NAMESPACE: 'x',
          GIT_CEILING_DIRECTORIES: '/',
          GIT_SHALLOW_FILE: '/dev/null',
          GIT_REPLACE_REF_BASE: 'refs/x/',
          GIT_DEFAULT_HASH: 'sha256',
        },
      }),
    ],
    [
      'variables that name programs',
      ({ place: { trap } }) => ({
        env: {
          GIT_SSH_COMMAND: trap,
          GIT_SSH: trap,
          GIT_ASKPASS: trap,
          SSH_ASKPASS: trap,
          GIT_PROXY_COMMAND: trap,
          GIT_EXTERNAL_DIFF: trap,
          GIT_PAGER: trap,
          PAGER: trap,
          GIT_EDITOR: trap,
          EDITOR: trap,
          VISUAL: trap,
        },
      }),
    ],
    [
      'variables that name programs, with SSH',
      ({ place: { trap } }) => ({
        url: 'ssh://git@127.0.0.1:1/acme/x.git',
        inputs: { remotes: 'alm = ssh://git@127.0.0.1:1/acme/' },
        env: {
          GIT_SSH_COMMAND: trap,
          GIT_SSH: trap,
          GIT_ASKPASS: trap,
          SSH_ASKPASS: trap,
          SSH_ASKPASS_REQUIRE: 'force',
          DISPLAY: ':0',
        },
        told: REFUSED,
        code: 1,
      }),
    ],
    [
      'a folder with other git programs',
      ({ place }) => {
        const programs = join(place.folder, 'programs');
        mkdirSync(programs);
        for (const name of ['git', 'git-remote-http', 'git-remote-https', 'git-fetch', 'git-ls-tree', 'git-index-pack'])
          writeFileSync(join(programs, name), readFileSync(place.trap), { mode: 0o755 });
        return { env: { GIT_EXEC_PATH: programs, GIT_TEMPLATE_DIR: programs } };
      },
    ],
    [
      'variables that are configuration',
      ({ place, otherHost, alm }) => ({
        env: {
          ...variables(hostileSettings(place, otherHost, alm)),
          GIT_CONFIG_PARAMETERS: `'core.sshCommand=${place.trap}'`,
          GIT_CONFIG_GLOBAL: place.trap,
          GIT_CONFIG_SYSTEM: place.trap,
          XDG_CONFIG_HOME: place.folder,
        },
      }),
    ],
    [
      'variables that write everything down',
      ({ place }) => {
        const trace = join(place.temp, 'trace');
        return {
          env: {
            GIT_TRACE: trace,
            GIT_TRACE_CURL: trace,
            GIT_TRACE_PACKET: trace,
            GIT_TRACE_SETUP: trace,
            GIT_TRACE2: trace,
            GIT_TRACE2_EVENT: trace,
            GIT_TRACE2_PERF: trace,
            GIT_CURL_VERBOSE: '1',
            GIT_TRACE_REDACT: '0',
            GIT_REDACT_COOKIES: '0',
          },
        };
      },
    ],
    [
      'variables that allow more',
      () => ({
        env: {
          GIT_ALLOW_PROTOCOL: 'ext:file',
          GIT_PROTOCOL_FROM_USER: '1',
          GIT_SSL_NO_VERIFY: '1',
          GIT_NO_LAZY_FETCH: '0',
          GIT_TERMINAL_PROMPT: '1',
        },
      }),
    ],
    ['DEBUG=simple-git', () => ({ env: { DEBUG: 'simple-git,simple-git:*' } })],
    ['DEBUG=*', () => ({ env: { DEBUG: '*', NODE_DEBUG: 'http,net' } })],
    [
      'a global configuration full of traps',
      ({ place, otherHost, alm }) => {
        writeFileSync(join(place.home, '.gitconfig'), configuration(hostileSettings(place, otherHost, alm)));
        return { url: '../signed.git', pins: { x: ground.signed } };
      },
    ],
    [
      'a checkout whose configuration is full of traps',
      async ({ place, otherHost, alm }) => {
        const repository = join(place.folder, 'checkout');
        await exec('git', ['clone', '--quiet', '--no-checkout', ground.world.checkout, repository], {
          env: ground.world.env,
        });
        const other = join(place.folder, 'included');
        writeFileSync(other, configuration(hostileSettings(place, otherHost, alm)));
        const hooks = join(repository, '.git', 'hooks');
        mkdirSync(hooks, { recursive: true });
        for (const name of [
          'post-checkout',
          'reference-transaction',
          'post-index-change',
          'fsmonitor-watchman',
          'pre-auto-gc',
        ])
          writeFileSync(join(hooks, name), readFileSync(place.trap), { mode: 0o755 });
        writeFileSync(
          join(repository, '.git', 'config'),
          `${readFileSync(join(repository, '.git', 'config'), 'utf8')}${configuration(hostileSettings(place, otherHost, alm))}[include]\n\tpath = ${other}\n`,
        );
        const commit = (
          await exec('git', ['rev-parse', 'HEAD'], { cwd: ground.world.checkout, env: ground.world.env })
        ).stdout.trim();
        return { commit, inputs: { repository } };
      },
    ],
  ] as Row[]
).map(
  ([title, lay]): Row => [title, async (trap) => ({ url: '../botlib.git', code: 0, told: [], ...(await lay(trap)) })],
);
/** Settings that start a program, lead elsewhere, or write down what is said. */
function hostileSettings({ trap, folder }: Place, otherHost: string, alm: string): Record<string, string> {
  return {
    'core.fsmonitor': trap,
    'core.hooksPath': folder,
    'core.sshCommand': trap,
    'core.gitProxy': trap,
    'core.askPass': trap,
    'core.pager': trap,
    'core.editor': trap,
    'core.alternateRefsCommand': trap,
    'pager.ls-tree': 'true',
    'alias.ls-tree': `!${trap}`,
    'alias.rev-parse': `!${trap}`,
    'alias.fetch': `!${trap}`,
    'credential.helper': `!${trap}`,
    'log.showSignature': 'true',
    'gpg.program': trap,
    'diff.external': trap,
    'init.templateDir': folder,
    'uploadpack.packObjectsHook': trap,
    'http.proxy': otherHost,
    'http.extraHeader': 'Authorization: Basic x',
    'http.followRedirects': 'true',
    'http.cookieFile': trap,
    'protocol.ext.allow': 'always',
    'protocol.allow': 'always',
    'trace2.eventTarget': `${folder}/traced`,
    'trace2.normalTarget': `${folder}/traced`,
    'transfer.fsckObjects': 'true',
    'fetch.bundleURI': otherHost,
    [`url.${otherHost}.insteadOf`]: alm,
    [`url.ext::${trap} .insteadOf`]: 'http:',
  };
}

function configuration(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([key, value]) => {
      const [first, last] = [key.indexOf('.'), key.lastIndexOf('.')];
      const section = first === last ? '' : ` ${quoted(key.slice(first + 1, last))}`;
      return `[${key.slice(0, first)}${section}]\n\t${key.slice(last + 1)} = ${quoted(value)}\n`;
    })
    .join('');
}

function variables(settings: Record<string, string>): Record<string, string> {
  const all = Object.entries(settings);
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(all.length)],
    ...all.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}
