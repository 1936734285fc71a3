/**
 * The client: a queue, and what empties it.
 *
 * An event is written down as JSON when it is sent, gets a number and waits. When enough wait, or the first has waited
 * long enough, or a flush wants it, a batch goes: one at a time, so that events arrive in the order in which they
 * were sent. A batch leaves the queue when its receipt is there, and not before; whatever goes wrong on the way, the
 * same events with the same ids go again. Only a page that is left sends beside: everything that a page may still
 * send then, at once.
 */
import { attempt, type Outcome } from './attempt.ts';
import { backOff } from './back-off.ts';
import { keepTabSession, newId, page, storageOf, tabSession, watchPage } from './browser.ts';
import { type Event, type Undelivered, UndeliveredError } from './event.ts';
import { OfflineQueue } from './offline-queue.ts';
import { type ClientOptions, defaults } from './options.ts';

export interface WaitOptions {
  /** How long to wait for what is queued; 30 s when not given. */
  timeoutMilliseconds?: number;
}

interface Item {
  number: number;
  /** The event as JSON, and its length in UTF-8. */
  text: string;
  bytes: number;
  queuedAt: number;
  /** Requests that carry it just now; `safe` when one of them outlives the page. */
  carried: number;
  safe: boolean;
}

/** Somebody who waits until everything up to a number is settled. */
interface Waiter {
  upTo: number;
  refused: Undelivered[];
  settle(error?: UndeliveredError): void;
}

/** Bytes of all requests that may outlive a page: browsers allow 65,536. */
const keepaliveBytes = 64_000;
/** Undelivered events that are remembered for the next flush. */
const rememberedEvents = 1_000;
const flushMilliseconds = 30_000;
/** More than these are listed in a receipt only if all are asked for. */
const listedVerdicts = 100;

export class TallybookClient {
  readonly #options: ClientOptions & ReturnType<typeof defaults>;
  readonly #url: URL;
  readonly #offline: OfflineQueue | undefined;
  readonly #unwatch: () => void;
  /** By number, which is their order. */
  readonly #queue = new Map<number, Item>();
  #queueBytes = 0;
  #number = 0;
  #sessionId: string | undefined;
  #batchBytes: number;
  /** Those under way. */
  readonly #requests = new Set<AbortController>();
  #keptAlive = 0;
  #failedAttempts = 0;
  /** No attempt before this; and if a server asked for that, not even by a page that is left. */
  #resumeAt = 0;
  #toldUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = 0;
  #waiters: Waiter[] = [];
  #refused: { number: number; undelivered: Undelivered }[] = [];
  #closing: Promise<void> | undefined;
  #ended = false;

  /** Throws a `RangeError` when a number of the options is none from 1, a `TypeError` when the address is none. */
  constructor(options: ClientOptions = {}) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...defaults(page() !== undefined), ...Object.fromEntries(given) };
    for (const [name, value] of Object.entries(this.#options)) {
      if (typeof value === 'number' && !(value >= 1)) {
        throw new RangeError(`${name} is ${value}; expected a number from 1`);
      }
    }
    const base = (this.#options.url ?? '').replace(/\/$/, '');
    this.#url = new URL(base + this.#options.path, globalThis.location?.href);
    if (this.#options.batchEvents > listedVerdicts) this.#url.searchParams.set('verdicts', 'all');
    this.#batchBytes = this.#options.batchBytes;
    this.#sessionId = this.#options.sessionId ?? (page() && tabSession());
    const storage = this.#options.offline ? storageOf('localStorage') : undefined;
    this.#offline = storage && new OfflineQueue(storage, this.#url.href);
    this.#unwatch = watchPage({
      hide: () => this.#leave(),
      leave: () => {
        this.#leave();
        this.#offline?.release();
      },
      online: () => {
        this.#resumeAt = this.#toldUntil;
        this.#adopt();
        this.#schedule();
      },
    });
    this.#adopt();
  }

  /** Goes with every event that names none. Setting it begins another session, in a browser for the whole tab. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  set sessionId(id: string) {
    this.#sessionId = id;
    keepTabSession(id);
  }

  /**
   * Queues an event as it is now, and gives its id. Undefined when it was refused: the queue is full, the client
   * closed, or the event cannot be written as JSON; `onError` is told which.
   */
  send(event: Event): string | undefined {
    const id = event.id ?? newId();
    const whole = {
      ...event,
      id,
      session_id: event.session_id ?? this.#sessionId,
      data: event.data ?? {},
      timestamp: event.timestamp ?? new Date(),
    };
    let text: string;
    try {
      text = JSON.stringify(whole);
    } catch (error) {
      this.#tell({ event: whole, code: 'unserializable', message: String(error) });
      return undefined;
    }
    if (this.#closing) {
      this.#tell({ event: whole, code: 'closed', message: 'the client is closed' });
      return undefined;
    }
    if (!this.#enqueue(text)) {
      const message = `${this.#queue.size} events of ${this.#queueBytes} bytes wait already`;
      this.#tell({ event: whole, code: 'queue_full', message });
      return undefined;
    }
    return id;
  }

  /**
   * Resolves when every event that was queued before is committed. Rejects with an `UndeliveredError` that lists those
   * that are not: refused since the last flush, or still waiting when the time is over (they stay in the queue).
   */
  flush({ timeoutMilliseconds = flushMilliseconds }: WaitOptions = {}): Promise<void> {
    // When this page opened, the one before it may not have been gone yet.
    this.#adopt();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        upTo: this.#number,
        refused: this.#refused.map(({ undelivered }) => undelivered),
        settle: (error) => {
          clearTimeout(timer);
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          this.#refused = this.#refused.filter(({ number }) => number > waiter.upTo);
          if (error) reject(error);
          else resolve();
        },
      };
      const timer = setTimeout(() => {
        const waiting = [...this.#queue.values()].filter(({ number }) => number <= waiter.upTo);
        const message = `it has no receipt after ${timeoutMilliseconds} ms`;
        waiter.settle(
          new UndeliveredError([
            ...waiter.refused,
            ...waiting.map(({ text }) => ({ event: JSON.parse(text), code: 'waiting', message })),
          ]),
        );
      }, timeoutMilliseconds);
      this.#waiters.push(waiter);
      this.#settle();
      this.#schedule();
    });
  }

  /**
   * Takes no more events, flushes, and ends. What is not committed then is listed by the rejection; in a browser it
   * stays in the offline queue for the next page.
   */
  close(options?: WaitOptions): Promise<void> {
    this.#closing ??= this.flush(options).finally(() => {
      this.#ended = true;
      this.#unwatch();
      clearTimeout(this.#timer);
      for (const request of this.#requests) request.abort();
      this.#offline?.release();
    });
    return this.#closing;
  }

  #enqueue(text: string): boolean {
    const bytes = new TextEncoder().encode(text).length;
    const { queueEvents, queueBytes } = this.#options;
    if (this.#queue.size >= queueEvents || this.#queueBytes + bytes > queueBytes) return false;
    const number = ++this.#number;
    this.#queue.set(number, { number, text, bytes, queuedAt: performance.now(), carried: 0, safe: false });
    this.#queueBytes += bytes;
    this.#offline?.put(number, text);
    this.#schedule();
    return true;
  }

  /** Takes over what pages left that are no more. */
  #adopt(): void {
    this.#offline?.adopt((text) => {
      try {
        JSON.parse(text);
      } catch {
        // Not written by a client: it would spoil its whole batch.
        return true;
      }
      return this.#enqueue(text);
    });
  }

  /** Sees to it that the next batch goes when it is due. */
  #schedule(): void {
    const first = this.#queue.values().next().value;
    if (!first || this.#requests.size > 0 || this.#ended) return;
    const { batchEvents, delayMilliseconds } = this.#options;
    const enough =
      this.#waiters.length > 0 || this.#queue.size >= batchEvents || this.#queueBytes >= this.#batchBytes;
    const due = Math.max(this.#resumeAt, enough ? 0 : first.queuedAt + delayMilliseconds);
    // A timer that were set anew by every event might never fire.
    if (this.#timer !== undefined && this.#timerAt <= due) return;
    clearTimeout(this.#timer);
    this.#timerAt = due;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#requests.size === 0) this.#attempt(this.#take(this.#batchBytes));
      },
      Math.max(0, due - performance.now()),
    );
  }

  /** The next batch of up to `most` bytes; a first event that is larger only where `alone` allows it. */
  #take(most: number, alone = true): Item[] {
    const batch: Item[] = [];
    let bytes = 2;
    for (const item of this.#queue.values()) {
      if (item.safe || (alone && item.carried > 0)) continue;
      bytes += item.bytes + 1;
      if (batch.length === this.#options.batchEvents) break;
      if (bytes > most && (batch.length > 0 || !alone)) break;
      batch.push(item);
    }
    return batch;
  }

  /** The page is hidden, perhaps for good: sends what may outlive it. The rest is in the offline queue. */
  #leave(): void {
    if (this.#toldUntil > performance.now()) return;
    for (;;) {
      const batch = this.#take(Math.min(this.#batchBytes, keepaliveBytes - this.#keptAlive), false);
      if (batch.length === 0) return;
      this.#attempt(batch, true);
    }
  }

  async #attempt(batch: Item[], leaving = false): Promise<void> {
    if (batch.length === 0) return;
    const body = `[${batch.map(({ text }) => text).join()}]`;
    const bytes = batch.reduce((sum, item) => sum + item.bytes + 1, 1);
    // In a browser every request that may outlives the page. Others of the page may have used up what it may keep
    // alive, and then such requests fail: so each second attempt does without.
    const keepalive =
      leaving ||
      (page() !== undefined && this.#keptAlive + bytes <= keepaliveBytes && this.#failedAttempts % 2 === 0);
    for (const item of batch) {
      item.carried++;
      item.safe ||= keepalive;
    }
    const request = new AbortController();
    this.#requests.add(request);
    if (keepalive) this.#keptAlive += bytes;
    this.#offline?.renew();
    const { key, timeoutMilliseconds, fetch: send = fetch } = this.#options;
    const late = (): void => request.abort(new Error(`no answer after ${timeoutMilliseconds} ms`));
    const timer = setTimeout(late, timeoutMilliseconds);
    const outcome = await attempt(
      send,
      this.#url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
        body,
        keepalive,
        credentials: 'omit',
        signal: request.signal,
      },
      batch.length,
    );
    clearTimeout(timer);
    this.#requests.delete(request);
    if (keepalive) this.#keptAlive -= bytes;
    for (const item of batch) {
      item.carried--;
      item.safe = false;
    }
    if (this.#ended) return;
    this.#conclude(outcome, batch, bytes);
    this.#settle();
    this.#schedule();
  }

  #conclude(outcome: Outcome, batch: Item[], bytes: number): void {
    if (outcome.kind === 'again') {
      const { message, told } = outcome;
      const attempt = ++this.#failedAttempts;
      const waitMilliseconds = backOff(attempt, told, this.#options, Math.random());
      const now = performance.now();
      this.#toldUntil = now + told;
      this.#resumeAt = now + waitMilliseconds;
      const { onRetry } = this.#options;
      if (onRetry) queueMicrotask(() => onRetry({ attempt, waitMilliseconds, message }));
      return;
    }
    this.#failedAttempts = 0;
    this.#resumeAt = 0;
    if (outcome.kind === 'too_large' && batch.length > 1) {
      // Whoever set that bound, further batches keep it, too.
      this.#batchBytes = Math.floor(bytes / 2);
      return;
    }
    if (outcome.kind === 'committed') {
      for (const { index, code = '', message = '', field } of outcome.refused) {
        const item = batch[index];
        if (item) this.#refuse(item, { code, message, ...(field !== undefined && { field }) });
      }
    } else {
      const { code, message } = outcome;
      for (const item of batch) this.#refuse(item, { code, message });
    }
    for (const item of batch) this.#drop(item);
  }

  #drop({ number, bytes }: Item): void {
    if (!this.#queue.delete(number)) return;
    this.#queueBytes -= bytes;
    this.#offline?.drop(number);
  }

  /** It will not be committed: whoever waits for it is told, or who flushes next. */
  #refuse({ number, text }: Item, why: Omit<Undelivered, 'event'>): void {
    if (!this.#queue.has(number)) return;
    const undelivered = { event: JSON.parse(text), ...why };
    this.#refused.push({ number, undelivered });
    if (this.#refused.length > rememberedEvents) this.#refused.shift();
    for (const waiter of this.#waiters) if (number <= waiter.upTo) waiter.refused.push(undelivered);
    this.#tell(undelivered);
  }

  #tell(undelivered: Undelivered): void {
    const { onError = warn } = this.#options;
    // What it throws is its own affair, not that of the queue.
    queueMicrotask(() => onError(undelivered));
  }

  /** Answers those whose events are all settled. */
  #settle(): void {
    const first = this.#queue.keys().next().value ?? Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiters.filter(({ upTo }) => upTo < first)) {
      waiter.settle(waiter.refused.length > 0 ? new UndeliveredError(waiter.refused) : undefined);
    }
  }
}

function warn({ event, code, message }: Undelivered): void {
  console.warn(`tallybook: the event ${event.id} is lost: ${code}: ${message}`);
}
