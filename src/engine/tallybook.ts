/**
 * Tallybook itself, without any door: what HTTP and the command line call. One of these per data directory.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AlertEvaluation, type EvaluationEvent } from './alert-evaluation.ts';
import { Alerts } from './alerts.ts';
import {
  alertsStream,
  logMarksStream,
  sourcesStream,
  streamsStream,
  webhooksStream,
} from './built-in-streams.ts';
import { nowMicros } from './calendar.ts';
import { DiskRoom } from './disk-room.ts';
import { TallybookError } from './errors.ts';
import { askFilled } from './fill.ts';
import type { AppendedEvent, FrontLog, Taken, TakenEvent } from './front-log.ts';
import { Imports } from './imports.ts';
import type { Log } from './log.ts';
import { Notifications } from './notifications.ts';
import { Books, standingInBook } from './own-books.ts';
import { type Page, pageOfEntries } from './pages.ts';
import { type Plan, planQuestion } from './plan.ts';
import { type AskedQuestion, checkQuestion, checkSelection } from './question.ts';
import type { RecordCheck } from './record-check.ts';
import { canonicalId } from './record-id.ts';
import { ReferenceData } from './reference-data.ts';
import { Rejects } from './rejects.ts';
import { Housekeeping } from './retention.ts';
import { Sources } from './sources.ts';
import { type Bounds, boundsOf } from './stage-record.ts';
import type {
  Answer,
  BacksUp,
  Check,
  Delivery,
  Entry,
  Fate,
  MayFail,
  SharesLedger,
  Store,
  StreamState,
} from './store.ts';
import type { Stream } from './stream.ts';
import { Streams } from './streams.ts';
import { type AskedSums, planSums, type Sums } from './sums.ts';
import type { Receipt, VerdictCounts } from './verdicts.ts';
import type { Attempt } from './webhook-queue.ts';
import { type WebhookSettings, Webhooks } from './webhooks.ts';
import { type BatchEvent, Writer } from './writer.ts';

export interface TallybookOptions {
  store: Store & Partial<BacksUp> & Partial<SharesLedger> & Partial<MayFail>;
  /** Where uploads are kept while they are imported; emptied at start. */
  spoolDirectory: string;
  log: Log;
  /** Streams of the systems that ship with it: they are there from the start. */
  shipped?: readonly Stream[];
  /** Streams in which the systems keep their own books; their names start with an underscore. */
  books?: readonly Stream[];
  /** What the systems do when the ledger is open, before anything else is done with it. */
  whenOpen?: readonly ((tallybook: Tallybook) => Promise<void>)[];
  /** How webhooks are posted to. Without it this process posts to none; a server does. */
  webhooks?: WebhookSettings | undefined;
  /** Called when it is closed: then nothing of it touches the directory any more. */
  whenClosed?: () => void;
}

export type { Log };

/** For whoever counts: `batch` after every commit, `question` after every answer, `evaluation` of the
 * alerts, `attempt` to post to a webhook, `appended` to the log in front, `taken` from it. */
export interface TallybookEvents {
  batch: [BatchEvent];
  question: [{ stream: string; seconds: number; from: string }];
  evaluation: [EvaluationEvent];
  attempt: [Attempt];
  appended: [AppendedEvent];
  taken: [TakenEvent];
}

export type AskedSelection = Pick<AskedQuestion, 'where' | 'from' | 'to' | 'known_at' | 'tz'>;
/** Which records are listed: also by who sent them. */
export type AskedEntries = AskedSelection & { source?: string | undefined };

export class Tallybook {
  /** Listened to by every open stream of events, of which there may be many. */
  readonly events = new EventEmitter<TallybookEvents>().setMaxListeners(0);
  readonly streams: Streams;
  readonly writer: Writer;
  /** The books of the systems. */
  readonly books: Books;
  readonly imports: Imports;
  readonly rejects: Rejects;
  readonly sources: Sources;
  readonly alerts: Alerts;
  readonly evaluation: AlertEvaluation;
  readonly notifications: Notifications;
  readonly webhooks: Webhooks;
  readonly reference: ReferenceData;
  readonly log: Log;
  /** Resolves when the store has come to an end by itself: nothing can be done but to close, and open again. */
  readonly failed: Promise<TallybookError>;
  readonly #store: Store & Partial<BacksUp>;
  readonly #housekeeping: Housekeeping;
  readonly #spoolDirectory: string;
  readonly #room: DiskRoom;
  #failure: TallybookError | undefined;
  readonly #whenClosed: (() => void) | undefined;
  readonly #checks = new Map<string, RecordCheck>();
  #frontLog: FrontLog | undefined;
  #closed: Promise<void> | undefined;

  private constructor({
    store,
    spoolDirectory,
    log,
    shipped = [],
    books = [],
    webhooks,
    whenClosed,
  }: TallybookOptions) {
    this.#store = store;
    this.#whenClosed = whenClosed;
    this.failed = new Promise((resolve) =>
      store.whenFailed?.((error) => {
        this.#failure ??= error;
        resolve(error);
      }),
    );
    this.#spoolDirectory = spoolDirectory;
    this.#room = new DiskRoom(spoolDirectory);
    this.log = log;
    this.writer = new Writer(
      store,
      (event) => {
        this.reference.committed(event);
        this.events.emit('batch', event);
        this.evaluation.committed(event);
      },
      (stream) => this.#checks.get(stream),
    );
    this.#housekeeping = new Housekeeping(store, () => [...this.streams.list(), logMarksStream], log);
    const write = (delivery: Delivery) => this.writer.submit(delivery);
    const stream = (name: string) => this.streams.get(name);
    const learn = (states: Map<string, StreamState>) => this.#housekeeping.learn(states);
    const onChange = () => this.evaluation.alertsChanged();
    this.streams = new Streams({ store, write, learn, onChange }, shipped, books);
    this.books = new Books({ store, write });
    this.reference = new ReferenceData(store, stream);
    this.imports = new Imports({ store, write, stream, log });
    this.rejects = new Rejects({ store, write, stream });
    this.sources = new Sources({ write, standing: () => standingInBook(store, sourcesStream) });
    this.alerts = new Alerts({ store, write, stream, onChange });
    this.notifications = new Notifications({ store, write });
    this.evaluation = new AlertEvaluation({
      store,
      ask: (stream, question) =>
        store.ask(planQuestion(stream, question, this.#housekeeping.stateOf(stream))),
      write,
      stream,
      alerts: this.alerts,
      notifications: this.notifications,
      log,
      onEvaluated: (event) => this.events.emit('evaluation', event),
    });
    const { alerts, notifications } = this;
    const onAttempt = (attempt: Attempt) => this.events.emit('attempt', attempt);
    this.webhooks = new Webhooks({ store, write, alerts, notifications, log, onAttempt }, webhooks);
  }

  /** Opens the books: prepares the store, reads streams and sources, marks imports that were cut off. */
  static async open(options: TallybookOptions): Promise<Tallybook> {
    const tallybook = new Tallybook(options);
    await emptyDirectory(options.spoolDirectory);
    await tallybook.streams.load();
    await tallybook.sources.load();
    await tallybook.imports.load();
    await tallybook.alerts.load();
    await tallybook.webhooks.load();
    for (const open of options.whenOpen ?? []) await open(tallybook);
    await tallybook.evaluation.start();
    tallybook.#housekeeping.start();
    options.store.follow?.((counts) => tallybook.#learn(counts));
    return tallybook;
  }

  /** Another process has committed: what is held here of these streams is read again. */
  #learn(counts: Map<string, VerdictCounts>): void {
    const event = { deliveries: 0, records: 0, seconds: 0, counts };
    this.reference.committed(event);
    this.evaluation.committed(event);
    const held: [string, () => Promise<void>][] = [
      [streamsStream.name, () => this.streams.load().then(() => this.evaluation.alertsChanged())],
      [sourcesStream.name, () => this.sources.load()],
      [alertsStream.name, () => this.alerts.load().then(() => this.evaluation.alertsChanged())],
      [webhooksStream.name, () => this.webhooks.load()],
    ];
    for (const [stream, load] of held)
      if (counts.has(stream))
        load().catch((err: unknown) =>
          this.log.error({ err, stream }, 'what another process wrote cannot be read'),
        );
  }

  /** From now on, every record that comes to the stream is held against the check, whatever the way it comes. */
  holdAgainst(stream: string, check: RecordCheck): void {
    this.#checks.set(stream, check);
  }

  /** From now on, what comes through a door goes to the log first. Closed with the ledger. */
  putInFront(log: FrontLog): void {
    this.#frontLog = log;
  }

  get frontLog(): FrontLog | undefined {
    return this.#frontLog;
  }

  /** Throws `closing`, `overloaded` or `log_unavailable` when a door takes in nothing more now. */
  refuseWhenFull(): void {
    if (this.#frontLog) this.#frontLog.refuseWhenFull();
    else this.writer.refuseWhenFull();
  }

  /** The same, `store_failed` when the store has come to its end, `storage_full` while there is no room on the disk. */
  async refuseWhenNotReady(): Promise<void> {
    if (this.#failure) throw this.#failure;
    this.refuseWhenFull();
    if (!(await this.#room.isThere(this.writer.foundNoRoom))) {
      const detail = 'the disk is full, and nothing is taken in until there is room; questions are answered';
      throw new TallybookError('storage_full', detail);
    }
  }

  /**
   * What a door does with a delivery: to the log, where there is one, which is told at once; else to the ledger, and the
   * receipt comes after the commit. What does not fit the log goes to the ledger after all that the log holds.
   */
  async take(delivery: Delivery, idempotencyKey?: string): Promise<Taken> {
    const log = this.#frontLog;
    if (!log) return this.write(delivery);
    const { content } = delivery;
    if (content.kind === 'texts') {
      const logged = await log.append({ ...delivery, content }, idempotencyKey);
      if (logged) return logged;
    }
    await log.settled();
    return this.write(delivery);
  }

  /** Publishes a delivery; the receipt comes after the commit. */
  write(delivery: Delivery): Promise<Receipt> {
    return this.writer.submit(delivery);
  }

  /** Answers a question, from the smallest rollup that can, else from the ledger. */
  async ask(name: string, asked: AskedQuestion): Promise<Answer> {
    const started = performance.now();
    const stream = this.streams.get(name);
    const plan = planQuestion(stream, checkQuestion(stream, asked), this.#housekeeping.stateOf(stream));
    const ask = (plan: Plan) => this.#store.ask(plan);
    const answer = plan.question.fill ? await askFilled(plan, ask) : await ask(plan);
    this.#answered(name, started, answer.from);
    return answer;
  }

  /** The sums of every key over stretches of time, all of one snapshot: see sums.ts. */
  async sums(name: string, asked: AskedSums): Promise<Sums> {
    const started = performance.now();
    const stream = this.streams.get(name);
    const sums = await this.#store.sums(planSums(stream, asked, this.#housekeeping.stateOf(stream)));
    this.#answered(name, started, sums.from);
    return sums;
  }

  /** Every entry (taken back or not) behind a figure, in order of arrival. */
  async explain(
    name: string,
    asked: AskedSelection,
    page: Page,
  ): Promise<{ entries: Entry[]; next: string | undefined; rejects: { open: number } }> {
    const { entries, next } = await this.#entries(this.streams.get(name), asked, page, false);
    return { entries, next, rejects: { open: await this.rejects.count({ stream: name }) } };
  }

  /** The records that stand, in order of arrival. */
  async records(
    name: string,
    asked: AskedEntries,
    page: Page,
  ): Promise<{ records: Entry[]; next: string | undefined }> {
    const { entries, next } = await this.#entries(this.streams.get(name), asked, page, true);
    return { records: entries, next };
  }

  /** What became of an id. Throws `unknown_record` when it was never seen. */
  async record(name: string, id: string): Promise<Fate> {
    const stream = this.streams.get(name);
    const fate = await this.#store.fate(stream, canonicalId(stream, id));
    if (!fate.standing && fate.lines.length === 0) {
      throw new TallybookError(
        'unknown_record',
        `the stream ${name} has never seen a record with the id ${id.slice(0, 100)}`,
      );
    }
    return fate;
  }

  /** Which times of records the stream takes now. */
  boundsOf(name: string): Bounds {
    const stream = this.streams.get(name);
    return boundsOf(stream, nowMicros(), this.#housekeeping.stateOf(stream).droppedBefore);
  }

  /** Recounts everything and compares. */
  verify(): Promise<Check[]> {
    return this.#store.verify();
  }

  /** Drops what is past retention and compacts the rollups, now. Returns how many records went. */
  compact(): Promise<number> {
    return this.#housekeeping.tend(true);
  }

  /** Takes a copy into a directory while everything goes on. */
  async backup(directory: string): Promise<void> {
    if (!this.#store.backup)
      throw new TallybookError('bad_request', 'this store has backups of its own; use those');
    await this.#store.backup(directory);
  }

  /** A path for a file that is being taken in. */
  spoolPath(): string {
    return join(this.#spoolDirectory, randomUUID());
  }

  /** Takes in nothing more, finishes what was taken in, stops imports (they leave nothing), closes the store. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#frontLog?.close();
    await this.imports.close();
    await this.evaluation.close();
    await this.webhooks.close();
    await this.writer.close();
    await this.#housekeeping.stop();
    await this.#store.close();
    this.#whenClosed?.();
  }

  #answered(stream: string, started: number, from: string): void {
    this.events.emit('question', { stream, seconds: (performance.now() - started) / 1000, from });
  }

  #entries(stream: Stream, asked: AskedEntries, page: Page, standing: boolean) {
    const newestFirst = page.newestFirst ?? false;
    const { source } = asked;
    const request = { stream, standing, newestFirst, source, ...checkSelection(stream, asked) };
    return pageOfEntries(this.#store, request, page);
  }
}

async function emptyDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
}
