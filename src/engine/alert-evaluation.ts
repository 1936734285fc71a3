/**
 * Evaluating the alerts: after commits, never in their way.
 *
 * One evaluation runs at a time. What is committed meanwhile makes the next one; and between two there is a pause of
 * a few times what the last one took, so that alerts never take more than a share of the machine. An evaluation looks
 * at the keys and periods that were touched after the last commit that it has seen: by records that came late,
 * were corrected or taken back, and by reference records that changed a limit. An alert that is new, or was
 * changed, is held against everything from the current period on.
 *
 * How far evaluation has come is written down, after the notifications: a process that is killed in between
 * evaluates a little again, and as a notification has one id, nothing is told twice. Nothing is lost either.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveAlert, rollupOfAlert, type Watched } from './alert-definition.ts';
import { type Ask, type Figure, Figures } from './alert-figures.ts';
import { countOf, ReferenceLimits } from './alert-limits.ts';
import type { Alert, Alerts } from './alerts.ts';
import { alertProgressStream, rejectsStream } from './built-in-streams.ts';
import { bucketStart, formatTimestamp, type Micros, nowMicros, parseTimestamp } from './calendar.ts';
import { compareNumbers, divideCut, multiply } from './decimal.ts';
import { type ErrorCode, type ErrorKind, TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import { type Notification, type Notifications, notificationId } from './notifications.ts';
import { askBook, bookDelivery, standingInBook, valuesByName } from './own-books.ts';
import type { Delivery, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';
import type { BatchEvent } from './writer.ts';

/** One evaluation, for whoever counts them. */
export interface EvaluationEvent {
  seconds: number;
  /** What it told. */
  notifications: Notification[];
}

export interface EvaluationLedger {
  store: Store;
  ask: Ask;
  write(delivery: Delivery): Promise<Receipt>;
  stream(name: string): Stream;
  alerts: Alerts;
  notifications: Notifications;
  log: Log;
  onEvaluated(event: EvaluationEvent): void;
}

/** Errors that lie in the alert and its streams: the others go on without it. */
const ofTheAlert = new Set<ErrorKind>(['invalid', 'conflict', 'missing']);
const shortestPause = 50;
const longestPause = 10_000;
const pauseShare = 4;

export class AlertEvaluation {
  readonly #ledger: EvaluationLedger;
  /** Names of the streams whose commits concern an alert. */
  #watching = new Set<string>();
  /** Why alerts could not be evaluated the last time, by name: as they were defined then. */
  readonly #faults = new Map<string, { recordedAt: Micros; code: ErrorCode; fault: string }>();
  /** Up to which commit everything is evaluated. */
  #evaluatedTo: Micros = 0n;
  /** Whether anything was found since that was written down: where nothing happens, nothing is written. */
  #unkept = false;
  #keptAt = 0;
  /** When the first commit came that is not evaluated yet. */
  #dueSince: number | undefined;
  /** The same of what is being evaluated. */
  #evaluatingSince: number | undefined;
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #failures = 0;

  constructor(ledger: EvaluationLedger) {
    this.#ledger = ledger;
  }

  /** Reads how far evaluation had come, and goes on from there, in the background. */
  async start(): Promise<void> {
    const [progress] = await standingInBook(this.#ledger.store, alertProgressStream);
    if (progress) {
      const { evaluated_to: to } = valuesByName(alertProgressStream, progress.values);
      this.#evaluatedTo = parseTimestamp(to!)!;
    }
    this.alertsChanged();
  }

  /** Alerts were defined, changed or removed; or the streams were, in which they must find what they name. */
  alertsChanged(): void {
    this.#watching = new Set();
    const standing = new Map(this.#ledger.alerts.list().map(({ name, recordedAt }) => [name, recordedAt]));
    for (const [name, { recordedAt }] of this.#faults)
      if (standing.get(name) !== recordedAt) this.#faults.delete(name);
    const enabled = this.#enabled();
    for (const { watched } of enabled) {
      if (!watched) continue;
      this.#watching.add(watched.stream.name);
      if (typeof watched.limit === 'string') continue;
      for (const { stream } of watched.limit.hops) this.#watching.add(stream.name);
    }
    if (enabled.length > 0) this.#wake();
  }

  /** Something was committed. Costs nothing for streams that no alert looks at. */
  committed({ counts }: BatchEvent): void {
    if (this.#watching.size === 0) return;
    for (const [name, { accepted, corrected, retracted, rejected, conflicts }] of counts) {
      const changed = this.#watching.has(name) && accepted + corrected + retracted > 0;
      if (changed || (this.#watching.has(rejectsStream.name) && rejected + conflicts > 0)) {
        this.#wake();
        return;
      }
    }
  }

  /**
   * Where the figures of an alert come from, and why it cannot be evaluated, or could not be the last time. What it
   * names may have gone or changed since it was defined: then there is no telling where from.
   */
  stateOf(alert: Alert): { from: string | null; fault: string | null } {
    const { watched, fault } = this.#resolved(alert);
    if (!watched) return { from: null, fault: faultOfNames(alert, fault) };
    const rollup = rollupOfAlert(watched);
    const last = this.#faults.get(alert.name);
    return {
      from: rollup === undefined ? 'ledger' : `rollup ${rollup}`,
      fault: last?.recordedAt === alert.recordedAt ? last.fault : null,
    };
  }

  /** For how long commits have been waiting to be evaluated; 0 when none is. */
  get lagSeconds(): number {
    const since = this.#evaluatingSince ?? this.#dueSince;
    return since === undefined ? 0 : (performance.now() - since) / 1000;
  }

  /** Evaluates what is still due, once, and writes down how far it has come. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#running;
    try {
      if (this.#dueSince !== undefined) await this.#evaluate();
      await this.#keepProgress();
    } catch (error) {
      this.#ledger.log.warn({ err: error }, 'the last evaluation of the alerts is left to the next start');
    }
  }

  #wake(): void {
    this.#dueSince ??= performance.now();
    if (this.#closing.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#dueSince !== undefined) this.#wake();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#dueSince !== undefined && !signal.aborted) {
      const started = performance.now();
      try {
        await this.#evaluate();
        this.#failures = 0;
        if (Date.now() - this.#keptAt > limits.alert_progress_seconds * 1000) await this.#keepProgress();
      } catch (error) {
        this.#failures += 1;
        this.#ledger.log.error({ err: error }, 'the alerts could not be evaluated; it is tried again');
      }
      const took = performance.now() - started;
      const pause = this.#failures > 0 ? 500 * 2 ** Math.min(this.#failures, 6) : took * pauseShare;
      const bounded = Math.min(Math.max(pause, shortestPause), longestPause);
      await sleep(bounded, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #evaluate(): Promise<void> {
    const started = performance.now();
    this.#evaluatingSince = this.#dueSince;
    this.#dueSince = undefined;
    const told: Notification[] = [];
    try {
      // The alerts as they were at that commit, or newer: none is half defined.
      const { to, alerts } = await this.#ledger.alerts.serially(async () => ({
        to: await this.#lastCommit(),
        alerts: this.#enabled(),
      }));
      const changed = new Map<string, Promise<boolean>>();
      const failed: unknown[] = [];
      // One that fails must not keep the others from being told; it is tried again, from where it was.
      for (const alert of alerts)
        await this.#evaluateAlert(alert, changed, told).catch((error: unknown) => failed.push(error));
      if (failed.length > 0) throw failed[0];
      this.#evaluatedTo = to;
    } catch (error) {
      this.#dueSince = this.#evaluatingSince ?? started;
      throw error;
    } finally {
      this.#evaluatingSince = undefined;
      for (const { alert, key, threshold, percent } of told)
        this.#ledger.log.info({ alert, key, threshold, percent }, 'a threshold was reached');
      this.#ledger.onEvaluated({ seconds: (performance.now() - started) / 1000, notifications: told });
    }
  }

  async #evaluateAlert(
    { alert, watched, fault }: ResolvedAlert,
    changed: Map<string, Promise<boolean>>,
    told: Notification[],
  ): Promise<void> {
    const { name } = alert;
    try {
      if (!watched) throw fault;
      // What was committed while it could not be evaluated was passed over; but a sum that is too large is of one key, and its others are told.
      const last = this.#faults.get(name);
      const passedOver = last !== undefined && last.code !== 'sum_out_of_range';
      const trial = new AlertTrial(this.#ledger, alert, watched, told);
      const after = alert.recordedAt > this.#evaluatedTo ? alert.recordedAt : this.#evaluatedTo;
      // One question a stream, however many alerts look at it: most often nothing has changed there.
      const hasChanged = async (stream: Stream): Promise<boolean> => {
        const key = `${stream.name} ${after}`;
        const known = changed.get(key) ?? this.#hasChanged(stream, after);
        changed.set(key, known);
        if (await known) this.#unkept = true;
        return known;
      };
      const isNew = alert.recordedAt > this.#evaluatedTo;
      if (isNew) this.#unkept = true;
      if (isNew || passedOver) await trial.everything();
      if (await hasChanged(watched.stream)) await trial.touched(after);
      if (!isNew && typeof watched.limit !== 'string') {
        const hops = await Promise.all(watched.limit.hops.map(({ stream }) => hasChanged(stream)));
        if (hops.includes(true)) await trial.changedLimits(after);
      }
      this.#faults.delete(name);
    } catch (error) {
      if (!(error instanceof TallybookError) || !ofTheAlert.has(error.kind)) throw error;
      if (this.#faults.get(name)?.fault !== error.message)
        this.#ledger.log.error(
          { alert: name, code: error.code, detail: error.message },
          'an alert cannot be evaluated',
        );
      this.#faults.set(name, { recordedAt: alert.recordedAt, code: error.code, fault: error.message });
    }
  }

  #enabled(): ResolvedAlert[] {
    const enabled = this.#ledger.alerts.list().filter(({ definition }) => definition.enabled);
    return enabled.map((alert) => this.#resolved(alert));
  }

  #resolved(alert: Alert): ResolvedAlert {
    const { name, definition } = alert;
    try {
      return { alert, watched: resolveAlert(name, definition, (stream) => this.#streamOf(alert, stream)) };
    } catch (fault) {
      return { alert, watched: undefined, fault };
    }
  }

  /** The error of the streams themselves lists all of them, which not everybody who sees the alert may know. */
  #streamOf({ name }: Alert, stream: string): Stream {
    try {
      return this.#ledger.stream(stream);
    } catch (error) {
      if (!(error instanceof TallybookError) || error.code !== 'unknown_stream') throw error;
      const detail = `alert ${name}: there is no stream ${stream.slice(0, 100)} any more; if it is of a system that was left out, start with that system again, else define the alert anew`;
      throw new TallybookError('unknown_stream', detail, { cause: error });
    }
  }

  async #lastCommit(): Promise<Micros> {
    const { as_of: last } = await askBook(this.#ledger.store, alertProgressStream, {});
    return parseTimestamp(last.recorded_at)!;
  }

  async #hasChanged(stream: Stream, after: Micros): Promise<boolean> {
    const { rows } = await this.#ledger.ask(stream, { ...countOf(), touchedAfter: after });
    return Number(rows[0]![0]) > 0;
  }

  async #keepProgress(): Promise<void> {
    if (!this.#unkept) return;
    const record = { id: 'alerts', evaluated_to: formatTimestamp(this.#evaluatedTo) };
    await this.#ledger.write(bookDelivery(alertProgressStream, 'upsert', [JSON.stringify(record)]));
    this.#unkept = false;
    this.#keptAt = Date.now();
  }
}

interface ResolvedAlert {
  alert: Alert;
  /** Undefined when a name in it can no longer be resolved; then `fault` says why. */
  watched: Watched | undefined;
  fault?: unknown;
}

function faultOfNames({ name }: Alert, error: unknown): string {
  if (error instanceof TallybookError) return error.message;
  return `alert ${name}: something went wrong on our side; it is in the log`;
}

/** One alert in one evaluation. */
class AlertTrial {
  readonly #notifications: Notifications;
  readonly #alert: Alert;
  readonly #watched: Watched;
  readonly #figures: Figures;
  readonly #references: { of: number; limits: ReferenceLimits } | undefined;
  /** Gathers what was told. */
  readonly #told: Notification[];

  constructor(
    { store, ask, notifications }: EvaluationLedger,
    alert: Alert,
    watched: Watched,
    told: Notification[],
  ) {
    this.#notifications = notifications;
    this.#alert = alert;
    this.#watched = watched;
    this.#told = told;
    this.#figures = new Figures(ask, watched);
    const { limit } = watched;
    this.#references =
      typeof limit === 'string'
        ? undefined
        : { of: limit.of, limits: new ReferenceLimits(store, ask, limit.hops) };
  }

  /** All keys, from the current period on. */
  async everything(): Promise<void> {
    const atLeast = await this.#lowest();
    if (atLeast === undefined) return;
    for await (const figures of this.#figures.all(this.#currentPeriod(), undefined, atLeast))
      await this.#tell(figures);
  }

  /** The keys and periods that were touched after a commit. */
  async touched(after: Micros): Promise<void> {
    const { places, more } = await this.#figures.touched(after);
    if (more) return this.#manyTouched(after);
    const known = await this.#limitsOf(places);
    const limited = places.filter((place) => known(place) !== undefined);
    const atLeast = (some: typeof places): string =>
      this.#bound(smallestOf(some.map((place) => known(place)!)));
    for await (const figures of this.#figures.of(limited, atLeast)) await this.#tell(figures);
  }

  /** Too many to look up each: all that reach a threshold, and of those what was touched and is not told yet. */
  async #manyTouched(after: Micros): Promise<void> {
    const atLeast = await this.#lowest();
    if (atLeast === undefined) return;
    const [from, to] = await this.#figures.touchedSpan(after);
    for await (const figures of this.#figures.all(from, to, atLeast)) await this.#tell(figures, after);
  }

  /** The keys whose limit was changed after a commit, from the current period on. */
  async changedLimits(after: Micros): Promise<void> {
    const { of, limits: references } = this.#references!;
    const ids = await references.touched(after);
    if (!ids) return this.everything();
    if (ids.length === 0) return;
    const known = [...(await references.of(ids)).values()];
    if (known.length === 0) return;
    const atLeast = this.#bound(smallestOf(known));
    for await (const figures of this.#figures.having(of, ids, this.#currentPeriod(), atLeast))
      await this.#tell(figures);
  }

  /**
   * Writes a notification for every threshold that is reached, the lower ones first.
   * @param touchedAfter only for keys and periods that were touched after this commit
   */
  async #tell(figures: Figure[], touchedAfter?: Micros): Promise<void> {
    if (figures.length === 0) return;
    const limitOf = await this.#limitsOf(figures);
    const reached = figures.flatMap((figure) => {
      const limit = limitOf(figure);
      const notifications =
        limit === undefined
          ? []
          : this.#watched.thresholds
              .filter((threshold) => reaches(figure.value, limit, threshold))
              .map((threshold) => this.#notification(figure, limit, threshold));
      return notifications.length === 0 ? [] : [{ figure, notifications }];
    });
    let chosen = reached;
    if (touchedAfter !== undefined) {
      const missing = await this.#notifications.missing(
        reached.flatMap(({ notifications }) => notifications.map(({ id }) => id)),
      );
      const open = reached.filter(({ notifications }) => notifications.some(({ id }) => missing.has(id)));
      const touched = new Set(
        await this.#figures.touchedOf(
          open.map(({ figure }) => figure),
          touchedAfter,
        ),
      );
      chosen = open.filter(({ figure }) => touched.has(figure));
    }
    this.#told.push(...(await this.#notifications.add(chosen.flatMap(({ notifications }) => notifications))));
  }

  #notification({ key, from, value }: Figure, limit: string, threshold: string): Notification {
    const { name: alert, revision } = this.#alert;
    const { stream, question } = this.#watched;
    const { every, tz, by, measures } = question;
    const start = from === undefined ? null : this.#figures.dateOf(from);
    const to = this.#figures.endOf(from);
    return {
      id: notificationId({ alert, revision, threshold }, [key, start]),
      at: formatTimestamp(nowMicros()),
      alert,
      revision,
      stream: stream.name,
      measure: measures[0]!.text,
      key: key
        .map((part) => part ?? '')
        .join(',')
        .slice(0, limits.id_characters),
      dimensions: Object.fromEntries(by.map(({ text }, i) => [text, key[i]!])),
      period: {
        every,
        tz,
        start,
        from: from === undefined ? null : formatTimestamp(from),
        to: to === undefined ? null : formatTimestamp(to),
      },
      threshold,
      limit,
      value,
      percent: compareNumbers(limit, '0') === 0 ? null : divideCut(multiply(value, '100'), limit, 2),
    };
  }

  /** The figure from which on any key can have reached its lowest threshold; undefined when there is no limit at all. */
  async #lowest(): Promise<string | undefined> {
    const { limit } = this.#watched;
    const smallest = typeof limit === 'string' ? limit : await this.#references!.limits.smallest();
    return smallest === undefined ? undefined : this.#bound(smallest);
  }

  #bound(limit: string): string {
    return multiply(multiply(limit, this.#watched.thresholds[0]!), '0.01');
  }

  async #limitsOf(
    places: { key: (string | null)[] }[],
  ): Promise<(place: { key: (string | null)[] }) => string | undefined> {
    const { limit } = this.#watched;
    if (typeof limit === 'string') return () => limit;
    const { of, limits: references } = this.#references!;
    const ids = places.map(({ key }) => key[of]).filter((id) => typeof id === 'string');
    const found = await references.of(new Set(ids));
    return ({ key }) => found.get(key[of] ?? '');
  }

  #currentPeriod(): Micros | undefined {
    const { every, tz } = this.#watched.question;
    return every === 'all' ? undefined : bucketStart(nowMicros(), every, tz);
  }
}

/** value x 100 >= limit x threshold, exactly. A limit of zero is reached by anything above it. */
export function reaches(value: string, limit: string, threshold: string): boolean {
  return (
    compareNumbers(value, '0') > 0 && compareNumbers(multiply(value, '100'), multiply(limit, threshold)) >= 0
  );
}

function smallestOf(numbers: string[]): string {
  return numbers.reduce((a, b) => (compareNumbers(b, a) < 0 ? b : a));
}
