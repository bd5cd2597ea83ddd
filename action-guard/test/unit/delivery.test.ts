import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { reviewOf, statusOf } from '../../src/deliver.js';
import { inputs } from '../../src/inputs.js';
import type { Judged, Judgement } from '../../src/judge.js';
import { junit } from '../../src/junit.js';
import { patchOf } from '../../src/patch.js';
import { report } from '../../src/report.js';
import { sarif } from '../../src/sarif.js';
import type { Facts } from '../../src/survey.js';
import { treeOf } from '../../src/tree.js';
import { writeBelow } from '../../src/write-file.js';

const folder = mkdtempSync(join(tmpdir(), 'gbo-guard-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nasty = 'conf/<b>`x`](y)\u202e\n::add-mask::x\u0007';
function finding(line: number, more: Partial<Judged> = {}): Judged {
  const at = { path: 'conf/a', line, column: 2 };
  return {
    rule: 'demo/bad',
    severity: 'error',
    status: 'fail',
    at,
    message: 'It is bad.',
    fingerprint: `f${line}`,
    old: false,
    ...more,
  };
}
function judgement(findings: Judged[]): Judgement {
  return { findings, rules: [{ id: 'demo/bad', severity: 'error', status: 'fail', files: 1 }], notes: [] };
}
const values = (more: Record<string, string> = {}) => inputs.parse(new Map(Object.entries(more)));

describe('comments at lines', () => {
  const diff = new Map([['conf/a', new Set(Array.from({ length: 400 }, (_, index) => index + 1))]]);
  const facts = { commit: 'c0ffee', diff } as unknown as Facts;
  const linesOf = (findings: Judged[], more?: Record<string, string>) =>
    reviewOf(values(more), facts, judgement(findings)).comments.map(({ line }) => line);

  it.each<[string, Judged[], number[]]>([
    ['stand at the line', [finding(3)], [3]],
    ['two at one line are one comment', [finding(3), finding(3, { rule: 'demo/worse' })], [3]],
    ['not where the diff does not reach', [finding(401)], []],
    ['not in a file that the diff does not touch', [finding(1, { at: { path: 'other', line: 1, column: 1 } })], []],
    ['not for what was there before', [finding(1, { old: true })], []],
    ['not for what is excused', [finding(1, { excused: { by: 'comment', reason: 'why' } })], []],
  ])('%s', (_, findings, lines) => expect(linesOf(findings)).toEqual(lines));

  it('say once what several rules say in the same words', () => {
    const findings = [finding(3), finding(3, { rule: 'demo/worse' }), finding(3, { message: 'It is worse.' })];
    const [comment] = reviewOf(values(), facts, judgement(findings)).comments;
    expect(comment?.body).toBe('**demo/bad, demo/worse** It is bad.\n\n**demo/bad** It is worse.');
  });

  it('are capped, and the rest is counted', () => {
    const many = Array.from({ length: 300 }, (_, index) => finding(index + 1));
    expect(linesOf(many)).toHaveLength(50);
    expect(linesOf(many, { 'max-comments': '7' })).toHaveLength(7);
    expect(reviewOf(values(), facts, judgement(many)).body).toMatch(/and at 250 more, which stand in the log/);
  });
});

describe('the status of the commit', () => {
  it.each<[string, Parameters<typeof statusOf>, string]>([
    ['of nothing', ['pass', judgement([])], 'nothing new is found'],
    ['of what was there', ['pass', judgement([finding(1, { old: true })])], 'nothing new is found'],
    [
      'of warnings',
      ['pass', judgement([finding(1, { severity: 'warning' }), finding(2, { severity: 'warning' })])],
      'nothing that fails the run; 2 warnings',
    ],
    [
      'of all kinds, where nothing fails the run',
      ['pass', judgement([finding(1), finding(2, { severity: 'warning' }), finding(3, { severity: 'info' })])],
      'nothing that fails the run; 1 error, 1 warning, 1 hint',
    ],
    ['of an error', ['fail', judgement([finding(1)])], '1 to mend'],
    ['of what could not be told', ['unknown', judgement([])], 'not everything could be told'],
  ])('%s', (_, given, says) => expect(statusOf(...given).description).toBe(says));
});

describe('names and texts from a pull request', () => {
  const bad = [finding(1, { at: { path: nasty, line: 1, column: 1 }, message: `It is ${nasty}.` })];

  it('break no line of the log and mention nobody', () => {
    const { log, summary } = report(values(), 'c0ffee', judgement(bad), [], 1);
    for (const line of log.flatMap(({ lines }) => lines)) expect(line).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
    // Within backticks everything is literal.
    expect(summary.replaceAll(/`[^`]*`/g, '')).not.toContain('<b>');
    expect(summary).not.toMatch(/^::/m);
  });

  it('make no other XML', () => {
    const text = junit(judgement(bad));
    expect(
      execFileSync(
        'python3',
        ['-c', 'import sys, xml.dom.minidom as m; print(len(m.parse(sys.stdin).getElementsByTagName("failure")))'],
        { input: text },
      ).toString(),
    ).toBe('1\n');
  });

  it('make no other SARIF', () => {
    const { runs } = JSON.parse(sarif([], judgement(bad), '1.0.0'));
    expect(runs[0].results[0]).toMatchObject({ ruleId: 'demo/bad', kind: 'fail', level: 'error' });
    expect(decodeURIComponent(runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri)).toBe(nasty);
  });
});

describe('a patch', () => {
  const long = Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join('');
  it.each<[string, Record<string, string>, Record<string, string>]>([
    ['changes a line', { a: long }, { a: long.replace('line 9\n', 'line nine\n') }],
    ['changes lines far apart', { a: long }, { a: long.replace('line 1\n', 'one\n').replace('line 28\n', '28\n') }],
    ['makes a file', {}, { 'sub/new.json': '{}\n' }],
    ['mends a file without a last newline', { a: 'x' }, { a: 'y\n' }],
    ['leaves one without', { a: 'x\n' }, { a: 'y' }],
    ['changes two files', { a: 'x\n', b: 'y\n' }, { a: '1\n', b: '2\n' }],
    ['of names with spaces', { 'a b/c d': 'x\n' }, { 'a b/c d': 'y\n' }],
    ['of an empty file', { a: '' }, { a: 'x\n' }],
    ['that changes nothing is none', { a: 'x\n' }, {}],
  ])('%s, and git applies it', (title, before, after) => {
    const work = join(folder, title.replaceAll(/\W/g, '-'));
    mkdirSync(work);
    for (const [path, text] of Object.entries(before)) {
      mkdirSync(join(work, path, '..'), { recursive: true });
      writeFileSync(join(work, path), text);
    }
    const patch = patchOf([finding(1, { fix: after })], treeOf(before));
    execFileSync('git', ['init', '--quiet', work]);
    if (patch) execFileSync('git', ['-C', work, 'apply', '-'], { input: patch });
    for (const [path, text] of Object.entries({ ...before, ...after })) {
      expect(readFileSync(join(work, path), 'utf8')).toBe(text);
    }
  });

  it('takes one answer for each file', () => {
    const patch = patchOf([finding(1, { fix: { a: '1\n' } }), finding(2, { fix: { a: '2\n' } })], treeOf({ a: 'x\n' }));
    expect(patch).toContain('+1');
    expect(patch).not.toContain('+2');
  });
});

describe('a file that is written', () => {
  const root = join(folder, 'root');
  const outside = join(folder, 'outside');
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'precious');

  it('lies where it was asked for', async () => {
    await writeBelow(root, 'deep/down/report.json', '{}');
    expect(readFileSync(join(root, 'deep/down/report.json'), 'utf8')).toBe('{}');
  });

  it('replaces a link that a pull request put in its place', async () => {
    symlinkSync(join(outside, 'precious'), join(root, 'report.sarif'));
    await writeBelow(root, 'report.sarif', 'text');
    expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('precious');
    expect(readFileSync(join(root, 'report.sarif'), 'utf8')).toBe('text');
  });

  it('is refused where a folder of its path leads out', async () => {
    symlinkSync(outside, join(root, 'out'));
    await expect(writeBelow(root, 'out/report.json', 'x')).rejects.toThrow(
      /out\/report\.json cannot be written: a link leads out/,
    );
    await expect(writeBelow(root, 'out/more/report.json', 'x')).rejects.toThrow();
  });
});
