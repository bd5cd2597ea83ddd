import fc from 'fast-check';

/** What breaks lexers: ends of quotes and blocks, bytes that are no text, letters that change their length. */
const hostile = [
  ...'"\'`\\#;:,=|&<>(){}[]!%*?~@$-\t\r\0\v\f',
  ...['\n', '\r\n', '\n\n', '\\\n', '\\\r\n', '\ufeff', '\u0085', '\u2028', '\u00a0', '\ufffd', '\ud800', '\udc00'],
  ...['İ', 'ß', 'ﬁ', '😀', 'e\u0301', '\u202e', '__proto__', 'constructor', 'toString', 'hasOwnProperty'],
  ...[
    '${',
    '${{',
    '}}',
    '$(',
    '$((',
    '{$',
    '{{',
    '<<EOF\n',
    '<<-E\n',
    '<<< ',
    '&a ',
    '*a',
    '<<: *a',
    '!!binary ',
    '? ',
  ],
  ...['--- ', '...\n', '|\n', '>-\n', '%YAML', '%(a)s', '%%', '%n', '%i', '/*', '*/', '//', 'REM ', '"""', "'''"],
  ...[
    'import ',
    'import *',
    'handle {\n',
    '}\n',
    'BEGIN TALK\n',
    'END TALK\n',
    'PARAM ',
    ' LIKE ',
    ' AS ',
    'USE TOOL ',
  ],
  ...['if ', 'then ', 'fi\n', 'case x in ', ';;', 'esac\n', 'for i in a b; do ', 'done\n', 'f() {', 'eval ', '. ./a\n'],
  ...[
    '*filter\n',
    'COMMIT\n',
    '-A INPUT ',
    ' -j ',
    ' ! ',
    ' -m ',
    '$ORIGIN ',
    '$TTL ',
    '$INCLUDE ',
    '@ IN SOA ',
    ' IN A ',
  ],
  ...[
    '[DEFAULT]\n',
    '[',
    ']\n',
    'Environment=',
    '0',
    '-1',
    '99999999999999999999',
    '1e999',
    '0x10',
    '/33',
    '::/0',
    'true',
    'null',
  ],
];

/** Opens a level each time it stands there. */
const openers = [
  '{\n',
  '[',
  '(',
  '{"a":',
  '- ',
  '$(',
  '${',
  '"$(',
  'if x; then\n',
  'a {\n',
  '(?:',
  'BEGIN TALK\n',
  '${{ ',
  '&a [*a,',
];

/** How one change is made; numbers are taken modulo what is there. */
const change = fc.record({
  kind: fc.constantFrom(
    'cut',
    'swap',
    'duplicate',
    'insert',
    'insert',
    'insert',
    'random',
    'end',
    'line',
    'nest',
    'crlf',
  ),
  at: fc.nat(),
  length: fc.oneof(fc.nat(4), fc.nat(80)),
  other: fc.nat(),
  piece: fc.constantFrom(...hostile),
  opener: fc.constantFrom(...openers),
  text: fc.string({ maxLength: 6, unit: 'binary' }),
});
export type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** One to four changes. */
export const changes: fc.Arbitrary<Change[]> = fc.array(change, { minLength: 1, maxLength: 4 });

/** A text with the changes made to it, one after the other. */
export function mutated(text: string, all: readonly Change[]): string {
  return all.reduce(mutate, text);
}

function mutate(text: string, { kind, at, length, other, piece, opener, text: random }: Change): string {
  const start = at % (text.length + 1);
  const end = Math.min(text.length, start + length);
  const [head, middle, tail] = [text.slice(0, start), text.slice(start, end), text.slice(end)];
  const insert = (what: string) => head + what + text.slice(start);
  switch (kind) {
    case 'cut':
      return head + tail;
    case 'duplicate':
      return head + middle + middle + tail;
    case 'swap': {
      // With what stands anywhere behind it.
      const from = tail.length === 0 ? 0 : other % tail.length;
      return head + tail.slice(from, from + length) + tail.slice(0, from) + middle + tail.slice(from + length);
    }
    case 'random':
      return insert(random);
    case 'end':
      return head;
    case 'line':
      return insert(piece.repeat(Math.ceil((other % 3000) / piece.length)));
    case 'nest':
      return insert(opener.repeat(other % 200));
    case 'crlf':
      return text.replaceAll('\n', '\r\n');
    default:
      return insert(piece);
  }
}
