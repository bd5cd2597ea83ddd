import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plain } from '../../../packages/shared/src/report.js';
import type { Pushed } from '../../src/apply.js';
import { commentsOf } from '../../src/comments.js';
import type { Facts } from '../../src/facts.js';
import { makePlan } from '../../src/plan.js';
import { report } from '../../src/report.js';
import type { Probe } from '../../src/states.js';
import { factsOf, inputsOf, laggingOf, probeOf, rowOf, SHA } from './facts-of.js';

const cost = { ms: 1500, requests: 4, bytes: 2048 };
const missing: Partial<Probe> = { tip: '2'.repeat(40), onBranch: 'no', exists: 'no' };

function reportOf(facts: Facts, raw: Record<string, string> = {}, pushed: Pushed[] = []) {
  const inputs = inputsOf(raw);
  return report(inputs, facts, makePlan(inputs, facts), pushed, cost);
}
const logOf = ({ log }: ReturnType<typeof reportOf>) => log.flatMap(({ title, lines }) => [title, ...lines]);

describe('the result', () => {
  const trouble = { reason: 'unreachable' as const, said: 'fatal: x' };
  const all = rowOf('a', [probeOf(), probeOf({ remote: 'alm' })]);
  const lag = rowOf('b', [probeOf(), laggingOf()]);
  const unknown = rowOf('c', [probeOf(), probeOf({ remote: 'alm', onBranch: 'unknown', trouble })]);

  it.each([
    ['everything everywhere', [all], {}, 'pushed', false],
    ['nothing to look at', [], {}, 'pushed', false],
    ['a lag', [all, lag], {}, 'not-pushed', true],
    ['no answer', [all, unknown], {}, 'unknown', true],
    ['no answer, where that is only to be told', [all, unknown], { 'on-unknown': 'warn' }, 'unknown', false],
    ['a lag and no answer', [lag, unknown], { 'on-unknown': 'warn' }, 'not-pushed', true],
  ] as const)('of %s', (_title, rows, raw, result, red) => {
    const told = reportOf(factsOf([...rows]), raw);
    expect(told.outputs.result).toBe(result);
    expect(Boolean(told.failed)).toBe(red);
    expect(logOf(told)).toContain(`Result: ${result}`);
    expect(told.summary).toContain(`submodule-sync: ${result}`);
    expect(JSON.parse(told.outputs.report ?? '')).toMatchObject({ result, cost });
  });

  const mistaken = rowOf('d', [
    probeOf(),
    probeOf({ remote: 'alm', onBranch: 'unknown', trouble: { reason: 'invalid address', said: 'x' } }),
  ]);
  it.each<[string, Facts, boolean]>([
    ['an address that nobody may ask', factsOf([mistaken]), true],
    ['a .gitmodules that nobody can read', factsOf([all], { unreadable: 'bad config line 3' }), true],
    ['one below', factsOf([all], { unknowns: [{ path: 'e', why: 'bad config line 3', broken: true }] }), true],
    ['one of an earlier commit', factsOf([all], { earlier: [{ commit: SHA, path: '.gitmodules', why: 'bad' }] }), true],
    ['submodules below that had no answer', factsOf([all], { unknowns: [{ path: 'e', why: 'unreachable' }] }), false],
  ])('of %s: a mistake stays red with on-unknown: warn, a missing answer does not', (_title, facts, red) => {
    const told = reportOf(facts, { 'on-unknown': 'warn' });
    expect([told.outputs.result, Boolean(told.failed)]).toEqual(['unknown', red]);
  });

  it('tells in the summary what became of every push, and what a dry run would push', () => {
    const push = makePlan(inputsOf({ push: 'alm' }), factsOf([lag])).pushes[0];
    if (!push) throw new Error('nothing to push');
    const refused = reportOf(factsOf([lag]), { push: 'alm' }, [{ push, result: 'refused', why: 'a hook said no' }]);
    expect(refused.summary).toContain('Push of b 111111111111 to main of alm: refused (a hook said no).');
    expect(reportOf(factsOf([lag]), { push: 'alm', 'dry-run': 'true' }).summary).toContain(
      'Would be pushed: b 111111111111 to main of alm.',
    );
  });

  it('in the output is without the branches of every repository, which may be thousands', () => {
    const heads = [{ ref: 'refs/heads/secret-project', sha: SHA }];
    const told = reportOf(factsOf([rowOf('a', [probeOf({ heads }), probeOf({ remote: 'alm', heads })])]));
    expect(told.outputs.report).not.toContain('secret-project');
  });

  it('without an answer never says pushed, whatever else there is', () => {
    const { outputs, summary } = reportOf(factsOf([unknown]), { 'on-unknown': 'warn' });
    expect(outputs.result).toBe('unknown');
    expect(summary).toContain('COULD-NOT-CHECK');
  });

  it('of many findings is told in full in the log, and in short at its end', () => {
    const rows = Array.from({ length: 300 }, (_, number) =>
      rowOf(`m${number}`, [probeOf(missing), probeOf({ ...missing, remote: 'alm' })]),
    );
    const told = reportOf(factsOf(rows));
    expect(told.failed?.split('\n')).toHaveLength(21);
    expect(told.failed).toContain('... and 580 more.');
    expect(told.log.filter(({ title }) => title.startsWith('MISSING'))).toHaveLength(600);
  });
});

describe('a text that others wrote', () => {
  const odd = fc.oneof(
    fc
      .array(
        fc.constantFrom(
          '\n',
          '\r',
          '\r\n',
          '\u001b[2K',
          '\u0085',
          '\u009b',
          '\u2028',
          '\u202e',
          '\u0000',
          '::set-output name=result::pushed',
          '::add-mask::x',
          '##[add-path]/x',
          'Result: pushed',
          '### submodule-sync: pushed',
          '| x | PUSHED |',
          '|',
          '\\',
          '`',
          '```',
          '**',
          '<b>',
          '![x](y)',
          '[x](y)',
          ' @all',
          'a',
          ' ',
          '_',
        ),
        { minLength: 1, maxLength: 8 },
      )
      .map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
  );

  it('never makes a row of its own, nor moves a cursor', () => {
    fc.assert(
      fc.property(odd, (text) => {
        expect(plain(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      }),
    );
    expect(plain('bots/größe 日本 \u{1f468}\u200d\u{1f469}')).toBe('bots/größe 日本 \u{1f468}\u200d\u{1f469}');
    expect(plain('a\nb\u001b[2K\u009b\u202e')).toBe('a\\nb\\u001b[2K\\u009b\\u202e');
  });

  it('as path, branch, name, note or message of a server adds no row to log and summary', () => {
    const worldOf = (text: string, event: Facts['event']): Facts =>
      factsOf(
        [
          rowOf(text, [probeOf(missing), probeOf({ ...missing, remote: 'alm', exists: 'yes', elsewhere: [text] })]),
          rowOf(`${text}2`, [probeOf({ onBranch: 'unknown', trouble: { reason: 'other', said: text } })]),
        ],
        {
          event,
          unreadable: text,
          orphans: [{ path: text, sha: SHA }],
          strays: [{ name: text, path: `${text}3` }],
          unknowns: [{ path: text, why: text }],
          notes: [text],
          changed: [text, `${text}2`],
          earlier: [{ commit: SHA, path: text }],
        },
      );
    const event = { kind: 'pull_request' as const, commit: SHA, pullRequest: 7, before: SHA };
    const shapeOf = (text: string) => {
      const facts = worldOf(text, event);
      const inputs = inputsOf();
      const plan = makePlan(inputs, facts);
      const told = report(inputs, facts, plan, [], cost);
      const comments = commentsOf(facts, plan);
      const markdown = [
        told.summary,
        comments?.sticky ?? '',
        ...(comments?.review.comments.map(({ body }) => body) ?? []),
      ];
      return { rows: logOf(told), failed: told.failed?.split('\n') ?? [], markdown };
    };
    const usual = shapeOf('x');
    fc.assert(
      fc.property(
        odd.filter((text) => !text.endsWith('\n') && text !== '.'),
        (text) => {
          const shape = shapeOf(text);
          expect(shape.rows).toHaveLength(usual.rows.length);
          expect(shape.failed).toHaveLength(usual.failed.length);
          expect(shape.rows.concat(shape.failed).join('')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
          for (const [index, body] of shape.markdown.entries()) {
            const lines = body.split('\n');
            expect(lines).toHaveLength(usual.markdown[index]?.split('\n').length ?? 0);
            // Headings, tables and code blocks are where they always are.
            const kinds = (texts: string[]) =>
              texts.map(
                (line) => /^(#+ |\||`{3,}|\*\*[A-Z-]+\*\*|git |$)/.exec(line)?.[1]?.replaceAll('`', '') ?? 'text',
              );
            expect(kinds(lines)).toEqual(kinds(usual.markdown[index]?.split('\n') ?? []));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('cannot break out of its cell, be a link, or call somebody', () => {
    const { summary } = reportOf(factsOf([rowOf('a\\|b | [x](y) <img> `c` **d** @all', [probeOf(missing)])]));
    const row = summary.split('\n').find((line) => line.startsWith('| a')) ?? '';
    expect(row).toBe(
      '| a\\\\\\|b \\| \\[x\\](y) &lt;img> \\`c\\` \\*\\*d\\*\\* @\u200ball | 111111111111 | MISSING | - |',
    );
  });
});

describe('commands', () => {
  it('are one a line in the output, also for a path with a newline', () => {
    const { outputs } = reportOf(factsOf([rowOf('a\nb', [probeOf(), laggingOf()])]));
    expect(outputs.commands).toBe(`git -C "$(printf 'a\\012b')" push alm ${SHA}:refs/heads/main`);
  });

  it('in Markdown are the same as in the output, also with backticks', () => {
    const { outputs, summary } = reportOf(factsOf([rowOf('a```b', [probeOf(), laggingOf()])]));
    expect(summary).toContain(`\n${outputs.commands}\n`);
  });
});
