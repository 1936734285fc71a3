/**
 * The limits that are fields of reference records: found for each key by walking from record to record by id; and
 * backwards, which keys are concerned when a record on the way was changed.
 */
import type { Hop } from './alert-definition.ts';
import type { Ask } from './alert-figures.ts';
import type { Micros } from './calendar.ts';
import { compareNumbers } from './decimal.ts';
import { limits } from './limits.ts';
import { type Condition, countMeasure, type Question } from './question.ts';
import type { Entry, Store } from './store.ts';
import type { Stream } from './stream.ts';

const idsAtOnce = 10_000;

export class ReferenceLimits {
  readonly #store: Store;
  readonly #ask: Ask;
  readonly #hops: Hop[];

  constructor(store: Store, ask: Ask, hops: Hop[]) {
    this.#store = store;
    this.#ask = ask;
    this.#hops = hops;
  }

  /** The limit of each id; those without one are left out. */
  async of(ids: Iterable<string>): Promise<Map<string, string>> {
    let found = new Map([...ids].map((id) => [id, id]));
    for (const hop of this.#hops) {
      const next = await this.#valuesOf(hop, [...new Set(found.values())]);
      found = new Map(
        [...found].flatMap(([id, pointer]) => {
          const value = next.get(pointer);
          return value === undefined ? [] : [[id, value] as const];
        }),
      );
    }
    return new Map([...found].filter(([, limit]) => compareNumbers(limit, '0') >= 0));
  }

  /** The smallest limit there is; undefined when there is none at all. */
  async smallest(): Promise<string | undefined> {
    const { stream, field } = this.#hops.at(-1)!;
    const question: Question = {
      ...countOf(),
      measures: [{ ...countMeasure, text: `min(${field.name})`, name: 'min', field }],
      where: [{ dimension: dimensionOf(field), operator: 'gte', values: ['0'] }],
    };
    const value = (await this.#ask(stream, question)).rows[0]?.[0];
    return value === null || value === undefined ? undefined : String(value);
  }

  /**
   * The ids at the start of the way whose limit may have changed after a commit: a record on the way was touched.
   * Undefined when there are too many to list.
   */
  async touched(after: Micros): Promise<string[] | undefined> {
    const ids = new Set<string>();
    for (let at = 0; at < this.#hops.length; at++) {
      const { stream } = this.#hops[at]!;
      const by = [dimensionOf(stream.id!)];
      const question = { ...countOf(), by, limit: limits.alert_keys, touchedAfter: after };
      const { rows, more } = await this.#ask(stream, question);
      if (more) return undefined;
      let concerned: string[] | undefined = rows.map(([id]) => String(id));
      // Back along the way: the records that name one of these.
      for (let back = at - 1; back >= 0 && concerned && concerned.length > 0; back--)
        concerned = await this.#naming(this.#hops[back]!, concerned);
      if (!concerned) return undefined;
      for (const id of concerned) ids.add(id);
      if (ids.size > limits.alert_keys) return undefined;
    }
    return [...ids];
  }

  /** The ids of the records whose field holds one of some values. */
  async #naming({ stream, field }: Hop, values: string[]): Promise<string[] | undefined> {
    const ids: string[] = [];
    for (let at = 0; at < values.length; at += idsAtOnce) {
      const condition = { dimension: dimensionOf(field), values: values.slice(at, at + idsAtOnce) };
      const found = await this.#standing(stream, { ...condition, operator: 'in' }, limits.alert_keys + 1);
      ids.push(...found.map(({ id }) => id));
      if (ids.length > limits.alert_keys) return undefined;
    }
    return ids;
  }

  async #valuesOf({ stream, field }: Hop, ids: string[]): Promise<Map<string, string>> {
    const at = stream.fields.indexOf(field);
    const values = new Map<string, string>();
    for (let start = 0; start < ids.length; start += idsAtOnce) {
      const some = ids.slice(start, start + idsAtOnce);
      const condition = { dimension: dimensionOf(stream.id!), operator: 'in', values: some } as const;
      for (const entry of await this.#standing(stream, condition, some.length)) {
        const value = entry.values[at];
        if (value !== null && value !== undefined) values.set(entry.id, value);
      }
    }
    return values;
  }

  #standing(stream: Stream, condition: Condition, limit: number): Promise<Entry[]> {
    return this.#store.entries({
      stream,
      where: [condition],
      from: undefined,
      to: undefined,
      knownAt: undefined,
      standing: true,
      newestFirst: false,
      after: undefined,
      limit,
    });
  }
}

function dimensionOf(field: Hop['field']): Condition['dimension'] {
  return { text: field.name, field, path: [] };
}

/** How many records of a stream there are: what the questions here are made from. */
export function countOf(): Question {
  return {
    measures: [countMeasure],
    by: [],
    every: 'all',
    tz: 'UTC',
    where: [],
    having: [],
    order: [],
    from: undefined,
    to: undefined,
    after: undefined,
    knownAt: undefined,
    limit: 1,
    fill: false,
  };
}
