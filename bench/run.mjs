// npm run bench [-- --quick] [--only NAME,...] [--rounds N] [--json PATH] [--strict]
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { deletion } from './cache-clean/deletion.ts';
import { lock } from './cache-clean/lock.ts';
import { plan as cacheCleanPlan } from './cache-clean/plan.ts';
import { cold } from './deploy/cold.ts';
import { downTime } from './deploy/down-time.ts';
import { roundTrip } from './deploy/round-trip.ts';
import { startTarget } from './deploy/target.ts';
import { unchanged } from './deploy/unchanged.ts';
import { policies } from './guard/policies.ts';
import { tools } from './guard/tools.ts';
import { tree } from './guard/tree.ts';
import { workflows } from './guard/workflows.ts';
import { isMet, median } from './measure.ts';
import { startUp } from './start-up.ts';
import { deep } from './submodule-sync/deep.ts';
import { startForges } from './submodule-sync/forges.ts';
import { growth } from './submodule-sync/growth.ts';
import { mixed, mixedFar, tips } from './submodule-sync/mixed.ts';
import { verdicts } from './submodule-sync/verdicts.ts';
import { partText } from './table.ts';

/** What parts of a kind have in common; it is started once. */
const grounds = { target: startTarget, forges: () => startForges(values.quick) };

/** Each takes settings and the ground it is measured on. */
const parts = {
  'start-up': { measure: startUp, rounds: 15 },
  cold: { measure: cold, rounds: 5, on: 'target' },
  unchanged: { measure: unchanged, rounds: 7, on: 'target' },
  'round-trip': { measure: roundTrip, rounds: 3, on: 'target' },
  'down-time': { measure: downTime, rounds: 5, on: 'target' },
  mixed: { measure: mixed, rounds: 3, on: 'forges' },
  'mixed-far': { measure: mixedFar, rounds: 3, on: 'forges' },
  tips: { measure: tips, rounds: 5, on: 'forges' },
  verdicts: { measure: verdicts, rounds: 1 },
  growth: { measure: growth, rounds: 2, on: 'forges' },
  deep: { measure: deep, rounds: 1, on: 'forges' },
  'cache-clean-plan': { measure: cacheCleanPlan, rounds: 5 },
  'cache-clean-delete': { measure: deletion, rounds: 3 },
  'cache-clean-lock': { measure: lock, rounds: 3 },
  'guard-tools': { measure: tools, rounds: 7 },
  'guard-tree': { measure: tree, rounds: 3 },
  'guard-workflows': { measure: workflows, rounds: 5 },
  'guard-policies': { measure: policies, rounds: 5 },
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(parts).join() },
    rounds: { type: 'string' },
    json: { type: 'string' },
    strict: { type: 'boolean', default: false },
  },
});
const chosen = values.only.split(',').flatMap((name) => {
  const meant = Object.entries(parts).filter(([part]) => part === name || part.startsWith(`${name}-`));
  if (meant.length === 0) throw new Error(`--only ${name}: there are ${Object.keys(parts).join(', ')}`);
  return meant;
});

const began = Date.now();
const say = (line) => console.error(line);
const started = {};
const found = [];
try {
  for (const [name, { measure, rounds, on }] of chosen) {
    say(`# ${name}`);
    if (on) started[on] ??= await grounds[on]();
    const settings = { quick: values.quick, rounds: values.quick ? 1 : Number(values.rounds ?? rounds), say };
    found.push([name, await measure(settings, started[on])]);
  }
} finally {
  for (const ground of Object.values(started)) await ground.stop();
}

for (const [, part] of found) console.log(partText(part));
const goals = found.flatMap(([, part]) => part.goals);
const missed = goals.filter((goal) => isMet(goal) === false);
const met = goals.filter((goal) => isMet(goal));
const seconds = Math.round((Date.now() - began) / 1000);
console.log(`\n${met.length} goals met, ${missed.length} missed; ${seconds} s.`);
if (values.quick) console.log('--quick: one round with small sizes shows that the bench runs, and nothing else.');
if (values.json) writeFileSync(values.json, `${JSON.stringify(asJson(), null, 2)}\n`);
if (values.strict && missed.length > 0) process.exitCode = 1;

function asJson() {
  const machine = { cpu: cpus()[0]?.model.trim(), cores: cpus().length, kernel: release(), node: process.version };
  const reports = found.map(([name, { figures, goals, ...rest }]) => [
    name,
    {
      ...rest,
      figures: figures.map((figure) => ({ ...figure, median: median(figure.values) })),
      goals: goals.map((goal) => ({ ...goal, met: isMet(goal) })),
    },
  ]);
  return { time: new Date(began).toISOString(), quick: values.quick, machine, parts: Object.fromEntries(reports) };
}
