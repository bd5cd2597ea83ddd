import type { Judged, Judgement } from './judge.js';
import type { Rule } from './rule.js';

const levels = { error: 'error', warning: 'warning', info: 'note' } as const;

/**
 * The findings as SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/). Ours: it is one object, and the builders for it
 * are longer than this.
 */
export function sarif(rules: Rule[], judgement: Judgement, version: string): string {
  const ids = [...new Set([...rules.map(({ id }) => id), ...judgement.findings.map(({ rule }) => rule)])];
  return JSON.stringify(
    {
      $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: {
              name: 'gbo-guard',
              version,
              rules: ids.map((id) => {
                const rule = rules.find((each) => each.id === id);
                return {
                  id,
                  shortDescription: { text: rule?.title ?? 'An exception must name a rule and give a reason.' },
                  ...(rule ? { help: { text: rule.reason, markdown: rule.reason } } : {}),
                  defaultConfiguration: { level: levels[rule?.severity ?? 'error'] },
                };
              }),
            },
          },
          columnKind: 'utf16CodeUnits',
          results: judgement.findings.map((finding) => result(finding, ids)),
        },
      ],
    },
    undefined,
    2,
  );
}

function result({ rule, status, severity, at, message, todo, old, excused, fingerprint }: Judged, ids: string[]) {
  return {
    ruleId: rule,
    ruleIndex: ids.indexOf(rule),
    // "open": it could not be told (section 3.27.9).
    kind: status === 'unknown' ? 'open' : 'fail',
    level: status === 'unknown' ? 'none' : levels[severity],
    message: { text: [message, todo].filter(Boolean).join(' ') },
    baselineState: old ? 'unchanged' : 'new',
    partialFingerprints: { 'gbo-guard/v1': fingerprint },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: at.path.split('/').map(encodeURIComponent).join('/') },
          region: { startLine: at.line, startColumn: at.column, ...(at.endLine ? { endLine: at.endLine } : {}) },
        },
      },
    ],
    ...(excused
      ? { suppressions: [{ kind: excused.by === 'comment' ? 'inSource' : 'external', justification: excused.reason }] }
      : {}),
  };
}
