/** How long units without a health check may take to become active. */
const START_MS = 60_000;

/** How long the slowest of what was switched may take to be healthy, by the time-outs of the health checks. All in ms. */
export function slowestStartMs(healthTimeouts: number[]): number {
  return healthTimeouts.length > 0 ? Math.max(...healthTimeouts) : START_MS;
}
