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
  const counted = { failure: 0, error: 0, skipped: 0 };
  const cases = rules.map(({ id, status }) => {
    const own = findings.filter(({ rule, old, excused }) => rule === id && !old && !excused);
    const text = own.map((finding) => `${place(finding)}: ${sentence(finding)}`);
    const told = (element: 'failure' | 'error') => {
      counted[element]++;
      return `<${element} message="${xml(text[0] ?? id)}">${xml(text.join('\n'))}</${element}>`;
    };
    const skipped = (why: string) => {
      counted.skipped++;
      return `<skipped message="${why}"/>`;
    };
    const body = () => {
      if (status === 'fail') return told('failure');
      // What was unknown before is no reason for red, and not green.
      if (status === 'unknown') return own.length > 0 ? told('error') : skipped('unknown, as before');
      return status === 'pass' ? '' : skipped(status);
    };
    return `  <testcase classname="${xml(id.split('/')[0] ?? '')}" name="${xml(id)}">${body()}</testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="gbo-guard" tests="${rules.length}" failures="${counted.failure}" errors="${counted.error}" skipped="${counted.skipped}">`,
    ...cases,
    '</testsuite>',
    '',
  ].join('\n');
}
