import type { Finding } from '../../rule.js';
import { matcher } from '../../tree.js';
import type { CiOptions } from './options.js';
import { entry, type Job, textOf, type Workflow } from './workflow.js';

/** Whether a job brings something to where it runs, by its id or name. */
export function deploys(workflow: Workflow, { id, node }: Job, { deploy }: CiOptions): boolean {
  const matches = matcher(deploy);
  const name = textOf(entry(workflow, node, 'name')?.node) ?? '';
  // Globs stop at slashes, and a name may have some.
  return [id, name].some((each) => matches(each.toLowerCase().replaceAll('/', ' ').slice(0, 200)));
}

/** Each `${{ ... }}` of a text. */
export function expressions(text: string): { inner: string; index: number }[] {
  const found: { inner: string; index: number }[] = [];
  for (let at = text.indexOf('${{'); at >= 0; at = text.indexOf('${{', at + 3)) {
    const end = text.indexOf('}}', at);
    if (end < 0) break;
    found.push({ inner: text.slice(at + 3, end), index: at });
  }
  return found;
}

export function warning(at: Finding['at'], message: string, todo: string): Finding {
  return { status: 'fail', at, message, todo };
}
