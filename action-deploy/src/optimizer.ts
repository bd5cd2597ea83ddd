import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';

/** Uploads may go to several hosts at once. */
let users = 0;

/**
 * Does the work without V8's optimising compiler where there are no more than two cores. For an upload it compiles some
 * fifty functions on threads of its own, and what that saves on 256 MiB it costs again; meanwhile it takes the second core
 * from our file reads, from the builds of a busy runner, and from sshd where that is on the same machine: a tenth of the
 * time. At 1 GiB it makes no difference. Code that is compiled already stays so.
 *
 * This flag alone is safe to change at any time: --no-concurrent-marking, which would save a little as well, crashes node 20
 * and 22 when it is taken back.
 */
export async function withoutOptimizer<T>(work: () => Promise<T>): Promise<T> {
  if (availableParallelism() > 2) return work();
  users += 1;
  setFlagsFromString('--no-opt');
  try {
    return await work();
  } finally {
    users -= 1;
    if (users === 0) setFlagsFromString('--opt');
  }
}
