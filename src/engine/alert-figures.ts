/**
 * The figures of an alert: for each key and period the value that is held against the limit, from the smallest rollup
 * that has it.
 *
 * Nothing is read that need not be: which keys a commit touched is asked of the entries that it brought (touchedAfter),
 * and of the figures only those that can have reached a threshold are let through (having). A rollup of a million
 * keys is never read through for one commit.
 */
import type { Watched } from './alert-definition.ts';
import { formatBucket, instantOfLocal, type Micros, nextBucket, parseDate } from './calendar.ts';
import { averageExtraScale, fromScaled, toScaled } from './decimal.ts';
import { limits } from './limits.ts';
import { type Condition, countMeasure, type Dimension, type Having, type Question } from './question.ts';
import type { Answer } from './store.ts';
import type { Stream } from './stream.ts';

/** Asks a checked question, planned. */
export type Ask = (stream: Stream, question: Question) => Promise<Answer>;

/** A key and a period. */
export interface Place {
  /** The values of the dimensions, as canonical texts. */
  key: (string | null)[];
  /** Start of the period; undefined where the period is everything. */
  from: Micros | undefined;
}
export interface Figure extends Place {
  /** A plain number. */
  value: string;
}

/** What is asked of the figures: keys (all when there are no conditions), and periods from one to before another. */
interface Scope {
  where: Condition[];
  from: Micros | undefined;
  to: Micros | undefined;
  /** Only figures from here on; undefined: none can be low enough to be left out. */
  atLeast: string | undefined;
}

/** Keys in one question. */
const keysAtOnce = 1_000;
const rowsAtOnce = 50_000;

export class Figures {
  readonly #ask: Ask;
  readonly #watched: Watched;

  constructor(ask: Ask, watched: Watched) {
    this.#ask = ask;
    this.#watched = watched;
  }

  /** The keys and periods that were touched after a commit, up to a number, and whether there are more. */
  async touched(after: Micros): Promise<{ places: Place[]; more: boolean }> {
    const answer = await this.#ask(this.#watched.stream, this.#touching(after, limits.alert_keys, []));
    // A question that splits by nothing has its one row always.
    const rows = answer.rows.filter((row) => Number(row.at(-1)) > 0);
    return { places: rows.map((row) => this.#placeOf(row)), more: answer.more };
  }

  /** From the first period that was touched after a commit to the end of the last one, whatever the key. */
  async touchedSpan(after: Micros): Promise<[from: Micros | undefined, to: Micros | undefined]> {
    const { stream, question } = this.#watched;
    const { every } = question;
    if (every === 'all') return [undefined, undefined];
    const order = [{ column: every, descending: false }];
    const asked = { ...this.#touching(after, limits.answer_rows, []), by: [], order };
    const { rows } = await this.#ask(stream, asked);
    const [first, last] = [rows[0], rows.at(-1)].map((row) => row && this.#startOf(String(row[0])));
    return [first, this.endOf(last)];
  }

  /** Those of some figures whose key and period were touched after a commit. */
  async touchedOf(figures: Figure[], after: Micros): Promise<Figure[]> {
    const touched: Figure[] = [];
    for (const { places, where } of this.#chunks(figures)) {
      const asked = this.#touching(after, limits.answer_rows, where);
      const { rows } = await this.#ask(this.#watched.stream, asked);
      const found = new Set(rows.map((row) => textOf(this.#placeOf(row))));
      touched.push(...places.filter((place) => found.has(textOf(place))));
    }
    return touched;
  }

  /** The figures of some keys and periods, as far as they reach a number. */
  async *of(places: Place[], atLeast: (keys: Place[]) => string | undefined): AsyncGenerator<Figure[]> {
    for (const { places: some, where } of this.#chunks(places)) {
      const wanted = new Set(some.map(textOf));
      const [from, to] = this.#span(some);
      const figures = await this.#some({ where, from, to, atLeast: atLeast(some) });
      yield figures.filter((figure) => wanted.has(textOf(figure)));
    }
  }

  /** The figures of all keys, from a period on and before a time, as far as they reach a number. */
  all(
    from: Micros | undefined,
    to: Micros | undefined,
    atLeast: string | undefined,
  ): AsyncGenerator<Figure[]> {
    return this.#pages({ where: [], from, to, atLeast });
  }

  /** The figures of the keys that have one of some values in a dimension, from a period on. */
  async *having(
    dimension: number,
    values: string[],
    from: Micros | undefined,
    atLeast: string | undefined,
  ): AsyncGenerator<Figure[]> {
    for (let at = 0; at < values.length; at += keysAtOnce) {
      const where = [among(this.#watched.question.by[dimension]!, values.slice(at, at + keysAtOnce))];
      yield await this.#some({ where, from, to: undefined, atLeast });
    }
  }

  /** When a period ends; undefined where it is everything. */
  endOf(from: Micros | undefined): Micros | undefined {
    const { every, tz } = this.#watched.question;
    return every === 'all' || from === undefined ? undefined : nextBucket(from, every, tz);
  }

  #touching(after: Micros, limit: number, where: Condition[]): Question {
    const { question } = this.#watched;
    return {
      ...question,
      measures: [countMeasure],
      where: [...question.where, ...where],
      limit,
      touchedAfter: after,
    };
  }

  /** In one question; of a page its first rows, in the order of the dimensions. */
  async #some({ where, from, to, atLeast }: Scope, page = false): Promise<Figure[]> {
    const having = atLeast === undefined ? [] : this.#having(atLeast);
    if (!having) return [];
    const { question } = this.#watched;
    const asked = { ...question, where: [...question.where, ...where], from, to, having };
    if (!page) return this.#figures(asked);
    const columns = [
      ...question.by.map(({ text }) => text),
      ...(question.every === 'all' ? [] : [question.every]),
    ];
    const order = columns.map((column) => ({ column, descending: false }));
    return this.#figures({ ...asked, order, limit: rowsAtOnce });
  }

  /** Page by page along a dimension. What shares its value with the end of a page is read along the next dimension. */
  async *#pages(scope: Scope, along = 0): AsyncGenerator<Figure[]> {
    const { by } = this.#watched.question;
    const dimension = by[along];
    if (!dimension) {
      yield await this.#some(scope);
      return;
    }
    const where = (operator: Condition['operator'], ...values: string[]): Scope => ({
      ...scope,
      where: [...scope.where, { dimension, operator, values }],
    });
    for (let page = where('not_null'); ; ) {
      const figures = await this.#some(page, true);
      if (figures.length < rowsAtOnce) {
        yield figures;
        break;
      }
      const last = figures.at(-1)!.key[along]!;
      yield figures.filter(({ key }) => key[along] !== last);
      yield* this.#pages(where('eq', last), along + 1);
      page = where('gt', last);
    }
    yield* this.#pages(where('is_null'), along + 1);
  }

  async #figures(question: Question): Promise<Figure[]> {
    const { rows } = await this.#ask(this.#watched.stream, question);
    return rows.flatMap((row) => {
      const value = row.at(-1);
      return value === null || value === undefined ? [] : [{ ...this.#placeOf(row), value: String(value) }];
    });
  }

  /**
   * The bound, cut to the decimals that the measure has: so it compares without overflow, and lets through at most a
   * little too much. Undefined when no value can be as large.
   */
  #having(atLeast: string): Having[] | undefined {
    const { name, field } = this.#watched.question.measures[0]!;
    const counts = name === 'count' || name === 'count_distinct';
    const own = !counts && field?.type === 'decimal' ? field.scale : 0;
    const scale = name === 'avg' ? own + averageExtraScale : own;
    const [whole = '0', fraction = ''] = atLeast.split('.');
    if (whole.length > 38 - scale) return undefined;
    const cut = fromScaled(toScaled(`${whole}.${fraction.slice(0, scale)}`, scale), scale);
    return [{ measure: 0, operator: 'gte', values: [cut] }];
  }

  /** Some keys at a time, with the conditions that select them; keys with a null in the same places together. */
  #chunks<P extends Place>(places: P[]): { places: P[]; where: Condition[] }[] {
    const { by } = this.#watched.question;
    const byNulls = new Map<string, P[]>();
    for (const place of places) {
      const nulls = place.key.map((value) => Number(value === null)).join('');
      const same = byNulls.get(nulls);
      if (same) same.push(place);
      else byNulls.set(nulls, [place]);
    }
    const chunks: { places: P[]; where: Condition[] }[] = [];
    for (const same of byNulls.values()) {
      for (let at = 0; at < same.length; at += keysAtOnce) {
        const some = same.slice(at, at + keysAtOnce);
        const where = by.map((dimension, i): Condition => {
          if (some[0]!.key[i] === null) return { dimension, operator: 'is_null', values: [] };
          return among(dimension, [...new Set(some.map(({ key }) => key[i]!))]);
        });
        chunks.push({ places: some, where });
      }
    }
    return chunks;
  }

  #span(places: Place[]): [Micros | undefined, Micros | undefined] {
    if (this.#watched.question.every === 'all') return [undefined, undefined];
    let [first, last] = [places[0]!.from!, places[0]!.from!];
    for (const { from } of places) {
      if (from! < first) first = from!;
      if (from! > last) last = from!;
    }
    return [first, this.endOf(last)];
  }

  #placeOf(row: Answer['rows'][number]): Place {
    const { by, every } = this.#watched.question;
    const key = by.map((_, i) => (row[i] === null || row[i] === undefined ? null : String(row[i])));
    return { key, from: every === 'all' ? undefined : this.#startOf(String(row[by.length])) };
  }

  /** The instant at which the period of a bucket's date starts. */
  #startOf(date: string): Micros {
    return instantOfLocal(this.#watched.question.tz, BigInt(parseDate(date)!) * 86_400_000_000n);
  }

  /** A period's first day there, `2026-10-01`. */
  dateOf(from: Micros): string {
    return formatBucket(from, this.#watched.question.every, this.#watched.question.tz);
  }
}

function among(dimension: Dimension, values: string[]): Condition {
  return { dimension, operator: 'in', values };
}

function textOf({ key, from }: Place): string {
  return JSON.stringify([...key, String(from)]);
}
