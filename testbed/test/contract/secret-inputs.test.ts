import { expect, it } from 'vitest';
import { inputs as cacheClean } from '../../../action-cache-clean/src/inputs.js';
import { inputs as deploy } from '../../../action-deploy/src/inputs.js';
import { inputs as guard } from '../../../action-guard/src/inputs.js';
import { inputs as submoduleSync } from '../../../action-submodule-sync/src/inputs.js';
import { SECRET_INPUTS } from '../../secret-search.js';

it('every secret input of an action is looked for after each of its runs', () => {
  const secret = [cacheClean, deploy, guard, submoduleSync].flatMap(({ declared }) =>
    declared.filter((input) => input.secret).map(({ name }) => name),
  );
  expect([...SECRET_INPUTS].sort()).toEqual(secret.sort());
});
