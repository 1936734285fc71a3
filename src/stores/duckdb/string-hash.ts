/**
 * DuckDB's `hash` of a text, computed here: the ids of small batches are looked for in the filter of known ids before
 * any statement runs. The function belongs to DuckDB; `agrees` tells whether it is still the same.
 */
import type { Connection } from './connection.ts';
import { rowsOfList } from './lists.ts';

const multiplier = 0xd6e8feb86659fd93n;
const lengthMultiplier = 0xc6a4a7935bd1e995n;
const seed = 0xe17a1465n;

/** As an unsigned number of 64 bits. */
export function hashOf(text: string): bigint {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.alloc(Math.ceil(length / 8) * 8);
  bytes.write(text);
  let hash = seed ^ times(BigInt(length), lengthMultiplier);
  for (let at = 0; at < bytes.length; at += 8) hash = times(hash ^ bytes.readBigUInt64LE(at), multiplier);
  for (let round = 0; round < 2; round++) hash = times(hash ^ (hash >> 32n), multiplier);
  return hash ^ (hash >> 32n);
}

const times = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a * b);

/** Of every length up to that at which all that can differ has: one block, several, a rest. */
const samples = Array.from({ length: 41 }, (_, length) =>
  'tallybook \u00e9 0123456789'.repeat(3).slice(0, length),
);

export async function agrees(connection: Connection): Promise<boolean> {
  const rows = await connection.askOnce(
    `select hash(text)::varchar from (select ${rowsOfList('$1', 'varchar')} as text)`,
    [JSON.stringify(samples)],
  );
  return samples.every((text, i) => rows[i]![0] === hashOf(text).toString());
}
