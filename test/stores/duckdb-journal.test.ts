/**
 * Small batches go into a journal first. What was acknowledged is there after a crash, once: here a crash is a copy of
 * the data directory, taken between the answer and the next question.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { Random } from '../contract/random-work.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-journal-'));
const steps = defineStream('steps', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    taken: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: [], sum: ['taken'] } },
  forms: { walks: { names: { taken: 'paces' } } },
});
const notes = defineStream('notes', { fields: { note: { type: 'text', required: true } } });
const all = [...builtInStreams, steps, notes];

const opened: Store[] = [];
let directories = 0;
const newDirectory = () => join(root, String(++directories));

async function open(directory: string, streams = all): Promise<Store> {
  // Nothing leaves the journal by itself.
  const foldAfterMilliseconds = 1_000_000;
  const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1, foldAfterMilliseconds });
  opened.push(store);
  await store.prepare(streams);
  return store;
}
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ids = (to: number, from = 0) => Array.from({ length: to - from }, (_, n) => `id-${from + n}`);
const record = (id: string, taken = 1) => JSON.stringify({ id, at: '2026-10-05T06:00:00Z', taken });

const contentOf = (texts: string[]) => ({
  kind: 'texts' as const,
  texts,
  fallbackIds: texts.map((_, i) => `given-${i}`),
});

async function send(store: Store, texts: string[], more: object = {}): Promise<Receipt> {
  const delivery = {
    stream: steps,
    mode: 'insert' as const,
    source: 'test',
    reason: undefined,
    allVerdicts: false,
  };
  const [receipt] = await store.publish([{ ...delivery, content: contentOf(texts), ...more }]);
  return receipt!;
}

async function sums(store: Store, knownAt?: string): Promise<unknown> {
  const asked = { measures: ['sum(taken)', 'count'], ...(knownAt ? { known_at: knownAt } : {}) };
  const plan = planQuestion(steps, checkQuestion(steps, asked), {
    droppedBefore: undefined,
    rollupsCompleteFrom: new Map(),
  });
  return (await store.ask(plan)).rows[0];
}

/** How often the journal of a directory tells verdicts other than that all were new. */
const verdictsJournaled = (directory: string) =>
  readFileSync(join(directory, 'journal-0'))
    .toString()
    .match(/"verdicts":/g);

/** What the process warns of until the test ends. */
function warningsOf(): Error[] {
  const warned: Error[] = [];
  const warn = (warning: Error) => warned.push(warning);
  process.on('warning', warn);
  onTestFinished(() => void process.off('warning', warn));
  return warned;
}

/** The directory as a crash at this moment would leave it, opened again. */
async function afterCrash(
  directory: string,
  change: (copy: string) => void = () => undefined,
  streams = all,
) {
  const copy = newDirectory();
  cpSync(directory, copy, { recursive: true });
  change(copy);
  return open(copy, streams);
}

test('what was acknowledged is there after a crash, once, with its batch and its form', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  const first = await send(store, [record('a', 1), record('b', 2)]);
  const second = await send(store, ['{"id":"c","at":"2026-10-05 06:00","paces":4}'], {
    form: steps.forms.get('walks'),
  });
  expect([first.accepted, second.accepted]).toEqual([2, 1]);

  const other = await afterCrash(directory);
  expect(await sums(other)).toEqual(['7', 3]);
  expect(await sums(other, first.recorded_at)).toEqual(['3', 2]);
  const fate = await other.fate(steps, 'c');
  expect(fate.lines).toMatchObject([
    { verdict: 'accepted', batch: second.batch, recorded_at: second.recorded_at, source: 'test' },
  ]);
  expect((await other.verify()).filter(({ ok }) => !ok)).toEqual([]);
  expect((await send(other, [record('a', 1)])).duplicates).toBe(1);
});

test('what is in the database already is not taken from the journal again', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await send(store, [record('a', 1)]);
  expect(await sums(store)).toEqual(['1', 1]);
  const other = await afterCrash(directory);
  expect(await sums(other)).toEqual(['1', 1]);
  // Nor is what an older, longer run has left behind the frames of a newer one.
  for (let n = 0; n < 20; n++) await send(other, [record(`long-${n}`)]);
  expect(await sums(other)).toEqual(['21', 21]);
  for (const id of ['x', 'y', 'z']) {
    await send(other, [record(id)]);
    await sums(other);
  }
  expect(await sums(await afterCrash(join(root, String(directories))))).toEqual(['24', 24]);
});

test('a frame that was cut off was not acknowledged: the ones before it count', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await send(store, [record('a', 1)]);
  const spoil = (at: number) => (copy: string) => {
    const path = join(copy, 'journal-0');
    const bytes = readFileSync(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  };
  const before = readFileSync(join(directory, 'journal-0')).readUInt32LE(0) + 8;
  await send(store, [record('b', 2)]);
  expect(await sums(await afterCrash(directory, spoil(before + 100)))).toEqual(['1', 1]);
  expect(await sums(await afterCrash(directory, spoil(before)))).toEqual(['1', 1]);
  expect(await sums(await afterCrash(directory, spoil(20)))).toEqual(['0', 0]);
});

test('what the journal holds for a stream waits until the stream is prepared', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await send(store, [record('a', 1)]);
  const other = await afterCrash(directory, undefined, builtInStreams);
  await other.prepare([notes]);
  expect((await send(other, ['{"note":"meanwhile"}'], { stream: notes })).accepted).toBe(1);
  await other.prepare([steps]);
  expect(await sums(other)).toEqual(['1', 1]);
  expect((await send(other, [record('b', 1)])).accepted).toBe(1);
  expect(await sums(other)).toEqual(['2', 2]);
});

test('ids meet each other in the journal, in the database and on the way between', async () => {
  const store = await open(newDirectory());
  const sent = await Promise.all(
    Array.from({ length: 60 }, (_, n) => send(store, [record(`id-${n % 20}`), record(`own-${n}`)])),
  );
  expect(sent.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(80);
  expect(sent.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(40);
  expect((await send(store, [record('id-3', 9)])).conflicts).toBe(1);
  expect((await send(store, [record('id-3', 9)], { mode: 'upsert' })).corrected).toBe(1);
  expect((await send(store, ['"id-4"'], { mode: 'retract' })).retracted).toBe(1);
  expect(await sums(store)).toEqual(['87', 79]);
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

test('each batch is known from its own time on, however quickly they follow', async () => {
  const store = await open(newDirectory());
  const receipts: Receipt[] = [];
  for (let n = 0; n < 12; n++) receipts.push(await send(store, [record(`id-${n}`)]));
  expect(new Set(receipts.map(({ batch }) => batch)).size).toBe(12);
  for (const [n, { recorded_at }] of receipts.entries())
    expect(await sums(store, recorded_at)).toEqual([String(n + 1), n + 1]);
});

test('what is corrected, repeated and taken back is journaled, and there after a crash', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  const first = await send(store, [record('a', 1), record('b', 2), record('c', 4)]);
  expect(await sums(store)).toEqual(['7', 3]);
  const upsert = { mode: 'upsert', allVerdicts: true };
  const second = await send(store, [record('a', 8), record('b', 2), record('d', 16)], upsert);
  expect(second.verdicts.map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
    'a corrected',
    'b duplicate',
    'd accepted',
  ]);
  const third = await send(store, ['"c"'], { mode: 'retract', reason: 'a mistake' });
  expect(third).toMatchObject({ received: 1, retracted: 1, verdicts: [{ id: 'c', verdict: 'retracted' }] });
  expect(readFileSync(join(directory, 'journal-0')).toString()).toContain('"corrected"');

  const other = await afterCrash(directory);
  for (const ledger of [other, store]) {
    expect(await sums(ledger)).toEqual(['26', 3]);
    expect(await sums(ledger, second.recorded_at)).toEqual(['30', 4]);
    expect(await sums(ledger, first.recorded_at)).toEqual(['7', 3]);
    expect((await ledger.fate(steps, 'a')).lines).toMatchObject([
      { verdict: 'accepted', batch: first.batch },
      { verdict: 'corrected', batch: second.batch, recorded_at: second.recorded_at },
    ]);
    expect((await ledger.fate(steps, 'b')).lines.map(({ verdict }) => verdict)).toEqual([
      'accepted',
      'duplicate',
    ]);
    expect((await ledger.fate(steps, 'c')).lines[1]).toMatchObject({
      verdict: 'retracted',
      batch: third.batch,
      reason: 'a mistake',
    });
    expect((await ledger.verify()).filter(({ ok }) => !ok)).toEqual([]);
    expect((await send(ledger, [record('a', 8)], upsert)).duplicates).toBe(1);
    expect((await send(ledger, ['"c"'], { mode: 'retract' })).duplicates).toBe(1);
  }
});

test('what comes again before it is in the database is held against the journal, and there after a crash', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  const upsert = { mode: 'upsert', allVerdicts: true };
  await send(store, [record('old', 32)]);
  await sums(store);
  const first = await send(store, [record('a', 1), record('b', 2)]);
  const told: string[] = [];
  const receipts: Receipt[] = [];
  for (const texts of [
    [record('a', 8), record('c', 4)],
    [record('a', 8), record('b', 2)],
    [record('old', 64), record('a', 16)],
    [record('old', 64), record('a', 1)],
  ]) {
    const receipt = await send(store, texts, upsert);
    receipts.push(receipt);
    told.push(receipt.verdicts.map(({ id, verdict }) => `${id} ${verdict}`).join(', '));
  }
  expect(told).toEqual([
    'a corrected, c accepted',
    'a duplicate, b duplicate',
    'old corrected, a corrected',
    'old duplicate, a corrected',
  ]);
  expect((await send(store, [record('b', 2)])).duplicates).toBe(1);
  expect(verdictsJournaled(directory)).toHaveLength(5);

  const other = await afterCrash(directory);
  for (const ledger of [other, store]) {
    expect(await sums(ledger)).toEqual([String(64 + 1 + 2 + 4), 4]);
    for (const [i, sum] of [46, 46, 86, 71].entries())
      expect(await sums(ledger, receipts[i]!.recorded_at)).toEqual([String(sum), 4]);
    expect(await sums(ledger, first.recorded_at)).toEqual(['35', 3]);
    expect((await ledger.fate(steps, 'a')).lines).toMatchObject([
      { verdict: 'accepted', batch: first.batch },
      { verdict: 'corrected', batch: receipts[0]!.batch },
      { verdict: 'duplicate', batch: receipts[1]!.batch },
      { verdict: 'corrected', batch: receipts[2]!.batch },
      { verdict: 'corrected', batch: receipts[3]!.batch },
    ]);
    expect((await ledger.verify()).filter(({ ok }) => !ok)).toEqual([]);
  }
});

test('what comes twice at once, in another form, is taken back or comes anew before it is in the database is there after a crash', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  const walks = { form: steps.forms.get('walks'), mode: 'upsert' };
  const walk = (id: string, paces: number) => JSON.stringify({ id, at: '2026-10-05T06:00:00Z', paces });
  await send(store, [record('old', 128), record('older', 256)]);
  await sums(store);
  const receipts = [
    await send(store, [record('a', 1), record('b', 2), record('c', 4)]),
    await send(store, [walk('a', 16)], walks),
    await send(store, ['"b"', '"old"'], { mode: 'retract' }),
    await send(store, [walk('b', 32)], walks),
    await send(store, [record('old', 64), record('c', 4)]),
    await send(store, ['"b"', '"older"'], { mode: 'retract' }),
    await send(store, [record('d', 1), record('d', 1)]),
    await send(store, [record('d', 2), record('d', 4)], { mode: 'upsert' }),
  ];
  expect(
    receipts.map(({ accepted, duplicates, corrected, retracted }) =>
      [accepted, duplicates, corrected, retracted].join(''),
    ),
  ).toEqual(['3000', '0010', '0002', '1000', '1100', '0002', '1100', '0020']);
  expect(verdictsJournaled(directory)).toHaveLength(6);

  const other = await afterCrash(directory);
  for (const ledger of [other, store]) {
    expect(await sums(ledger)).toEqual([String(16 + 4 + 64 + 4), 4]);
    const sumsThen = [391, 406, 276, 308, 372, 84, 85, 88];
    const countsThen = [5, 5, 3, 4, 5, 3, 4, 4];
    for (const [i, { recorded_at }] of receipts.entries())
      expect(await sums(ledger, recorded_at)).toEqual([String(sumsThen[i]), countsThen[i]]);
    expect((await ledger.fate(steps, 'b')).lines).toMatchObject([
      { verdict: 'accepted', batch: receipts[0]!.batch },
      { verdict: 'retracted', batch: receipts[2]!.batch },
      { verdict: 'accepted', batch: receipts[3]!.batch },
      { verdict: 'retracted', batch: receipts[5]!.batch },
    ]);
    expect((await ledger.verify()).filter(({ ok }) => !ok)).toEqual([]);
    expect((await send(ledger, [record('old', 64)])).duplicates).toBe(1);
  }
});

test('what is refused, or taken back twice, before it is in the database is found out there', async () => {
  const store = await open(newDirectory());
  await send(store, [record('a', 1), record('b', 2)]);
  expect((await send(store, [record('a', 9)])).conflicts).toBe(1);
  await send(store, [record('c', 4)]);
  expect((await send(store, ['"c"'], { mode: 'retract' })).retracted).toBe(1);
  expect((await send(store, ['"c"'], { mode: 'retract' })).duplicates).toBe(1);
  expect((await send(store, ['"d"'], { mode: 'retract' })).rejected).toBe(1);
  expect(await sums(store)).toEqual(['3', 2]);
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

const seed = Number(process.env.TALLYBOOK_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
test(`random work on a few ids is the same before a crash, after it, and as of every batch (TALLYBOOK_TEST_SEED=${seed})`, async () => {
  const random = new Random(seed);
  const warned = warningsOf();
  const standing = new Map<string, number>();
  const known: { at: string; sum: number; count: number }[] = [];
  let directory = newDirectory();
  let store = await open(directory);
  for (let round = 0; round < 6; round++) {
    for (let n = random.below(12); n >= 0; n--) {
      const expected: string[] = [];
      const deliveries = Array.from({ length: 1 + random.below(2) }, (_, part) => {
        const mode = random.chance(0.3) && standing.size > 0 ? ('retract' as const) : ('upsert' as const);
        const form = mode === 'upsert' && random.chance(0.4) ? steps.forms.get('walks') : undefined;
        const texts: string[] = [];
        for (let records = 1 + random.below(3); records > 0; records--) {
          const id = mode === 'retract' ? random.pick([...standing.keys(), 'a']) : random.pick([...'abcdef']);
          const taken = random.below(3);
          const before = standing.get(id);
          if (mode === 'retract' && before === undefined) continue;
          if (mode === 'retract') standing.delete(id);
          else standing.set(id, taken);
          const verdict = before === undefined ? 'accepted' : before === taken ? 'duplicate' : 'corrected';
          expected.push(`${id} ${mode === 'retract' ? 'retracted' : verdict}`);
          const at = '2026-10-05T06:00:00Z';
          if (mode === 'retract') texts.push(JSON.stringify(id));
          else texts.push(JSON.stringify(form ? { id, at, paces: taken } : { id, at, taken }));
        }
        const source = `part ${part}`;
        const shared = { stream: steps, source, reason: undefined, allVerdicts: true };
        return { ...shared, mode, form, content: contentOf(texts) };
      }).filter((delivery) => delivery.content.texts.length > 0);
      if (deliveries.length === 0) continue;
      const receipts = await store.publish(deliveries);
      const told = receipts.flatMap(({ verdicts }) => verdicts.map(({ id, verdict }) => `${id} ${verdict}`));
      expect(told).toEqual(expected);
      const sum = [...standing.values()].reduce((a, b) => a + b, 0);
      known.push({ at: receipts[0]!.recorded_at, sum, count: standing.size });
    }
    const crashed = newDirectory();
    cpSync(directory, crashed, { recursive: true });
    const other = await open(crashed);
    for (const ledger of [store, other]) {
      for (const { at, sum, count } of known.slice(-15))
        expect(await sums(ledger, at)).toEqual([String(sum), count]);
      expect((await ledger.verify()).filter(({ ok }) => !ok)).toEqual([]);
    }
    [directory, store] = [crashed, other];
  }
  expect(warned).toEqual([]);
});

test('corrections, repeats and retractions of both forms share a fold with new records', async () => {
  const store = await open(newDirectory());
  const walks = { form: steps.forms.get('walks') };
  const walk = (id: string, paces: number) => JSON.stringify({ id, at: '2026-10-05T06:00:00Z', paces });
  await send(
    store,
    ids(40).map((id) => record(id, 1)),
  );
  await sums(store);
  const receipts = await Promise.all([
    ...ids(8).map((id) => send(store, [record(id, 10)], { mode: 'upsert' })),
    ...ids(16, 8).map((id) => send(store, [walk(id, 100)], { ...walks, mode: 'upsert' })),
    ...ids(24, 16).map((id) => send(store, [JSON.stringify(id)], { mode: 'retract' })),
    ...ids(32, 24).map((id) => send(store, [walk(id, 1)], walks)),
    ...ids(48, 40).map((id) => send(store, [record(id, 1_000)])),
  ]);
  expect(
    receipts.map(({ corrected, retracted, duplicates, accepted }) =>
      [corrected, retracted, duplicates, accepted].join(''),
    ),
  ).toEqual([
    ...Array(16).fill('1000'),
    ...Array(8).fill('0100'),
    ...Array(8).fill('0010'),
    ...Array(8).fill('0001'),
  ]);
  expect(await sums(store)).toEqual([String(8 * 10 + 8 * 100 + 16 + 8 * 1_000), 40]);
  for (const [n, { recorded_at }] of receipts.slice(0, 8).entries())
    expect(await sums(store, recorded_at)).toEqual([String(40 + 9 * (n + 1)), 40]);
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

test('a verdict of the journal that the database does not share is warned of, and what is true is kept', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await send(store, [record('a', 1)]);
  await sums(store);
  await send(store, [record('a', 8)], { mode: 'upsert' });
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const other = await afterCrash(directory, (copy) => {
    const path = join(copy, 'journal-0');
    const bytes = readFileSync(path);
    const length = bytes.readUInt32LE(0);
    const payload = Buffer.from(
      bytes
        .subarray(8, 8 + length)
        .toString()
        .replace('"corrected"', '"duplicate"'),
    );
    bytes.writeUInt32LE(crc32(payload), 4);
    payload.copy(bytes, 8);
    writeFileSync(path, bytes);
  });
  expect((await warned).message).toMatch(/something else may have become of some records.*other verdicts/);
  expect(await sums(other)).toEqual(['8', 1]);
  expect((await other.verify()).filter(({ ok }) => !ok)).toEqual([]);
});

test('a delivery without records shares a batch with one that has some', async () => {
  const store = await open(newDirectory());
  const warned = warningsOf();
  const delivery = { source: 'test', reason: undefined, allVerdicts: true } as const;
  const content = (texts: string[]) => ({ kind: 'texts' as const, texts, fallbackIds: texts });
  const receipts = await store.publish([
    { ...delivery, stream: notes, mode: 'insert', content: content([]) },
    { ...delivery, stream: steps, mode: 'retract', content: content([]) },
    { ...delivery, stream: steps, mode: 'insert', content: content([record('a')]) },
  ]);
  expect(receipts).toMatchObject([
    { received: 0, verdicts: [] },
    { received: 0, verdicts: [] },
    { received: 1, accepted: 1 },
  ]);
  expect(await sums(store)).toEqual(['1', 1]);
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  expect(warned).toEqual([]);
});

test('a clean stop leaves nothing to be done', async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await send(store, [record('a', 1)]);
  await store.close();
  expect(await sums(await afterCrash(directory, (copy) => rmSync(join(copy, 'journal-0'))))).toEqual([
    '1',
    1,
  ]);
});
