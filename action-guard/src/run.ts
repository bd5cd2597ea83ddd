import type { Report } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import manifest from '../package.json';
import { writeBaseline } from './baseline.js';
import { deliver } from './deliver.js';
import { explain } from './explain.js';
import { families } from './families.js';
import type { Inputs } from './inputs.js';
import { judge } from './judge.js';
import { junit } from './junit.js';
import { patchOf } from './patch.js';
import { data, report, resultOf } from './report.js';
import { sarif } from './sarif.js';
import { survey } from './survey.js';
import { writeBelow } from './write-file.js';

/** Inputs to report: the way through the rooms. */
export async function run(inputs: Inputs, context: RunContext): Promise<Report> {
  const began = Date.now();
  if (inputs.explain) {
    const lines = explain(families, inputs.explain).split('\n');
    return { outputs: {}, log: [{ title: inputs.explain, lines }], summary: '' };
  }
  const facts = await survey(inputs, context.env);
  const judgement = judge(facts.of);
  const result = resultOf(inputs, judgement);
  const folder = inputs.repository ?? context.env.GITHUB_WORKSPACE ?? process.cwd();
  const write = (path: string | undefined, text: () => string) => (path ? writeBelow(folder, path, text()) : undefined);
  await write(
    inputs.json,
    () => `${JSON.stringify(data(result, facts.commit, judgement, facts.notes), undefined, 2)}\n`,
  );
  await write(inputs.sarif, () =>
    sarif(
      families.flatMap(({ rules }) => rules),
      judgement,
      manifest.version,
    ),
  );
  await write(inputs.junit, () => junit(judgement));
  await write(inputs.patch, () =>
    patchOf(
      judgement.findings.filter(({ excused }) => !excused),
      facts.of.head,
    ),
  );
  if (inputs.mode === 'baseline' && inputs.baseline) {
    await writeBelow(folder, inputs.baseline, writeBaseline(judgement.findings.map(({ fingerprint }) => fingerprint)));
    context.log.line(`${judgement.findings.length} findings are accepted in ${inputs.baseline}; commit it.`);
    return { ...report(inputs, facts.commit, judgement, facts.notes, Date.now() - began), failed: undefined };
  }
  await deliver(inputs, facts, judgement, result, context);
  return report(inputs, facts.commit, judgement, facts.notes, Date.now() - began);
}
