/**
 * The end of a backfill: the sums of the source, without the rows that were refused, must be those of Tallybook. Only
 * records whose ids begin with the table's prefix are compared, where it has one.
 */
import type { ImportState } from '../../engine/import-state.ts';
import { limits } from '../../engine/limits.ts';
import type { Reject } from '../../engine/rejects.ts';
import { askJson, type Connection, pages, pathOf } from '../connection.ts';
import { counted } from '../figures.ts';
import type { BackfillSource, TypeSums } from './source.ts';

export interface Comparison {
  source: TypeSums[];
  tallybook: TypeSums[];
  equal: boolean;
  /** Why they may differ; empty when they are equal. */
  reasons: string[];
}

/**
 * `all`: the sums of all rows, refused or not; `imports`: those that this backfill has made, in this run and before.
 */
export async function compare(
  connection: Connection,
  stream: string,
  source: BackfillSource,
  all: readonly TypeSums[],
  imports: readonly ImportState[],
): Promise<Comparison> {
  const refused = await refusedIds(connection, imports);
  const given = byType(refused.length === 0 ? all : (await source.summary(refused)).sums);
  const kept = byType(await keptSums(connection, stream, source));
  const equal = JSON.stringify(given) === JSON.stringify(kept);
  return { source: given, tallybook: kept, equal, reasons: equal ? [] : reasonsOf(imports, refused) };
}

function byType(sums: readonly TypeSums[]): TypeSums[] {
  return sums.toSorted((a, b) => (a.type < b.type ? -1 : 1));
}

/**
 * The ids of rows that were rejected and still are. A conflict is not among them: under its id another content stands,
 * which is a difference.
 */
async function refusedIds(connection: Connection, imports: readonly ImportState[]): Promise<string[]> {
  const ids: string[] = [];
  for (const { id, counts } of imports) {
    if (!counts?.rejected) continue;
    const query = { import: id, page_size: limits.page_rows };
    for await (const { text } of pages(connection, '/v1/rejects', query)) {
      for (const { code, record_id } of (JSON.parse(text) as { rejects: Reject[] }).rejects)
        if (code !== 'conflict' && record_id !== null) ids.push(record_id);
    }
  }
  return ids;
}

async function keptSums(
  connection: Connection,
  stream: string,
  { table: { type, idPrefix, from, to } }: BackfillSource,
): Promise<TypeSums[]> {
  const question = {
    measures: ['count', 'sum(price)', 'sum(used)'],
    by: ['type'],
    where: {
      ...(type === undefined ? {} : { type: { eq: type } }),
      ...(idPrefix === '' ? {} : { id: { like: `${idPrefix}%` } }),
    },
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
  const { rows } = await askJson<{
    rows: { type: string; count: number; 'sum(price)': string; 'sum(used)': string }[];
  }>(connection, 'POST', pathOf('v1', 'streams', stream, 'query'), { body: question });
  return rows.map((row) => ({
    type: row.type,
    records: row.count,
    price: row['sum(price)'],
    used: row['sum(used)'],
  }));
}

function reasonsOf(imports: readonly ImportState[], refused: readonly string[]): string[] {
  const total = (name: 'conflicts' | 'duplicates' | 'rejected'): number =>
    imports.reduce((sum, { counts }) => sum + (counts?.[name] ?? 0), 0);
  const [conflicts, duplicates, rejected] = [total('conflicts'), total('duplicates'), total('rejected')];
  return [
    conflicts > 0
      ? `${counted(conflicts, 'row')} had an id under which Tallybook holds other content; --mode upsert takes that of the source`
      : '',
    duplicates > 0
      ? `${counted(duplicates, 'row')} repeated a record that was there already; an id that stands twice in the source counts once`
      : '',
    rejected > refused.length
      ? `${counted(rejected - refused.length, 'row was', 'rows were')} refused and had no id that can be told, or were replayed or discarded since`
      : '',
    'rows of the source may have been added, changed or deleted since they were read: --again reads all of them again, with --mode upsert to take changes',
    'others may have written, corrected or retracted records of the stream',
  ].filter((reason) => reason !== '');
}
