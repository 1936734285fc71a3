/**
 * Reading and writing the streams in which Tallybook keeps its own books (built-in-streams.ts).
 */
import { jsonOf } from './exact-json.ts';
import { planQuestion } from './plan.ts';
import { type AskedQuestion, checkQuestion, checkSelection } from './question.ts';
import type { Answer, Delivery, Entry, Fate, Mode, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';

const pageRows = 1_000;

/** Everything that stands in a book, or what fits a condition, oldest first. */
export async function standingInBook(
  store: Store,
  stream: Stream,
  where: NonNullable<AskedQuestion['where']> = {},
): Promise<Entry[]> {
  const selection = checkSelection(stream, { where });
  const all: Entry[] = [];
  for (;;) {
    const after = all.at(-1)?.seq;
    const page = await store.entries({
      ...selection,
      stream,
      standing: true,
      newestFirst: false,
      after,
      limit: pageRows,
    });
    all.push(...page);
    if (page.length < pageRows) return all;
  }
}

/** A question about a book. Nothing of a book is ever dropped. */
export function askBook(store: Store, stream: Stream, asked: AskedQuestion): Promise<Answer> {
  const nothingDropped = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  return store.ask(planQuestion(stream, checkQuestion(stream, asked), nothingDropped));
}

/** The books of systems: streams that are theirs alone, written by nothing but their routes. */
export class Books {
  readonly #ledger: { store: Store; write(delivery: Delivery): Promise<Receipt> };

  constructor(ledger: { store: Store; write(delivery: Delivery): Promise<Receipt> }) {
    this.#ledger = ledger;
  }

  standing(book: Stream, where?: AskedQuestion['where']): Promise<Entry[]> {
    return standingInBook(this.#ledger.store, book, where);
  }

  ask(book: Stream, asked: AskedQuestion): Promise<Answer> {
    return askBook(this.#ledger.store, book, asked);
  }

  fate(book: Stream, id: string): Promise<Fate> {
    return this.#ledger.store.fate(book, id);
  }

  /** Writes a record under its id, whatever stood before. */
  put(book: Stream, record: object, source: string): Promise<Receipt> {
    return this.#ledger.write({ ...bookDelivery(book, 'upsert', [jsonOf(record)]), source });
  }

  /** Takes a record back. */
  remove(book: Stream, id: string, source: string): Promise<Receipt> {
    return this.#ledger.write({ ...bookDelivery(book, 'retract', [JSON.stringify(id)]), source });
  }
}

/** A line for a book. The texts are JSON objects, or ids as JSON strings for mode retract. */
export function bookDelivery(stream: Stream, mode: Mode, texts: string[], reason?: string): Delivery {
  const fallbackIds = texts.map(() => '');
  const content = { kind: 'texts' as const, texts, fallbackIds };
  return { stream, mode, source: '_tallybook', reason, content, allVerdicts: false };
}

/** The values of an entry by the names of their fields. */
export function valuesByName(stream: Stream, values: (string | null)[]): Record<string, string | null> {
  const byName: Record<string, string | null> = {};
  for (let i = 0; i < stream.fields.length; i++) byName[stream.fields[i]!.name] = values[i] ?? null;
  return byName;
}
