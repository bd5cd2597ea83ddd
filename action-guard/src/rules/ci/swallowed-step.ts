import type { Finding, Rule } from '../../rule.js';
import type { CiOptions } from './options.js';
import { swallowedSamples } from './samples.js';
import { type Script, scriptsOf, workflowFiles, workflowsOf } from './workflow.js';

const stepKeys = ['run', 'uses', 'with', 'env', 'if', 'shell', 'working-directory', 'name', 'id'];

export const swallowedStep: Rule<CiOptions> = {
  id: 'ci/swallowed-step',
  severity: 'error',
  title: 'No step is a part of the script of the step before it.',
  reason: `A step that is indented deeper than its neighbours becomes text of the \`run: |\` above it. That is valid YAML and valid to every
schema; the shell then looks for a command called \`-\`. In the platform's own \`botserver.yaml\` the deploy step was lost that way.`,
  suppressible: true,
  files: workflowFiles,
  check: ({ head, options }) =>
    workflowsOf(head, options).flatMap((workflow) => scriptsOf(workflow).flatMap(swallowed)),
  samples: swallowedSamples,
};

function swallowed({ lines }: Script): Finding[] {
  const findings: Finding[] = [];
  let until: string | undefined;
  for (const [index, { text, at }] of lines.entries()) {
    const line = text.trim();
    if (until !== undefined) {
      if (line === until) until = undefined;
      continue;
    }
    until = heredoc(line);
    const indent = text.length - text.trimStart().length;
    const opens = keyOf(line.startsWith('- ') ? line.slice(2).trimStart() : '');
    if (!opens) continue;
    // A second key of a step, further in than the dash.
    const next = lines.slice(index + 1, index + 12).map((each) => each.text);
    const block: string[] = [];
    for (const each of next) {
      if (each.trim() === '') continue;
      if (each.length - each.trimStart().length <= indent) break;
      block.push(each.trim());
    }
    const within = block.some((each) => stepKeys.includes(keyOf(each) ?? ''));
    if (!within && !(opens === 'uses' && line.includes('@')) && !/^- run:\s*[|>]/.test(line)) continue;
    const name =
      opens === 'name'
        ? line
            .slice(line.indexOf(':') + 1)
            .trim()
            .replace(/^["']|["']$/g, '')
        : '';
    findings.push({
      status: 'fail',
      at: { ...at, column: at.column + indent },
      message: `This step${name ? ` ${JSON.stringify(name.slice(0, 60))}` : ''} is text of the script above it, so it never runs.`,
      todo: 'Indent it as the other steps are.',
    });
  }
  return findings;
}

/** `name: ...` or `run: |`, as a step writes its keys. */
function keyOf(text: string): string | undefined {
  const colon = text.indexOf(':');
  if (colon < 0 || (colon + 1 < text.length && text[colon + 1] !== ' ')) return undefined;
  const key = text.slice(0, colon);
  return stepKeys.includes(key) ? key : undefined;
}

/** The word that ends the here-document which a line begins. */
function heredoc(line: string): string | undefined {
  for (let at = line.indexOf('<<'); at >= 0; at = line.indexOf('<<', at + 2)) {
    if (line[at + 2] === '<') {
      at++;
      continue;
    }
    const word = /^-?\s{0,5}(["']?)([\w.-]{1,100})\1/.exec(line.slice(at + 2, at + 120))?.[2];
    if (word && !/^\d/.test(word)) return word;
  }
  return undefined;
}
