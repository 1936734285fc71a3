/**
 * What a schema would mean, before it is set: for a sample, for events that were seen lately, and for the rejects of the
 * type. What it foretells of the rejects is what their replay will do, verdict by verdict: so it looks at ids, too.
 */
import { objectMembers } from '../../engine/exact-json.ts';
import { checkValue } from '../../engine/field-types.ts';
import { limits } from '../../engine/limits.ts';
import type { Reject } from '../../engine/rejects.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { currentStream } from './doors.ts';
import type { DataSchema, Violation } from './schema.ts';
import { eventsStream } from './streams.ts';
import type { TypeMode } from './types.ts';

/** Which rejects are those of a type: refused by its schema, or because there was none. */
export function rejectsOfType(category: string, name: string) {
  return {
    stream: eventsStream.name,
    where: {
      code: ['schema_violation', 'unknown_type'],
      'original.category': { eq: category },
      'original.name': { eq: name },
    },
  };
}

const failuresShown = 20;

export interface Held {
  checked: number;
  passed: number;
  failed: number;
  failures: (Violation & { index?: number; id?: string })[];
}

export function holdSample(schema: DataSchema, sample: readonly string[]): Held {
  const violations = schema.violations(sample);
  const failures = violations.flatMap((violation, index) => (violation ? [{ index, ...violation }] : []));
  return held(sample.length, failures);
}

/** The events of a type that came last, their data as text. */
export async function lastSeen(
  tallybook: Tallybook,
  category: string,
  name: string,
): Promise<{ id: string; data: string }[]> {
  const stream = currentStream(tallybook);
  const data = stream.fields.findIndex((field) => field.name === 'data');
  const where = { category: { eq: category }, name: { eq: name } };
  const page = { size: limits.dry_run_events, newestFirst: true };
  const { records } = await tallybook.records(eventsStream.name, { where }, page);
  return records.map(({ id, values }) => ({ id, data: values[data]! }));
}

export function holdSeen(schema: DataSchema, seen: readonly { id: string; data: string }[]): Held {
  const violations = schema.violations(seen.map(({ data }) => data));
  const failures = violations.flatMap((violation, i) =>
    violation ? [{ id: seen[i]!.id, ...violation }] : [],
  );
  return held(seen.length, failures);
}

function held(checked: number, failures: Held['failures']): Held {
  const failed = failures.length;
  return { checked, passed: checked - failed, failed, failures: failures.slice(0, failuresShown) };
}

/** What the replay of the type's rejects would give, in the words of its answer. */
export interface Foretold {
  received: number;
  accepted: number;
  duplicates: number;
  corrected: number;
  conflicts: number;
  rejected: number;
  failures: (Violation & { reject: string })[];
  /** There are more than one replay takes. */
  more: boolean;
}

export async function foretellReplay(
  tallybook: Tallybook,
  schema: DataSchema,
  mode: TypeMode,
  category: string,
  name: string,
): Promise<Foretold> {
  const stream = currentStream(tallybook);
  const { rejects, more } = await rejectsToReplay(tallybook, category, name);
  const records = rejects.map((reject) => ({ reject, values: canonicalValues(stream, reject) }));
  const dataIndex = stream.fields.findIndex((field) => field.name === 'data');
  const readable = records.flatMap(({ reject, values }) => (values ? [{ reject, values }] : []));
  const violations =
    mode === 'warn' ? [] : schema.violations(readable.map(({ values }) => values[dataIndex]!));
  const failures = readable.flatMap(({ reject }, i) =>
    violations[i] ? [{ reject: reject.id, ...violations[i] }] : [],
  );
  const passing = readable.filter((_, i) => !violations[i]);
  const foretold: Foretold = {
    received: rejects.length,
    accepted: 0,
    duplicates: 0,
    corrected: 0,
    conflicts: 0,
    rejected: rejects.length - passing.length,
    failures: failures.slice(0, failuresShown),
    more,
  };
  const idIndex = stream.fields.indexOf(stream.id!);
  const standing = await standingById(
    tallybook,
    passing.map(({ values }) => values[idIndex]!),
  );
  for (const { reject, values } of passing) {
    const id = values[idIndex]!;
    const before = standing.get(id);
    if (!before) {
      foretold.accepted += 1;
      standing.set(id, values);
    } else if (before.every((value, i) => value === values[i])) foretold.duplicates += 1;
    else if (reject.mode === 'upsert') {
      foretold.corrected += 1;
      standing.set(id, values);
    } else foretold.conflicts += 1;
  }
  return foretold;
}

async function rejectsToReplay(tallybook: Tallybook, category: string, name: string) {
  const filter = rejectsOfType(category, name);
  const rejects: Reject[] = [];
  let cursor: string | undefined;
  do {
    const page = { size: limits.page_rows, cursor, newestFirst: false };
    const found = await tallybook.rejects.list(filter, page);
    rejects.push(...found.rejects);
    cursor = found.next;
  } while (cursor !== undefined && rejects.length < limits.replay_rejects);
  return { rejects: rejects.slice(0, limits.replay_rejects), more: cursor !== undefined };
}

/** The values of a reject as they would be kept; undefined where the record is no event otherwise. */
function canonicalValues(stream: Stream, { id, record_id, original }: Reject): (string | null)[] | undefined {
  const members = objectMembers(original)?.members;
  if (!members) return undefined;
  const values: (string | null)[] = [];
  for (const field of stream.fields) {
    const raw = members.get(field.name);
    const checked = checkValue(field, raw === undefined ? undefined : { kind: 'json', text: raw });
    if ('code' in checked) return undefined;
    values.push(checked.value ?? (field === stream.id ? (record_id ?? `replay:${id}`) : null));
  }
  return values;
}

async function standingById(tallybook: Tallybook, ids: string[]): Promise<Map<string, (string | null)[]>> {
  const standing = new Map<string, (string | null)[]>();
  for (let at = 0; at < ids.length; at += limits.page_rows) {
    const where = { id: { in: ids.slice(at, at + limits.page_rows) } };
    const { records } = await tallybook.records(eventsStream.name, { where }, { size: limits.page_rows });
    for (const { id, values } of records) standing.set(id, values);
  }
  return standing;
}
