import type { CaddyConfig } from '../../formats/caddy-config.js';
import type { Finding, Look, Rule } from '../../rule.js';
import { answerOf, type CaddyRuleOptions, configsOf, readsOf } from './options.js';
import { proxyOf, storageBlock } from './samples.js';

function check(look: Look<CaddyRuleOptions>): Finding[] {
  return configsOf(look.head, look.options).flatMap((config) => [...ownFindings(look, config), ...real(look, config)]);
}

function ownFindings(look: Look<CaddyRuleOptions>, config: CaddyConfig): Finding[] {
  const answer = answerOf(look, config.path);
  const told = new Set<string>();
  return config.problems
    .filter(({ status }) => !(status === 'fail' && answer?.accepted && !config.variables))
    .filter(({ status, kind, message }) => {
      // Twenty-five sites that import one unread snippet are one thing to mend.
      if (status !== 'unknown' || kind !== 'import') return true;
      const isFirst = !told.has(message);
      told.add(message);
      return isFirst;
    })
    .slice(0, 100)
    .map(({ status, at, message, todo }) => ({ status, at, message, todo }));
}

/** What a real Caddy refuses and the own reader does not. */
function real(look: Look<CaddyRuleOptions>, config: CaddyConfig): Finding[] {
  const answer = answerOf(look, config.path);
  if (!answer || answer.accepted || config.problems.some(({ status }) => status === 'fail')) return [];
  const said = answer.message.replaceAll(/'[^']{40,}'/g, "'...'").replace(/\.+$/, '');
  const why = excuse(look.options, config, answer.version, answer.message);
  const at = { path: answer.path ?? config.path, line: answer.line ?? 1, column: 1 };
  const known = look.head.paths.includes(at.path) ? at : { path: config.path, line: 1, column: 1 };
  return [
    why
      ? { status: 'unknown', at: known, message: `Caddy ${answer.version} refuses this, but ${why}: ${said}.` }
      : {
          status: 'fail',
          at: known,
          message: `Caddy ${answer.version} refuses this: ${said}.`,
          todo: 'Mend it, and see to it with `caddy adapt --config FILE --adapter caddyfile`.',
        },
  ];
}

function excuse(
  { plugins }: CaddyRuleOptions,
  { variables, features }: CaddyConfig,
  version: string,
  message: string,
): string | undefined {
  if (variables) return 'it has a variable that only the server knows';
  if (plugins.some((plugin) => message.includes(plugin)) || message.includes('module not registered'))
    return "a plugin is missing in this Caddy that the server's may have";
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number);
  if (major === 2 && minor < 7 && features.size > 0) return 'it has syntax of newer versions';
  return undefined;
}

export const invalid: Rule<CaddyRuleOptions> = {
  id: 'caddy/invalid',
  severity: 'error',
  title: 'Caddy can read its Caddyfile.',
  reason: `A reload with a file that Caddy refuses keeps the old sites, and the next restart has none. One missing brace makes a
site swallow all that follow it. \`caddy validate\` is no harmless check: it writes CA keys into the storage and may create log
files that Caddy itself cannot open any more (caddyserver/caddy#6818, #7829). This rule reads the file itself, and asks
\`caddy adapt\` where it is there, which only translates.`,
  suppressible: true,
  files: ({ files }) => files,
  reads: readsOf,
  check,
  samples: {
    good: [
      { name: 'a full file as in the guide', files: { 'conf/config': proxyOf(3) } },
      {
        name: 'braces and hashes in quotes, backticks, heredocs and words are text',
        files: {
          Caddyfile: `a.example.com {
	respond "{ # no comment" 200
	respond /b \`back " tick }\`
	respond /c a#b # a comment {
	respond /d <<END
		} text {
		END
}
`,
        },
      },
      {
        name: 'addresses over several lines, and a continued line',
        files: { Caddyfile: 'a.example.com,\nb.example.com {\n\trespond \\\n\t\tok\n}\n' },
      },
      {
        name: 'snippets with arguments, and named routes',
        files: {
          Caddyfile: `(proxy) {
	reverse_proxy {args[0]}
}
&(health) {
	respond ok
}
a.example.com {
	import proxy localhost:5858
	invoke health
}
`,
        },
      },
      {
        name: 'imports of files that are there, relative and absolute',
        files: {
          'conf/config': 'import sites/*.caddy\nimport /opt/gbo/conf/sites/b.caddy\n',
          'conf/sites/a.caddy': 'a.example.com {\n\trespond a\n}\n',
          'conf/sites/b.caddy': '# nothing yet\n',
        },
      },
      {
        name: 'absolute imports where a folder holds the files as they lie on the server',
        files: {
          'proxy/etc/caddy/Caddyfile': 'import /etc/caddy/snippets.caddy\nimport /etc/caddy/sites/*.caddy\n',
          'proxy/etc/caddy/snippets.caddy': '(secure) {\n\theader X-Frame-Options DENY\n}\n',
          'proxy/etc/caddy/sites/a.caddy': 'a.example.com {\n\timport secure\n}\n',
        },
      },
      {
        name: 'an import by wildcard that matches nothing',
        files: { Caddyfile: 'import sites/*\na.example.com {\n}\n' },
      },
      {
        name: 'an upstream that is a variable',
        files: { Caddyfile: 'a.example.com {\n\treverse_proxy {$NOPE}\n}\n' },
      },
      { name: 'a variable with a default', files: { Caddyfile: '{$DOMAIN:a.example.com} {\n\trespond ok\n}\n' } },
      {
        name: 'a directive of a plugin that the server has',
        files: { Caddyfile: 'a.example.com {\n\trate_limit {\n\t\tzone x\n\t}\n}\n' },
        options: { plugins: ['rate_limit'] },
      },
      {
        name: 'what the own reader doubts and the real Caddy takes',
        files: { Caddyfile: 'a.example.com {\n\tnewdirective\n}\n' },
        tools: {
          caddy: {
            Caddyfile: {
              asked: true,
              accepted: true,
              version: 'v2.99.0',
              hosts: ['a.example.com'],
              skipped: [],
              noLog: true,
              writers: [],
            },
          },
        },
      },
    ],
    bad: [
      {
        name: 'a site swallowed by the one before it',
        files: {
          Caddyfile: `a.example.com {
	reverse_proxy localhost:1

b.example.com {
	reverse_proxy localhost:2
}
`,
        },
        finds: [{ at: 'Caddyfile:4:1', says: /a } is missing before it/ }],
      },
      {
        name: 'a block that never closes',
        files: { Caddyfile: 'a.example.com {\n\thandle {\n\t\trespond ok\n' },
        finds: [{ at: 'Caddyfile:2:9', says: /never closed/ }],
      },
      {
        name: 'the same address twice',
        files: { Caddyfile: 'a.example.com {\n}\n\nb.example.com, a.example.com {\n}\n' },
        finds: [{ at: 'Caddyfile:4:16', says: /a second time; the first is in Caddyfile, line 1/ }],
      },
      {
        name: 'the same variable twice',
        files: { Caddyfile: '{$DOMAIN} {\n}\n{$DOMAIN} {\n}\n' },
        finds: [{ at: 'Caddyfile:3:1', says: /a second time/ }],
      },
      {
        name: 'storage without a root',
        files: { Caddyfile: '{\n\tstorage file_system\n}\na.example.com {\n}\n' },
        finds: [{ at: 'Caddyfile:2:2', says: /no root/ }],
      },
      {
        name: 'storage inside a site',
        files: { Caddyfile: 'a.example.com {\n\tstorage file_system /opt/gbo/data/caddy\n}\n' },
        finds: [{ at: 'Caddyfile:2:2', says: /no directive storage/ }],
      },
      {
        name: 'global options after a site',
        files: { Caddyfile: `a.example.com {\n}\n${storageBlock}` },
        finds: [{ at: 'Caddyfile:3:1', says: /must be the first/ }],
      },
      {
        name: 'an import of a file that is missing',
        files: { Caddyfile: 'a.example.com {\n\timport common.caddy\n}\n' },
        finds: [{ at: 'Caddyfile:2:9', says: /no such file or snippet/ }],
      },
      { name: 'an empty file', files: { Caddyfile: '' }, finds: [{ at: 'Caddyfile:1:1', says: /empty/ }] },
      {
        name: 'a mistyped directive',
        files: { Caddyfile: 'a.example.com {\n\treverse_prxy localhost:1\n}\n' },
        finds: [{ at: 'Caddyfile:2:2', says: /no directive reverse_prxy/ }],
      },
      {
        name: 'no space before the brace',
        files: { Caddyfile: 'a.example.com{\n\trespond ok\n}\n' },
        finds: [{ at: 'Caddyfile:1:1', says: /No space/ }],
      },
      {
        name: 'two sites without braces',
        files: { Caddyfile: 'a.example.com\nrespond ok\n\nb.example.com\n' },
        finds: [{ at: 'Caddyfile:4:1', says: /second site/ }],
      },
      {
        name: 'a quote that never closes',
        files: { Caddyfile: 'a.example.com {\n\trespond "ok\n}\n' },
        finds: [{ at: 'Caddyfile:2:10', says: /quote is never closed/ }],
      },
      {
        name: 'plain HTTP and HTTPS on one port',
        files: { Caddyfile: 'http://a.example.com:8080 {\n}\nhttps://b.example.com:8080 {\n}\n' },
        finds: [{ at: 'Caddyfile:1:1', says: /plain HTTP on a port that also has HTTPS/ }],
      },
      {
        name: 'imports in a circle',
        files: { Caddyfile: '(a) {\n\timport b\n}\n(b) {\n\timport a\n}\na.example.com {\n\timport a\n}\n' },
        finds: [{ at: 'Caddyfile:5:2', says: /circle/ }],
      },
      {
        name: 'an error in an imported file is shown there',
        files: {
          'conf/config': 'import sites/*\n',
          'conf/sites/a.caddy': 'a.example.com {\n\tnonsense\n}\n',
        },
        finds: [{ at: 'conf/sites/a.caddy:2:2', says: /no directive nonsense/ }],
      },
      {
        name: 'a directive of a plugin that nobody said the server has',
        files: { Caddyfile: 'a.example.com {\n\trate_limit\n}\n' },
        finds: [{ at: 'Caddyfile:2:2', says: /of a plugin/, status: 'unknown' }],
      },
      {
        name: 'an import from outside the repository',
        files: { Caddyfile: 'import /etc/caddy/more/*\na.example.com {\n}\n' },
        finds: [{ at: 'Caddyfile:1:8', says: /outside the repository/, status: 'unknown' }],
      },
      {
        name: 'sites that import a snippet of a file outside the repository',
        files: {
          Caddyfile: 'import /srv/common\na.example.com {\n\timport logged\n}\nb.example.com {\n\timport logged\n}\n',
        },
        finds: [
          { at: 'Caddyfile:1:8', says: /outside the repository/, status: 'unknown' },
          { at: 'Caddyfile:3:9', says: /may be a snippet/, status: 'unknown' },
        ],
      },
      {
        name: 'an import that a variable names',
        files: { Caddyfile: 'import {$SITES}\na.example.com {\n}\n' },
        finds: [{ at: 'Caddyfile:1:8', says: /only known on the server/, status: 'unknown' }],
      },
      {
        name: 'what only the real Caddy sees',
        files: { Caddyfile: 'a.example.com {\n\tmap {\n\t\tx\n\t}\n}\n' },
        tools: {
          caddy: {
            Caddyfile: {
              asked: true,
              accepted: false,
              version: 'v2.6.2',
              message: "parsing caddyfile tokens for 'map': Caddyfile:2 - missing source argument",
              path: 'Caddyfile',
              line: 2,
            },
          },
        },
        finds: [{ at: 'Caddyfile:2:1', says: /Caddy v2.6.2 refuses this/ }],
      },
      {
        name: 'a module that this Caddy lacks and the server may have',
        files: {
          Caddyfile:
            '{\n\tservers {\n\t\tlistener_wrappers {\n\t\t\tproxy_protocol\n\t\t}\n\t}\n}\na.example.com {\n}\n',
        },
        tools: {
          caddy: {
            Caddyfile: {
              asked: true,
              accepted: false,
              version: 'v2.6.2',
              message: 'module not registered: caddy.listeners.proxy_protocol',
            },
          },
        },
        finds: [{ at: 'Caddyfile:1:1', says: /a plugin is missing/, status: 'unknown' }],
      },
    ],
  },
};
