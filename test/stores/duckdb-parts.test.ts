/** What a part leaves behind on the connection that wrote it. */
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, onTestFinished, test } from 'vitest';
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import type { Mode, TextDelivery } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { Connection } from '../../src/stores/duckdb/connection.ts';
import { FoldWriter } from '../../src/stores/duckdb/fold.ts';
import { IdFilter } from '../../src/stores/duckdb/id-filter.ts';
import type { JournaledBatch } from '../../src/stores/duckdb/journaled-batch.ts';
import { LedgerState } from '../../src/stores/duckdb/ledger-state.ts';
import { PartWriter } from '../../src/stores/duckdb/part.ts';
import { publishJournaled, publishTexts } from '../../src/stores/duckdb/publish.ts';
import { ReadGate } from '../../src/stores/duckdb/read-gate.ts';
import { bookTables, rollupTable, streamTables } from '../../src/stores/duckdb/schema.ts';
import { hashOf } from '../../src/stores/duckdb/string-hash.ts';
import { delivery } from '../contract/harness.ts';

const steps = defineStream('steps', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    taken: { type: 'decimal', precision: 18, scale: 4, required: true },
  },
  rollups: { all: { every: 'all', sum: ['taken'] } },
});

/** What it says of a temporary table counts rows that are removed and still there. */
const rowsLeft =
  'select table_name, estimated_size::integer from duckdb_tables() where temporary and estimated_size > 0';

async function openParts() {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  onTestFinished(() => instance.closeSync());
  const connection = await Connection.openForStaging(instance);
  onTestFinished(() => connection.close());
  await connection.execute(bookTables);
  const state = new LedgerState(0, 0, 0n, { batch: 0, recorded_at: '' }, () => 1_800_000_000_000_000n);
  for (const stream of [steps, rejectsStream]) {
    await connection.execute(streamTables(stream));
    for (const rollup of stream.rollups) await connection.execute(rollupTable(stream, rollup));
    state.streams.set(stream.name, {
      stream,
      nextSeq: 1n,
      filter: new IdFilter(),
      hasReversals: false,
      lookups: new Map(),
      droppedBefore: undefined,
    });
  }
  return { connection, state, gate: new ReadGate(async () => false) };
}

test('temporary tables hold no dead rows, whatever became of the records', async () => {
  const { connection, state, gate } = await openParts();
  const parts = new PartWriter(connection, state);
  const send = async (mode: Mode, texts: string[]) => {
    const sent = delivery(steps, mode, texts) as TextDelivery;
    const [receipt] = await publishTexts(connection, parts, state, [sent], gate);
    return receipt!;
  };
  const records = (taken: string) => Array.from({ length: 40 }, (_, i) => `{"id":"r${i}","taken":${taken}}`);
  expect(await send('insert', records('1'))).toMatchObject({ accepted: 40 });
  for (const taken of ['2', '3.25', '4e0']) {
    expect(await send('upsert', records(taken))).toMatchObject({ corrected: 40 });
    expect(await send('insert', records(taken))).toMatchObject({ duplicates: 40 });
    expect(await send('insert', [...records('9'), 'no record', '{"id":"x","taken":"y"}'])).toMatchObject({
      conflicts: 40,
      rejected: 2,
    });
    expect(await send('retract', ['"r1"', '"unknown"'])).toMatchObject({ retracted: 1, rejected: 1 });
    expect(await send('upsert', records(taken))).toMatchObject({ accepted: 1, duplicates: 39 });
  }
  expect(await connection.askOnce(rowsLeft)).toEqual([]);
});

/** A batch of one record that is new, as it comes from the journal. */
function journaled(number: number, id: string): JournaledBatch {
  const sent = delivery(steps, 'insert', [{ id, taken: number }]) as TextDelivery;
  const values = new Map([
    ['id', id],
    ['taken', String(number)],
  ]);
  const stands = { values, seq: undefined };
  const settled = [{ id, hash: hashOf(id), verdict: 'accepted' as const, stood: undefined, stands }];
  return { batch: number, recordedAt: BigInt(number), deliveries: [{ ...sent, settled }] };
}

test('what is folded in leaves no dead rows in temporary tables', async () => {
  const { connection, state, gate } = await openParts();
  const [folds, parts] = [new FoldWriter(connection, state), new PartWriter(connection, state)];
  for (let n = 0; n < 4; n++) {
    const batches = [journaled(2 * n + 1, `a${n}`), journaled(2 * n + 2, `b${n}`)];
    expect(await publishJournaled(connection, folds, parts, state, batches, gate)).toBe(undefined);
    // Where it is in the ledger, for what corrects it.
    expect(batches.map(({ deliveries }) => deliveries[0]!.settled![0]!.stands.seq)).toEqual(
      [4 * n + 2, 4 * n + 4].map(BigInt),
    );
  }
  expect(await connection.askOnce(rowsLeft)).toEqual([]);
  expect(await connection.askOnce('select _seq::integer, _id from stream_steps.entries limit 2')).toEqual([
    [2, 'a0'],
    [4, 'b0'],
  ]);
});

test('batches of the journal that cannot be put together are published one by one', async () => {
  const { connection, state, gate } = await openParts();
  class Defective extends FoldWriter {
    override async write(...given: Parameters<FoldWriter['write']>): Promise<void> {
      await super.write(...given);
      throw new Error('Conversion Error: a defect');
    }
  }
  const refused = journaled(2, 'a');
  refused.deliveries[0]!.mustBeNew = true;
  const batches = [journaled(1, 'a'), refused];
  const settled = batches.map(({ deliveries }) => deliveries[0]!.settled![0]!);
  const [folds, parts] = [new Defective(connection, state), new PartWriter(connection, state)];
  const publish = () => publishJournaled(connection, folds, parts, state, batches, gate);
  await expect(publish()).rejects.toMatchObject({ code: 'superseded' });
  // Nothing may build on entries that were not committed.
  expect(settled.map(({ stands }) => stands.seq)).toEqual([undefined, undefined]);
  // Those that are in the database are not published again with the rest.
  expect(batches).toHaveLength(1);
  batches[0] = journaled(2, 'b');
  const defect = await publish();
  expect(defect?.message).toBe('Conversion Error: a defect');
  expect(await connection.askOnce('select batch::integer, accepted::integer from parts order by 1')).toEqual([
    [1, 1],
    [2, 1],
  ]);
  expect(await connection.askOnce('select sum(taken)::varchar from stream_steps.entries')).toEqual([
    ['3.0000'],
  ]);
});
