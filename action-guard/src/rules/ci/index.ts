import type { Family } from '../../rule.js';
import { deployConcurrency } from './deploy-concurrency.js';
import { healthIgnored } from './health-ignored.js';
import { hostKey } from './host-key.js';
import { ignoredKey } from './ignored-key.js';
import { invalid } from './invalid.js';
import { noSteps } from './no-steps.js';
import { type CiOptions, presets, schema } from './options.js';
import { secretInRun } from './secret-in-run.js';
import { swallowedStep } from './swallowed-step.js';
import { untrustedRun } from './untrusted-run.js';
import { usesVersion } from './uses-version.js';

/** Workflows, as Forgejo takes them. */
export const ci: Family<CiOptions> = {
  name: 'ci',
  schema,
  presets,
  rules: [
    invalid,
    noSteps,
    swallowedStep,
    deployConcurrency,
    usesVersion,
    secretInRun,
    untrustedRun,
    hostKey,
    healthIgnored,
    ignoredKey,
  ],
};
