import { plain, type Report } from '@gbo/shared/report';
import type { RunContext } from '@gbo/shared/run';
import manifest from '../package.json';
import { writeBaseline } from './baseline.js';
import { deliver } from './deliver.js';
import { explain } from './explain.js';
import { families } from './families.js';
import type { Inputs } from './inputs.js';
import { judge } from './judge.js';
import { junit } from './junit.js';
import { patchOf, patchOfFiles, textOf } from './patch.js';
import { data, report, resultOf } from './report.js';
import type { Family } from './rule.js';
import { generate } from './rules/bot/generate.js';
import { bot } from './rules/bot/index.js';
import type { BotOptions } from './rules/bot/options.js';
import { sarif } from './sarif.js';
import { type Facts, survey } from './survey.js';
import { writeBelow } from './write-file.js';

/** Inputs to report: the way through the rooms. */
export async function run(inputs: Inputs, context: RunContext): Promise<Report> {
  const began = Date.now();
  if (inputs.explain) {
    const lines = explain(families, inputs.explain).split('\n');
    return { outputs: {}, log: [{ title: inputs.explain, lines }], summary: '' };
  }
  const facts = await survey(inputs, context.env);
  if (inputs.mode === 'generate') return generated(inputs, facts, folderOf(inputs, context));
  const judgement = judge(facts.of);
  const result = resultOf(inputs, judgement);
  const folder = folderOf(inputs, context);
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
    await writeBelow(folder, inputs.baseline, writeBaseline(judgement.findings));
    context.log.line(`${judgement.findings.length} findings are accepted in ${inputs.baseline}; commit it.`);
    return { ...report(inputs, facts.commit, judgement, facts.notes, Date.now() - began), failed: undefined };
  }
  await deliver(inputs, facts, judgement, result, context);
  return report(inputs, facts.commit, judgement, facts.notes, Date.now() - began);
}

function folderOf({ repository }: Inputs, { env }: RunContext): string {
  return repository ?? env.GITHUB_WORKSPACE ?? process.cwd();
}

/** What the compiler should have written for every tool; printed, and as a patch. */
async function generated({ patch }: Inputs, { commit, of }: Facts, folder: string): Promise<Report> {
  const files = generate(of.head, of.policy.options(bot as unknown as Family) as BotOptions);
  const differing = [...files].filter(([path, text]) => textOf(of.head, path) !== text);
  if (patch) await writeBelow(folder, patch, patchOfFiles(new Map(differing), of.head));
  return {
    outputs: {
      result: 'pass',
      findings: '0',
      report: JSON.stringify({ commit, generated: Object.fromEntries(files) }),
    },
    log: [...files].map(([path, text]) => ({ title: plain(path), lines: text.trimEnd().split('\n') })),
    summary: `${files.size} tools; ${differing.length} differ from what is there.`,
  };
}
