import { expect, it } from 'vitest';
import { LogReporter } from '../../log-reporter.js';

const rowsOf = (...pieces: string[]) => {
  const reporter = new LogReporter();
  for (const piece of pieces) {
    reporter.write(piece);
    reporter.send();
  }
  return reporter.end();
};

it.each<[string, string[], string[]]>([
  ['a row ends at a line feed, however it came', ['a\nb', 'c\n', 'd'], ['a', 'bc', 'd']],
  ['a carriage return stays inside its row, and goes from its end', ['10%\r20%\r100%\r\n'], ['10%\r20%\r100%']],
  ['a row is cut at 64 KiB', [`${'x'.repeat(70_000)}\n`], ['x'.repeat(65_536)]],
  ['a mask is the text as typed', ['::add-mask::s3cret\n', 's3cret s3cret\n'], ['*** ***']],
  ['a mask is not decoded', ['::add-mask::50%25\n', '50% 50%25\n'], ['50% ***']],
  ['a mask of several lines masks none of them', ['::add-mask::one%0Atwo\n', 'one\n', 'two\n'], ['one', 'two']],
  ['the first mask that fits wins', ['::add-mask::abcd\n::add-mask::abcdef\n', 'abcdef\n'], ['***ef']],
  ['what was sent is not masked any more', ['s3cret\n', '::add-mask::s3cret\n'], ['s3cret']],
  ['what waits is masked by a mask that comes later', ['s3cret\n::add-mask::s3cret\n'], ['***']],
  ['errors and groups are shown as typed', ['::error::a%0Ab\n::group::x\n'], ['::error::a%0Ab', '::group::x']],
  ['a debug row is not shown', ['::debug::x\ny\n'], ['y']],
  [
    'commands can be stopped for a while',
    ['::stop-commands::zz\n::add-mask::abcd\n::zz::\nabcd\n'],
    ['::add-mask::abcd', 'abcd'],
  ],
])('in the log of Forgejo, %s', (_, pieces, rows) => {
  expect(rowsOf(...pieces)).toEqual(rows);
});
