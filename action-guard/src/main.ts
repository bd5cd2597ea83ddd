import { runAction } from '@gbo/shared/run';
import { inputs } from './inputs.js';

// The rooms are loaded when the inputs are sound: a mistake in `with:` is answered at once.
void runAction(inputs, async (values, context) => (await import('./run.js')).run(values, context));
