/**
 * What a schema would mean, before it is set: for a sample, for events that were seen lately, and for the rejects of the
 * type. What it foretells of the rejects is what their replay will do, verdict by verdict: so it looks at ids, too.
 */
import { limits } from '../../engine/limits.ts';
import type { RecordCheck } from '../../engine/record-check.ts';
import { readTexts } from '../../engine/rows.ts';
import { meet, stageRows } from '../../engine/settling.ts';
import type { Values } from '../../engine/stage-record.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { countOfVerdict, noCounts } from '../../engine/verdicts.ts';
import { currentStream } from './doors.ts';
import type { DataSchema, Violation } from './schema.ts';
import { eventsStream } from './streams.ts';
import { type EventTypes, type TypeMode, typesOf } from './types.ts';

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
  failures: { reject: string; field: string | null; message: string }[];
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
  const filter = rejectsOfType(category, name);
  const { groups, noTexts, more } = await tallybook.rejects.toReplay({ filter });
  const check = supposing(typesOf(tallybook), schema, mode);
  const bounds = tallybook.boundsOf(eventsStream.name);
  // What every store does with a delivery, up to where it would write.
  const staged = groups.map(({ rejects, delivery }) => {
    const rows = readTexts(delivery.content, delivery.mode);
    return { rejects, delivery, rows: stageRows({ ...delivery, check }, rows, bounds) };
  });
  const ids = staged.flatMap(({ rows }) =>
    rows.flatMap(({ staged: { id, checked } }) => ('values' in checked ? [id!] : [])),
  );
  const standing = await standingById(tallybook, ids);
  const received = groups.reduce((sum, { rejects }) => sum + rejects.length, noTexts.length);
  const { retracted: _, ...counts } = noCounts();
  const foretold: Foretold = { received, ...counts, rejected: noTexts.length, failures: [], more };
  for (const { rejects, delivery, rows } of staged) {
    for (const [index, row] of rows.entries()) {
      const { id, checked } = row.staged;
      if ('refusal' in checked) {
        foretold.rejected += 1;
        const { field, message } = checked.refusal;
        if (foretold.failures.length < failuresShown)
          foretold.failures.push({ reject: rejects[index]!.id, field: field ?? null, message });
        continue;
      }
      const { stream, mode } = delivery;
      const { verdict } = meet(stream, mode, checked.values, standing.get(id!), () => false);
      foretold[countOfVerdict[verdict] as keyof typeof counts] += 1;
      if (verdict === 'accepted' || verdict === 'corrected') standing.set(id!, checked.values);
    }
  }
  return foretold;
}

/** The check as it would be with this schema, of events of its type. */
function supposing({ kind, fields, notes }: EventTypes, schema: DataSchema, mode: TypeMode): RecordCheck {
  return {
    kind,
    fields,
    notes,
    concernedWith: () => (mode === 'warn' ? [] : undefined),
    judge: (records) =>
      schema
        .violations(records.map(({ values }) => values[0]!))
        .map((violation) => violation && { refused: { code: 'schema_violation', ...violation } }),
  };
}

async function standingById(tallybook: Tallybook, ids: string[]): Promise<Map<string, Values>> {
  const { fields } = currentStream(tallybook);
  const standing = new Map<string, Values>();
  for (let at = 0; at < ids.length; at += limits.page_rows) {
    const where = { id: { in: ids.slice(at, at + limits.page_rows) } };
    const { records } = await tallybook.records(eventsStream.name, { where }, { size: limits.page_rows });
    for (const { id, values } of records)
      standing.set(id, new Map(fields.map(({ name }, i) => [name, values[i] ?? null])));
  }
  return standing;
}
