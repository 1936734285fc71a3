/**
 * What one webhook still has to get, in order.
 *
 * The notifications of the ledger are the queue: nothing is copied, only the place of the last one that is settled is
 * remembered, and after a start it is read from the log of attempts. One that is not taken is tried again, each time
 * after a longer while (or when the receiver asked to), and the later ones wait behind it; so a receiver that was down
 * gets everything, in order. One that is too old when an attempt fails is given up, and the next one follows.
 *
 * Every attempt is written down after it was made. A process that dies in between makes it again: the receiver
 * tells by `webhook-id` that it has it.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deliveriesStream } from './built-in-streams.ts';
import { formatTimestamp, nowMicros } from './calendar.ts';
import type { Log } from './log.ts';
import type { KeptNotification, Notifications } from './notifications.ts';
import { askBook, bookDelivery, valuesByName } from './own-books.ts';
import type { Delivery, Entry, Store } from './store.ts';
import type { Receipt } from './verdicts.ts';
import type { Posted, Poster } from './webhook-target.ts';

export interface Timing {
  timeoutMilliseconds: number;
  /** Before the second attempt; it doubles with each that fails, up to the longest. */
  firstDelayMilliseconds: number;
  longestDelayMilliseconds: number;
  /** Age of a notification from which on a failed attempt is its last. */
  giveUpMilliseconds: number;
}

/** How a process posts. */
export interface Posting {
  poster: Poster;
  timing: Timing;
}

export interface Webhook {
  name: string;
  url: string;
  secret: string;
  /** Of these alerts; of all when undefined. */
  alerts: string[] | undefined;
  enabled: boolean;
  /** Place of the last notification that it is not concerned with. */
  afterSeq: string;
}

export interface QueueLedger {
  store: Store;
  write(delivery: Delivery): Promise<Receipt>;
  notifications: Notifications;
  log: Log;
  onAttempt(attempt: Attempt): void;
}

export type Outcome = 'delivered' | 'failed' | 'given_up';

/** A line of the log. */
export interface Attempt {
  id: string;
  at: string;
  webhook: string;
  notification: string;
  /** The how manieth of this notification, from 1. */
  attempt: number;
  /** Asked for by somebody, out of turn. */
  redelivery: boolean;
  outcome: Outcome;
  status: number | null;
  milliseconds: number;
  url: string;
  error: string | null;
}

const readAhead = 100;
/** What a receiver may ask for at most. */
const longestRetryAfter = 86_400_000;

export class WebhookQueue {
  readonly webhook: Webhook;
  readonly #ledger: QueueLedger;
  readonly #posting: Posting | undefined;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #more = true;
  #wake = (): void => undefined;
  /** Failures in a row, of whatever notification: a receiver that is down is not hurried by the next one. */
  #failures = 0;

  constructor(ledger: QueueLedger, webhook: Webhook, posting: Posting | undefined) {
    this.#ledger = ledger;
    this.webhook = webhook;
    this.#posting = posting;
  }

  start(): void {
    if (!this.#posting) return;
    const unsubscribe = this.#ledger.notifications.subscribe(() => {
      this.#more = true;
      this.#wake();
    });
    this.#running ??= this.#run().finally(unsubscribe);
  }

  /** Breaks off what is being posted, without a line in the log: it is posted again later. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  /** Whether anything that it should have is not settled yet. */
  async isBehind(): Promise<boolean> {
    const { alerts } = this.webhook;
    return (await this.#ledger.notifications.after(await this.#lastSettled(), { alerts }, 1)).length > 0;
  }

  /** One attempt, out of turn. */
  async postNow(notification: KeptNotification): Promise<Attempt> {
    const posted = await this.#post(notification);
    const outcome = posted.error === undefined ? 'delivered' : 'failed';
    return this.#log(notification, posted, outcome, (await this.#attemptsOf(notification)) + 1, true);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let settled: string | undefined;
    while (!signal.aborted) {
      try {
        settled ??= await this.#lastSettled();
        this.#more = false;
        const { alerts } = this.webhook;
        const found = await this.#ledger.notifications.after(settled, { alerts }, readAhead);
        for (const notification of found) {
          await this.#deliver(notification);
          settled = notification.seq;
        }
        if (found.length === 0 && !this.#more) await this.#untilMore();
      } catch (error) {
        if (signal.aborted) return;
        // The ledger could not be read or written; what was posted may be posted again.
        const detail = { err: error, webhook: this.webhook.name };
        this.#ledger.log.error(detail, 'a webhook is held up; it goes on in a minute');
        await this.#pause(60_000).catch(() => undefined);
      }
    }
  }

  async #untilMore(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#more || this.#stopping.signal.aborted) resolve();
    });
  }

  /** Tries until it is taken, or given up. */
  async #deliver(notification: KeptNotification): Promise<void> {
    const { timing } = this.#posting!;
    for (let attempt = (await this.#attemptsOf(notification)) + 1; ; attempt++) {
      const posted = await this.#post(notification);
      if (posted.error === undefined) {
        this.#failures = 0;
        await this.#log(notification, posted, 'delivered', attempt, false);
        return;
      }
      this.#failures += 1;
      const old = Date.now() - Date.parse(notification.at) >= timing.giveUpMilliseconds;
      await this.#log(notification, posted, old ? 'given_up' : 'failed', attempt, false);
      await this.#pause(this.#delay(posted));
      if (old) return;
    }
  }

  #delay({ retryAfterMilliseconds = 0 }: Posted): number {
    const { firstDelayMilliseconds, longestDelayMilliseconds } = this.#posting!.timing;
    const grown = firstDelayMilliseconds * 2 ** Math.min(this.#failures - 1, 30);
    // Not all who wait for the same receiver come at the same moment.
    const delay = Math.min(grown, longestDelayMilliseconds) * (0.75 + Math.random() / 2);
    return Math.max(delay, Math.min(retryAfterMilliseconds, longestRetryAfter));
  }

  async #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stopping;
    await sleep(milliseconds, undefined, { signal, ref: false });
  }

  #post({ seq: _, ...notification }: KeptNotification): Promise<Posted> {
    const { poster, timing } = this.#posting!;
    const { id, at } = notification;
    const body = JSON.stringify({ type: 'alert.threshold_reached', timestamp: at, data: notification });
    const { timeoutMilliseconds } = timing;
    return poster.post(this.webhook, { id, body }, { timeoutMilliseconds, signal: this.#stopping.signal });
  }

  async #log(
    notification: KeptNotification,
    { status, milliseconds, error }: Posted,
    outcome: Outcome,
    attempt: number,
    redelivery: boolean,
  ): Promise<Attempt> {
    const made: Attempt = {
      id: `d_${randomBytes(12).toString('hex')}`,
      at: formatTimestamp(nowMicros()),
      webhook: this.webhook.name,
      notification: notification.id,
      attempt,
      redelivery,
      outcome,
      status: status ?? null,
      milliseconds,
      url: this.webhook.url,
      error: error ?? null,
    };
    const { log, write, onAttempt } = this.#ledger;
    if (outcome !== 'delivered') log.warn(made, 'a webhook did not take a notification');
    onAttempt(made);
    const record = JSON.stringify({ ...made, notification_seq: notification.seq });
    await write(bookDelivery(deliveriesStream, 'insert', [record]));
    return made;
  }

  /** The place up to which everything was taken or given up. */
  async #lastSettled(): Promise<string> {
    const { name, afterSeq } = this.webhook;
    const where = { webhook: name, redelivery: false, outcome: { in: ['delivered', 'given_up'] } };
    const measures = ['max(notification_seq)'];
    const { rows } = await askBook(this.#ledger.store, deliveriesStream, { measures, where });
    const last = rows[0]?.[0];
    return typeof last === 'string' && BigInt(last) > BigInt(afterSeq) ? last : afterSeq;
  }

  async #attemptsOf({ id }: KeptNotification): Promise<number> {
    const where = { webhook: this.webhook.name, notification: id };
    const { rows } = await askBook(this.#ledger.store, deliveriesStream, { where });
    return Number(rows[0]![0]);
  }
}

export function attemptOf({ values }: Entry): Attempt {
  const by = valuesByName(deliveriesStream, values);
  return {
    id: by.id!,
    at: by.at!,
    webhook: by.webhook!,
    notification: by.notification!,
    attempt: Number(by.attempt),
    redelivery: by.redelivery === 'true',
    outcome: by.outcome as Outcome,
    status: by.status === null ? null : Number(by.status),
    milliseconds: Number(by.milliseconds),
    url: by.url!,
    error: by.error ?? null,
  };
}
