/**
 * Notifications: thresholds that were reached (SPEC 1.8), kept in the `_notifications` stream.
 *
 * The id of a notification is made of the alert, its revision, the key, the period and the threshold. An id has at most
 * one standing record, so a threshold is told once for each key and period: whatever is corrected, sent again,
 * started again or evaluated again. Nothing here is ever taken back.
 */
import { createHash } from 'node:crypto';
import { notificationsStream } from './built-in-streams.ts';
import { Lock } from './lock.ts';
import { askBook, bookDelivery, valuesByName } from './own-books.ts';
import { type Page, pageOfEntries } from './pages.ts';
import { type AskedQuestion, checkSelection } from './question.ts';
import type { Delivery, EntriesRequest, Entry, Store } from './store.ts';
import type { Receipt } from './verdicts.ts';

export interface Notification {
  id: string;
  at: string;
  alert: string;
  revision: number;
  stream: string;
  measure: string;
  /** The values of the dimensions, joined by commas. */
  key: string;
  dimensions: Record<string, string | null>;
  /** The first day there, and the instants from which and before which it lasts; null for everything. */
  period: { every: string; tz: string; start: string | null; from: string | null; to: string | null };
  /** In per cent of the limit. */
  threshold: string;
  limit: string;
  value: string;
  /** Of the limit, cut to two decimals; null for a limit of zero. */
  percent: string | null;
}
/** With its place in the order of all. */
export type KeptNotification = Notification & { seq: string };

export interface NotificationFilter {
  alert?: string | undefined;
  /** Alerts, any of these. */
  alerts?: string[] | undefined;
  key?: string | undefined;
  /** When it was noticed: inclusive, exclusive. */
  from?: string | undefined;
  to?: string | undefined;
  /** Streams that may be told of; all when undefined. */
  streams?: string[] | undefined;
}

export interface NotificationsLedger {
  store: Store;
  write(delivery: Delivery): Promise<Receipt>;
}

const atOnce = 1_000;
/** Ids that are known to stand, in memory: what stays above its threshold is touched again and again. */
const rememberedIds = 100_000;

export function notificationId(
  identity: Pick<Notification, 'alert' | 'revision' | 'threshold'>,
  place: unknown,
) {
  const { alert, revision, threshold } = identity;
  const text = JSON.stringify([alert, revision, threshold, place]);
  return `n_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

export class Notifications {
  readonly #ledger: NotificationsLedger;
  readonly #standing = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #adding = new Lock();

  constructor(ledger: NotificationsLedger) {
    this.#ledger = ledger;
  }

  /** Those of some ids that are not there yet. */
  async missing(ids: string[]): Promise<Set<string>> {
    const unknown = ids.filter((id) => !this.#standing.has(id));
    const missing = new Set(unknown);
    for (let at = 0; at < unknown.length; at += atOnce) {
      const some = unknown.slice(at, at + atOnce);
      const asked = { by: ['id'], where: { id: some }, limit: some.length };
      const { rows } = await askBook(this.#ledger.store, notificationsStream, asked);
      for (const [id] of rows) {
        missing.delete(String(id));
        this.#remember(String(id));
      }
    }
    return missing;
  }

  /** Writes what is not there yet, in the order given; one call after the other. */
  add(notifications: Notification[]): Promise<Notification[]> {
    return this.#adding.run(() => this.#add(notifications));
  }

  async #add(notifications: Notification[]): Promise<Notification[]> {
    const missing = await this.missing(notifications.map(({ id }) => id));
    const added = notifications.filter(({ id }) => missing.delete(id));
    for (let at = 0; at < added.length; at += atOnce) {
      const texts = added.slice(at, at + atOnce).map((notification) => JSON.stringify(notification));
      await this.#ledger.write(bookDelivery(notificationsStream, 'insert', texts));
    }
    for (const { id } of added) this.#remember(id);
    if (added.length > 0) for (const listener of this.#listeners) listener();
    return added;
  }

  /** Newest first, unless the page says otherwise. */
  async list(
    filter: NotificationFilter,
    page: Page,
  ): Promise<{ notifications: KeptNotification[]; next: string | undefined }> {
    const request = requestFor(filter, page.newestFirst ?? true);
    const { entries, next } = await pageOfEntries(this.#ledger.store, request, page);
    return { notifications: entries.map(notificationOf), next };
  }

  /** The next ones after a place in the order of all. */
  async after(seq: string, filter: NotificationFilter, limit: number): Promise<KeptNotification[]> {
    const request = requestFor(filter, false);
    return (await this.#ledger.store.entries({ ...request, after: seq, limit })).map(notificationOf);
  }

  /** The place of the last one; 0 when there is none. */
  async lastSeq(): Promise<string> {
    const request = requestFor({}, true);
    const [last] = await this.#ledger.store.entries({ ...request, after: undefined, limit: 1 });
    return last?.seq ?? '0';
  }

  async find(id: string): Promise<KeptNotification | undefined> {
    const { standing } = await this.#ledger.store.fate(notificationsStream, id);
    return standing ? notificationOf(standing) : undefined;
  }

  /** Calls the listener whenever there are more. Returns how to stop it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #remember(id: string): void {
    if (this.#standing.size >= rememberedIds) this.#standing.clear();
    this.#standing.add(id);
  }
}

function requestFor(
  { alert, alerts, key, from, to, streams }: NotificationFilter,
  newestFirst: boolean,
): Omit<EntriesRequest, 'after' | 'limit'> {
  const where: NonNullable<AskedQuestion['where']> = {};
  if (alert !== undefined) where.alert = alert;
  if (alerts !== undefined) where.alert = alerts;
  if (key !== undefined) where.key = key;
  if (streams !== undefined) where.stream = streams;
  const times = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const selection = checkSelection(notificationsStream, { where, ...times });
  return { ...selection, stream: notificationsStream, standing: true, newestFirst };
}

function notificationOf({ seq, values }: Entry): KeptNotification {
  const by = valuesByName(notificationsStream, values);
  return {
    seq,
    id: by.id!,
    at: by.at!,
    alert: by.alert!,
    revision: Number(by.revision),
    stream: by.stream!,
    measure: by.measure!,
    key: by.key!,
    dimensions: JSON.parse(by.dimensions!) as Notification['dimensions'],
    period: JSON.parse(by.period!) as Notification['period'],
    threshold: by.threshold!,
    limit: by.limit!,
    value: by.value!,
    percent: by.percent ?? null,
  };
}
