/** What `verify` tells of one stream. */
import type { Check } from './store.ts';
import type { Stream } from './stream.ts';

export class StreamChecks {
  readonly checks: Check[] = [];
  readonly #stream: string;

  constructor({ name }: Stream) {
    this.#stream = name;
  }

  /** @param bad how many were found that are wrong, and `what` those are, such as `used twice` */
  add(check: string, bad: number, what: string): void {
    const detail = bad === 0 ? 'ok' : `${bad} ${what}`;
    this.checks.push({ check, stream: this.#stream, ok: bad === 0, detail });
  }
}
