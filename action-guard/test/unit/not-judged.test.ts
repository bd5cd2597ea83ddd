import { describe, expect, it } from 'vitest';
import { families } from '../../src/families.js';
import { isActive, type Judged, judge } from '../../src/judge.js';
import { readPolicy } from '../../src/policy.js';
import type { Family } from '../../src/rule.js';
import { matcher, type SourceFile, treeOf } from '../../src/tree.js';
import { sentenceOf, type Told, together } from '../../src/words.js';

type Files = Record<string, string | Partial<SourceFile>>;

const policy = readPolicy(undefined, 'policy', families);
const bound = { severity: policy.severity.bind(policy), maySuppress: policy.maySuppress.bind(policy) };

/** The status of each rule of a family, and what was found. */
function judged(family: Family, head: Files, base?: Files, options: object = {}) {
  // One object, as what is kept of a tree may be kept by it.
  const own = { ...(policy.options(family) as object), ...options };
  const text = (file: Files[string] | undefined) => JSON.stringify(file);
  const paths = [...new Set([...Object.keys(head), ...Object.keys(base ?? {})])];
  const { rules, findings } = judge({
    families: [family],
    policy: { ...policy, ...bound, options: () => own },
    head: treeOf(head),
    base: base && treeOf(base),
    tools: new Map(),
    baseTools: new Map(),
    changed: base && new Set(paths.filter((path) => text(head[path]) !== text(base[path]))),
    suppressions: [],
    badSuppressions: [],
    baseline: [],
    today: '2026-11-24',
  });
  return { findings, status: new Map(rules.map(({ id, status }) => [id, status])) };
}

const many = (line: string, count: number) => line.repeat(count);
const site = 'a.example.com {\n\tlog\n\treverse_proxy localhost:5858\n}\n';
const server = '.:53 {\n\tacl {\n\t\tallow net 10.0.0.0/8\n\t\tblock\n\t}\n}\n';
const bomb = (doubles: number, opens: string) =>
  `${Array.from({ length: doubles }, (_, index) => `(s${index}) {\nimport s${index + 1}\nimport s${index + 1}\n}\n`).join('')}(s${doubles}) {\nlog\n}\n${opens} {\nimport s0\n}\n`;
const workflow = (name: string) => `on: [push]\njobs:\n  a:\n    runs-on: gbo\n    steps:\n      - run: echo ${name}\n`;
const container = 'architecture: x86_64\nconfig:\n  security.privileged: "true"\ndevices: {}\nname: acme-system\n';
const rule = 'iptables -A INPUT -s 192.0.2.1 -j ACCEPT\n';

/** What lies over a limit of a reader, by the families that read it; every rule of those that asks for the file has to say so. */
const limits: { name: string; of: string[]; path: string; over: string; small: string; but?: string[] }[] = [
  {
    name: 'a Caddyfile of too many words',
    of: ['caddy'],
    path: 'Caddyfile',
    over: `${site}${many('a ', 61_000)}\n`,
    small: site,
  },
  {
    name: 'a Caddyfile whose imports explode',
    of: ['caddy'],
    path: 'conf/config',
    over: bomb(20, 'a.example.com'),
    small: site,
  },
  {
    name: 'a Corefile of too many words',
    of: ['dns'],
    path: 'Corefile',
    over: `${server}${many('a ', 61_000)}\n`,
    small: server,
  },
  { name: 'a Corefile whose imports explode', of: ['dns'], path: 'Corefile', over: bomb(20, '.:53'), small: server },
  {
    name: 'a workflow that is too large',
    of: ['ci'],
    path: '.forgejo/workflows/a.yml',
    over: `${workflow('a')}${many('# more\n', 40_000)}`,
    small: workflow('a'),
  },
  {
    name: 'a workflow that is nested too deeply',
    of: ['ci'],
    path: '.forgejo/workflows/a.yml',
    over: `${workflow('a')}x: ${many('[', 300)}${many(']', 300)}\n`,
    small: workflow('a'),
  },
  {
    name: 'YAML of a container that is too large',
    of: ['lxd'],
    path: 'lxd/acme-system.yaml',
    over: `${container}${many('# more\n', 40_000)}`,
    small: container,
  },
  {
    name: 'YAML of a container that is nested too deeply',
    of: ['lxd'],
    path: 'lxd/acme-system.yaml',
    over: `${container}x: ${many('[', 300)}${many(']', 300)}\n`,
    small: container,
  },
  {
    name: 'a script with too many here-documents',
    of: ['lxd'],
    path: 'setup.sh',
    over: `#!/bin/sh\n${many('lxc profile edit a <<E\nconfig: {}\nE\n', 60)}`,
    small: '#!/bin/sh\nlxc list\n',
  },
  {
    name: 'rules of too many lines',
    of: ['ipt'],
    path: 'etc/iptables/rules.v4',
    over: `*filter\n:INPUT ACCEPT [0:0]\n${many('-A INPUT -s 192.0.2.1 -j ACCEPT\n', 20_100)}COMMIT\n`,
    small: '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n',
    // It reads all lines; only what becomes of a packet is not followed.
    but: ['ipt/invalid'],
  },
  {
    name: 'a script of rules that goes on for too long',
    of: ['ipt'],
    path: 'firewall.sh',
    over: `#!/bin/sh\n${many(rule, 10_100)}`,
    small: `#!/bin/sh\n${rule}`,
  },
  {
    name: 'a script of rules with a loop without end',
    of: ['ipt'],
    path: 'firewall.sh',
    over: `#!/bin/sh\nwhile true; do ${rule.trim()}; done\n`,
    small: `#!/bin/sh\n${rule}`,
  },
  {
    name: 'a script of rules with a condition of too many branches',
    of: ['ipt'],
    path: 'firewall.sh',
    over: `#!/bin/sh\ncase "$1" in\n${Array.from({ length: 40 }, (_, index) => `${index}) ${rule.trim()};;\n`).join('')}esac\n`,
    small: `#!/bin/sh\n${rule}`,
  },
  {
    name: 'defaults of ufw that are a long script',
    of: ['ufw'],
    path: 'etc/default/ufw',
    over: `DEFAULT_FORWARD_POLICY="ACCEPT"\n${many('a=b\n', 20_100)}DEFAULT_FORWARD_POLICY="DROP"\n`,
    small: 'DEFAULT_FORWARD_POLICY="ACCEPT"\n',
  },
  {
    name: 'a script that may hold the forward rule and goes on for too long',
    of: ['ufw'],
    path: 'firewall.sh',
    over: `#!/bin/sh\n# FORWARD\n${many('a=b\n', 20_100)}`,
    small: '#!/bin/sh\ntrue\n',
  },
];

const cases = limits.flatMap((limit) =>
  families
    .filter(({ name }) => limit.of.includes(name))
    .map((family) => ({
      title: `${limit.name}, for ${family.name}`,
      family,
      ...limit,
      // Whoever asks for the file, so that a new rule has its case.
      rules: family.rules
        .filter((each) => !limit.but?.includes(each.id))
        .filter((each) => isActive(each, policy.options(family), new Set([limit.path])))
        .map(({ id }) => id),
    })),
);

describe('a file over the limit of a reader is green to no rule that reads it', () => {
  it.each(cases)('$title', ({ family, rules, path, over, small }) => {
    expect(rules).not.toEqual([]);
    const forms = {
      'the whole tree': judged(family, { [path]: over }),
      'new in a pull request': judged(family, { [path]: over }, {}),
      'grown in a pull request': judged(family, { [path]: over }, { [path]: small }),
      'changed in a pull request, and over the limit before': judged(
        family,
        { [path]: `${over}# changed\n` },
        { [path]: over },
      ),
    };
    for (const [form, { status, findings }] of Object.entries(forms)) {
      expect(rules.map((id) => `${id} ${status.get(id)}, ${form}`)).toEqual(
        rules.map((id) => `${id} unknown, ${form}`),
      );
      // What nobody read may be anything, so it is new wherever it was changed.
      expect(findings.filter(({ status, old }) => status === 'unknown' && old)).toEqual([]);
    }
  });
});

/** What they say depends on names alone. */
const byName = ['bot/mcp-orphan'];

describe('a file that is too large to be fetched is not green', () => {
  const all = families.flatMap((family) =>
    family.rules.flatMap((each) => {
      const options = policy.options(family);
      const sample = [...each.samples.good, ...each.samples.bad].find(({ files, options: own }) =>
        Object.keys(files).some(matcher(each.files({ ...(options as object), ...own }))),
      );
      return sample && !byName.includes(each.id) ? [{ id: each.id, family, rule: each, sample }] : [];
    }),
  );

  it('every rule has a sample to make too large', () => {
    expect(all.map(({ id }) => id)).toEqual(
      families.flatMap(({ rules }) => rules.map(({ id }) => id)).filter((id) => !byName.includes(id)),
    );
  });

  it.each(all)('$id', ({ family, rule: one, sample }) => {
    const isJudged = matcher(one.files({ ...(policy.options(family) as object), ...sample.options }));
    const large: Files = Object.fromEntries(
      Object.entries(sample.files).map(([path, text]) => [
        path,
        isJudged(path) ? { text: '', unread: 'it is larger than 4 MiB' } : text,
      ]),
    );
    // After all others of its family, which may have had the file read before.
    const only = { ...family, rules: [...family.rules.filter((each) => each !== one), one] };
    expect(judged(only, large, undefined, sample.options).status.get(one.id)).toBe('unknown');
    expect(judged(only, large, {}, sample.options).status.get(one.id)).toBe('unknown');
  });
});

describe('a unit that is none of its services', () => {
  it.each(['unit/botserver-url', 'unit/ports', 'unit/install'])('is nothing that %s could pass', (id) => {
    const units = families.filter(({ name }) => name === 'unit')[0] as Family;
    expect(judged(units, { 'forgejo.service': '[Service]\nExecStart=/usr/bin/forgejo\n' }).status.get(id)).toBe(
      'nothing-matched',
    );
  });
});

describe('what could not be told is told once', () => {
  const caddy = families.filter(({ name }) => name === 'caddy');
  const storage = '{\n\tstorage file_system /opt/gbo/data/caddy\n}\n';
  const plain = `http://${site}`;

  it('a missing import is one line that names the rules, and says what to do', () => {
    const { findings } = judged(caddy[0] as Family, { 'conf/config': `${storage}import /srv/tenants/*\n${plain}` });
    const [one, ...others] = together(findings);
    expect(others).toEqual([]);
    expect(sentenceOf(one as Told)).toBe(
      'unknown caddy/partial, caddy/dead-domain, caddy/invalid, caddy/no-access-log, caddy/restart-needed: /srv/tenants/* lies outside the repository, so this import was not read. Keep it beside the file that imports it, or in the same folders as on the server.',
    );
  });

  it('a forgotten brace is one mistake, and one line of the rules that could not read on', () => {
    const sites = Array.from({ length: 30 }, (_, index) => plain.replace('a.', `s${index}.`)).join('');
    const head = { 'conf/config': storage + sites.replace('5858\n}', '5858\n') };
    const { findings } = judged(caddy[0] as Family, head, { 'conf/config': storage + sites });
    expect(together(findings).map(({ finding, rules }) => [finding.status, rules.includes('caddy/partial')])).toEqual([
      ['unknown', true],
      ['fail', false],
    ]);
  });

  it('what differs stays apart: an old one and a new one, two lines, two mistakes', () => {
    const { findings } = judged(caddy[0] as Family, { 'conf/config': `${storage}import /srv/a/*\nimport /srv/b/*\n` });
    expect(together(findings).map(({ finding }) => finding.at.line)).toEqual([4, 5]);
    const [first, second] = findings.filter(({ at }) => at.line === 4);
    expect(together([{ ...(first as Judged), old: true }, second as Judged])).toHaveLength(2);
  });
});
