import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { marked, type Token, type Tokens } from 'marked';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** One Markdown file of this repository. */
export interface Document {
  /** From the root. */
  path: string;
  tokens: Token[];
}

/** What is fenced as `sh` in a document. */
export interface ShellBlock {
  document: string;
  /** The heading that it stands below. */
  heading: string;
  text: string;
  /** Why it is not run as it stands: `<!-- not run: WHY -->` above it. */
  notRun?: string;
  /** The test that runs it: `<!-- run by FILE -->` above it. */
  runBy?: string;
}

/** The documents whose blocks are run, in this order, against a tenant of the testbed (test/real/first-deploy.test.ts). */
export const tenantDocuments = ['README.md', 'action-deploy/README.md', 'docs/operations.md'];

/** Every Markdown file that is tracked, or about to be. */
export function documents(): Document[] {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '*.md'], {
    cwd: root,
  });
  return list
    .toString()
    .split('\0')
    .filter(Boolean)
    .map((path) => ({ path, tokens: marked.lexer(readFileSync(join(root, path), 'utf8')) }));
}

/** Tokens of every depth, in the order of the text. */
export function all(tokens: Token[]): Token[] {
  const found: Token[] = [];
  marked.walkTokens(tokens, (token) => void found.push(token));
  return found;
}

/** The words of a token without their markup. */
export function plainText(token: Token): string {
  const inner = 'tokens' in token ? token.tokens : undefined;
  return inner ? inner.map(plainText).join('') : 'text' in token ? String(token.text) : '';
}

export function shellBlocks({ path, tokens }: Document): ShellBlock[] {
  let heading = '';
  let comment = '';
  const blocks: ShellBlock[] = [];
  for (const token of tokens.flatMap((each) => (each.type === 'list' ? all([each]) : [each]))) {
    if (token.type === 'space') continue;
    if (token.type === 'heading') heading = plainText(token);
    const code = token as Tokens.Code;
    if (token.type === 'code' && /^(sh|bash|shell|console)$/.test(code.lang ?? '')) {
      blocks.push({
        document: path,
        heading,
        text: code.text,
        notRun: /<!-- not run: (.+?) -->/.exec(comment)?.[1],
        runBy: /<!-- run by ([\w./-]+?)(;.*)? -->/.exec(comment)?.[1],
      });
    }
    comment = token.type === 'html' ? token.raw : '';
  }
  return blocks;
}
