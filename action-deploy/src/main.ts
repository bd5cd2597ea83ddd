import { runAction } from '@gbo/shared/run';
import { markWithoutHelpers } from './gc.js';
import { inputs } from './inputs.js';

markWithoutHelpers();
// The rooms are loaded when the inputs are sound: a mistake in `with:` is answered before an SSH library is read.
void runAction(inputs, async (values, context) => (await import('./run.js')).run(values, context));
