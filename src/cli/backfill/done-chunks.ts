/**
 * What a backfill has taken in before, so that it goes on where it was: the names of its imports say which rows they
 * brought, and that one is done is written in the same commit as its rows. So there is no file that could say
 * something else than the ledger.
 *
 *     usage_datausagerecord [null,"500000"] of postgres://db:5432/shop, backfill 6f1c52a90b3e
 *
 * The last word stands for everything that decides what a row becomes: another table, mapping, prefix or range of time
 * is another backfill. What one has left out, or what changed since, shows when the sums are compared.
 */
import { createHash } from 'node:crypto';
import type { ImportState } from '../../engine/import-state.ts';
import { limits } from '../../engine/limits.ts';
import { type Connection, pages } from '../connection.ts';
import type { BackfillSource } from './source.ts';

export interface DoneChunks {
  /** The key up to which all rows are taken in; undefined when it begins at the start. */
  last: string | undefined;
  imports: ImportState[];
}

/** The name of the import that brings the rows after a key, up to and including another. */
export function chunkName(
  source: BackfillSource,
  mode: string,
  after: string | undefined,
  last: string,
): string {
  return `${source.table.name} ${JSON.stringify([after ?? null, last])}${ending(source, mode)}`;
}

function ending(source: BackfillSource, mode: string): string {
  const { table, mapping, place, version } = source;
  const decides = JSON.stringify([place, version, table, mapping, mode]);
  const print = createHash('sha256').update(decides).digest('hex').slice(0, 12);
  return `${place === table.name ? '' : ` of ${place}`}, backfill ${print}`;
}

/** Follows the chunks that are done from the first row on, as far as they reach without a gap. */
export async function doneChunks(
  connection: Connection,
  source: BackfillSource,
  mode: string,
): Promise<DoneChunks> {
  const beginning = `${source.table.name} `;
  const end = ending(source, mode);
  const byStart = new Map<string | null, { last: string; state: ImportState }>();
  for await (const { text } of pages(connection, '/v1/imports', { page_size: limits.page_rows })) {
    for (const state of (JSON.parse(text) as { imports: ImportState[] }).imports) {
      const { name, status } = state;
      if (status !== 'done' || !name.startsWith(beginning) || !name.endsWith(end)) continue;
      const range = name.slice(beginning.length, name.length - end.length);
      const [after, last] = JSON.parse(range) as [string | null, string];
      byStart.set(after, { last, state });
    }
  }
  const imports: ImportState[] = [];
  let last: string | undefined;
  for (let next = byStart.get(null); next; next = byStart.get(last)) {
    byStart.delete(last ?? null);
    imports.push(next.state);
    last = next.last;
  }
  return { last, imports };
}
