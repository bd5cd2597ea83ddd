import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAge, parseAge } from '../../src/age.js';
import { amountOf, parseAmount, parseSize } from '../../src/size.js';
import { DAY, HOUR, inputsOf } from './facts-of.js';

describe('a size is read as people write it', () => {
  it.each([
    ['0', 0],
    ['0B', 0],
    ['512B', 512],
    ['1KB', 1000],
    ['1kB', 1000],
    ['1K', 1024],
    ['1KiB', 1024],
    ['500MB', 500_000_000],
    ['500 MB', 500_000_000],
    ['500M', 524_288_000],
    ['500MiB', 524_288_000],
    ['20GB', 20_000_000_000],
    ['20gb', 20_000_000_000],
    ['20G', 21_474_836_480],
    ['20Gi', 21_474_836_480],
    ['1.5GB', 1_500_000_000],
    ['0.5GiB', 536_870_912],
    ['2TB', 2_000_000_000_000],
    ['  20GB ', 20_000_000_000],
  ])('%j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    '',
    '20',
    '-1GB',
    '+1GB',
    '1,5GB',
    '20 G B',
    '20PB',
    'GB',
    '1e9',
    '0x10',
    '20GBit',
    '20GB5',
    'i',
    '5iB',
    '1..5GB',
    '10000000000GB',
    '15%',
    '٢GB',
    'NaN',
    'Infinity',
    '999999TB',
    '0.1',
  ])('%j is none', (text) => {
    expect(() => parseSize(text)).toThrow(`${JSON.stringify(text)} is not a size such as 20GB or 500MiB`);
  });

  it('whatever is written: a whole number of bytes, or one half of a sentence', () =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{1,6} ?[kKmMgGtT]?i?[bB]?$/)), (text) => {
        try {
          expect(Number.isSafeInteger(parseSize(text))).toBe(true);
        } catch (error) {
          expect((error as Error).message).toMatch(/ is not a size such as 20GB or 500MiB$/);
        }
      }),
    ));
});

describe('an amount of free disk', () => {
  it.each([
    ['15%', 200, 30],
    ['15 %', 200, 30],
    ['0%', 200, 0],
    ['99.9%', 1000, 999],
    ['12.5%', 80, 10],
    ['20GB', 5, 20_000_000_000],
  ])('%j of %d is %d', (text, total, bytes) => {
    expect(amountOf(parseAmount(text), total)).toBe(bytes);
  });

  it.each(['%', '100%', '-5%', '15', '15 percent', '15%%', '1.25%'])('%j is none', (text) => {
    expect(() => parseAmount(text)).toThrow(
      `${JSON.stringify(text)} is neither a size such as 20GB nor a part such as 15%`,
    );
  });
});

describe('an age is read as people write it', () => {
  it.each([
    ['14d', 14 * DAY],
    ['14 days', 14 * DAY],
    ['1 day', DAY],
    ['36h', 36 * HOUR],
    ['1.5h', 1.5 * HOUR],
    ['90m', 1.5 * HOUR],
    ['90min', 1.5 * HOUR],
    ['2w', 14 * DAY],
    ['2 Weeks', 14 * DAY],
    ['0d', 0],
    [' 30d ', 30 * DAY],
    ['3650d', 3650 * DAY],
  ])('%j', (text, ms) => {
    expect(parseAge(text)).toBe(ms);
  });

  it.each([
    ['', 'is not an age'],
    ['14', 'is not an age'],
    ['30s', 'is not an age'],
    ['-1d', 'is not an age'],
    ['1mo', 'is not an age'],
    ['1y', 'is not an age'],
    ['1d 2h', 'is not an age'],
    ['d', 'is not an age'],
    ['3651d', 'is longer than ten years'],
    ['9'.repeat(400).concat('d'), 'is'],
  ])('%j is none', (text, says) => {
    expect(() => parseAge(text)).toThrow(`${JSON.stringify(text)} ${says}`);
  });

  it.each([
    [0, '0 ms'],
    [-5, '0 ms'],
    [HOUR, '60 min'],
    [2 * HOUR - 1, '120 min'],
    [2 * HOUR, '2 h'],
    [47.9 * HOUR, '47 h'],
    [2 * DAY, '2 days'],
    [31.9 * DAY, '31 days'],
  ])('%d ms are %j for people', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});

describe('limits', () => {
  const size = (text: string) => inputsOf({ 'max-size': text }).maxSize;
  it.each([
    ['80GB', { all: 80e9 }],
    ['all = 80GB', { all: 80e9 }],
    ['registry = 10GB, target = 40GB', { registry: 10e9, target: 40e9 }],
    ['registry=10GB\ngit=5GB', { registry: 10e9, git: 5e9 }],
    ['80GB, sccache = 20GB', { all: 80e9, sccache: 20e9 }],
    ['registry = 1GB,\n\n target = 2GB,', { registry: 1e9, target: 2e9 }],
    ['runner = 0', { runner: 0 }],
  ])('%j', (text, limits) => {
    expect(size(text)).toEqual(limits);
  });

  it.each([
    ['targets = 5GB', '"targets" is none of all, registry, git, target, sccache, runner'],
    ['registry', '"registry" is not a size'],
    ['registry =', '"" is not a size'],
    ['= 5GB', '"" is none of all'],
    ['registry = 1GB, registry = 2GB', 'registry stands there twice'],
    ['1GB, 2GB', 'all stands there twice'],
    ['1GB, all = 2GB', 'all stands there twice'],
    ['registry = 1GB = 2GB', '"1GB = 2GB" is not a size'],
    ['registry: 1GB', '"registry: 1GB" is not a size'],
    ['__proto__ = 1GB', '"__proto__" is none of all'],
    ['constructor = 1GB', '"constructor" is none of all'],
    ['age = 14d', '"age" is none of all'],
    [',', 'names no limit'],
  ])('%j is answered: %s', (text, says) => {
    expect(() => size(text)).toThrow(says);
  });

  it('ages are spelt likewise, and 30 days are the default, a day for what dead jobs left', () => {
    expect(inputsOf().maxAge).toEqual({ all: 30 * DAY, runner: DAY });
  });

  it.each([
    ['2w, git = 36h', { all: 14 * DAY, git: 36 * HOUR, runner: DAY }],
    ['registry = 14d', { all: 30 * DAY, registry: 14 * DAY, runner: DAY }],
    ['12h', { all: 12 * HOUR, runner: 12 * HOUR }],
    ['registry = none', { all: 30 * DAY, registry: Number.POSITIVE_INFINITY, runner: DAY }],
    ['all = none, git = 2d', { all: Number.POSITIVE_INFINITY, git: 2 * DAY, runner: DAY }],
    ['none', {}],
  ])('an age for one thing leaves the others their defaults: %s', (text, ages) => {
    expect(inputsOf({ 'max-age': text }).maxAge).toEqual(ages);
  });

  it('a longer min-age needs no word about the defaults that are shorter', () => {
    expect(inputsOf({ 'min-age': '3d' }).minAgeMs).toBe(3 * DAY);
  });

  it.each([
    [{ 'max-age': '30m' }, 'max-age: all is shorter than min-age'],
    [{ 'max-age': 'git = 2d', 'min-age': '3d' }, 'max-age: git is shorter than min-age'],
    [{ 'min-age': '59m' }, 'it must be at least 1h'],
    [{ 'free-disk-until': '20GB' }, 'free-disk-until needs free-disk'],
    [{ 'free-disk': '20GB', 'free-disk-until': '10GB' }, 'free-disk-until is less than free-disk'],
    [{ 'free-disk': '20%', 'free-disk-until': '10%' }, 'free-disk-until is less than free-disk'],
  ])('%j is answered: %s', (raw, says) => {
    expect(() => inputsOf(raw)).toThrow(says);
  });
});
