// npm run bench [-- --quick] [--only NAME,...] [--rounds N] [--json PATH] [--svg PATH] [--results] [--keep PATH] [--strict]
// --keep: parts that are not run are told as that JSON has them
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { deletion } from './cache-clean/deletion.ts';
import { lock } from './cache-clean/lock.ts';
import { plan as cacheCleanPlan } from './cache-clean/plan.ts';
import { chart } from './chart.ts';
import { cold } from './deploy/cold.ts';
import { downTime } from './deploy/down-time.ts';
import { roundTrip } from './deploy/round-trip.ts';
import { startTarget } from './deploy/target.ts';
import { unchanged } from './deploy/unchanged.ts';
import { policies } from './guard/policies.ts';
import { tools } from './guard/tools.ts';
import { tree } from './guard/tree.ts';
import { workflows } from './guard/workflows.ts';
import { isMet, margin, median } from './measure.ts';
import { circumstancesText, resultsPage } from './results.ts';
import { startUp } from './start-up.ts';
import { deep } from './submodule-sync/deep.ts';
import { startForges } from './submodule-sync/forges.ts';
import { growth } from './submodule-sync/growth.ts';
import { mixed, mixedFar, tips } from './submodule-sync/mixed.ts';
import { verdicts } from './submodule-sync/verdicts.ts';
import { goalsText, partText } from './table.ts';

/** What parts of a kind have in common; it is started once. */
const grounds = { target: startTarget, forges: () => startForges(values.quick) };

/** Each takes settings and the ground it is measured on. Fewer than five rounds show no spread. */
const parts = {
  'start-up': { measure: startUp, action: 'all', rounds: 15 },
  cold: { measure: cold, action: 'deploy', rounds: 5, on: 'target' },
  unchanged: { measure: unchanged, action: 'deploy', rounds: 7, on: 'target' },
  'round-trip': { measure: roundTrip, action: 'deploy', rounds: 5, on: 'target' },
  'down-time': { measure: downTime, action: 'deploy', rounds: 5, on: 'target' },
  mixed: { measure: mixed, action: 'submodule-sync', rounds: 5, on: 'forges' },
  'mixed-far': { measure: mixedFar, action: 'submodule-sync', rounds: 5, on: 'forges' },
  tips: { measure: tips, action: 'submodule-sync', rounds: 5, on: 'forges' },
  verdicts: { measure: verdicts, action: 'submodule-sync', rounds: 5 },
  growth: { measure: growth, action: 'submodule-sync', rounds: 5, on: 'forges' },
  deep: { measure: deep, action: 'submodule-sync', rounds: 5, on: 'forges' },
  'cache-clean-plan': { measure: cacheCleanPlan, action: 'cache-clean', rounds: 5 },
  'cache-clean-delete': { measure: deletion, action: 'cache-clean', rounds: 5 },
  'cache-clean-lock': { measure: lock, action: 'cache-clean', rounds: 5 },
  'guard-tools': { measure: tools, action: 'guard', rounds: 7 },
  'guard-tree': { measure: tree, action: 'guard', rounds: 5 },
  'guard-workflows': { measure: workflows, action: 'guard', rounds: 5 },
  'guard-policies': { measure: policies, action: 'guard', rounds: 5 },
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(parts).join() },
    rounds: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    results: { type: 'boolean', default: false },
    keep: { type: 'string' },
    strict: { type: 'boolean', default: false },
  },
});
const names = values.only.split(',');
const unknown = names.find((name) => !Object.keys(parts).some((part) => isMeant(name, part)));
if (unknown !== undefined) throw new Error(`--only ${unknown}: there are ${Object.keys(parts).join(', ')}`);
const chosen = Object.entries(parts).filter(([part]) => names.some((name) => isMeant(name, part)));

/** A part by its name, or all that begin with it: `guard` means guard-tools, guard-tree, ... */
function isMeant(name, part) {
  return part === name || part.startsWith(`${name}-`);
}

if (values.results && values.quick) throw new Error('--results keeps figures, and those of --quick mean nothing.');

const began = Date.now();
const say = (line) => console.error(line);
const started = {};
const found = [];
try {
  for (const [name, { measure, action, rounds, on }] of chosen) {
    say(`# ${name}`);
    if (on) started[on] ??= await grounds[on]();
    const settings = { quick: values.quick, rounds: values.quick ? 1 : Number(values.rounds ?? rounds), say };
    const part = await measure(settings, started[on]);
    found.push([name, { ...part, goals: part.goals.map((goal) => ({ action, ...goal })) }]);
  }
} finally {
  for (const ground of Object.values(started)) await ground.stop();
}

for (const [, part] of found) console.log(partText(part));
const kept = values.keep ? JSON.parse(readFileSync(values.keep, 'utf8')) : undefined;
const goals = Object.keys(parts).flatMap((name) => {
  const [, part] = found.find(([each]) => each === name) ?? [];
  // Several parts compare the same things.
  return ((part ?? kept?.parts[name])?.goals ?? []).map((goal) => ({ ...goal, text: `${name}: ${goal.text}` }));
});
console.log(goalsText(goals));
const missed = goals.filter((goal) => isMet(goal) === false);
const met = goals.filter((goal) => isMet(goal));
const seconds = Math.round((Date.now() - began) / 1000);
console.log(`\n${met.length} goals met, ${missed.length} missed; ${seconds} s.`);
if (values.quick) console.log('--quick: one round with small sizes shows that the bench runs, and nothing else.');
const circumstances = {
  time: new Date(began).toISOString(),
  commit: commit(),
  machine: {
    cpu: cpus()[0]?.model.trim() || process.arch,
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
  },
  seconds,
  only: chosen.length < Object.keys(parts).length ? chosen.map(([name]) => name) : undefined,
  kept: kept && circumstancesText(kept),
};
const svg = chart(goals, circumstancesText(circumstances));
if (values.json) writeFileSync(values.json, `${JSON.stringify(asJson(), null, 2)}\n`);
if (values.svg) writeFileSync(values.svg, svg);
if (values.results) {
  writeFileSync(new URL('results.svg', import.meta.url), svg);
  writeFileSync(new URL('RESULTS.md', import.meta.url), resultsPage(circumstances, goals, 'results.svg'));
}
if (values.strict && missed.length > 0) process.exitCode = 1;

/** Of what is measured; `-dirty` where it is not what is committed. */
function commit() {
  return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
    cwd: new URL('.', import.meta.url),
    encoding: 'utf8',
  }).trim();
}

function asJson() {
  const reports = found.map(([name, { figures, goals, ...rest }]) => [
    name,
    {
      ...rest,
      figures: figures.map((figure) => ({ ...figure, median: median(figure.values) })),
      goals: goals.map((goal) => ({
        ...goal,
        met: isMet(goal),
        timesTheGoal: goal.limit && margin(goal.value, goal.limit),
      })),
    },
  ]);
  return { ...circumstances, quick: values.quick, parts: Object.fromEntries(reports) };
}
