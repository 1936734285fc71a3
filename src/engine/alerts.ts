/**
 * The alerts that are defined, kept in the `_alerts` stream. A change is committed first, then it holds; changes are made
 * one after the other.
 *
 * An alert has a revision, which is part of the ids of its notifications. It goes up when another figure is watched:
 * stream, measure, filter, dimensions, period or limit; then everything can be told anew. New thresholds only add
 * to what was told. A name that was deleted and is used again goes on counting.
 */
import { type AlertDefinition, checkAlert } from './alert-definition.ts';
import { alertsStream } from './built-in-streams.ts';
import { type Micros, parseTimestamp } from './calendar.ts';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import { Lock } from './lock.ts';
import { bookDelivery, standingInBook, valuesByName } from './own-books.ts';
import type { Delivery, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';

export interface Alert {
  name: string;
  revision: number;
  definition: AlertDefinition;
  /** When it was defined as it is. */
  recordedAt: Micros;
}

export interface AlertsLedger {
  store: Store;
  write(delivery: Delivery): Promise<Receipt>;
  stream(name: string): Stream;
  /** Told after every change. */
  onChange(): void;
}

export const alertNamePattern = '^[a-z0-9][a-z0-9_.-]{0,62}$';

export class Alerts {
  readonly #ledger: AlertsLedger;
  readonly #byName = new Map<string, Alert>();
  readonly #changes = new Lock();

  constructor(ledger: AlertsLedger) {
    this.#ledger = ledger;
  }

  async load(): Promise<void> {
    const standing = await standingInBook(this.#ledger.store, alertsStream);
    this.#byName.clear();
    for (const entry of standing) {
      const values = valuesByName(alertsStream, entry.values);
      this.#byName.set(values.name!, {
        name: values.name!,
        revision: Number(values.revision),
        definition: JSON.parse(values.definition!) as AlertDefinition,
        recordedAt: parseTimestamp(entry.recorded_at)!,
      });
    }
  }

  list(): Alert[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws `unknown_alert`. */
  get(name: string): Alert {
    const alert = this.#byName.get(name);
    if (alert) return alert;
    const detail = `there is no alert ${name.slice(0, 100)}; GET /v1/alerts lists them`;
    throw new TallybookError('unknown_alert', detail);
  }

  /** Defines an alert, or changes it. Throws `bad_alert` or `unknown_stream`. */
  put(name: string, asked: unknown): Promise<{ alert: Alert; created: boolean }> {
    return this.serially(async () => {
      const { write, stream, onChange } = this.#ledger;
      if (!new RegExp(alertNamePattern).test(name)) {
        const detail = `the name ${name.slice(0, 70)} must match ${alertNamePattern}`;
        throw new TallybookError('bad_alert', detail);
      }
      const before = this.#byName.get(name);
      if (!before && this.#byName.size >= limits.alerts_max) {
        const detail = `there are ${this.#byName.size} alerts already, the most a ledger may have`;
        throw new TallybookError('bad_alert', detail);
      }
      const definition = checkAlert(name, asked, stream);
      if (before && JSON.stringify(before.definition) === JSON.stringify(definition))
        return { alert: before, created: false };
      const revision =
        before && figureOf(before.definition) === figureOf(definition)
          ? before.revision
          : (await this.#lastRevision(name)) + 1;
      const record = { name, revision, definition };
      const receipt = await write(bookDelivery(alertsStream, 'upsert', [JSON.stringify(record)]));
      const alert = { ...record, recordedAt: parseTimestamp(receipt.recorded_at)! };
      this.#byName.set(name, alert);
      onChange();
      return { alert, created: !before };
    });
  }

  /** Its notifications stay. Throws `unknown_alert`. */
  remove(name: string): Promise<void> {
    return this.serially(async () => {
      this.get(name);
      await this.#ledger.write(bookDelivery(alertsStream, 'retract', [JSON.stringify(name)]));
      this.#byName.delete(name);
      this.#ledger.onChange();
    });
  }

  /** Does something while no change is half done. */
  serially<T>(work: () => Promise<T>): Promise<T> {
    return this.#changes.run(work);
  }

  async #lastRevision(name: string): Promise<number> {
    const { lines } = await this.#ledger.store.fate(alertsStream, name);
    const values = lines.findLast((line) => line.values !== null)?.values;
    return values ? Number(valuesByName(alertsStream, values).revision) : 0;
  }
}

/** What makes the figure that is watched: the same figure, the same notifications. */
function figureOf({ stream, measure, where, by, period, tz, limit }: AlertDefinition): string {
  return JSON.stringify([stream, measure, where, by, period, tz, limit]);
}
