import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { broken, CADDY, changed, guide } from '../guide.js';
import { type Finished, Repository, run } from '../harness.js';

let repository: Repository;
let base: string;
// Without DNS: the zone file beside it answers for every domain.
const inputs = { tools: 'false' };

beforeAll(() => {
  repository = new Repository();
  base = repository.commit(guide);
});
afterAll(() => repository?.remove());

const graveOf = ({ report }: Finished) =>
  (report?.findings ?? []).filter(({ status, severity, old }) => status === 'fail' && severity === 'error' && !old);

it("the guide's own files pass, and every family found something to judge", async () => {
  const finished = await run(inputs, { GITHUB_WORKSPACE: repository.folder });
  expect(graveOf(finished).map(({ at, rule, message }) => `${at.path}:${at.line} ${rule} ${message}`)).toEqual([]);
  expect(finished.code).toBe(0);
  const judged = new Set(
    (finished.report?.rules ?? []).filter(({ files }) => files > 0).map(({ id }) => id.split('/')[0]),
  );
  expect([...judged].sort()).toEqual(['bot', 'caddy', 'ci', 'dns', 'f2b', 'ipt', 'lxd', 'ufw', 'unit', 'vault']);
});

it("what the guide's acl sample gets wrong is told as a warning", async () => {
  const { report } = await run(inputs, { GITHUB_WORKSPACE: repository.folder });
  expect(report?.findings.filter(({ rule }) => rule === 'dns/acl-overblock').map(({ severity }) => severity)).toContain(
    'warning',
  );
});

describe.each(broken.map(([rule, title, change]) => [title, rule, changed(guide, change)] as const))(
  '%s',
  (_, rule, files) => {
    let head: string;
    beforeAll(() => {
      repository.git('checkout', '--quiet', '--force', '--detach', base);
      head = repository.commit(files);
    });

    it(`is found by ${rule} in the pull request`, async () => {
      const finished = await run(inputs, repository.pullRequest(base, head));
      expect(graveOf(finished).map((finding) => finding.rule)).toContain(rule);
      expect(finished.code).toBe(1);
    });

    // That something vanished can only be seen beside what was there.
    if (rule === 'lxd/port-removed' || (CADDY in files && files[CADDY] === undefined)) return;
    it('and in the whole tree', async () => {
      const finished = await run(inputs, { GITHUB_WORKSPACE: repository.folder, GITHUB_SHA: head });
      expect(graveOf(finished).map((finding) => finding.rule)).toContain(rule);
    });
  },
);
