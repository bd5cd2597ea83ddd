import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 mark garbage on our own thread only. Each encrypted packet is garbage outside the heap, so an upload makes V8
 * mark again and again, and its helper threads take from the second core what sshd (on a small machine) or our own file
 * reads need: 256 MiB to a server on the same 2 cores take a fifth longer with them. To be called before anything else,
 * while no marking is under way: V8 asks for the flag each time it begins one.
 */
export function markWithoutHelpers(): void {
  setFlagsFromString('--no-concurrent-marking');
}
