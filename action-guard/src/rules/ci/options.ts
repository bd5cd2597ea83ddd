import { z } from 'zod';

export const schema = z.strictObject({
  /** Globs of workflows; the first that has files counts, as for the runner. */
  workflows: z.array(z.array(z.string()).min(1)).min(1),
  /** Globs of job ids and names that deploy. */
  deploy: z.array(z.string()),
});

export type CiOptions = z.output<typeof schema>;

const guide: CiOptions = {
  workflows: [['.forgejo/workflows/*.{yml,yaml}'], ['.github/workflows/*.{yml,yaml}']],
  deploy: ['*deploy*', '*release*', '*publish*', '*rollout*'],
};

export const presets = { 'guide-lxd': guide, 'infra-incus': guide };
