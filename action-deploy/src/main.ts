import { runAction } from '@gbo/shared/run';
import { inputs } from './inputs.js';

const [command, ...rest] = process.argv.slice(2);
if (command === 'setup') {
  void import('./setup/setup.js').then(({ setup }) => setup(rest));
} else {
  // The rooms are loaded when the inputs are sound: a mistake in `with:` is answered before an SSH library is read.
  void runAction(inputs, async (values, context) => (await import('./run.js')).run(values, context));
}
