import { installPeer, runPeer } from './peer.js';

export const installActionlint = (say: (line: string) => void): Promise<boolean> =>
  installPeer('actionlint', 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12', 'a minute', say);

export interface Complaint {
  message: string;
  kind: string;
  filepath: string;
  line: number;
}

/** What Forgejo takes and GitHub does not: with these it would complain of every sound workflow, and so "find" every broken one. */
const forgejo = ['specifying action "https?://', 'undefined variable "forgejo"'];

/** What it says of files. Its one setting makes it know the runner's label; ShellCheck is no part of it. */
export async function actionlint(root: string, files: string[], config: string): Promise<Complaint[]> {
  const args = [
    '-config-file',
    config,
    '-shellcheck=',
    '-pyflakes=',
    ...forgejo.flatMap((each) => ['-ignore', each]),
    '-format',
    '{{json .}}',
    ...files,
  ];
  const { code, stdout, stderr } = await runPeer('actionlint', args, root);
  // 1: it has found something.
  if (code !== 0 && code !== 1) throw new Error(stderr || stdout);
  return JSON.parse(stdout) as Complaint[];
}
