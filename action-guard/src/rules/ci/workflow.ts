import type { Document, Node } from 'yaml';
import {
  isMap,
  isScalar,
  isSeq,
  pairsOf,
  readYaml,
  resolve,
  textOf,
  type YamlFile,
} from '../../formats/yaml-places.js';
import { Lines } from '../../lines.js';
import type { Position } from '../../rule.js';
import type { Tree } from '../../tree.js';
import { keeper } from '../../unread.js';
import type { CiOptions } from './options.js';

/** A key with its value, aliases followed. */
export interface Entry {
  key: string;
  at: Position;
  /** Undefined for nothing (`on:`). */
  node: Node | undefined;
}

export interface Workflow {
  path: string;
  yaml: YamlFile;
  document: Document.Parsed | undefined;
  root: Node | undefined;
  text: string;
  lines: string[];
  /** A symbolic link: what it leads to is not read. */
  link: boolean;
}

export interface Job {
  id: string;
  at: Position;
  node: Node | undefined;
}

const kept = keeper<Tree, Workflow[]>();

/** The workflows that a runner would take: those of the first place that has some. */
export function workflowsOf(tree: Tree, { workflows }: CiOptions): Workflow[] {
  return kept(tree, JSON.stringify(workflows), () => {
    const place = workflows.find((globs) => tree.select(globs).length > 0) ?? [];
    return tree.matching(place).map(({ path, text, kind }) => {
      const yaml = readYaml(path, kind === 'link' ? '' : text);
      const document = yaml.documents[0];
      const root = document ? resolve(document, document.contents) : undefined;
      return { path, yaml, document, root, text, lines: text.split('\n'), link: kind === 'link' };
    });
  });
}

export const workflowFiles = ({ workflows }: CiOptions): string[] => workflows.flat();

/** The keys of a map; empty for everything else. */
export function entries(workflow: Workflow, node: unknown): Entry[] {
  return pairsOf(node).map(({ key, keyNode, value }) => {
    const resolved = workflow.document ? resolve(workflow.document, value) : undefined;
    return {
      key,
      at: workflow.yaml.at(keyNode),
      node: isScalar(resolved) && resolved.value === null ? undefined : resolved,
    };
  });
}

export function entry(workflow: Workflow, node: unknown, key: string): Entry | undefined {
  return entries(workflow, node).find((each) => each.key === key);
}

export function items(workflow: Workflow, node: unknown): (Node | undefined)[] {
  if (!isSeq(node)) return [];
  return node.items.map((item) => (workflow.document ? resolve(workflow.document, item) : undefined));
}

export function jobsOf(workflow: Workflow): Job[] {
  return entries(workflow, entry(workflow, workflow.root, 'jobs')?.node).map(({ key, at, node }) => ({
    id: key,
    at,
    node,
  }));
}

/** Every step, with the job it belongs to. */
export function stepsOf(workflow: Workflow): { job: Job; step: Node }[] {
  return jobsOf(workflow).flatMap((job) =>
    items(workflow, entry(workflow, job.node, 'steps')?.node).flatMap((step) => (step ? [{ job, step }] : [])),
  );
}

/** A script with the place of each of its lines. */
export interface Script {
  at: Position;
  lines: { text: string; at: Position }[];
}

/** All texts below a key `run`, wherever they stand: in a workflow that is built wrong, too. */
export function scriptsOf(workflow: Workflow): Script[] {
  const scripts: Script[] = [];
  const walk = (node: unknown, depth: number): void => {
    if (depth > 50) return;
    if (isSeq(node)) for (const item of node.items) walk(item, depth + 1);
    if (!isMap(node)) return;
    for (const { key, value } of pairsOf(node)) {
      if (key === 'run' && isScalar(value) && typeof value.value === 'string' && value.range)
        scripts.push(scriptOf(workflow, value.range));
      else walk(value, depth + 1);
    }
  };
  walk(workflow.root, 0);
  return scripts;
}

const linesOf = new WeakMap<Workflow, Lines>();

function scriptOf(workflow: Workflow, [start, end]: readonly number[]): Script {
  const lines = linesOf.get(workflow) ?? new Lines(workflow.text);
  linesOf.set(workflow, lines);
  const first = lines.at(start ?? 0);
  const last = lines.at(Math.max((end ?? 0) - 1, start ?? 0)).line;
  const found: Script['lines'] = [];
  for (let line = first.line; line <= last; line++) {
    const text = workflow.lines[line - 1] ?? '';
    const column = line === first.line ? first.column : 1;
    found.push({ text: text.slice(column - 1), at: { path: workflow.path, line, column } });
  }
  const block = /^[|>]/.test(found[0]?.text ?? '');
  return { at: { path: workflow.path, ...first }, lines: block ? found.slice(1) : found };
}

export { isMap, isScalar, isSeq, textOf };
