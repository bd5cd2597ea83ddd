import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJson } from '../../src/formats/json.js';
import { linesOf, words } from '../../src/rules/bot/grammar.js';

/*
 * botserver is written in Rust: it reads .mcp.json with serde_json, and scripts with lines(), trim() and split_whitespace() of
 * its standard library. Those are asked here what they make of a text.
 */
const program = `use std::io::{self, BufRead};
fn main() {
    for line in io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line.unwrap()).unwrap();
        let json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let lines: Vec<(String, Vec<&str>)> =
            text.lines().map(|l| (l.trim().to_string(), l.split_whitespace().collect())).collect();
        println!("{}", serde_json::json!({ "json": json, "lines": lines }));
    }
}
`;
const manifest = `[package]
name = "oracle"
version = "1.0.0"
edition = "2021"
[dependencies]
serde_json = "1"
`;

const cargo = spawnSync('cargo', ['--version']).status === 0;

if (process.env.CI === 'true')
  test('a machine of the CI has cargo', () => {
    expect(cargo).toBe(true);
  });

describe.runIf(cargo)(`serde_json and Rust say the same${cargo ? '' : ' (cargo is not there)'}`, () => {
  let folder: string;
  const ask = (texts: string[]): { json: boolean; lines: [string, string[]][] }[] => {
    const input = texts.map((text) => JSON.stringify(text)).join('\n');
    const { stdout, status } = spawnSync(join(folder, 'target/release/oracle'), {
      input,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    expect(status).toBe(0);
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'guard-oracle-'));
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'Cargo.toml'), manifest);
    writeFileSync(join(folder, 'src/main.rs'), program);
    const built = spawnSync('cargo', ['build', '--release', '--quiet'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, CARGO_TARGET_DIR: join(folder, 'target') },
    });
    expect(built.stderr).not.toMatch(/error/);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const odd = [
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '-',
    '0',
    '01',
    '1.',
    '1e999',
    '1e-999',
    'NaN',
    'null',
    'nul',
    '\\',
    '\\u0041',
    '\\ud800',
    '\\ud83d\\ude00',
    '\\x',
    '\n',
    '\t',
    '\r',
    ' ',
    '\u00a0',
    '\ufeff',
    '\u0085',
    '\u2028',
    '\u0001',
    '\u007f',
    '/**/',
    '//',
    'é',
    '['.repeat(126),
    '['.repeat(127),
    '['.repeat(128),
    ']'.repeat(127),
  ];
  const tool =
    '{"name":"x","description":"d","input_schema":{"type":"object","properties":{},"required":[]},"n":[1,-2.5e3]}';
  const edits = fc.array(fc.tuple(fc.nat(tool.length), fc.nat(4), fc.constantFrom('', ...odd)), { maxLength: 3 });
  const edited = edits.map((each) =>
    each.reduce((text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut), tool),
  );

  test('what is JSON, of 20,000 texts', () => {
    const texts = [
      ...odd.flatMap((piece) => [piece, `[${piece}]`, `"${piece}"`, `{"a":${piece}}`, `{"${piece}":1}`]),
      ...['['.repeat(127) + ']'.repeat(127), '['.repeat(128) + ']'.repeat(128)],
      ...fc.sample(edited, 20_000),
    ].filter((text) => !/\p{Surrogate}/u.test(text));
    const answers = ask(texts);
    const yes = answers.filter(({ json }) => json).length;
    expect(Math.min(yes, answers.length - yes)).toBeGreaterThan(1000);
    for (const [index, text] of texts.entries())
      expect([text, !('error' in readJson(text))]).toEqual([text, answers[index]?.json]);
  });

  test('what is a line, white space and a word, of 10,000 texts', () => {
    const spaces = [
      ' ',
      '\t',
      '\n',
      '\r',
      '\r\n',
      '\v',
      '\f',
      '\u001c',
      '\u001f',
      '\u0085',
      '\u00a0',
      '\u1680',
      '\u180e',
      '\u2000',
      '\u200a',
      '\u200b',
      '\u2028',
      '\u2029',
      '\u202f',
      '\u205f',
      '\u2060',
      '\u3000',
      '\ufeff',
    ];
    const text = fc
      .array(fc.oneof(fc.constantFrom(...spaces, 'PARAM', 'a', '"'), fc.string({ maxLength: 2, unit: 'binary' })), {
        maxLength: 12,
      })
      .map((parts) => parts.join(''));
    const texts = fc.sample(text, 10_000).filter((each) => !/\p{Surrogate}/u.test(each));
    for (const [index, { lines }] of ask(texts).entries()) {
      const given = texts[index] as string;
      // Rust counts no line after the last line break, where nothing can be declared.
      const mine = linesOf(given).map(({ text: trimmed }) => [trimmed, words(trimmed)]);
      expect([given, given.endsWith('\n') || given === '' ? mine.slice(0, -1) : mine]).toEqual([given, lines]);
    }
  });
});
