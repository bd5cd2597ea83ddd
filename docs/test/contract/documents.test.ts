import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import GithubSlugger from 'github-slugger';
import type { Tokens } from 'marked';
import { afterAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { all, documents, plainText, root, shellBlocks, tenantDocuments } from '../documents.js';

const texts = documents();
const actions = readdirSync(root).filter((name) => name.startsWith('action-'));

describe('links', () => {
  const anchors = new Map(
    texts.map(({ path, tokens }) => {
      const slugger = new GithubSlugger();
      const headings = all(tokens).filter(({ type }) => type === 'heading');
      return [path, headings.map((heading) => slugger.slug(plainText(heading)))];
    }),
  );
  const links = texts.flatMap(({ path, tokens }) =>
    all(tokens)
      .filter(({ type }) => type === 'link' || type === 'image')
      .map((token) => ({ path, href: (token as Tokens.Link | Tokens.Image).href })),
  );
  const inside = links.filter(({ href }) => !/^[a-z][a-z0-9+.-]*:/i.test(href));

  it('into this repository lead to a file, and to a heading of it where they name one', () => {
    const dead = inside.filter(({ path, href }) => {
      const [file = '', anchor] = decodeURIComponent(href).split('#');
      const target = file ? relative(root, join(root, dirname(path), file)) : path;
      if (target.startsWith('..') || !existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchors.get(target)?.includes(anchor);
    });
    expect(dead).toEqual([]);
    expect(inside.length).toBeGreaterThan(50);
  });

  it('of a document that is published with its action stay within what is published', () => {
    const out = inside.filter(({ path, href }) => {
      const [file = ''] = href.split('#');
      const action = path.split('/')[0] ?? '';
      if (!actions.includes(action) || !file) return false;
      return !/^(README\.md|CHANGELOG\.md|rules(\/[\w-]+\.md)?)$/.test(
        relative(join(root, action), join(root, dirname(path), file)),
      );
    });
    expect(out).toEqual([]);
  });

  it('out of this repository are https, but for services of the own machine', () => {
    const outside = links.filter((link) => !inside.includes(link));
    expect(outside.filter(({ href }) => !/^(https:\/\/|http:\/\/localhost\b)/.test(href))).toEqual([]);
  });

  it('and addresses of a forge are of example.com, but for the actions that Forgejo itself has', () => {
    const own = texts.filter(({ path }) => !path.startsWith('action-guard/rules/'));
    const addresses = own.flatMap(({ tokens }) =>
      all(tokens)
        .filter(({ type }) => type === 'code')
        .flatMap((token) => (token as Tokens.Code).text.match(/https:\/\/[\w.-]+\/(gbo|actions|acme)\//g) ?? []),
    );
    expect([...new Set(addresses)].sort()).toEqual([
      'https://data.forgejo.org/actions/',
      'https://forge.example.com/acme/',
      'https://forge.example.com/gbo/',
      'https://github.com/acme/',
    ]);
  });
});

describe('diagrams', () => {
  // Mermaid itself wants a browser, and is larger than all of this repository.
  it('have no semicolon, which would end a statement of mermaid in the middle of a sentence', () => {
    const diagrams = texts.flatMap(({ tokens }) =>
      all(tokens).filter((token) => (token as Tokens.Code).lang === 'mermaid'),
    );
    expect(diagrams.length).toBeGreaterThan(0);
    expect(diagrams.filter((token) => (token as Tokens.Code).text.includes(';'))).toEqual([]);
  });
});

describe('shell blocks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gbo-documents-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const blocks = texts.flatMap(shellBlocks);
  const here = blocks.filter(({ document, notRun, runBy }) => !notRun && !runBy && !tenantDocuments.includes(document));

  it('are run, but for few that say above them why not', () => {
    const notRun = blocks.filter((block) => block.notRun);
    expect(blocks.length).toBeGreaterThanOrEqual(15);
    expect(notRun.length).toBeLessThanOrEqual(blocks.length / 4);
    for (const { runBy } of blocks) if (runBy) expect(existsSync(join(root, runBy)), runBy).toBe(true);
  });

  it.each(here.map((block) => [`${block.document}, ${block.heading}`, block] as const))(
    '%s',
    (_, { document, text }) => {
      const home = mkdtempSync(join(folder, 'home-'));
      const action = join(root, dirname(document));
      // What is about a checkout is run in one; what is about the program, beside it.
      const repository = text.includes('.git/');
      const cwd = repository ? join(home, 'gb') : action;
      if (repository) {
        mkdirSync(cwd);
        execFileSync('git', ['init', '--quiet', cwd]);
      }
      const out = execFileSync('bash', ['-euo', 'pipefail', '-c', text], {
        cwd,
        env: { PATH: process.env.PATH, HOME: home },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      if (!repository) expect(out).not.toBe('');
      else expect(statSync(join(cwd, '.git/hooks/pre-push')).mode & 0o111).not.toBe(0);
    },
  );
});

describe("an action's README", () => {
  it.each(actions)('%s has what its users look for', (action) => {
    const document = texts.find(({ path }) => path === `${action}/README.md`);
    const headings = all(document?.tokens ?? [])
      .filter(({ type }) => type === 'heading')
      .map(plainText);
    for (const wanted of ['Inputs', 'Outputs', 'Exit states', 'Security model', 'Troubleshooting'])
      expect(
        headings.some((heading) => heading.startsWith(wanted)),
        wanted,
      ).toBe(true);
    const languages = all(document?.tokens ?? []).map((token) => (token as Tokens.Code).lang);
    expect(languages).toContain('yaml');
  });

  it.each(['action-guard', 'action-submodule-sync'])(
    '%s fetches in its first example where pull requests left their base',
    (action) => {
      const document = texts.find(({ path }) => path === `${action}/README.md`);
      const [example] = all(document?.tokens ?? []).filter((token) => (token as Tokens.Code).lang === 'yaml');
      const { jobs } = parseYaml((example as Tokens.Code).text) as { jobs: Record<string, { steps: unknown[] }> };
      expect(Object.values(jobs)[0]?.steps[0]).toMatchObject({ with: { 'fetch-depth': 0 } });
    },
  );

  it.each(actions)('%s names in its exit states exactly the results that there are', async (action) => {
    const { outputs } = (await import(join(root, action, 'src/report.ts'))) as { outputs: { result: string } };
    const known = outputs.result
      .replaceAll(/\([^)]*\)/g, '')
      .split(/[;.]/)[0]
      ?.split(/,| or /)
      .map((word) => word.trim())
      .filter(Boolean);
    const states = columns(`${action}/README.md`, 'result').find(({ heading }) => heading === 'Exit states');
    const named = states?.cells.flatMap(codesOf);
    expect(named?.toSorted()).toEqual(known?.toSorted());
  });
});

describe('what troubleshooting quotes', () => {
  const sources = (folder: string): string =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'utf8'))
      .join('\n')
      .replaceAll("\\'", "'");
  const shared = sources('packages/shared/src');
  const everything = [shared, ...actions.map((action) => sources(`${action}/src`))].join('\n');

  it.each([
    ...actions.map((action) => [`${action}/README.md`, () => shared + sources(`${action}/src`)] as const),
    ['docs/operations.md', () => everything] as const,
  ])('%s is what the sources say', (path, text) => {
    const quoted = columns(path, 'it says').flatMap(({ cells }) => cells.flatMap(codesOf));
    expect(quoted.length).toBeGreaterThan(5);
    const said = text();
    const parts = quoted.flatMap((message) => message.split('...').map((part) => part.trim()));
    expect(parts.filter((part) => /\w{3}/.test(part) && !said.includes(part))).toEqual([]);
  });
});

it('what an undo by hand may answer is listed where it is told how to call it', () => {
  const script = readFileSync(join(root, 'action-deploy/src/undo-script.ts'), 'utf8');
  const answers = [...script.matchAll(/echo "(undo: [^"]+)"/g)].map(([, answer = '']) => answer.replace('$by', '...'));
  const listed = columns('docs/operations.md', 'it says').filter(({ heading }) => heading === 'Go back');
  expect(answers.length).toBeGreaterThan(3);
  expect(listed.flatMap(({ cells }) => cells.flatMap(codesOf))).toEqual(expect.arrayContaining(answers));
});

/** The cells below such a head, of every table that has it, with the heading that the table stands below. */
function columns(path: string, head: string): { heading: string; cells: Tokens.TableCell[] }[] {
  let heading = '';
  return (texts.find((document) => document.path === path)?.tokens ?? []).flatMap((token) => {
    if (token.type === 'heading') heading = plainText(token);
    if (token.type !== 'table') return [];
    const { header, rows } = token as Tokens.Table;
    const at = header.findIndex(({ text }) => text.replaceAll('`', '') === head);
    return at < 0 ? [] : [{ heading, cells: rows.flatMap((row) => row[at] ?? []) }];
  });
}

function codesOf(cell: Tokens.TableCell): string[] {
  return all(cell.tokens)
    .filter(({ type }) => type === 'codespan')
    .map(plainText);
}
