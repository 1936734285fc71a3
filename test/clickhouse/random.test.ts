/**
 * Several processes on one ledger that write, correct, take back, import and ask at random, all at once, about a few ids:
 * what each was told must add up to what is there.
 *
 *     TALLYBOOK_TEST_SEED=7 TALLYBOOK_TEST_ROUNDS=20 npx vitest run -c test/clickhouse/vitest.config.ts test/clickhouse/random.test.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { delivery, fileContent } from '../contract/harness.ts';
import { Random } from '../contract/random-work.ts';
import { lines, makeDirectory } from '../http/open-app.ts';

const seed = Number(process.env['TALLYBOOK_TEST_SEED'] ?? Date.now() % 2 ** 31);
const rounds = Number(process.env['TALLYBOOK_TEST_ROUNDS'] ?? 1);
const processes = 3;
const ids = 30;

const taps = defineStream('taps', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    room: { type: 'text' },
    amount: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['room'], sum: ['amount'] } },
});

/** Records, at most one of an id. */
function some(random: Random, most: number) {
  const chosen = new Set(Array.from({ length: 1 + random.below(most) }, () => random.below(ids)));
  return [...chosen].map((id) => ({
    id: `t${id}`,
    at: `2026-10-0${1 + random.below(5)}T06:43:00Z`,
    room: `r${random.below(3)}`,
    amount: random.below(1_000),
  }));
}

async function answer(store: Store, measures: string[], fromLedger: boolean): Promise<unknown> {
  const plan = planQuestion(taps, checkQuestion(taps, { measures }), {
    droppedBefore: undefined,
    rollupsCompleteFrom: new Map(),
  });
  const { rows } = await store.ask(fromLedger ? { ...plan, rollup: undefined, pieces: [] } : plan);
  return rows;
}

async function work(store: Store, random: Random, receipts: Receipt[], directory: string): Promise<void> {
  for (let n = 0; n < 12; n++) {
    const mode = random.pick(['insert', 'upsert', 'upsert', 'retract'] as const);
    const records = some(random, 6);
    const texts = mode === 'retract' ? records.map(({ id }) => JSON.stringify(id)) : records;
    if (mode !== 'retract' && random.chance(0.15)) {
      const path = join(directory, `${random.below(2 ** 31)}.ndjson`);
      writeFileSync(path, lines(records));
      const [receipt] = await store.publish([delivery(taps, mode, [], { content: fileContent(path) })]);
      receipts.push(receipt!);
    } else receipts.push(...(await store.publish([delivery(taps, mode, texts)])));
  }
}

/** Learns of what others commit, again and again. */
async function ask(store: Store, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const checks = await store.verify();
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    await answer(store, ['count'], false);
  }
}

for (let round = 0; round < rounds; round++)
  test(`random work of ${processes} processes adds up (TALLYBOOK_TEST_SEED=${seed + round})`, async () => {
    const address = await freshDatabase();
    const directory = makeDirectory();
    const stores = await Promise.all(
      Array.from({ length: processes }, async () => {
        const store = await openClickHouseStore({ address });
        await store.prepare([...builtInStreams, taps]);
        return store;
      }),
    );
    onTestFinished(async () => {
      await Promise.all(stores.map((store) => store.close()));
      await dropDatabase(address);
    });
    const receipts: Receipt[] = [];
    const done = new AbortController();
    const asking = Promise.all(stores.map((store) => ask(store, done.signal)));
    const writing = stores.flatMap((store, s) =>
      [0, 1].map((w) => work(store, new Random((seed + round) * 31 + s * 2 + w), receipts, directory)),
    );
    await Promise.all([asking, Promise.all(writing).finally(() => done.abort())]);
    const sum = (name: 'accepted' | 'retracted') =>
      receipts.reduce((total, receipt) => total + receipt[name], 0);
    expect(sum('retracted')).toBeGreaterThan(0);
    for (const store of stores) {
      expect(await answer(store, ['count'], true)).toEqual([[sum('accepted') - sum('retracted')]]);
      const all = ['count', 'sum(amount)'];
      expect(await answer(store, all, false)).toEqual(await answer(store, all, true));
      expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
    }
    // Each batch has a number of its own.
    expect(new Set(receipts.map(({ batch }) => batch)).size).toBe(receipts.length);
  });
