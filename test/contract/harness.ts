/**
 * What the chapters of the contract are written with: a store with a clock of our own, and the short way to send
 * records and ask questions. The clock stands still within a call and moves by a second between two calls,
 * so that two stores that are sent the same write the same times.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { builtInStreams, rejectsStream } from '../../src/engine/built-in-streams.ts';
import { everyNames, type Micros, parseTimestamp } from '../../src/engine/calendar.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { type AskedQuestion, checkQuestion, checkSelection } from '../../src/engine/question.ts';
import type {
  Answer,
  Delivery,
  EntriesRequest,
  Entry,
  File,
  Mode,
  Store,
  StreamState,
  Texts,
} from '../../src/engine/store.ts';
import type { Stream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';

export interface StoreUnderTest {
  name: string;
  /** An empty store. */
  open(clock: () => Micros): Promise<Store>;
  /** The same data as a process finds them whose predecessor was killed now. Not for a store that dies with it. */
  reopen?(store: Store, clock: () => Micros): Promise<Store>;
  /** Names of rules that this store does not keep, each with the reason. They are skipped, and listed so. */
  differences: Record<string, string>;
}

/** A test of the contract. Its name can be listed among a store's differences. */
export function rule(
  store: StoreUnderTest,
  name: string,
  check: () => Promise<void>,
  timeout = 60_000,
): void {
  const difference = store.differences[name];
  if (difference === undefined) test(name, check, timeout);
  // It must differ indeed: an exception that is none any more is a failure.
  else test.fails(`${name} (not in ${store.name}: ${difference})`, check, timeout);
}

/** A record: an object, or its text where the exact writing matters. */
export type Sent = object | string;

export function instant(text: string): Micros {
  const micros = parseTimestamp(text);
  if (micros === undefined) throw new Error(`${text} is no timestamp`);
  return micros;
}

export const textOf = (record: Sent): string =>
  typeof record === 'string' ? record : JSON.stringify(record);

/** A delivery of records. Those with no id of their own get `SOURCE-POSITION`. */
export function delivery(
  stream: Stream,
  mode: Mode,
  records: Sent[],
  given: Partial<Delivery> & { replays?: string[] } = {},
): Delivery {
  const { replays, ...rest } = given;
  const source = given.source ?? 'test';
  const content: Texts = {
    kind: 'texts',
    texts: records.map(textOf),
    fallbackIds: records.map((_, index) => `${source}-${index}`),
    ...(replays ? { replays } : {}),
  };
  return { stream, mode, source, reason: undefined, content, allVerdicts: true, ...rest };
}

export class Trial {
  readonly under: StoreUnderTest;
  readonly streams: Stream[];
  store!: Store;
  now: Micros = instant('2026-10-05T06:00:00Z');
  /** By stream: what planning needs to know, as the engine keeps it. */
  states = new Map<string, StreamState>();

  private constructor(under: StoreUnderTest, streams: Stream[]) {
    this.under = under;
    this.streams = streams;
  }

  readonly clock = (): Micros => this.now;

  static async open(under: StoreUnderTest, ...streams: Stream[]): Promise<Trial> {
    const trial = new Trial(under, streams);
    trial.store = await under.open(trial.clock);
    await trial.prepare();
    return trial;
  }

  /** Declares the streams, those given in the place of older ones of the same name. */
  async prepare(...changed: Stream[]): Promise<void> {
    for (const stream of changed) {
      const at = this.streams.findIndex(({ name }) => name === stream.name);
      this.streams.splice(at < 0 ? this.streams.length : at, 1, stream);
    }
    this.states = await this.store.prepare([...builtInStreams, ...this.streams]);
  }

  tick(): void {
    this.now += 1_000_000n;
  }

  async publish(...deliveries: Delivery[]): Promise<Receipt[]> {
    this.tick();
    const receipts = await this.store.publish(deliveries);
    expect(receipts).toHaveLength(deliveries.length);
    return receipts;
  }

  async send(
    mode: Mode,
    stream: Stream,
    records: Sent[],
    given: Parameters<typeof delivery>[3] = {},
  ): Promise<Receipt> {
    return (await this.publish(delivery(stream, mode, records, given)))[0]!;
  }

  insert(stream: Stream, ...records: Sent[]): Promise<Receipt> {
    return this.send('insert', stream, records);
  }

  upsert(stream: Stream, ...records: Sent[]): Promise<Receipt> {
    return this.send('upsert', stream, records);
  }

  retract(stream: Stream, ...ids: string[]): Promise<Receipt> {
    return this.send(
      'retract',
      stream,
      ids.map((id) => JSON.stringify(id)),
    );
  }

  /** Asks as it is planned, or of the ledger itself. */
  async ask(stream: Stream, asked: AskedQuestion, of: 'planned' | 'ledger' = 'planned'): Promise<Answer> {
    const plan = planQuestion(stream, checkQuestion(stream, asked), this.states.get(stream.name)!);
    return this.store.ask(of === 'planned' ? plan : { ...plan, rollup: undefined, pieces: [] });
  }

  async rows(
    stream: Stream,
    asked: AskedQuestion,
    of: 'planned' | 'ledger' = 'planned',
  ): Promise<Answer['rows']> {
    return rowsByName(await this.ask(stream, asked, of));
  }

  async entries(
    stream: Stream,
    given: Partial<EntriesRequest> & { asked?: Parameters<typeof checkSelection>[1] } = {},
  ): Promise<Entry[]> {
    const { asked = {}, ...rest } = given;
    const selection = checkSelection(stream, asked);
    return this.store.entries({
      ...selection,
      stream,
      standing: false,
      newestFirst: false,
      after: undefined,
      limit: 10_000,
      ...rest,
    });
  }

  /** The rejects that stand, oldest first, by field name. */
  async rejects(): Promise<Record<string, string | null>[]> {
    const entries = await this.entries(rejectsStream, { standing: true });
    return entries.map(({ values }) =>
      Object.fromEntries(rejectsStream.fields.map(({ name }, i) => [name, values[i]!])),
    );
  }

  async drop(stream: Stream, before: string): Promise<number> {
    const { dropped } = await this.store.tend({
      drop: [{ stream, before: instant(before) }],
      compact: false,
    });
    this.states.get(stream.name)!.droppedBefore = instant(before);
    return dropped;
  }

  async verified(): Promise<void> {
    const checks = await this.store.verify();
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}

/** An answer that does not depend on where its columns stand: one rule says where, the others need not know. */
export function byName(answer: Answer): Answer {
  const columns = answer.columns.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { ...answer, columns, rows: rowsByName(answer) };
}

/** Rows in the order of the names: dimensions, the bucket, measures as SPEC 1.4 lists them, wherever they stand in an answer. */
export function rowsByName({ columns, rows }: Answer): Answer['rows'] {
  const bucket = columns.findIndex(({ name }) => (everyNames as readonly string[]).includes(name));
  if (bucket < 0) return rows;
  const measures = columns.findIndex(({ name }) => name === 'count' || name.includes('('));
  return rows.map((row) => [
    ...row.slice(0, measures).filter((_, i) => i !== bucket),
    row[bucket]!,
    ...row.slice(measures),
  ]);
}

/** Runs a check on a fresh store, and closes it whatever happens. */
export async function onFreshStore(
  under: StoreUnderTest,
  streams: Stream[],
  check: (trial: Trial) => Promise<void>,
): Promise<void> {
  const trial = await Trial.open(under, ...streams);
  try {
    await check(trial);
  } finally {
    await trial.close();
  }
}

/** A directory that is gone when the tests of a file are done. */
export function scratchDirectory(): { path: string; write(name: string, bytes: string | Buffer): string } {
  const path = mkdtempSync(join(tmpdir(), 'tallybook-contract-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, bytes) {
      const file = join(path, name);
      writeFileSync(file, bytes);
      return file;
    },
  };
}

/** A file as a delivery's content. */
export function fileContent(path: string, given: Partial<File> = {}): File {
  return {
    kind: 'file',
    path,
    format: 'ndjson',
    compression: 'none',
    idPrefix: 'file',
    import: undefined,
    onProgress: () => {},
    signal: undefined,
    alongside: undefined,
    ...given,
  };
}

/** The verdicts of a receipt in short: `accepted`, `rejected out_of_range amount`. */
export function verdictsOf(receipt: Receipt): string[] {
  return receipt.verdicts.map(({ verdict, code, field }) =>
    [verdict, ...(verdict === 'rejected' ? [code, field] : [])]
      .filter((part) => part !== undefined)
      .join(' '),
  );
}
