/**
 * Taking in small batches: into the journal first, into the database a moment later.
 *
 * A transaction of DuckDB costs 5 to 10 ms however little it brings, and 20 with a correction: seven statements, or twenty,
 * each with a fixed price by table and by column. A record in a journal that is synced is as safe, after 0.3 to 1 ms. So
 * deliveries of few records are checked and settled here, in JavaScript. Most are surely new. What stands under the ids of
 * some others is known from the journal, or looked up, in 2 to 4 ms. When none is refused, they are journaled as a batch and
 * answered.
 * The batches that were journaled since are a run, which is folded into the database in one transaction (fold.ts): after a
 * moment, or at once when anybody asks anything. So every answer still holds all that was acknowledged before it.
 *
 * Everything else (a record that is refused, many ids that may be known, a file) takes the database's way, and finds nothing
 * pending: what is in the journal is folded in before, under the writer's lock, and nothing new is journaled meanwhile.
 *
 * After a crash, a batch in the journal whose number is not in `parts` is settled again and folded in when its streams are
 * prepared. The fold is one transaction, so it has happened whole or not at all.
 */
import { formatTimestamp } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import { Lock } from '../../engine/lock.ts';
import { deliveryNamed, namedDelivery } from '../../engine/named-delivery.ts';
import { readTexts } from '../../engine/rows.ts';
import { groupsOf, meet, stageRows } from '../../engine/settling.ts';
import { type Bounds, boundsOf, type Values } from '../../engine/stage-record.ts';
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
import type { JournaledBatch, SettledRecord, Stood } from './journaled-batch.ts';
import type { LedgerState } from './ledger-state.ts';
import { hashOf } from './string-hash.ts';

/** A record that is plainly fine, for all that is seen without others. */
interface Looked {
  id: string;
  hash: bigint;
  values: Values;
}

/** What batches leave under ids, by the name of the stream. */
type Pending = Map<string, Map<string, Stood>>;

/** What becomes of the records of each delivery, and what they leave. */
interface Settled {
  records: SettledRecord[][];
  pending: Pending;
}

/** Batches that are in the journal and not in the database. */
interface Run {
  number: number;
  batches: JournaledBatch[];
  records: number;
  bytes: number;
  pending: Pending;
  /** Called when it is in the database. */
  whenFolded: (() => void)[];
}

/**
 * More at once go by the database. With 256 and with 4,096 a server took in as much; but so much may come during a commit of
 * the database that a small bound would keep it on that way.
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
  standing(stream: Stream, hashes: readonly bigint[]): Promise<Map<string, Stood>>;
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
      const settled = this.#isOpen ? await this.#settle(deliveries) : undefined;
      // What is acknowledged must find room in the database, too: whoever asks waits for that.
      if (!settled || !(this.#open || (await room()) >= roomBytes)) return undefined;
      const batch: JournaledBatch = {
        batch: state.reserveBatch(),
        recordedAt: state.nextInstant(),
        // What was asked of them has been found: a check must say the same only as long as nobody changes it.
        deliveries: deliveries.flatMap((delivery, i) => {
          const { stream, form, mode, source, reason, content } = delivery;
          const found = settled.records[i]!;
          return found.length > 0
            ? [{ stream, form, mode, source, reason, content, allVerdicts: false, settled: found }]
            : [];
        }),
      };
      const run = this.#open ?? newRun(batch.batch);
      await journal.append(frameOf(batch, run.number));
      this.#open = run;
      this.#add(run, batch, settled.pending);
      return deliveries.map((delivery, i) => receiptOf(batch, delivery, settled.records[i]!));
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
      const found = frames.map((frame) => this.#namedIn(frame));
      if (!found.every((deliveries) => deliveries !== undefined)) return;
      const batches = await this.#settleAgain(frames, found);
      const areAsTold = batches.every(({ deliveries }) => deliveries.every(({ settled }) => settled));
      const doubt = new Error('other verdicts than were told');
      await this.#foldIn(batches, areAsTold || !this.#context.knowsHashes ? undefined : doubt);
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
  #namedIn({ deliveries }: Frame): TextDelivery[] | undefined {
    const found: TextDelivery[] = [];
    for (const named of deliveries) {
      const stream = this.#context.state.streams.get(named.stream)?.stream;
      const form = named.form === null ? undefined : stream?.forms.get(named.form);
      if (!stream || (named.form !== null && !form)) return undefined;
      found.push(deliveryNamed(named, stream, form));
    }
    return found;
  }

  /**
   * Finds out once more what becomes of the records of a run, which nobody has held against the ledger since. Where that is not
   * what was told, or cannot be told here, they stay unsettled.
   * @param found the deliveries of each frame
   */
  async #settleAgain(frames: readonly Frame[], found: readonly TextDelivery[][]): Promise<JournaledBatch[]> {
    const { knowsHashes } = this.#context;
    const looked = found.map((deliveries) =>
      look(deliveries, () => ({ horizon: undefined, latest: undefined })),
    );
    const suspects = new Suspects();
    for (const [f, deliveries] of found.entries())
      for (const [i, { stream }] of deliveries.entries())
        for (const [j, { hash }] of looked[f]?.[i]?.entries() ?? [])
          if (toldOf(frames[f]!, i, j) !== 'accepted') suspects.add(stream, hash);
    const standing = await this.#standing(suspects);
    const pending: Pending = new Map();
    return frames.map(({ batch, recordedAt }, f): JournaledBatch => {
      const [deliveries, records] = [found[f]!, looked[f]];
      const settled = records && knowsHashes ? settle(deliveries, records, [pending], standing) : undefined;
      const isAsTold = settled?.records.every((ones, i) =>
        ones.every(({ verdict }, j) => verdict === toldOf(frames[f]!, i, j)),
      );
      if (settled) addPending(pending, settled.pending);
      return {
        batch,
        recordedAt: BigInt(recordedAt),
        deliveries: deliveries.map((delivery, i) => ({
          settled: isAsTold ? settled!.records[i] : undefined,
          ...delivery,
        })),
      };
    });
  }

  #add(open: Run, batch: JournaledBatch, pending: Pending): void {
    open.batches.push(batch);
    addPending(open.pending, pending);
    for (const { content } of batch.deliveries) {
      open.records += content.texts.length;
      for (const text of content.texts) open.bytes += text.length;
    }
    if (open.records >= foldRecords || open.bytes >= foldBytes) void this.#foldNow().catch(() => undefined);
    else this.#foldLater();
  }

  /** What becomes of the records of each delivery; undefined when it must be found out in the database. */
  async #settle(deliveries: readonly TextDelivery[]): Promise<Settled | undefined> {
    const { state } = this.#context;
    if (deliveries.some(({ stream }) => state.books(stream).filter.uncovered.length > 0)) return undefined;
    const looked = look(deliveries, (stream) =>
      boundsOf(stream, state.now(), state.books(stream).droppedBefore),
    );
    if (!looked) return undefined;
    // Those that are in the database by the time that it has answered.
    const runs = [this.#open, this.#folding].flatMap((run) => run?.pending ?? []);
    const suspects = new Suspects();
    for (const [i, { stream }] of deliveries.entries()) {
      const { filter } = state.books(stream);
      const pending = idsIn(runs, stream);
      for (const { id, hash } of looked[i]!)
        if (!standingUnder(pending, id) && filter.mayHold(hash)) suspects.add(stream, hash);
    }
    if (suspects.count > lookedUpMost) return undefined;
    return settle(deliveries, looked, runs, await this.#standing(suspects));
  }

  async #standing({ byStream }: Suspects): Promise<Map<Stream, Map<string, Stood>>> {
    const standing = new Map<Stream, Map<string, Stood>>();
    for (const [stream, hashes] of byStream)
      standing.set(stream, await this.#context.standing(stream, hashes));
    return standing;
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

  async #foldIn(batches: JournaledBatch[], doubt?: Error): Promise<void> {
    const numbers = batches.map(({ batch }) => batch).join(', ');
    const defect = (await this.#context.foldIn(batches)) ?? doubt;
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

/** Hashes of ids that may be known. */
class Suspects {
  readonly byStream = new Map<Stream, bigint[]>();
  count = 0;

  add(stream: Stream, hash: bigint): void {
    const hashes = this.byStream.get(stream);
    if (hashes) hashes.push(hash);
    else this.byStream.set(stream, [hash]);
    this.count++;
  }
}

const newRun = (number: number): Run => ({
  number,
  batches: [],
  records: 0,
  bytes: 0,
  pending: new Map(),
  whenFolded: [],
});

/** The records of each delivery; undefined as soon as one is anything but fine. */
function look(
  deliveries: readonly TextDelivery[],
  boundsOfStream: (stream: Stream) => Bounds,
): Looked[][] | undefined {
  const all: Looked[][] = [];
  for (const delivery of deliveries) {
    const { stream, form = stream, content, mode } = delivery;
    // A pattern of a user's can take for ever here; RE2, by which it is matched in a batch, cannot.
    if (form.fields.some((field) => field.type === 'text' && field.pattern !== undefined)) return undefined;
    const looked: Looked[] = [];
    for (const { staged, note } of stageRows(delivery, readTexts(content, mode), boundsOfStream(stream))) {
      const { id, checked } = staged;
      if (id === null || 'refusal' in checked || note !== undefined) return undefined;
      looked.push({ id, hash: hashOf(id), values: checked.values });
    }
    all.push(looked);
  }
  return all;
}

/**
 * What becomes of the records of each delivery; undefined when one is refused for what stands, or does not stand, under its
 * id, or is taken back twice.
 * @param runs what stands under ids, the latest first; else it is `standing`
 */
function settle(
  deliveries: readonly TextDelivery[],
  looked: readonly (readonly Looked[])[],
  runs: readonly Pending[],
  standing: ReadonlyMap<Stream, ReadonlyMap<string, Stood>>,
): Settled | undefined {
  const records = deliveries.map((): SettledRecord[] => []);
  const pending: Pending = new Map();
  const places = new Map(deliveries.map((delivery, i) => [delivery, i]));
  for (const delivery of groupsOf(deliveries).flat()) {
    const { stream, mode, mustBeNew } = delivery;
    const i = places.get(delivery)!;
    const here = pending.get(stream.name) ?? new Map<string, Stood>();
    pending.set(stream.name, here);
    const before = [here, ...idsIn(runs, stream)];
    for (const { id, hash, values } of looked[i]!) {
      const stood = standingUnder(before, id) ?? standing.get(stream)?.get(id);
      const { verdict, refusal } = meet(stream, mode, values, stood?.values, () => false);
      if (refusal || (mustBeNew && verdict !== 'accepted')) return undefined;
      const stands =
        verdict === 'duplicate'
          ? stood!
          : { values: verdict === 'retracted' ? undefined : values, seq: undefined };
      records[i]!.push({ id, hash, verdict, stood, stands });
      here.set(id, stands);
    }
  }
  return { records, pending };
}

const idsIn = (runs: readonly Pending[], { name }: Stream): ReadonlyMap<string, Stood>[] =>
  runs.flatMap((pending) => pending.get(name) ?? []);

function standingUnder(all: readonly ReadonlyMap<string, Stood>[], id: string): Stood | undefined {
  for (const ids of all) {
    const stood = ids.get(id);
    if (stood) return stood;
  }
  return undefined;
}

function addPending(pending: Pending, more: Pending): void {
  for (const [name, ids] of more) {
    const known = pending.get(name);
    if (known) for (const [id, stands] of ids) known.set(id, stands);
    else pending.set(name, ids);
  }
}

function frameOf({ batch, recordedAt, deliveries }: JournaledBatch, run: number): Frame {
  const named = groupsOf(deliveries).map((group) => {
    const verdicts = group.flatMap(({ settled }) => settled!.map(({ verdict }) => verdict));
    const areNew = verdicts.every((verdict) => verdict === 'accepted');
    const delivery = namedDelivery(group);
    return areNew ? delivery : { verdicts, ...delivery };
  });
  return { run, batch, recordedAt: String(recordedAt), deliveries: named };
}

/** What was told of a record. */
function toldOf({ deliveries }: Frame, delivery: number, record: number): VerdictName {
  return deliveries[delivery]!.verdicts?.[record] ?? 'accepted';
}

function receiptOf(
  { batch, recordedAt }: JournaledBatch,
  { content, allVerdicts }: TextDelivery,
  settled: readonly SettledRecord[],
): Receipt {
  const counts = noCounts();
  const told: Verdict[] = [];
  const most = allVerdicts ? limits.receipt_verdicts_all : limits.receipt_verdicts;
  for (const [index, { id, verdict }] of settled.entries()) {
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
