import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/log.js';
import { literal } from '../../src/report.js';
import { Secrets } from '../../src/secrets.js';

const key = [
  '-----BEGIN OPENSSH PRIVATE KEY-----',
  'b3BlbnNzaC1rZXktdjEAAAAABG5vbmU',
  'AAAAB1yc2EtaXM%25odd+/==',
  'ab',
  '-----END OPENSSH PRIVATE KEY-----',
];

function redacted(secret: string, text: string): string {
  const secrets = new Secrets();
  secrets.add(secret);
  return secrets.redact(text);
}

describe('a secret is not in the log', () => {
  it.each<[string, string, string, string]>([
    ['as a whole', 'hunter22', 'it is hunter22.', 'it is ***.'],
    ['line by line', key.join('\n'), `one ${key[1]} two ${key[2]}`, 'one *** two ***'],
    ['with CRLF in the secret and not in the log', key.join('\r\n'), `${key[1]}`, '***'],
    ['with literal \\n in the secret', key.join('\\n'), `${key[1]}`, '***'],
    ['indented in the secret', key.map((line) => `    ${line}`).join('\n'), `${key[1]}`, '***'],
    ['command-encoded', 'pa%ss', 'it is pa%25ss', 'it is ***'],
    ['URL-encoded', 'pa ss/word', 'http://x/?p=pa%20ss%2Fword', 'http://x/?p=***'],
    ['read as Latin-1', 'pä-ßword', 'it is pÃ¤-Ã\u009fword.', 'it is ***.'],
    ['in JSON', 'pa"ss\\word', JSON.stringify({ said: 'no pa"ss\\word' }), '{"said":"no ***"}'],
    ['in Markdown', 'glpat-_a<b@c', literal('no glpat-_a<b@c.'), 'no ***.'],
    ['in Markdown, within a word', '_pass_', literal('a_pass_b'), 'a***b'],
    ['in base64', 'hunter22', Buffer.from('hunter22').toString('base64'), '***'],
    ['in base64 as a whole', key.join('\n'), Buffer.from(key.join('\n')).toString('base64'), '***'],
  ])('%s', (_, secret, text, expected) => {
    expect(redacted(secret, text)).toBe(expected);
  });

  it('but lines too short to be one stay, or half of the log would go', () => {
    expect(redacted(key.join('\n'), 'ab is about')).toBe('ab is about');
  });

  it('the longer of two overlapping secrets goes first', () => {
    const secrets = new Secrets();
    secrets.add('word');
    secrets.add('password');
    expect(secrets.redact('password')).toBe('***');
  });

  it('each text to mask is announced once', () => {
    const secrets = new Secrets();
    expect(secrets.add('hunter22')).toContain('hunter22');
    expect(secrets.add('hunter22')).toEqual([]);
  });
});

describe('the log', () => {
  function logged(inRunner: boolean, write: (log: ReturnType<typeof createLog>) => void): string {
    let text = '';
    const secrets = new Secrets();
    secrets.add('hunter22');
    write(createLog((row) => (text += row), secrets, inRunner));
    return text;
  }

  it.each<[string, boolean, (log: ReturnType<typeof createLog>) => void, string]>([
    ['a line is a row', true, (log) => log.line('hello'), 'hello\n'],
    ['several lines are rows', true, (log) => log.line('a\r\nb\rc'), 'a\nb\nc\n'],
    [
      'warnings are plain words, as Forgejo prints ::warning:: as typed',
      true,
      (log) => log.warning('x'),
      'Warning: x\n',
    ],
    ['errors too', true, (log) => log.error('x'), 'Error: x\n'],
    [
      'a group folds in a runner',
      true,
      (log) => log.group({ title: 'T', lines: ['a'] }),
      '::group::T\na\n::endgroup::\n',
    ],
    ['and is indented elsewhere', false, (log) => log.group({ title: 'T', lines: ['a'] }), 'T\n  a\n'],
    [
      'a target cannot speak to the runner',
      true,
      (log) => log.line(' ::set-env name=PATH::/evil'),
      ' : :set-env name=PATH::/evil\n',
    ],
    [
      'not in the other spelling of the runner either',
      true,
      (log) => log.line('##[add-path]/evil\n  ##[set-env name=PATH]/evil\n## a heading'),
      '# #[add-path]/evil\n  # #[set-env name=PATH]/evil\n## a heading\n',
    ],
    [
      'nor by a title',
      true,
      (log) => log.group({ title: 'x\n::add-mask::e', lines: [] }),
      '::group::x ::add-mask::e\n::endgroup::\n',
    ],
    ['secrets are out of lines', false, (log) => log.line('hunter22'), '***\n'],
    ['and of titles', true, (log) => log.group({ title: 'hunter22', lines: [] }), '::group::***\n::endgroup::\n'],
  ])('%s', (_, inRunner, write, expected) => {
    expect(logged(inRunner, write)).toBe(expected);
  });

  it('a row too long for the runner is cut, and says so', () => {
    const row = logged(true, (log) => log.line('x'.repeat(100_000)));
    expect(row.length).toBeLessThan(17_000);
    expect(row).toMatch(/ \[cut\]\n$/);
  });
});
