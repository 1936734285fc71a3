/** What is in the books survives a restart, and what was cut off is told. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { importsStream } from '../../src/engine/built-in-streams.ts';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { bookDelivery } from '../../src/engine/own-books.ts';
import type { Store } from '../../src/engine/store.ts';
import { type Log, Tallybook } from '../../src/engine/tallybook.ts';
import { makeDirectory, openStore, replaceVerbs, sale, sales, storeKinds } from '../http/open-app.ts';

const log: Log = { info() {}, warn() {}, error() {} };
const settings = { streams: undefined, origins: undefined, rateLimit: undefined };

/** A store that outlives the Tallybook on it: the memory store, which else would die with it. */
function outliving(store: Store): Store {
  return { ...store, close: async () => undefined };
}

describe.each(storeKinds)('the books, %s', (kind) => {
  async function books(wrap: (store: Store) => Store = (store) => store) {
    const directory = makeDirectory();
    let store: Store | undefined;
    const open = async () => {
      store =
        kind === 'memory'
          ? (store ?? outliving(await openStore(kind, directory)))
          : await openStore(kind, directory);
      const tallybook = await Tallybook.open({
        store: wrap(store),
        spoolDirectory: join(directory, 'spool'),
        log,
      });
      onTestFinished(() => tallybook.close());
      return tallybook;
    };
    return { open, directory };
  }
  const write = (tallybook: Tallybook, ...records: object[]) =>
    tallybook.write({
      stream: tallybook.streams.get('sales'),
      mode: 'insert',
      source: 't',
      reason: undefined,
      content: {
        kind: 'texts',
        texts: records.map((record) => JSON.stringify(record)),
        fallbackIds: records.map(() => ''),
      },
      allVerdicts: false,
    });

  test('streams, records and sources are there after a restart', async () => {
    const { open } = await books();
    const first = await open();
    expect(await first.streams.put('sales', sales)).toMatchObject({ created: true, changed: true });
    await write(first, sale('a'), sale('b', { amount: 'x' }));
    const { key } = await first.sources.create('shop', {
      ...settings,
      scopes: ['read', 'ingest'],
      rateLimit: 7,
      streams: ['sales'],
    });
    await first.sources.create('gone', { ...settings, scopes: ['read'] });
    await first.sources.remove('gone');
    await first.close();
    const second = await open();
    expect(second.streams.list().map(({ name }) => name)).toEqual(['sales']);
    expect(await second.streams.put('sales', sales)).toMatchObject({ created: false, changed: false });
    expect(second.sources.authenticate(key)).toMatchObject({
      name: 'shop',
      scopes: ['ingest', 'read'],
      rateLimit: 7,
      streams: ['sales'],
      origins: undefined,
    });
    expect(second.sources.list().map(({ name }) => name)).toEqual(['shop']);
    expect((await second.records('sales', {}, {})).records.map(({ id }) => id)).toEqual(['a']);
    expect(await second.rejects.count({ stream: 'sales' })).toBe(1);
    expect((await second.ask('sales', { measures: ['count'] })).rows).toEqual([[1]]);
  });

  test('a stream grows: a new field, a new rollup that counts what came before it', async () => {
    const { open } = await books();
    const first = await open();
    await first.streams.put('sales', sales);
    await write(first, sale('a', { amount: 2 }), sale('b', { amount: 3 }));
    const grown: StreamDeclaration = {
      ...sales,
      fields: { ...sales.fields, note: { type: 'text' } },
      rollups: { ...sales.rollups, total: { every: 'all', sum: ['amount'] } },
    };
    expect(await first.streams.put('sales', grown)).toMatchObject({ created: false, changed: true });
    await write(first, sale('c', { amount: 5, note: 'new' }));
    expect(await first.ask('sales', { measures: ['sum(amount)'] })).toMatchObject({
      rows: [['10']],
      from: 'rollup total',
    });
    await expect(first.streams.put('sales', sales)).rejects.toMatchObject({
      code: 'incompatible_declaration',
    });
    await first.close();
    const second = await open();
    expect(await second.ask('sales', { measures: ['count'], by: ['note'] })).toMatchObject({
      rows: [
        ['new', 1],
        [null, 2],
      ],
    });
  });

  test('declarations made at the same time come one after the other', async () => {
    const { open } = await books();
    const tallybook = await open();
    const made = await Promise.all(Array.from({ length: 4 }, () => tallybook.streams.put('sales', sales)));
    expect(made.map(({ created }) => created)).toEqual([true, false, false, false]);
  });

  test('an import that was cut off is marked as failed at the next start; numbers go on', async () => {
    const { open, directory } = await books();
    const first = await open();
    await first.streams.put('sales', sales);
    const path = join(directory, 'spool', 'upload');
    writeFileSync(path, JSON.stringify(sale('a')));
    const request = {
      stream: first.streams.get('sales'),
      path,
      name: 'u',
      format: 'ndjson' as const,
      mode: 'insert' as const,
      source: 't',
      deleteFile: false,
    };
    const { id } = await first.imports.start(request);
    const done = await first.imports.wait(id);
    expect(done).toMatchObject({ id: 1, status: 'done' });
    // As the books are when the process is killed while import 2 runs.
    const { progress: _, ...record } = {
      ...done,
      id: 2,
      status: 'in_progress',
      counts: null,
      finished_at: null,
    };
    await first.write(bookDelivery(importsStream, 'upsert', [JSON.stringify(record)]));
    await first.close();
    mkdirSync(join(directory, 'spool'), { recursive: true });
    writeFileSync(join(directory, 'spool', 'half'), 'left over');
    const second = await open();
    expect(await second.imports.get(2)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('interrupted'),
      finished_at: expect.any(String),
    });
    expect(await second.imports.get(1)).toMatchObject({ status: 'done', counts: { accepted: 1 } });
    expect(readdirSync(join(directory, 'spool'))).toEqual([]);
    writeFileSync(path, JSON.stringify(sale('b')));
    expect(await second.imports.start({ ...request, stream: second.streams.get('sales') })).toMatchObject({
      id: 3,
    });
    await second.imports.wait(3);
    expect(readdirSync(join(directory, 'spool'))).toEqual(['upload']);
  });

  test('closing stops what is imported: it leaves nothing and says so', async () => {
    const { open, directory } = await books((store) =>
      replaceVerbs(store, {
        publish(deliveries) {
          const { content } = deliveries[0]!;
          if (content.kind !== 'file') return store.publish(deliveries);
          return new Promise((_, reject) =>
            content.signal!.addEventListener('abort', () => reject(new Error('stopped by the signal'))),
          );
        },
      }),
    );
    const first = await open();
    await first.streams.put('sales', sales);
    const path = join(directory, 'many.ndjson');
    writeFileSync(path, JSON.stringify(sale('a')));
    const request = {
      stream: first.streams.get('sales'),
      path,
      name: 'many',
      format: 'ndjson' as const,
      mode: 'insert' as const,
      source: 't',
      deleteFile: false,
    };
    // Two run, two wait.
    const states = await Promise.all([1, 2, 3, 4].map(() => first.imports.start(request)));
    await first.close();
    await expect(first.imports.start(request)).rejects.toMatchObject({ code: 'closing' });
    const second = await open();
    const ended = await Promise.all(states.map(({ id }) => second.imports.get(id)));
    expect(ended).toMatchObject(
      states.map(({ id }) => ({ id, status: 'failed', error: expect.stringContaining('interrupted') })),
    );
    expect((await second.ask('sales', { measures: ['count'] })).rows).toEqual([[0]]);
  });

  test('retention drops old records, keeps their sums, and old records are refused', async () => {
    const { open } = await books();
    const tallybook = await open();
    await tallybook.streams.put('sales', {
      ...sales,
      rollups: { ...sales.rollups, total: { every: 'all', sum: ['amount'] } },
    });
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    await write(
      tallybook,
      sale('old', { at: old, amount: 4 }),
      sale('new', { at: new Date().toISOString(), amount: 6 }),
    );
    await tallybook.streams.put('sales', {
      ...sales,
      rollups: { ...sales.rollups, total: { every: 'all', sum: ['amount'] } },
      retention: { records: '30 days' },
    });
    expect(await tallybook.compact()).toBe(1);
    expect((await tallybook.records('sales', {}, {})).records.map(({ id }) => id)).toEqual(['new']);
    expect(await tallybook.ask('sales', { measures: ['sum(amount)'] })).toMatchObject({
      rows: [['10']],
      from: 'rollup total',
    });
    await expect(tallybook.ask('sales', { measures: ['max(amount)'] })).rejects.toMatchObject({
      code: 'beyond_retention',
    });
    expect(await write(tallybook, sale('late', { at: old }))).toMatchObject({
      rejected: 1,
      verdicts: [{ code: 'too_old' }],
    });
    expect((await tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });
});
