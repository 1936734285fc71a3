/** What stands under a few ids: what a small batch is held against before it is journaled (see intake.ts). */
import type { Values } from '../../engine/stage-record.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Connection } from './connection.ts';
import { valuesOfRow, valuesSql } from './entries.ts';
import { mergeRanges, type SeqRange } from './id-filter.ts';
import type { Stood } from './journaled-batch.ts';
import { entriesOf } from './names.ts';

/** Entries that lie no further apart are read together. */
const near = 4_096n;
/** Reading rows of one place costs a millisecond. */
const placesMax = 16;

/**
 * The records that stand under ids with some hashes, by id. A look at the hashes alone tells where they are, in 3 ms for
 * one and 7 for many among a million; to read all columns by the hashes takes 3 and 45.
 * @param ranges where they may stand
 */
export async function standingRecords(
  connection: Connection,
  stream: Stream,
  hashes: readonly bigint[],
  ranges: readonly SeqRange[],
): Promise<Map<string, Stood>> {
  const entries = entriesOf(stream);
  const hasHash = hashes.length === 1 ? `_hash = ${hashes[0]}` : `_hash in (${hashes.join(', ')})`;
  const seqs: bigint[] = [];
  for (const { from, to } of ranges) {
    const rows = await connection.askOnce(
      `select _seq from ${entries} where _seq between ${from} and ${to} and ${hasHash}`,
    );
    for (const [seq] of rows) seqs.push(seq as bigint);
  }
  if (seqs.length === 0) return new Map();
  const places = mergeRanges(
    seqs.map((seq) => ({ from: seq, to: seq })),
    near,
    placesMax,
  );
  const columns = ['e._seq', 'e._reverses', 'e._id', ...valuesSql(stream)].join(', ');
  const rows = await connection.askOnce(
    places
      .map(({ from, to }) => {
        const within = from === to ? `_seq = ${from}` : `_seq between ${from} and ${to} and ${hasHash}`;
        return `select ${columns} from ${entries} e where ${within}`;
      })
      .join(' union all '),
  );
  const reversed = new Set(rows.map(([, reverses]) => reverses));
  const standing = new Map<string, Stood>();
  for (const [seq, reverses, id, ...values] of rows)
    if (reverses === null && !reversed.has(seq!))
      standing.set(id as string, { values: valuesOf(stream, values), seq: seq as bigint });
  return standing;
}

function valuesOf(stream: Stream, row: Parameters<typeof valuesOfRow>[1]): Values {
  const values = valuesOfRow(stream, row);
  return new Map(stream.fields.map(({ name }, i) => [name, values[i]!]));
}
