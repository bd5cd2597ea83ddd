// Writes what can be derived from the code: action.yml, the tables of inputs and outputs in each action's README, and the
// guard's table of rules with a page for each; and the workflows of examples/.
// --check: writes nothing, and fails when a file is not what it would be. Run it as `npm run docs`.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Document } from 'yaml';
import { actions, root } from './actions.mjs';

const check = process.argv.includes('--check');
let drifted = false;

for (const { folder, manifest } of actions()) {
  const load = (file) => import(pathToFileURL(join(folder, 'src', file)).href);
  const { inputs } = await load('inputs.ts');
  const { outputs } = await load('report.ts');
  put(join(folder, 'action.yml'), () => actionYml(manifest, inputs.declared, outputs));
  put(join(folder, 'README.md'), (text) => {
    const withInputs = section(text, 'inputs', inputsTable(inputs.declared));
    return section(withInputs, 'outputs', outputsTable(outputs));
  });
  if (existsSync(join(folder, 'src/families.ts'))) await rulePages(folder, load);
}
await exampleWorkflows();
if (drifted) process.exit(1);

/** What `setup` writes for the tenant of all examples, for those who would rather copy. */
async function exampleWorkflows() {
  const load = (file) => import(pathToFileURL(join(root, 'action-deploy/src/setup', file)).href);
  const { workflows } = await load('workflows.ts');
  const { parse } = await load('setup.ts');
  const { tenant } = parse(['--tenant', 'acme', '--forge', 'https://forge.example.com']);
  mkdirSync(join(root, 'examples/workflows'), { recursive: true });
  for (const { path, text } of workflows(tenant)) put(join(root, 'examples/workflows', basename(path)), () => text);
}

async function rulePages(folder, load) {
  const rules = (await load('families.ts')).families.flatMap((family) => family.rules);
  const { page } = await load('explain.ts');
  const rows = rules.map(({ id, severity, title }) => `| [\`${id}\`](${pageOf(id)}) | ${severity} | ${cell(title)} |`);
  put(join(folder, 'README.md'), (text) =>
    section(text, 'rules', ['| rule | severity | what must hold |', '| --- | --- | --- |', ...rows].join('\n')),
  );
  mkdirSync(join(folder, 'rules'), { recursive: true });
  for (const rule of rules) put(join(folder, pageOf(rule.id)), () => page(rule));
  const known = rules.map(({ id }) => pageOf(id));
  for (const name of readdirSync(join(folder, 'rules'))) {
    if (!known.includes(`rules/${name}`)) put(join(folder, 'rules', name), () => undefined);
  }
}

function pageOf(id) {
  return `rules/${id.replace('/', '-')}.md`;
}

function actionYml({ forgejo, description }, declared, outputs) {
  const document = new Document({
    name: forgejo.name,
    description,
    author: forgejo.author,
    inputs: Object.fromEntries(declared.map((input) => [input.name, inputEntry(input)])),
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, text]) => [name, { description: text }])),
    runs: { using: 'node20', main: 'dist/index.js' },
    branding: forgejo.branding,
  });
  document.commentBefore = ' Written by `npm run docs` from src/inputs.ts, src/report.ts and package.json; edit those.';
  return document.toString({ lineWidth: 120 });
}

function inputEntry({ description, required, default: fallback }) {
  return { description, ...(required ? { required } : {}), ...(fallback ? { default: fallback } : {}) };
}

function inputsTable(declared) {
  const rows = declared.map(
    ({ name, description, default: fallback, secret }) =>
      `| \`${name}\`${secret ? ' (secret)' : ''} | ${cell(description)} | ${fallback ? `\`${fallback}\`` : ''} |`,
  );
  return ['| input | what it says | default |', '| --- | --- | --- |', ...rows].join('\n');
}

function outputsTable(outputs) {
  const rows = Object.entries(outputs).map(([name, text]) => `| \`${name}\` | ${cell(text)} |`);
  return ['| output | what it holds |', '| --- | --- |', ...rows].join('\n');
}

function cell(text) {
  return text.replaceAll('|', '\\|');
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. */
function section(text, name, content) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the README has no ${begin} ... ${end}`);
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

function put(path, make) {
  const there = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const wanted = make(there);
  if (there === wanted) return;
  if (check) {
    drifted = true;
    console.error(`${relative(root, path)} is not what the code says; run \`npm run docs\`.`);
  } else if (wanted === undefined) {
    rmSync(path);
    console.log(`Removed ${relative(root, path)}`);
  } else {
    writeFileSync(path, wanted);
    console.log(`Wrote ${relative(root, path)}`);
  }
}
