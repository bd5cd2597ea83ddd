import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { f2b } from '../../src/rules/f2b/index.js';
import { probes } from '../../src/rules/f2b/probes.js';
import { runFilters } from '../../src/tools/fail2ban.js';
import { treeOf } from '../../src/tree.js';
import { check } from '../unit/samples.js';
import { installFail2ban } from './fail2ban-oracle.js';

const dir = 'proxy/fail2ban';
const path = `${dir}/filter.d/caddy.conf`;
const jail = `[caddy-http-flood]
enabled = true
backend = auto
filter = caddy
logpath = /opt/gbo/logs/access.log
`;
const filter = (failregex: string, more = '') => `[Definition]\nfailregex = ${failregex}\n${more}`;

/** What the guard says by itself, and what it says with fail2ban-regex to ask. */
async function both(text: string, mostMs?: number) {
  const files = { [`${dir}/jail.local`]: jail, [path]: text };
  const runs = await runFilters(treeOf(files), [path], process.env.PATH, mostMs);
  const verdict = (tools: Record<string, unknown>) => check(f2b, 'f2b/filter', { name: '', files, tools });
  return { run: runs?.[path], alone: verdict({}), asked: verdict({ fail2ban: runs }) };
}

describe('filters, by the guard and by fail2ban-regex', () => {
  beforeAll(() => installFail2ban());

  it.each([
    [
      "the guide's filter",
      filter('^.*"remote_ip":"<HOST>",.*?"status":\\s?4\\d\\d,', 'datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?\n'),
      true,
    ],
    [
      "the platform's own, with a datepattern that cannot be used",
      filter('^.*"remote_ip":"<HOST>".*"status":4[0-9][0-9].*$', 'datepattern = {"ts":\\s*%%s\n'),
      false,
    ],
    ['nobody to ban', filter('"status":4\\d\\d'), false],
    ['a bracket that is not closed', filter('"remote_ip":"<HOST>".*"status":4[0-9'), false],
    ['two addresses', filter('"remote_ip":"<HOST>".*"client_ip":"<HOST>".*"status":4'), false],
    ['every answer', filter('"remote_ip":"<HOST>"'), false],
  ])('%s', async (_, text, sound) => {
    const { run, alone, asked } = await both(text);
    expect(run).toBeDefined();
    expect([alone.length === 0, asked.length === 0], JSON.stringify([run, alone, asked], null, 1)).toEqual([
      sound,
      sound,
    ]);
  });

  it('a filter that runs for ever is stopped, and not sound', async () => {
    const { alone, run } = await both(filter('^(?:(?:"?[^<]*)*)*!"remote_ip":"<HOST>"$'), 2000);
    expect(alone).not.toEqual([]);
    expect(run?.error).toMatch(/2 s/);
  });

  it('a filter that includes files from elsewhere is not run', async () => {
    const { run } = await both(`[INCLUDES]\nbefore = /etc/shadow\n${filter('<HOST>')}`);
    expect(run).toBeUndefined();
  });

  it('generated filters count the same lines and addresses', async () => {
    const address = fc.constantFrom(
      '<HOST>',
      '<ADDR>',
      '<IP4>',
      '(?:<IP4>|<IP6>)',
      '<F-ID>[0-9.]+</F-ID>',
      '(?P<host>[^"]+)',
      '[^"]*',
    );
    const field = fc.constantFrom(
      '"remote_ip":"',
      '"remote_ip":"',
      '"client_ip":"',
      '"remote_ip":\\s*"',
      '(?:remote|client)_ip":"',
      'ip"\\W+',
      '"(?i)REMOTE_IP":"',
    );
    const between = fc.constantFrom('".*', '",.*?', '"[^}]*', '".*\\D', '".+?', '"(?:.|x){0,900}');
    const status = fc.constantFrom(
      '"status":4\\d\\d,',
      '"status":4\\d{2},',
      '"status":4\\d\\d,',
      '"status":\\s?4[0-9]{2}\\b',
      '"status":40[0-4],',
      '"status":(?:4\\d{2}|5..),',
      'status\\W+4..',
      '"status":404',
      '4\\d\\d,',
      '"status":4\\d\\d$',
    );
    const start = fc.constantFrom('', '^.*', '^\\{.*', '.*', '\\b', '^');
    const careful = fc.tuple(
      fc.constantFrom('', '^.*', '^\\{.*', '.*'),
      fc.constantFrom('"remote_ip":"', '"remote_ip":\\s*"', '"(?:remote|client)_ip":"'),
      fc.constantFrom('<HOST>', '<ADDR>', '(?:<IP4>|<IP6>)'),
      fc.constantFrom('".*', '",.*?', '".+?', '"(?:.|x){0,900}'),
      fc.constantFrom('"status":4\\d\\d,', '"status":\\s?4[0-9]{2}\\b'),
    );
    const one = fc.oneof(careful, fc.tuple(start, field, address, between, status)).map((parts) => parts.join(''));
    const date = fc.constantFrom(
      '',
      '',
      'datepattern = "ts":\\s?{EPOCH}(?:\\.\\d+)?\n',
      'datepattern = {EPOCH}\n',
      'ignoreregex = "uri":"/health\n',
      'ignoreregex = "status":40[13],\n',
    );
    const texts = fc
      .tuple(fc.array(one, { minLength: 1, maxLength: 2 }), date)
      .map(([all, more]) => filter(all.join('\n    '), more));
    const generated = [...new Set(fc.sample(texts, { numRuns: 40, seed: 20261124 }))];
    let lines = 0;
    let sound = 0;
    for (const text of generated) {
      const { run, alone, asked } = await both(text);
      const what = JSON.stringify([text, run, alone, asked], null, 1);
      expect(run, what).toBeDefined();
      if (alone.some(({ status }) => status === 'unknown')) continue;
      expect(alone.length === 0, what).toBe(asked.length === 0);
      if (!run?.error)
        expect(
          alone.map(({ message }) => message),
          what,
        ).toEqual(asked.map(({ message }) => message));
      lines += probes.length;
      if (alone.length === 0) sound++;
    }
    console.log(`filters: ${generated.length} compared with fail2ban-regex over ${lines} lines, ${sound} sound`);
    expect(sound).toBeGreaterThan(3);
  });
});
