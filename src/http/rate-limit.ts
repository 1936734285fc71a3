/**
 * The rate limit of a source, in requests a minute: a bucket that holds a minute's worth and fills steadily, so
 * that a burst passes and a flood does not. The count is of this process alone.
 */
import { TallybookError } from '../engine/errors.ts';
import type { Source } from '../engine/sources.ts';

export class RateLimits {
  readonly #buckets = new Map<string, { left: number; at: number; limit: number }>();

  /** Counts a request. Throws `rate_limited` with the whole seconds after which one passes again. */
  take(source: Source): void {
    const limit = source.rateLimit;
    if (limit === undefined) return;
    const now = performance.now();
    let bucket = this.#buckets.get(source.name);
    if (bucket?.limit !== limit) {
      bucket = { left: limit, at: now, limit };
      this.#buckets.set(source.name, bucket);
    }
    const perMillisecond = limit / 60_000;
    bucket.left = Math.min(limit, bucket.left + (now - bucket.at) * perMillisecond);
    bucket.at = now;
    if (bucket.left >= 1) {
      bucket.left -= 1;
      return;
    }
    const retryAfter = Math.max(1, Math.ceil((1 - bucket.left) / perMillisecond / 1000));
    throw new TallybookError(
      'rate_limited',
      `the source ${source.name} may send ${limit} requests a minute; send this again in ${retryAfter} seconds`,
      { retryAfter },
    );
  }
}
