/** Filters of known ids are kept on disk, and never claim to know what they do not. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { parseTimestamp } from '../../src/engine/calendar.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { addHash, IdFilter, newSegment } from '../../src/stores/duckdb/id-filter.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { type KeptIds, readKeptIds, writeKeptIds } from '../../src/stores/duckdb/kept-ids.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-ids-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const newDirectory = () => join(root, String(++directories));

describe('the file', () => {
  const path = join(root, 'ids');

  function someIds(): KeptIds {
    const segments = [10, 20_000].map((hashes, i) => {
      const segment = newSegment(BigInt(i * 100_000), hashes);
      for (let n = 0; n < hashes; n++) addHash(segment, n * 7_919, n * 104_729);
      segment.to = BigInt(i * 100_000 + 2 * hashes);
      return segment;
    });
    return { segments, upTo: 140_001n, uncovered: [{ from: 30n, to: 99_999n }] };
  }

  test('holds what was written', async () => {
    await writeKeptIds(path, 'mark', someIds());
    expect(await readKeptIds(path, 'mark')).toEqual(someIds());
  });

  test('counts for nothing beside another ledger, missing, cut off or damaged', async () => {
    expect(await readKeptIds(join(root, 'none'), 'mark')).toBeUndefined();
    await writeKeptIds(path, 'mark', someIds());
    expect(await readKeptIds(path, 'another')).toBeUndefined();
    const whole = readFileSync(path);
    for (const length of [0, 3, 60, 300, 70_000, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await readKeptIds(path, 'mark'), `cut off at ${length}`).toBeUndefined();
    }
    for (const at of [0, 3, 5, 300, 70_000, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x40;
      writeFileSync(path, damaged);
      expect(await readKeptIds(path, 'mark'), `damaged at ${at}`).toBeUndefined();
    }
  });

  test('of an older version it counts for nothing: its hashes have set other bits', async () => {
    await writeKeptIds(path, 'mark', someIds());
    const older = readFileSync(path).toString('latin1').replace('{"version":2', '{"version":1');
    writeFileSync(path, older, 'latin1');
    expect(older).toContain('"version":1');
    expect(await readKeptIds(path, 'mark')).toBeUndefined();
  });

  test('a filter that takes it over knows the ids, and what is left to learn', () => {
    const filter = new IdFilter();
    filter.leaveUncovered({ from: 0n, to: 150_001n });
    const { segments, uncovered } = someIds();
    filter.takeOver(filter.uncovered[0]!, segments, [...uncovered, { from: 140_002n, to: 150_001n }]);
    for (let n = 0; n < 20_000; n++)
      expect(filter.mayHold((BigInt(n * 104_729) << 32n) | BigInt(n * 7_919))).toBe(true);
    expect(filter.uncovered).toEqual([
      { from: 30n, to: 99_999n },
      { from: 140_002n, to: 150_001n },
    ]);
    filter.forgetBefore(100_000n);
    expect(filter.hashes).toBe(20_000);
    expect(filter.uncovered.length).toBe(1);
  });
});

describe('a ledger', () => {
  const steps = defineStream('steps', {
    id: 'id',
    time: 'at',
    fields: { id: { type: 'text', required: true }, at: { type: 'timestamp', required: true } },
  });
  const of = {
    stream: steps,
    mode: 'insert',
    source: 'test',
    reason: undefined,
    allVerdicts: false,
  } as const;
  const opened: Store[] = [];
  let takenOver: MockInstance<IdFilter['takeOver']>;
  beforeEach(() => {
    takenOver = vi.spyOn(IdFilter.prototype, 'takeOver');
  });
  afterEach(async () => {
    takenOver.mockRestore();
    for (const store of opened.splice(0)) await store.close();
  });

  async function open(directory: string, keepIdsAfter = 1): Promise<Store> {
    const store = await openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1, keepIdsAfter });
    opened.push(store);
    await store.prepare([...builtInStreams, steps]);
    return store;
  }

  /** How many of the records were new. The first call makes the store look for what was kept. */
  async function send(store: Store, ids: string[], at = '2026-10-05T06:00:00Z'): Promise<number> {
    const texts = ids.map((id) => JSON.stringify({ id, at }));
    const content = { kind: 'texts' as const, texts, fallbackIds: [] };
    const [receipt] = await store.publish([{ ...of, content }]);
    return receipt!.accepted;
  }

  const ids = (name: string, count = 500) => Array.from({ length: count }, (_, i) => `${name}${i}`);

  /** The same after the filter has been learned or taken over: nothing that stands is new, one by one and together. */
  async function knowsAll(store: Store, all: string[]): Promise<void> {
    await send(store, ['looks for what was kept']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await send(store, all)).toBe(0);
    for (const id of all.slice(0, 20)) expect(await send(store, [id])).toBe(0);
    expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  }

  const keptFiles = (directory: string) => readdirSync(directory).filter((name) => name.startsWith('ids-'));

  test('opened again takes over what was kept; after a crash it learns the rest', async () => {
    const directory = newDirectory();
    const first = await open(directory);
    await send(first, ids('a'));
    await first.close();
    expect(keptFiles(directory)).toEqual(['ids-steps']);
    const second = await open(directory);
    await knowsAll(second, ids('a'));
    expect(takenOver).toHaveBeenCalledTimes(1);
    expect(await send(second, ids('b'))).toBe(500);
    const crashed = newDirectory();
    cpSync(directory, crashed, { recursive: true });
    await knowsAll(await open(crashed), [...ids('a'), ...ids('b')]);
  });

  test('put back to another state, it learns everything', async () => {
    const directory = newDirectory();
    const first = await open(directory);
    await send(first, ids('a'));
    await first.close();
    const before = newDirectory();
    cpSync(directory, before, { recursive: true });
    const second = await open(directory);
    await send(second, ids('b'));
    await second.close();
    // The database of before, and what was kept since; and the other way round.
    for (const name of keptFiles(directory)) {
      const kept = readFileSync(join(directory, name));
      cpSync(join(before, name), join(directory, name));
      writeFileSync(join(before, name), kept);
    }
    takenOver.mockClear();
    const putBack = await open(before);
    expect(await send(putBack, ids('c'))).toBe(500);
    await knowsAll(putBack, [...ids('a'), ...ids('c')]);
    expect(await send(putBack, ids('b'))).toBe(500);
    await knowsAll(await open(directory), [...ids('a'), ...ids('b')]);
    expect(takenOver).not.toHaveBeenCalled();
  });

  test('of which the newest records were dropped does not take new ones for known, nor known ones for new', async () => {
    const directory = newDirectory();
    const first = await open(directory);
    await send(first, ids('new'));
    await send(first, ids('old'), '2020-01-01T00:00:00Z');
    await first.close();
    const second = await open(directory);
    const before = parseTimestamp('2021-01-01T00:00:00Z')!;
    expect(await second.tend({ drop: [{ stream: steps, before }], compact: false })).toEqual({
      dropped: 500,
    });
    await second.close();
    // Their seqs are those of what was dropped; and what is known of them is not kept.
    const third = await open(directory, 1_000_000);
    expect(await send(third, ids('newer', 2_000))).toBe(2_000);
    await third.close();
    await knowsAll(await open(directory), [...ids('new'), ...ids('newer', 2_000)]);
  });

  test('keeps nothing half-written', async () => {
    const directory = newDirectory();
    const store = await open(directory);
    await send(store, ids('a'));
    await store.close();
    expect(existsSync(join(directory, 'ids-steps.unfinished'))).toBe(false);
  });
});
