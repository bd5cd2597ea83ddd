import { posix } from 'node:path';
import type { CaddyConfig } from '../../formats/caddy-config.js';
import { at } from '../../formats/caddy-tokens.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { type CaddyRuleOptions, globalsOf, meaningOf, readsOf } from './options.js';
import { sitesOf, storageBlock } from './samples.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  return globalsOf(look.head, look.options).flatMap((config) => judge(look, config));
}

function judge(look: Look<CaddyRuleOptions>, config: CaddyConfig): Finding[] {
  const { storageRoot } = look.options;
  const real = meaningOf(look, config);
  const own = config.storage;
  const storage = real ? real.storage : own;
  if (!storage) {
    const position = config.global?.open ? at(config.global.open) : { path: config.path, line: 1, column: 1 };
    if (config.incomplete)
      return [
        {
          status: 'unknown',
          at: position,
          message: 'The file could not be read whole, so whether it sets the storage is not known.',
        },
      ];
    return [
      {
        status: 'fail',
        at: position,
        message: 'The global options set no storage, so certificates lie in the home of whoever starts Caddy.',
        todo: `Set \`storage file_system { root ${storageRoot} }\` in the global options.`,
        fix: withStorage(look, config),
      },
    ];
  }
  const place = own?.rootToken ? at(own.rootToken) : (own?.at ?? { path: config.path, line: 1, column: 1 });
  if (own?.variable || storage.root?.includes('{'))
    return [
      {
        status: 'unknown',
        at: place,
        message: 'The storage is a variable, so where certificates lie is only known on the server.',
        todo: `Write ${storageRoot} out.`,
      },
    ];
  if (storage.module !== 'file_system')
    return [
      {
        status: 'fail',
        at: own?.at ?? place,
        message: `Certificates are kept by the module ${storage.module}, not in ${storageRoot}.`,
        todo: `Set \`storage file_system { root ${storageRoot} }\`.`,
      },
    ];
  if (!storage.root)
    return [
      {
        status: 'fail',
        at: own?.at ?? place,
        message: 'The storage has no root.',
        todo: `Add \`root ${storageRoot}\` to it.`,
      },
    ];
  if (clean(storage.root) === clean(storageRoot)) return [];
  return [
    {
      status: 'fail',
      at: place,
      message: posix.isAbsolute(storage.root)
        ? `Certificates are kept in ${storage.root}, not in ${storageRoot}.`
        : `The root ${storage.root} is relative, so it depends on where Caddy is started.`,
      todo: `Write ${storageRoot}.`,
      fix: withRoot(look, config),
    },
  ];
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function withStorage(
  { head, options }: Look<CaddyRuleOptions>,
  config: CaddyConfig,
): Record<string, string> | undefined {
  const block = `\tstorage file_system {\n\t\troot ${options.storageRoot}\n\t}\n`;
  const open = config.global?.open;
  const path = open ? open.source.path : config.path;
  const text = head.file(path)?.text;
  if (text === undefined) return undefined;
  if (!open) {
    const mark = text.startsWith('\uFEFF') ? '\uFEFF' : '';
    return { [path]: `${mark}{\n${block}}\n\n${text.slice(mark.length)}` };
  }
  const after = text.indexOf('\n', open.end);
  // What follows the brace on its line is at most a comment; Caddy refuses all else there.
  return after < 0 ? undefined : { [path]: `${text.slice(0, after + 1)}${block}${text.slice(after + 1)}` };
}

function withRoot({ head, options }: Look<CaddyRuleOptions>, config: CaddyConfig): Record<string, string> | undefined {
  const token = config.storage?.rootToken;
  const text = token && head.file(token.source.path)?.text;
  if (!token || text === undefined || token.way !== '') return undefined;
  return { [token.source.path]: text.slice(0, token.start) + options.storageRoot + text.slice(token.end) };
}

const site = sitesOf(1);

export const storage: Rule<CaddyRuleOptions> = {
  id: 'caddy/storage',
  severity: 'error',
  title: 'The global options say where Caddy keeps its certificates.',
  reason: `Without \`storage\` Caddy uses \`~/.local/share/caddy\` of whoever starts it. Started by another user or unit it finds
no certificates there, asks for all of them anew, and runs into the limits of the certificate authority.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: 'the root in a block, as in the guide', files: { 'conf/config': `${storageBlock}${site}` } },
      {
        name: 'the root on the line',
        files: { 'conf/config': `{\n\tstorage file_system /opt/gbo/data/caddy\n}\n${site}` },
      },
      {
        name: 'the root in quotes, with a slash at its end',
        files: { 'conf/config': `{\n\tstorage file_system "/opt/gbo/data/caddy/"\n}\n${site}` },
      },
      {
        name: 'the global options imported from a snippet',
        files: {
          'conf/config': `(keep) {\n\tstorage file_system /opt/gbo/data/caddy\n}\n{\n\temail admin@example.com\n\timport keep\n}\n${site}`,
        },
      },
      {
        name: 'another root that the policy wants',
        files: { 'conf/config': `{\n\tstorage file_system /srv/caddy\n}\n${site}` },
        options: { storageRoot: '/srv/caddy' },
      },
    ],
    bad: [
      {
        name: 'no global options at all',
        files: { 'conf/config': site },
        finds: [{ at: 'conf/config:1:1', says: /set no storage/ }],
      },
      {
        name: 'global options without storage',
        files: { 'conf/config': `# the proxy\n{\n\temail admin@example.com\n}\n${site}` },
        finds: [{ at: 'conf/config:2:1', says: /set no storage/ }],
      },
      {
        name: 'storage only in a comment',
        files: {
          'conf/config': `{\n\t# storage file_system /opt/gbo/data/caddy\n\temail admin@example.com\n}\n${site}`,
        },
        finds: [{ at: 'conf/config:1:1', says: /set no storage/ }],
      },
      {
        name: 'storage only in a snippet that nobody imports',
        files: { 'conf/config': `(keep) {\n\tstorage file_system /opt/gbo/data/caddy\n}\n${site}` },
        finds: [{ at: 'conf/config:1:1', says: /set no storage/ }],
      },
      {
        name: 'storage only inside a site',
        files: { 'conf/config': 'a.example.com {\n\tstorage file_system /opt/gbo/data/caddy\n}\n' },
        finds: [{ at: 'conf/config:1:1', says: /set no storage/ }],
      },
      {
        name: 'another module',
        files: { 'conf/config': `{\n\tstorage redis {\n\t\thost localhost\n\t}\n}\n${site}` },
        finds: [{ at: 'conf/config:2:2', says: /by the module redis/ }],
      },
      {
        name: 'a relative root',
        files: { 'conf/config': `{\n\tstorage file_system {\n\t\troot data/caddy\n\t}\n}\n${site}` },
        finds: [{ at: 'conf/config:3:8', says: /relative/ }],
      },
      {
        name: 'another root',
        files: { 'conf/config': `{\n\tstorage file_system /var/lib/caddy\n}\n${site}` },
        finds: [{ at: 'conf/config:2:22', says: /kept in \/var\/lib\/caddy/ }],
      },
      {
        name: 'no root',
        files: { 'conf/config': `{\n\tstorage file_system {\n\t}\n}\n${site}` },
        finds: [{ at: 'conf/config:2:2', says: /no root/ }],
      },
      {
        name: 'a root that is a variable',
        files: { 'conf/config': `{\n\tstorage file_system {\n\t\troot {$ROOT}\n\t}\n}\n${site}` },
        finds: [{ at: 'conf/config:3:8', says: /variable/, status: 'unknown' }],
      },
      {
        name: 'what the real Caddy makes of it counts',
        files: { 'conf/config': `{\n\tstorage file_system /opt/gbo/data/caddy\n}\n${site}` },
        tools: {
          caddy: {
            'conf/config': {
              asked: true,
              accepted: true,
              version: 'v2.6.2',
              hosts: ['site1.example.com'],
              storage: { module: 'file_system', root: '/elsewhere' },
              skipped: [],
              noLog: false,
              writers: [],
            },
          },
        },
        finds: [{ at: 'conf/config:2:22', says: /kept in \/elsewhere/ }],
      },
    ],
  },
};
