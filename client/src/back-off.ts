/**
 * How long to wait before the next attempt. Clients that failed together must not come back together: so the wait is
 * anything between nothing and a bound that doubles ("full jitter"). What a server asks for by `Retry-After` is waited
 * in full, and the jitter comes on top.
 */

/** A server that asks for more is asked again after an hour. */
const toldMaxMilliseconds = 3_600_000;

export interface Bounds {
  retryMilliseconds: number;
  retryMaxMilliseconds: number;
}

/** Milliseconds. `attempt` is 1 after the first that failed, `told` what the server asked for, `random` from 0 to 1. */
export function backOff(attempt: number, told: number, bounds: Bounds, random: number): number {
  const most = Math.min(bounds.retryMaxMilliseconds, bounds.retryMilliseconds * 2 ** (attempt - 1));
  return told + random * most;
}

/** Milliseconds that a `Retry-After` asks for, be it seconds or a date; 0 when there is none that can be read. */
export function toldMilliseconds(header: string | null, now: number): number {
  const wait = /^\d+$/.test(header ?? '') ? Number(header) * 1000 : Date.parse(header ?? '') - now;
  return Math.min(Math.max(wait || 0, 0), toldMaxMilliseconds);
}
