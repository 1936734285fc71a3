/** Several processes on one ledger, and processes that die at any step of publishing. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams, rejectsStream } from '../../src/engine/built-in-streams.ts';
import { nowMicros, parseTimestamp } from '../../src/engine/calendar.ts';
import { limits } from '../../src/engine/limits.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { Connection } from '../../src/stores/clickhouse/connection.ts';
import { openClickHouseStore } from '../../src/stores/clickhouse/index.ts';
import { clickHouseHost, freshDatabase } from '../clickhouse-store.ts';
import { delivery, fileContent } from '../contract/harness.ts';
import { lines, makeDirectory } from '../http/open-app.ts';
import { breakingWire, holdingWireOfTest } from './wires.ts';

const sales = defineStream('sales', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['customer'], sum: ['amount'] } },
});
const sale = (id: number, amount = '1.50') => ({
  id: `s${id}`,
  at: '2026-10-05T06:43:00Z',
  customer: `c${id % 7}`,
  amount,
});

async function open(address: string): Promise<Store> {
  const store = await openClickHouseStore({ address });
  onTestFinished(() => store.close());
  await store.prepare([...builtInStreams, sales]);
  return store;
}

const fileOf = (records: object[]): string => {
  const path = join(makeDirectory(), 'sales.ndjson');
  writeFileSync(path, lines(records));
  return path;
};
const sendFile = async (store: Store, mode: 'insert' | 'upsert', records: object[]): Promise<Receipt> => {
  const content = fileContent(fileOf(records));
  return (await store.publish([delivery(sales, mode, [], { allVerdicts: false, content })]))[0]!;
};
const send = async (store: Store, mode: 'insert' | 'upsert', records: object[]): Promise<Receipt> =>
  (await store.publish([delivery(sales, mode, records)]))[0]!;

async function totals(store: Store): Promise<unknown> {
  const plan = planQuestion(sales, checkQuestion(sales, { measures: ['count', 'sum(amount)'] }), {
    droppedBefore: undefined,
    rollupsCompleteFrom: new Map(),
  });
  const planned = await store.ask(plan);
  const counted = await store.ask({ ...plan, rollup: undefined, pieces: [] });
  expect(planned.from).toBe('rollup daily');
  expect(planned.rows).toEqual(counted.rows);
  return planned.rows;
}

async function isVerified(store: Store): Promise<void> {
  const checks = await store.verify();
  expect(checks.length).toBeGreaterThan(10);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
}

test('processes that take overlapping ids at the same time: each id stands once', async () => {
  const address = await freshDatabase();
  const stores = [await open(address), await open(address), await open(address)];
  const rounds = Array.from({ length: 12 }, (_, round) => round);
  const receipts = await Promise.all(
    stores.flatMap((store) =>
      rounds.map(async (round) => {
        const ids = Array.from({ length: 40 }, (_, i) => round * 20 + i);
        return send(
          store,
          'insert',
          ids.map((id) => sale(id)),
        );
      }),
    ),
  );
  const accepted = receipts.reduce((sum, receipt) => sum + receipt.accepted, 0);
  const duplicates = receipts.reduce((sum, receipt) => sum + receipt.duplicates, 0);
  expect({ accepted, duplicates }).toEqual({ accepted: 260, duplicates: 3 * 12 * 40 - 260 });
  expect(new Set(receipts.map(({ batch }) => batch)).size).toBe(36);
  for (const store of stores) expect(await totals(store)).toEqual([[260, '390']]);
  await isVerified(stores[0]!);
});

test('corrections by several processes each take back what the one before has written', async () => {
  const address = await freshDatabase();
  const stores = [await open(address), await open(address)];
  await Promise.all(
    stores.flatMap((store, s) =>
      [1, 2, 3, 4, 5].map((n) => send(store, 'upsert', [sale(1, `${s}.${n}`), sale(2, `${n}.${s}`)])),
    ),
  );
  const entries = await stores[1]!.fate(sales, 's1');
  expect(entries.lines.map(({ verdict }) => verdict)).toEqual(['accepted', ...Array(9).fill('corrected')]);
  expect(await totals(stores[0]!)).toEqual(await totals(stores[1]!));
  await isVerified(stores[0]!);
});

test('a file that one process takes in while another takes the same ids: each id stands once', async () => {
  const address = await freshDatabase();
  const [importing, writing] = [await open(address), await open(address)];
  const receipts = await Promise.all([
    sendFile(
      importing,
      'insert',
      Array.from({ length: 3000 }, (_, id) => sale(id)),
    ),
    ...[0, 1, 2, 3, 4, 5].map((n) =>
      send(
        writing,
        'insert',
        Array.from({ length: 10 }, (_, i) => sale(n * 500 + i)),
      ),
    ),
  ]);
  const accepted = receipts.reduce((sum, receipt) => sum + receipt.accepted, 0);
  expect(accepted).toBe(3000);
  expect(await totals(writing)).toEqual([[3000, '4500']]);
  await isVerified(writing);
});

test('a rollup that another process has added is kept by those that do not know it', async () => {
  const address = await freshDatabase();
  const older = await open(address);
  await send(older, 'insert', [sale(1)]);
  const newer = await openClickHouseStore({ address });
  onTestFinished(() => newer.close());
  const rollups = { ...sales.declaration.rollups, monthly: { every: 'month' as const, sum: ['amount'] } };
  await newer.prepare([...builtInStreams, defineStream('sales', { ...sales.declaration, rollups })]);
  await send(older, 'insert', [sale(2), sale(3)]);
  await isVerified(newer);
});

for (const answered of [true, false]) {
  test(`a crash at every step of publishing, the last step ${answered ? 'answered' : 'done and not answered'}: every record once`, async () => {
    const address = await freshDatabase();
    const survivor = await open(address);
    await send(survivor, 'insert', [sale(0), sale(1), sale(2)]);
    let steps = 0;
    for (let done = false; !done; steps++) {
      const wire = await breakingWire(address, 1_000_000, answered);
      const dying = await openClickHouseStore({ address: wire.address });
      await dying.prepare([...builtInStreams, sales]);
      // A first batch opens its epoch, so that every step is one of publishing.
      await send(dying, 'insert', [sale(1000 + steps)]);
      wire.allow(steps);
      const batch = [
        ...Array.from({ length: 10 }, (_, i) => sale(10 * steps + i, `${steps}.25`)),
        { ...sale(steps), amount: 'much' },
      ];
      const receipt = await send(dying, 'upsert', batch).catch(() => undefined);
      await dying.close().catch(() => undefined);
      done = receipt !== undefined && !wire.broken;
      // Whoever got no answer sends it again, to whoever is there.
      const again = await send(survivor, 'upsert', batch);
      expect(again.accepted + again.corrected + again.duplicates).toBe(10);
      if (receipt) expect(again.duplicates).toBe(10);
      await totals(survivor);
    }
    // Settling reads, writing and committing: each is a request at least.
    expect(steps).toBeGreaterThan(5);
    await isVerified(survivor);
    const rejects = await survivor.entries({
      stream: rejectsStream,
      standing: true,
      newestFirst: false,
      after: undefined,
      limit: 1000,
      where: [],
      from: undefined,
      to: undefined,
      knownAt: undefined,
    });
    // One of each batch that was sent again, and one of each that was committed before.
    expect(rejects.length).toBeGreaterThanOrEqual(steps);
  });
}

test('a file whose process dies between its blocks has left nothing', async () => {
  const address = await freshDatabase();
  const survivor = await open(address);
  const records = Array.from({ length: 45_000 }, (_, id) => sale(id));
  for (const requests of [3, 6, 9, 12]) {
    const wire = await breakingWire(address, 1_000_000, false);
    const dying = await openClickHouseStore({ address: wire.address });
    await dying.prepare([...builtInStreams, sales]);
    wire.allow(requests);
    await expect(sendFile(dying, 'insert', records)).rejects.toMatchObject({ code: 'database_unavailable' });
    await dying.close().catch(() => undefined);
    expect(await totals(survivor)).toEqual([[0, '0']]);
  }
  expect(await sendFile(survivor, 'insert', records)).toMatchObject({ accepted: 45_000, received: 45_000 });
  expect(await totals(survivor)).toEqual([[45_000, '67500']]);
  await isVerified(survivor);
});

/** Rows of a table, whether they count or not. */
async function rowsOf(address: string, table: string): Promise<number> {
  return Number(await run(`select count() from ${inDatabase(address, table)}`));
}

const inDatabase = (address: string, table: string): string =>
  `${new URL(address).pathname.slice(1)}.\`${table}\``;

async function run(statement: string): Promise<string> {
  const answer = await fetch(`http://${clickHouseHost}/`, { method: 'POST', body: statement });
  return answer.text();
}

/** A store on a clock of its own, which housekeeping looks at. */
async function keeper(address: string) {
  let now = nowMicros();
  const store = await openClickHouseStore({ address, clock: () => now });
  onTestFinished(() => store.close());
  await store.prepare([...builtInStreams, sales]);
  return {
    store,
    tend: () => store.tend({ drop: [], compact: true }),
    pass(seconds: number) {
      now += BigInt(seconds) * 1_000_000n;
    },
  };
}
const tables = ['sales.entries', 'sales.duplicates', 'sales.rollup.daily', '_rejects.entries'];
const allRows = (address: string) => Promise.all(tables.map((table) => rowsOf(address, table)));

test('what a process left that died is removed, a day after it was found', async () => {
  const address = await freshDatabase();
  const { store, tend, pass } = await keeper(address);
  await send(store, 'insert', [sale(0), sale(1), sale(1)]);
  // As the first version made it.
  for (const table of tables) await run(`alter table ${inDatabase(address, table)} drop column _of_part`);
  await store.prepare([...builtInStreams, sales]);
  const before = await allRows(address);
  const wire = await breakingWire(address, 1_000_000, true);
  const dying = await openClickHouseStore({ address: wire.address });
  await dying.prepare([...builtInStreams, sales]);
  await dying.fate(sales, 's1');
  const records = [sale(1), ...Array.from({ length: 25_000 }, (_, id) => sale(id + 9)), { id: 'x' }];
  wire.allow(14);
  await expect(sendFile(dying, 'insert', records)).rejects.toMatchObject({ code: 'database_unavailable' });
  await dying.close().catch(() => undefined);
  const left = await allRows(address);
  expect(left[0]).toBeGreaterThan(before[0]!);

  await tend();
  pass(limits.abandoned_seconds - 60);
  await tend();
  expect(await allRows(address)).toEqual(left);
  pass(120);
  await tend();
  expect(await allRows(address)).toEqual(before);
  expect(await totals(store)).toEqual([[2, '3']]);
  await isVerified(store);
});

for (const kind of ['batch', 'file'])
  test(`a ${kind} that was given up for abandoned is done again by its process, which was only slow`, async () => {
    const address = await freshDatabase();
    const { store, tend, pass } = await keeper(address);
    const wire = await holdingWireOfTest(address);
    const slow = await open(wire.address);
    await send(slow, 'insert', [sale(0)]);
    const held = wire.hold(kind === 'file' ? 1 : 0);
    const publishing = (kind === 'file' ? sendFile : send)(slow, 'insert', [sale(0), sale(1), sale(2)]);
    await held.isCaught;
    await tend();
    pass(limits.abandoned_seconds + 60);
    await tend();
    held.release();
    expect(await publishing).toMatchObject({ accepted: 2, duplicates: 1 });
    expect(await totals(store)).toEqual([[3, '4.5']]);
    await isVerified(store);
    await tend();
    expect(await rowsOf(address, 'sales.entries')).toBe(3);
  });

test('what its own process commits in the last moment is not given up for abandoned', async () => {
  const address = await freshDatabase();
  const wire = await holdingWireOfTest(address);
  const { store, tend, pass } = await keeper(wire.address);
  await send(store, 'insert', [sale(0)]);
  const commit = wire.hold(0, /token=position.*"part"/s);
  const publishing = send(store, 'insert', [sale(1)]);
  await commit.isCaught;
  await tend();
  pass(limits.abandoned_seconds + 60);
  const giving = wire.hold(0, /token=position.*"void"/s);
  const tending = tend();
  await giving.isCaught;
  commit.release();
  expect(await publishing).toMatchObject({ accepted: 1 });
  giving.release();
  await tending;
  await tend();
  expect(await totals(store)).toEqual([[2, '3']]);
  await isVerified(store);
});

for (const kind of ['batch', 'file'])
  test(`a ${kind} whose commit gets no answer is asked for again, and told of`, async () => {
    const address = await freshDatabase();
    const wire = await holdingWireOfTest(address);
    const store = await open(wire.address);
    await send(store, 'insert', [sale(0)]);
    const commit = wire.hold(0, /token=position.*"part"/s);
    const publishing = (kind === 'file' ? sendFile : send)(store, 'insert', [sale(1), sale(2)]);
    await commit.isCaught;
    commit.sever();
    commit.release();
    expect(await publishing).toMatchObject({ accepted: 2 });
    expect(await totals(store)).toEqual([[3, '4.5']]);
    await isVerified(store);
  });

test('what a process has got no answer to, and is committed after all, is held against what it takes in next', async () => {
  const address = await freshDatabase();
  const wire = await holdingWireOfTest(address);
  const store = await open(wire.address);
  await send(store, 'insert', [sale(0)]);
  const first = wire.hold();
  const unanswered = send(store, 'insert', [sale(1), sale(2)]);
  await first.isCaught;
  const commits = await rowsOf(address, 'commits');
  first.sever();
  await expect(unanswered).rejects.toMatchObject({ code: 'database_unavailable' });
  const second = wire.hold(0, /deduplication_token = 'sums /);
  const again = send(store, 'insert', [sale(1), sale(2)]);
  await second.isCaught;
  first.release();
  await expect.poll(() => rowsOf(address, 'commits')).toBeGreaterThan(commits);
  second.release();
  expect(await again).toMatchObject({ duplicates: 2 });
  expect(await totals(store)).toEqual([[3, '4.5']]);
  await isVerified(store);
});

const monthly = defineStream('sales', {
  ...sales.declaration,
  rollups: { ...sales.declaration.rollups, monthly: { every: 'month', sum: ['amount'] } },
});
const before = parseTimestamp('2026-10-06T00:00:00Z')!;
for (const [what, itsInsert, work, stands] of [
  [
    'a correction',
    /deduplication_token = 'sums /,
    (store: Store) => send(store, 'upsert', [sale(1, '2')]),
    [2, '3.5'],
  ],
  [
    'retention',
    /deduplication_token = 'dropped /,
    (store: Store) => store.tend({ drop: [{ stream: sales, before }], compact: false }),
    undefined,
  ],
  [
    'a new rollup',
    /deduplication_token = 'fill /,
    (store: Store) => store.prepare([...builtInStreams, monthly]),
    [2, '4.5'],
  ],
  [
    'a block of a file',
    /token=position.*"seqs"/s,
    (store: Store) => sendFile(store, 'upsert', [sale(9, '2')]),
    [3, '6.5'],
  ],
  [
    'a file',
    /deduplication_token = 'sums /,
    (store: Store) => sendFile(store, 'upsert', [sale(1, '2')]),
    [2, '3.5'],
  ],
] as const)
  test(`${what} takes in what another process has committed meanwhile, also where a question has learnt of it first`, async () => {
    const address = await freshDatabase();
    const [wire, other] = [await holdingWireOfTest(address), await open(address)];
    const slow = await open(wire.address);
    await send(slow, 'insert', [sale(1)]);
    const held = wire.hold(0, itsInsert);
    const working = work(slow);
    await held.isCaught;
    await send(other, 'upsert', [sale(1, '3'), sale(2)]);
    await totals(slow);
    held.release();
    await working;
    if (stands) expect(await totals(other)).toEqual([stands]);
    for (const store of [slow, other]) await isVerified(store);
  });

for (const meanwhile of ['learnt', 'dropped'])
  test(`what is verified is one state of the ledger, whatever is ${meanwhile} meanwhile`, async () => {
    const address = await freshDatabase();
    const [wire, other] = [await holdingWireOfTest(address), await open(address)];
    const slow = await open(wire.address);
    await send(slow, 'insert', [sale(1)]);
    const held = wire.hold(0, /uniqExact.*sales\.entries/s);
    const verifying = isVerified(slow);
    await held.isCaught;
    await send(other, 'insert', [sale(2)]);
    if (meanwhile === 'dropped') await other.tend({ drop: [{ stream: sales, before }], compact: false });
    await slow.fate(sales, 's1');
    held.release();
    await verifying;
  });

test('what the server cannot do now is told as that, not as a defect', async () => {
  const connection = new Connection(await freshDatabase());
  onTestFinished(() => connection.close());
  const much = 'select length(groupArray(number)) from numbers(10000000) settings max_memory_usage = 1000000';
  await expect(connection.rows(much)).rejects.toMatchObject({ code: 'out_of_memory', retryAfter: 10 });
  const long = 'select count() from numbers(100000000000) settings max_execution_time = 0.1';
  await expect(connection.rows(long)).rejects.toMatchObject({ code: 'database_unavailable' });
  await expect(connection.rows('select nothing')).rejects.not.toMatchObject({ code: 'database_unavailable' });
});
