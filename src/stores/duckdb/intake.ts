/**
 * Taking in small batches: into the journal first, into the database a moment later.
 *
 * A transaction of DuckDB costs 5 to 10 ms however little it brings, and 20 with a correction: seven statements, or twenty,
 * each with a fixed price by table and by column. A record in a journal that is synced is as safe, after 0.3 to 1 ms. So
 * deliveries of few records are checked here, in JavaScript. Most are surely new. What stands under the ids of some others
 * is known from the journal, or looked up, in 2 to 4 ms. When none is refused, their verdicts are known; they are journaled
 * as a batch and answered.
 * The batches that were journaled since are a run, which is folded into the database in one transaction, by the same
 * statements that publish all else: after a moment, or at once when anybody asks anything. So every answer still holds all
 * that was acknowledged before it.
 *
 * Everything else (a record that is refused, one id twice at once, one that is taken back before it is in the database, many
 * ids that may be known, a file) takes the database's way, and finds nothing pending: what is in the journal is folded in
 * before, under the writer's lock, and nothing new is journaled meanwhile.
 *
 * After a crash, a batch in the journal whose number is not in `parts` is folded in when its streams are prepared. The
 * fold is one transaction, so it has happened whole or not at all.
 */
import { formatTimestamp } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import { Lock } from '../../engine/lock.ts';
import { deliveryNamed, namedDelivery } from '../../engine/named-delivery.ts';
import { readTexts } from '../../engine/rows.ts';
import { groupsOf, meet, stageRows } from '../../engine/settling.ts';
import { boundsOf, type Values } from '../../engine/stage-record.ts';
import type { TextDelivery } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import {
  countOfVerdict,
  noCounts,
  type Receipt,
  type Verdict,
  type VerdictName,
} from '../../engine/verdicts.ts';
import type { Frame, Journal } from './journal.ts';
import {
  foldKey,
  type JournaledBatch,
  type JournaledDelivery,
  type LedgerState,
  verdictsTold,
} from './ledger-state.ts';
import { hashOf } from './string-hash.ts';

/** The records of a delivery, all plainly fine. */
interface Looked {
  ids: string[];
  values: Values[];
  /** What stands under some of the ids, of the journal alone. */
  pending: Map<string, Values>;
  /** Of other ids that may be known. */
  hashes: bigint[];
}

/** What becomes of them. */
interface Settled {
  ids: string[];
  values: Values[];
  /** Undefined: all are surely new. */
  verdicts: VerdictName[] | undefined;
}

/** What a run does last to a record. */
interface Pending {
  /** With what it is folded in. */
  foldKey: string;
  /** What stands then; undefined where it is taken back. */
  values: Values | undefined;
}

/** Batches that are in the journal and not in the database. */
interface Run {
  number: number;
  batches: JournaledBatch[];
  records: number;
  bytes: number;
  /** By the name of the stream, and by id. */
  pending: Map<string, Map<string, Pending>>;
  /** Called when it is in the database. */
  whenFolded: (() => void)[];
}

/**
 * More at once go by the database, where a record costs 4 µs in a batch of a thousand, and 10 here. With 256, a server at half
 * of what it can take stayed on the database's way once it was there, because so much came during a commit: a request of 100
 * waited for 45 ms, not 4. 10,000 records a second in bodies of 500 took 0.47 cores, not 0.40.
 */
const smallRecords = 1_024;
/** A run that has grown so large is folded in at once; one twice as large takes in nothing more. */
const foldRecords = 4_096;
const foldBytes = 8 * 1024 * 1024;
/** Without so much room on the disk no run is begun. */
const roomBytes = 4 * foldBytes;
/** So many ids are looked up at most; with more the database is faster. */
const lookedUpMost = 64;
/** For how long a run stays open when nobody asks: so that at 100 records a second there are 10 folds, not 100. */
const foldAfterMillisecondsDefault = 100;

export interface IntakeContext {
  journal: Journal;
  state: LedgerState;
  /** The writer's lock. */
  lock: Lock;
  /** Bytes that are free on the disk. */
  room(): Promise<number>;
  /** The records that stand under ids with some hashes, of what is in the database, by id. */
  standing(stream: Stream, hashes: readonly bigint[]): Promise<Map<string, Values>>;
  /** Publishes batches of the journal; called under the lock. Returns why not as they were told, where it could not. */
  foldIn(batches: JournaledBatch[]): Promise<Error | undefined>;
  /** Whether ids can be looked for in the filter: hashes are still what they were. */
  knowsHashes: boolean;
  /** Runs that the journal held at the start, of which the database does not hold everything. */
  unfinished: Frame[][];
  foldAfterMilliseconds: number | undefined;
}

export class Intake {
  readonly #context: IntakeContext;
  /** Held while something is written to the journal, and while nothing may be. Taken after the writer's lock. */
  readonly #turn = new Lock();
  #unfinished: Frame[][];
  #open: Run | undefined;
  #folding: Run | undefined;
  /** Waits for the lock, to fold in what is open by then. */
  #fold: Promise<void> | undefined;
  #foldTimer: NodeJS.Timeout | undefined;
  /** The last fold did not succeed: the next one must, before anything more is taken in. */
  #failed = false;

  constructor(context: IntakeContext) {
    this.#context = context;
    this.#unfinished = context.unfinished;
  }

  /**
   * Takes in deliveries of which no record is refused, and returns their receipts when they are on disk. Undefined: nothing
   * was taken in, they must be published.
   */
  async take(given: readonly TextDelivery[]): Promise<Receipt[] | undefined> {
    if (!this.#isOpen || !isSmall(given)) return undefined;
    if (this.#open && (this.#open.records >= 2 * foldRecords || this.#open.bytes >= 2 * foldBytes))
      await this.settled();
    return this.#turn.run(async () => {
      const { state, journal, room } = this.#context;
      const deliveries = given.map((delivery) => state.upToDate(delivery));
      const found = this.#isOpen ? await this.#settle(deliveries) : undefined;
      // What is acknowledged must find room in the database, too: whoever asks waits for that.
      if (!found || !(this.#open || (await room()) >= roomBytes)) return undefined;
      const batch: JournaledBatch = {
        batch: state.reserveBatch(),
        recordedAt: state.nextInstant(),
        // What was asked of them has been found: a check must say the same only as long as nobody changes it.
        deliveries: deliveries.flatMap((delivery, i) => {
          const { ids, verdicts } = found[i]!;
          const journaled = { ...delivery, check: undefined, mustBeNew: false, allVerdicts: false, verdicts };
          return ids.length > 0 ? [journaled] : [];
        }),
      };
      await journal.append(frameOf(batch, this.#open?.number ?? batch.batch));
      this.#add(
        batch,
        found.filter(({ ids }) => ids.length > 0),
      );
      return deliveries.map((delivery, i) => receiptOf(batch, delivery, found[i]!));
    });
  }

  /** Resolves when all that was taken in before is in the database. Throws when it cannot be brought there. */
  async settled(): Promise<void> {
    const last = this.#open ?? this.#folding;
    if (!last) return;
    // Who has the lock next may fold it in, and then go on with long work of its own.
    const folded = new Promise<void>((resolve) => last.whenFolded.push(resolve));
    await Promise.race([folded, this.#foldNow()]);
  }

  /** Works under the writer's lock, with nothing pending and nothing taken in meanwhile. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#context.lock.run(() =>
      this.#turn.run(async () => {
        await this.#foldClosed();
        this.#closeRun();
        await this.#foldClosed();
        return work();
      }),
    );
  }

  /**
   * Folds in what a process before this one has left in the journal, as far as its streams are prepared by now. Called
   * under the writer's lock.
   */
  async recover(): Promise<void> {
    const { journal } = this.#context;
    while (this.#unfinished[0]) {
      const frames = this.#unfinished[0];
      const batches = frames.map((frame) => this.#recovered(frame));
      if (!batches.every((batch) => batch !== undefined)) return;
      await this.#foldIn(batches);
      journal.finished(frames[0]!.run);
      this.#unfinished.shift();
    }
  }

  /** Nothing may be pending any more. */
  async close(): Promise<void> {
    clearTimeout(this.#foldTimer);
    await this.#context.journal.close();
  }

  /** Whether anything can be taken in at all. */
  get #isOpen(): boolean {
    return this.#context.knowsHashes && !this.#failed && this.#unfinished.length === 0;
  }

  /** Undefined when a stream or form is not there yet. */
  #recovered({ batch, recordedAt, deliveries }: Frame): JournaledBatch | undefined {
    const found: JournaledDelivery[] = [];
    for (const named of deliveries) {
      if (named.texts.length === 0) continue;
      const stream = this.#context.state.streams.get(named.stream)?.stream;
      const form = named.form === null ? undefined : stream?.forms.get(named.form);
      if (!stream || (named.form !== null && !form)) return undefined;
      found.push({ ...deliveryNamed(named, stream, form), verdicts: named.verdicts });
    }
    return { batch, recordedAt: BigInt(recordedAt), deliveries: found };
  }

  /** @param found what becomes of the records of each delivery */
  #add(batch: JournaledBatch, found: readonly Settled[]): void {
    this.#open ??= {
      number: batch.batch,
      batches: [],
      records: 0,
      bytes: 0,
      pending: new Map(),
      whenFolded: [],
    };
    const open = this.#open;
    open.batches.push(batch);
    batch.deliveries.forEach((delivery, i) => {
      const { stream, mode, content } = delivery;
      open.records += content.texts.length;
      for (const text of content.texts) open.bytes += text.length;
      const pending = open.pending.get(stream.name) ?? new Map<string, Pending>();
      open.pending.set(stream.name, pending);
      const key = foldKey(delivery);
      const { ids, values } = found[i]!;
      for (const [j, id] of ids.entries())
        pending.set(id, { foldKey: key, values: mode === 'retract' ? undefined : values[j]! });
    });
    if (open.records >= foldRecords || open.bytes >= foldBytes) void this.#foldNow().catch(() => undefined);
    else this.#foldLater();
  }

  /** What becomes of the records of each delivery; undefined when it must be found out in the database. */
  async #settle(deliveries: readonly TextDelivery[]): Promise<Settled[] | undefined> {
    const here = new Map<string, Set<string>>();
    const all: Looked[] = [];
    for (const delivery of deliveries) {
      const looked = this.#look(delivery, here);
      if (!looked) return undefined;
      all.push(looked);
    }
    const suspects = new Map<Stream, bigint[]>();
    for (const [i, { stream }] of deliveries.entries())
      suspects.set(stream, [...(suspects.get(stream) ?? []), ...all[i]!.hashes]);
    const count = [...suspects.values()].reduce((sum, { length }) => sum + length, 0);
    if (count > lookedUpMost) return undefined;
    const standing = new Map<Stream, ReadonlyMap<string, Values>>();
    for (const [stream, hashes] of suspects)
      if (hashes.length > 0) standing.set(stream, await this.#context.standing(stream, hashes));
    const settled = all.map((looked, i) =>
      settle(deliveries[i]!, looked, standing.get(deliveries[i]!.stream)),
    );
    return settled.every((one) => one !== undefined) ? settled : undefined;
  }

  /** Undefined as soon as one record is anything but fine, or cannot be told of before the database has others. */
  #look(delivery: TextDelivery, here: Map<string, Set<string>>): Looked | undefined {
    const { stream, form = stream, content } = delivery;
    const { filter, droppedBefore } = this.#context.state.books(stream);
    if (filter.uncovered.length > 0) return undefined;
    // A pattern of a user's can take for ever here; RE2, by which it is matched in a batch, cannot.
    if (form.fields.some((field) => field.type === 'text' && field.pattern !== undefined)) return undefined;
    const bounds = boundsOf(stream, this.#context.state.now(), droppedBefore);
    const runs = [this.#open, this.#folding].flatMap((run) => run?.pending.get(stream.name) ?? []);
    const key = foldKey(delivery);
    const ofThisCall = here.get(stream.name) ?? new Set();
    here.set(stream.name, ofThisCall);
    const looked: Looked = { ids: [], values: [], pending: new Map(), hashes: [] };
    for (const { staged, note } of stageRows(delivery, readTexts(content, delivery.mode), bounds)) {
      const { id, checked } = staged;
      if (id === null || 'refusal' in checked || note !== undefined || ofThisCall.has(id)) return undefined;
      const last = runs.find((pending) => pending.has(id))?.get(id);
      if (last) {
        // What is folded in together keeps its order; one that was taken back is looked for in the ledger.
        if (!last.values || last.foldKey !== key) return undefined;
        looked.pending.set(id, last.values);
      } else {
        const hash = hashOf(id);
        if (filter.mayHold(hash)) looked.hashes.push(hash);
      }
      ofThisCall.add(id);
      looked.ids.push(id);
      looked.values.push(checked.values);
    }
    return looked;
  }

  #foldLater(): void {
    this.#foldTimer ??= setTimeout(() => {
      this.#foldTimer = undefined;
      this.settled().catch(() => undefined); // whoever asks or publishes next is told
    }, this.#context.foldAfterMilliseconds ?? foldAfterMillisecondsDefault);
  }

  /** Folds in what is open when the writer's lock is had: all who ask for it until then share that. */
  #foldNow(): Promise<void> {
    this.#fold ??= this.#context.lock.run(async () => {
      this.#fold = undefined;
      await this.#foldClosed();
      await this.#turn.run(async () => this.#closeRun());
      await this.#foldClosed();
    });
    return this.#fold;
  }

  /** While something is written to the journal, its run must not be closed: to be called in turn, with none that is folding. */
  #closeRun(): void {
    this.#folding = this.#open;
    this.#open = undefined;
    clearTimeout(this.#foldTimer);
    this.#foldTimer = undefined;
  }

  /** Folds in the run that is closed. Under the writer's lock. */
  async #foldClosed(): Promise<void> {
    const run = this.#folding;
    if (!run) return;
    try {
      await this.#foldIn(run.batches);
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      throw error;
    }
    this.#folding = undefined;
    this.#context.journal.finished(run.number);
    for (const resolve of run.whenFolded) resolve();
  }

  async #foldIn(batches: JournaledBatch[]): Promise<void> {
    const numbers = batches.map(({ batch }) => batch).join(', ');
    const defect = await this.#context.foldIn(batches);
    if (!defect) return;
    const told = `of the batches ${numbers}, something else may have become of some records than was acknowledged (${defect.message}): look for them among the rejects, and report this`;
    process.emitWarning(told, { code: 'TALLYBOOK_VERDICT' });
  }
}

/** Streams in which Tallybook keeps its own books are read before they are prepared again: they do not wait. */
function isSmall(deliveries: readonly TextDelivery[]): boolean {
  let records = 0;
  for (const { stream, content } of deliveries) {
    records += content.texts.length;
    if (content.undecodable || content.replays || stream.builtIn) return false;
  }
  return records > 0 && records <= smallRecords;
}

/** Undefined when a record is refused for what stands, or does not stand, under its id. */
function settle(
  { stream, mode, mustBeNew }: TextDelivery,
  { ids, values, pending, hashes }: Looked,
  standing: ReadonlyMap<string, Values> | undefined,
): Settled | undefined {
  if (hashes.length === 0 && pending.size === 0 && mode !== 'retract')
    return { ids, values, verdicts: undefined };
  const verdicts: VerdictName[] = [];
  for (const [i, id] of ids.entries()) {
    const stands = pending.get(id) ?? standing?.get(id);
    const { verdict, refusal } = meet(stream, mode, values[i]!, stands, () => false);
    if (refusal || (mustBeNew && verdict !== 'accepted')) return undefined;
    verdicts.push(verdict);
  }
  return { ids, values, verdicts };
}

function frameOf({ batch, recordedAt, deliveries }: JournaledBatch, run: number): Frame {
  const named = groupsOf(deliveries).map((group) => ({
    ...namedDelivery(group),
    ...(group.some(({ verdicts }) => verdicts) ? { verdicts: verdictsTold(group) } : {}),
  }));
  return { run, batch, recordedAt: String(recordedAt), deliveries: named };
}

function receiptOf(
  { batch, recordedAt }: JournaledBatch,
  { content, allVerdicts }: TextDelivery,
  { ids, verdicts }: Settled,
): Receipt {
  const counts = noCounts();
  const told: Verdict[] = [];
  const most = allVerdicts ? limits.receipt_verdicts_all : limits.receipt_verdicts;
  for (const [index, id] of ids.entries()) {
    const verdict = verdicts?.[index] ?? 'accepted';
    counts[countOfVerdict[verdict]]++;
    if ((allVerdicts || verdict !== 'accepted') && told.length < most) told.push({ index, id, verdict });
  }
  return {
    batch,
    recorded_at: formatTimestamp(recordedAt),
    received: content.texts.length,
    ...counts,
    verdicts: told,
  };
}
