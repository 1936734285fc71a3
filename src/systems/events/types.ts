/**
 * Event types: what the data of events of a category and a name must look like. They are kept in a book of the system,
 * each change a version; here they stand in memory, as they hold now, and are what events are held against.
 */
import { TallybookError } from '../../engine/errors.ts';
import { JsonText } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import { Lock } from '../../engine/lock.ts';
import { valuesByName } from '../../engine/own-books.ts';
import type { Judgement, RecordCheck, RecordToJudge } from '../../engine/record-check.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { DataSchema, type Violation } from './schema.ts';
import { eventsStream, sourcesBook, typesBook, warningsBook } from './streams.ts';

export const typeModes = ['enforce', 'warn'] as const;
/** What becomes of an event that does not fit: it is refused, or taken in and noted. */
export type TypeMode = (typeof typeModes)[number];

export interface EventType {
  category: string;
  name: string;
  version: number;
  mode: TypeMode;
  /** As it was written, without needless blanks. */
  schema: string;
  description: string | null;
  changed_at: string;
}

interface KnownType extends EventType {
  /** Compiled when the first event of the type comes. */
  compiled?: DataSchema;
}

const ofLedger = new WeakMap<Tallybook, EventTypes>();

/** The types of a ledger that was opened with the events system. */
export function typesOf(tallybook: Tallybook): EventTypes {
  const types = ofLedger.get(tallybook);
  if (!types) throw new Error('the ledger was opened without the events system');
  return types;
}

export class EventTypes implements RecordCheck {
  readonly kind = ['category', 'name'];
  readonly fields = ['data'];
  readonly notes = warningsBook;
  readonly #tallybook: Tallybook;
  readonly #byId = new Map<string, KnownType>();
  /** The kinds with a schema; made anew when they change. */
  #kinds: string[][] = [];
  /** Sources that send nothing but events of known types. */
  readonly #strict = new Set<string>();
  readonly #changes = new Lock();

  private constructor(tallybook: Tallybook) {
    this.#tallybook = tallybook;
  }

  /** Reads what is kept, and holds events against it from now on. */
  static async open(tallybook: Tallybook): Promise<void> {
    const types = new EventTypes(tallybook);
    for (const { values } of await tallybook.books.standing(typesBook)) types.#know(typeOfValues(values));
    for (const { values } of await tallybook.books.standing(sourcesBook)) {
      const { source, unknown_types } = valuesByName(sourcesBook, values);
      types.#setStrict(source!, unknown_types === 'reject');
    }
    tallybook.holdAgainst(eventsStream.name, types);
    ofLedger.set(tallybook, types);
  }

  // --- what events are held against --------------------------------------------------------------------------

  concernedWith(source: string): readonly (readonly string[])[] | undefined {
    return this.#strict.has(source) ? undefined : this.#kinds;
  }

  judge(records: readonly RecordToJudge[], source: string): Judgement[] {
    const judgements = new Array<Judgement>(records.length);
    const byType = new Map<string, number[]>();
    for (const [index, { kind }] of records.entries()) {
      const id = idOfType(kind[0]!, kind[1]!);
      const some = byType.get(id);
      if (some) some.push(index);
      else byType.set(id, [index]);
    }
    for (const [id, indexes] of byType) {
      const type = this.#byId.get(id);
      if (!type) {
        const [category, name] = records[indexes[0]!]!.kind as [string, string];
        if (this.#strict.has(source))
          for (const index of indexes) judgements[index] = { refused: unknownType(category, name, source) };
        continue;
      }
      const violations = schemaOf(type).violations(indexes.map((index) => records[index]!.values[0]!));
      for (const [i, violation] of violations.entries()) {
        const index = indexes[i]!;
        if (violation) judgements[index] = judgementOf(type, violation, records[index]!.id, source);
      }
    }
    return judgements;
  }

  // --- changing and showing ------------------------------------------------------------------------------------

  list(): EventType[] {
    return [...this.#byId.values()].sort((a, b) =>
      a.category === b.category ? (a.name < b.name ? -1 : 1) : a.category < b.category ? -1 : 1,
    );
  }

  find(category: string, name: string): EventType | undefined {
    return this.#byId.get(idOfType(category, name));
  }

  /** Throws `unknown_event_type`. */
  get(category: string, name: string): EventType {
    const type = this.find(category, name);
    if (!type) throw unknown(category, name);
    return type;
  }

  /** Every version there was, oldest first. Throws `unknown_event_type`. */
  async versions(category: string, name: string): Promise<EventType[]> {
    const versions = await this.#history(category, name);
    if (versions.length === 0) throw unknown(category, name);
    return versions;
  }

  async #history(category: string, name: string): Promise<EventType[]> {
    const { lines } = await this.#tallybook.books.fate(typesBook, idOfType(category, name));
    return lines.flatMap(({ verdict, values }) =>
      values && (verdict === 'accepted' || verdict === 'corrected') ? [typeOfValues(values)] : [],
    );
  }

  /** Sets the schema of a type: a new version, unless nothing changes. Throws `bad_schema`. */
  put(
    given: Pick<EventType, 'category' | 'name' | 'mode' | 'schema' | 'description'>,
    source: string,
  ): Promise<{ type: EventType; created: boolean }> {
    return this.#changes.run(async () => {
      const { category, name, mode, schema, description } = given;
      const compiled = new DataSchema(schema);
      const before = this.#byId.get(idOfType(category, name));
      if (before && before.mode === mode && before.schema === schema && before.description === description)
        return { type: before, created: false };
      if (!before && this.#byId.size >= limits.event_types_max)
        throw new TallybookError(
          'bad_schema',
          `there are ${this.#byId.size} event types, the most there may be`,
        );
      const version = ((await this.#history(category, name)).at(-1)?.version ?? 0) + 1;
      const changed_at = new Date().toISOString().replace('Z', '000Z');
      const type: KnownType = { category, name, version, mode, schema, description, changed_at };
      const record = { id: idOfType(category, name), ...type, schema: new JsonText(schema) };
      await this.#tallybook.books.put(typesBook, record, source);
      this.#know({ ...type, compiled });
      return { type, created: !before };
    });
  }

  /** Takes the schema away; what it was stays in the history. Throws `unknown_event_type`. */
  remove(category: string, name: string, source: string): Promise<void> {
    return this.#changes.run(async () => {
      this.get(category, name);
      const id = idOfType(category, name);
      await this.#tallybook.books.remove(typesBook, id, source);
      this.#byId.delete(id);
      this.#kinds = this.#kinds.filter(([c, n]) => c !== category || n !== name);
    });
  }

  /** The sources that may send nothing but known types. */
  strictSources(): string[] {
    return [...this.#strict].sort();
  }

  /** Whether events of unknown types that a source sends are refused. */
  setStrict(source: string, strict: boolean, by: string): Promise<void> {
    return this.#changes.run(async () => {
      const record = { source, unknown_types: strict ? 'reject' : 'accept' };
      await this.#tallybook.books.put(sourcesBook, record, by);
      this.#setStrict(source, strict);
    });
  }

  #setStrict(source: string, strict: boolean): void {
    if (strict) this.#strict.add(source);
    else this.#strict.delete(source);
  }

  #know(type: KnownType): void {
    const id = idOfType(type.category, type.name);
    if (!this.#byId.has(id)) this.#kinds = [...this.#kinds, [type.category, type.name]];
    this.#byId.set(id, type);
  }
}

function schemaOf(type: KnownType): DataSchema {
  type.compiled ??= new DataSchema(type.schema);
  return type.compiled;
}

function judgementOf(
  { category, name, version, mode }: EventType,
  { field, message }: Violation,
  event: string,
  source: string,
): Judgement {
  const told = `${message} (${category} / ${name}, version ${version})`;
  if (mode === 'enforce') return { refused: { code: 'schema_violation', field, message: told } };
  const at = new Date().toISOString();
  return { note: JSON.stringify({ event, at, category, name, version, source, field, message: told }) };
}

function unknownType(category: string, name: string, source: string) {
  const message = `there is no event type ${category} / ${name}, and ${source} may send nothing but types that are declared; PUT /v1/event-types/{category}/{name} declares one`;
  return { code: 'unknown_type' as const, field: 'name', message };
}

function unknown(category: string, name: string): TallybookError {
  const type = `${category.slice(0, 100)} / ${name.slice(0, 100)}`;
  return new TallybookError(
    'unknown_event_type',
    `there is no event type ${type}; GET /v1/event-types lists them`,
  );
}

/** Throws `bad_request` for names too long to be kept. */
export function idOfType(category: string, name: string): string {
  return JSON.stringify([category, name]);
}

function typeOfValues(values: (string | null)[]): EventType {
  const by = valuesByName(typesBook, values);
  return {
    category: by.category!,
    name: by.name!,
    version: Number(by.version),
    mode: by.mode as TypeMode,
    schema: by.schema!,
    description: by.description ?? null,
    changed_at: by.changed_at!,
  };
}
