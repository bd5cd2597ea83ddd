import type { Judgement } from './judge.js';
import { place, sentence } from './words.js';

/** Characters that XML 1.0 has no way to write. */
const FORBIDDEN = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

function xml(text: string): string {
  const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };
  return text.replaceAll(FORBIDDEN, '\uFFFD').replaceAll(/[&<>"\n]/g, (character) => escapes[character] ?? '');
}

/** Each rule as a test case: what Jenkins and others read. Ours: four elements. */
export function junit({ rules, findings }: Judgement): string {
  const cases = rules.map(({ id, status }) => {
    const own = findings.filter(({ rule, old, excused }) => rule === id && !old && !excused);
    const text = own.map((finding) => `${place(finding)}: ${sentence(finding)}`);
    const body =
      status === 'fail'
        ? `<failure message="${xml(text[0] ?? id)}">${xml(text.join('\n'))}</failure>`
        : status === 'unknown'
          ? `<error message="${xml(text[0] ?? id)}">${xml(text.join('\n'))}</error>`
          : status === 'pass'
            ? ''
            : `<skipped message="${status}"/>`;
    return `  <testcase classname="${xml(id.split('/')[0] ?? '')}" name="${xml(id)}">${body}</testcase>`;
  });
  const count = (status: string) => rules.filter((rule) => rule.status === status).length;
  const skipped = rules.length - count('pass') - count('fail') - count('unknown');
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="gbo-guard" tests="${rules.length}" failures="${count('fail')}" errors="${count('unknown')}" skipped="${skipped}">`,
    ...cases,
    '</testsuite>',
    '',
  ].join('\n');
}
