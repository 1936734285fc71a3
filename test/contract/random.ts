/**
 * Chapter: random work, done by the store under test and by the memory store, which must never differ: not in a
 * receipt, not in an answer, not in an entry, whatever came before. And answers as of a time that has passed
 * must never change.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import { formatTimestamp } from '../../src/engine/calendar.ts';
import type { AskedQuestion } from '../../src/engine/question.ts';
import type { Delivery, Mode } from '../../src/engine/store.ts';
import { openMemoryStore } from '../../src/stores/memory/index.ts';
import { comparable, settled } from './comparable.ts';
import { delivery, fileContent, rule, type StoreUnderTest, scratchDirectory, Trial } from './harness.ts';
import { laterSales, randomStreams } from './random-streams.ts';
import { asCsv, Random, RandomWork } from './random-work.ts';

const given = process.env.TALLYBOOK_TEST_SEED;
const oracle: StoreUnderTest = {
  name: 'oracle',
  open: async (clock) => openMemoryStore({ clock }),
  differences: {},
};

/** @param reopenEvery how many steps lie between two times that the store is opened anew; at random when not given */
export function randomChapter(
  under: StoreUnderTest,
  {
    seeds: count = 2,
    steps = 30,
    reopenEvery,
  }: { seeds?: number; steps?: number; reopenEvery?: number } = {},
): void {
  const scratch = scratchDirectory();
  const seeds = given
    ? [Number(given)]
    : Array.from({ length: count }, () => Math.floor(Math.random() * 2 ** 32));
  describe('random work', () => {
    for (const seed of seeds) {
      rule(
        under,
        `never differs from the memory store (TALLYBOOK_TEST_SEED=${seed})`,
        () => new Comparison(under, seed, scratch, reopenEvery).run(steps),
        120_000,
      );
    }
  });
}

interface Remembered {
  stream: string;
  asked: AskedQuestion;
  rows: unknown;
}

class Comparison {
  readonly #under: StoreUnderTest;
  readonly #seed: number;
  readonly #scratch: ReturnType<typeof scratchDirectory>;
  readonly #random: Random;
  readonly #work: RandomWork;
  #expected!: Trial;
  #tested!: Trial;
  #streams = [...randomStreams];
  #imports = 0;
  #remembered: Remembered[] = [];
  #dropped = new Set<string>();
  #at = '';
  readonly #reopenEvery: number | undefined;

  constructor(
    under: StoreUnderTest,
    seed: number,
    scratch: ReturnType<typeof scratchDirectory>,
    reopenEvery: number | undefined,
  ) {
    this.#reopenEvery = reopenEvery;
    this.#under = under;
    this.#seed = seed;
    this.#scratch = scratch;
    this.#random = new Random(seed);
    this.#work = new RandomWork(this.#random);
  }

  async run(steps: number): Promise<void> {
    this.#expected = await Trial.open(oracle, ...this.#streams);
    this.#tested = await Trial.open(this.#under, ...this.#streams);
    try {
      for (let step = 1; step <= steps; step++) {
        await this.#step(step);
        for (let n = 0; n < 3; n++) await this.#compareAnswers();
        if (step % 8 === 0 || step === steps) await this.#compareBooks();
      }
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${this.#seed}, ${this.#at}: ${error.message}`;
      throw error;
    } finally {
      await this.#expected.close();
      await this.#tested.close();
    }
  }

  async #step(step: number): Promise<void> {
    const random = this.#random;
    const kind =
      step === 15
        ? 'evolve'
        : this.#reopenEvery !== undefined && step % this.#reopenEvery === 0
          ? 'reopen'
          : random.pick([
              'publish',
              'publish',
              'publish',
              'publish',
              'publish',
              'publish',
              'singly',
              'singly',
              'file',
              'file',
              'undo',
              'replay',
              'replay',
              'drop',
              'compact',
              'reopen',
              'reopen',
            ]);
    this.#at = `step ${step} (${kind})`;
    switch (kind) {
      case 'publish':
        return this.#publish(Array.from({ length: random.below(4) + 1 }, (_, n) => this.#delivery(n)));
      case 'singly':
        for (let n = 20; n > 0; n--) await this.#publish([this.#delivery(n, random.pick([1, 1, 3]))]);
        // Before anybody asks: what was acknowledged may not be where questions look yet.
        return random.chance(0.5) ? this.#reopen() : undefined;
      case 'file':
        return this.#publish([this.#file()]);
      case 'undo':
        return this.#publish([this.#undo()]);
      case 'replay':
        return this.#replay();
      case 'drop':
        return this.#drop();
      case 'compact':
        for (const trial of [this.#expected, this.#tested])
          await trial.store.tend({ drop: [], compact: true });
        return;
      case 'reopen':
        return this.#reopen();
      case 'evolve':
        this.#streams = [laterSales, ...this.#streams.slice(1)];
        for (const trial of [this.#expected, this.#tested]) await trial.prepare(laterSales);
    }
  }

  async #reopen(): Promise<void> {
    if (!this.#under.reopen) return;
    this.#tested.store = await this.#under.reopen(this.#tested.store, this.#tested.clock);
    await this.#tested.prepare();
  }

  /** @param most how many records it has */
  #delivery(n: number, most = this.#random.pick([1, 3, 30])): Delivery {
    const random = this.#random;
    const mode: Mode = random.pick(['insert', 'insert', 'insert', 'upsert', 'upsert', 'retract']);
    const stream = random.pick(this.#streams);
    const source = stream.name === 'clicks' ? `app-${random.below(9)}` : `app ${n % 2}`;
    const records = this.#work.records(stream, mode, most);
    return delivery(stream, mode, records, {
      source,
      reason: mode === 'insert' ? undefined : random.pick([undefined, 'late', 'wrong']),
      allVerdicts: random.chance(0.7),
    });
  }

  #file(): Delivery {
    const random = this.#random;
    const stream = random.pick(this.#streams);
    const mode: Mode = random.pick(['insert', 'insert', 'upsert']);
    const records = this.#work.records(stream, mode, 80);
    const csv = random.chance(0.5);
    const text = csv ? asCsv(stream, records) : records.join('\n');
    const number = ++this.#imports;
    const gzip = random.chance(0.3);
    const path = this.#scratch.write(`${this.#seed}-${number}`, gzip ? gzipSync(text) : text);
    const other = random.pick(this.#streams.filter((one) => one !== stream));
    const beside = delivery(other, 'upsert', this.#work.records(other, 'upsert', 1), { source: 'beside' });
    const content = fileContent(path, {
      format: csv ? 'csv' : 'ndjson',
      compression: gzip ? 'gzip' : 'none',
      idPrefix: `file${random.below(3)}`,
      import: number,
      alongside: random.chance(0.3) ? () => [beside] : undefined,
    });
    return {
      stream,
      mode,
      source: 'loader',
      reason: mode === 'upsert' ? 'new file' : undefined,
      content,
      allVerdicts: true,
    };
  }

  #undo(): Delivery {
    const content = {
      kind: 'standing_of_import' as const,
      import: this.#random.below(this.#imports + 1),
      onProgress: () => {},
      signal: undefined,
      alongside: undefined,
    };
    return {
      stream: this.#random.pick(this.#streams),
      mode: 'retract',
      source: 'desk',
      reason: 'undone',
      content,
      allVerdicts: false,
    };
  }

  async #publish(deliveries: Delivery[], ofTested = deliveries): Promise<void> {
    this.#at += ` ${deliveries.map(({ stream, mode, content }) => `${content.kind} ${mode} ${stream.name}`).join(', ')}`;
    const expected = await this.#expected.publish(...deliveries);
    const tested = await this.#tested.publish(...ofTested);
    expect(tested).toEqual(expected);
    if (this.#random.chance(0.2)) await this.#remember(expected[0]!.recorded_at);
  }

  /** Sends some rejects again, mended or as they are. The ids of rejects are each store's own. */
  async #replay(): Promise<void> {
    const [expected, tested] = [await this.#expected.rejects(), await this.#tested.rejects()];
    expect(tested.length).toBe(expected.length);
    const stream = this.#random.pick(this.#streams);
    const chosen = expected
      .map((_, n) => n)
      .filter(
        (n) =>
          expected[n]!.stream === stream.name && expected[n]!.mode === 'insert' && this.#random.chance(0.5),
      );
    if (chosen.length === 0) return;
    const mode: Mode = this.#random.pick(['insert', 'upsert']);
    const texts = chosen.map((n) =>
      this.#random.chance(0.5) ? this.#work.records(stream, mode, 1)[0]! : expected[n]!.original!,
    );
    const source = `replay ${this.#at}`;
    const of = (rejects: typeof expected) => [
      delivery(stream, mode, texts, { source, replays: chosen.map((n) => rejects[n]!.id!) }),
    ];
    await this.#publish(of(expected), of(tested));
  }

  async #drop(): Promise<void> {
    const stream = this.#random.pick(this.#streams.filter(({ time }) => time));
    const before = `${this.#work.date(200)}T00:00:00Z`;
    const dropped = this.#expected.states.get(stream.name)!.droppedBefore;
    if (dropped !== undefined && formatTimestamp(dropped) > before) return;
    expect(await this.#tested.drop(stream, before)).toBe(await this.#expected.drop(stream, before));
    this.#dropped.add(stream.name);
    this.#remembered = this.#remembered.filter((one) => one.stream !== stream.name);
    await this.#expected.prepare();
    await this.#tested.prepare();
    expect(this.#tested.states.get(stream.name)).toEqual(this.#expected.states.get(stream.name));
  }

  async #compareAnswers(): Promise<void> {
    const stream = this.#random.pick([...this.#streams, this.#streams[0]!]);
    const asked = this.#work.question(stream);
    const what = `${stream.name} ${JSON.stringify(asked)}`;
    const expected = await settled(this.#expected.ask(stream, asked));
    const planned = await settled(this.#tested.ask(stream, asked));
    expect(planned, what).toEqual(expected);
    if (!('rows' in planned) || this.#dropped.has(stream.name)) return;
    const counted = await this.#tested.rows(stream, asked, 'ledger');
    expect(counted, `${what} of the ledger, instead of the ${planned.from}`).toEqual(planned.rows);
  }

  async #remember(recordedAt: string): Promise<void> {
    const stream = this.#random.pick(this.#streams);
    if (this.#dropped.has(stream.name)) return;
    const asked = { ...this.#work.question(stream), known_at: recordedAt };
    const rows = await this.#tested.rows(stream, asked);
    expect(rows).toEqual(await this.#expected.rows(stream, asked));
    this.#remembered.push({ stream: stream.name, asked, rows });
  }

  /** Everything that is kept: entries, rejects, fates, what was known before, and the store's own checks. */
  async #compareBooks(): Promise<void> {
    const random = this.#random;
    for (const stream of [...this.#streams, rejectsStream]) {
      const all = comparable(stream, await this.#expected.entries(stream));
      expect(comparable(stream, await this.#tested.entries(stream)), `entries of ${stream.name}`).toEqual(
        all,
      );
      const page = { standing: true, newestFirst: true, limit: 7 };
      expect(comparable(stream, await this.#tested.entries(stream, page))).toEqual(
        comparable(stream, await this.#expected.entries(stream, page)),
      );
    }
    for (const stream of this.#streams) {
      // A drop may take one half of a correction that moved a record's time; what is told of it then is open.
      if (this.#dropped.has(stream.name)) continue;
      const ids = (await this.#expected.entries(stream)).map(({ id }) => id);
      for (const id of random.some([...ids, 's1', 's2', 's3'], 3)) {
        const [expected, tested] = [
          await this.#expected.store.fate(stream, id),
          await this.#tested.store.fate(stream, id),
        ];
        expect(tested.lines, `fate of ${id}`).toEqual(expected.lines);
        expect(tested.standing && { ...tested.standing, seq: '' }, `fate of ${id}`).toEqual(
          expected.standing && { ...expected.standing, seq: '' },
        );
      }
    }
    for (const { stream, asked, rows } of this.#remembered) {
      const declared = this.#streams.find(({ name }) => name === stream)!;
      expect(
        await this.#tested.rows(declared, asked),
        `what was known of ${stream}: ${JSON.stringify(asked)}`,
      ).toEqual(rows);
    }
    await this.#expected.verified();
    await this.#tested.verified();
  }
}
