import { setFlagsFromString } from 'node:v8';
import { runAction } from '@gbo/shared/run';
import { inputs } from './inputs.js';

// Young garbage is collected before it is much: by itself V8 lets it grow with what is made, to 20 MB for 200 submodules.
setFlagsFromString('--semi-space-growth-factor=1');

// The rooms are loaded when the inputs are sound: a mistake in `with:` is answered at once.
void runAction(inputs, async (values, context) => (await import('./run.js')).run(values, context));
