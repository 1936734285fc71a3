/** What goes over the wire, and what is told of it. */

/** What a user did. Any further member is sent along. */
export interface Event {
  /** What kind of thing happened: `cart`. */
  category?: string | undefined;
  /** What happened: `item added`. */
  name?: string | undefined;
  /** Anything that JSON can say; `{}` when not given. A number beyond 2^53 goes as a string. */
  data?: Readonly<Record<string, unknown>> | undefined;
  /** The session's of the client when not given. */
  session_id?: string | undefined;
  /** When it happened; now when not given. */
  timestamp?: string | Date | undefined;
  /** Two events with one id are one event. Made up when not given. */
  id?: string | undefined;
  [more: string]: unknown;
}

/** What became of one record, as a receipt of Tallybook tells it. */
export interface Verdict {
  index: number;
  id: string | null;
  verdict: 'accepted' | 'duplicate' | 'corrected' | 'conflict' | 'rejected' | 'retracted';
  code?: string;
  field?: string;
  message?: string;
}

/** An event that is not committed. */
export interface Undelivered {
  /** As it was sent, with its id. */
  event: Event;
  /**
   * Why, for programs: the code of a verdict (`missing_field`, `conflict`), of a refused request (`unauthenticated`,
   * `too_large`; `http_404` where the answer names none), or one of the client's own: `queue_full`, `closed`,
   * `unserializable`; from `flush` and `close` also `waiting`: it is still in the queue.
   */
  code: string;
  /** Why, for people. */
  message: string;
  /** The field that a verdict names. */
  field?: string;
}

/** `flush` and `close` reject with it. */
export class UndeliveredError extends Error {
  override name = 'UndeliveredError';
  /** Those that are not committed, in their order: the last thousand that were refused, and all that wait. */
  readonly undelivered: readonly Undelivered[];

  constructor(undelivered: readonly Undelivered[]) {
    const [first] = undelivered;
    super(`${undelivered.length} events are not committed; the first: ${first?.code}: ${first?.message}`);
    this.undelivered = undelivered;
  }
}
