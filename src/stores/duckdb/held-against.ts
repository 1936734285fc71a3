/**
 * Holding staged records against a check (engine/record-check.ts): those of the kinds that it is concerned with are read
 * from the stage, judged, and what is refused is marked there, with what to tell of it. Of all others nothing is read.
 */
import type { Judgement, RecordCheck, RecordToJudge, Refused } from '../../engine/record-check.ts';
import type { Stream } from '../../engine/stream.ts';
import { refusedByCheck } from './casts.ts';
import { outputSql } from './conditions.ts';
import type { Connection } from './connection.ts';
import { rowsOfList } from './lists.ts';
import { fieldValue } from './names.ts';

export interface Held {
  /** The row of the stage. */
  n: number;
  id: string;
  judgement: NonNullable<Judgement>;
}

/**
 * @param n the column that numbers the rows of the stage
 * @param range a condition on the rows, so that a large stage is read in pieces
 */
export async function holdAgainst(
  connection: Connection,
  stream: Stream,
  { stage, n }: { stage: string; n: string },
  check: RecordCheck,
  source: string,
  range = 'true',
): Promise<Held[]> {
  const concern = check.concernedWith(source);
  const column = (name: string): string => {
    const field = stream.field(name)!;
    return outputSql(fieldValue(stream, field), field.type);
  };
  const key = check.kind.map((name) => fieldValue(stream, stream.field(name)!)).join(" || '\u001f' || ");
  const keys = concern?.map((kind) => kind.join('\u001f'));
  const rows = await connection.rows(
    `select e.${n}::double, e._id, ${[...check.kind, ...check.fields].map(column).join(', ')} from ${stage} e
     where e._bad is null and ${range}
       and ($1 is null or ${key} in (select ${rowsOfList('$1', 'varchar')}))
     order by e.${n}`,
    keys ? JSON.stringify(keys) : null,
  );
  const records = rows.map(([, id, ...values]): RecordToJudge => {
    // Integers are read as they are.
    const texts = values.map((value) => (typeof value === 'bigint' ? String(value) : value)) as (
      | string
      | null
    )[];
    return {
      id: id as string,
      kind: texts.slice(0, check.kind.length) as string[],
      values: texts.slice(check.kind.length),
    };
  });
  if (records.length === 0) return [];
  const judgements = check.judge(records, source);
  const held = records.flatMap(({ id }, i): Held[] => {
    const judgement = judgements[i];
    return judgement ? [{ n: rows[i]![0] as number, id, judgement }] : [];
  });
  await markRefused(connection, { stage, n }, held);
  return held;
}

async function markRefused(
  connection: Connection,
  { stage, n }: { stage: string; n: string },
  held: Held[],
): Promise<void> {
  const refused = held.flatMap(({ n, judgement }) =>
    'refused' in judgement ? [{ n, text: refusedText(judgement.refused) }] : [],
  );
  if (refused.length === 0) return;
  await connection.run(
    `update ${stage} set _bad = ${refusedByCheck}, _found = x.text from (
      select unnest(from_json($1::varchar, '[{"n":"INTEGER","text":"VARCHAR"}]'), recursive := true)) x
     where ${stage}.${n} = x.n`,
    JSON.stringify(refused),
  );
}

/** How the stage holds what a check tells: all of it in `_found`. */
export function refusedText({ code, field, message }: Refused): string {
  return JSON.stringify({ code, ...(field === undefined ? {} : { field }), message });
}
