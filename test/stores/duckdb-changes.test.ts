/**
 * A change of a stream has two steps: the tables are changed, then the declaration is written down. A process that ends
 * between them has changed tables that no declaration tells of, which are not kept from then on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { Store } from '../../src/engine/store.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { delivery } from '../contract/harness.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-changes-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const declaration: StreamDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    taken: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', sum: ['taken'] } },
};
const before = defineStream('steps', declaration);
function changedTo(type: 'text' | 'integer', by: string[]): Stream {
  const changed: StreamDeclaration = {
    ...declaration,
    fields: { ...declaration.fields, place: { type } },
    rollups: { ...declaration.rollups, places: { every: 'month', by, sum: ['taken'] } },
  };
  return defineStream('steps', changed);
}
const after = changedTo('text', ['place']);

const open = (directory: string) => openDuckDBStore({ directory, memoryLimit: '512MB', threads: 1 });
const send = (store: Store, stream: Stream, ...ids: string[]) =>
  store.publish([
    delivery(
      stream,
      'insert',
      ids.map((id) => ({ id, at: '2026-10-05T06:00:00Z', taken: 1 })),
    ),
  ]);

async function counts(store: Store, stream: Stream): Promise<unknown> {
  const asked = { measures: ['sum(taken)', 'count'], every: 'month', by: ['place'] } as const;
  const question = checkQuestion(stream, { ...asked, measures: [...asked.measures], by: [...asked.by] });
  const none = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  const answer = await store.ask(planQuestion(stream, question, none));
  expect((await store.verify()).filter(({ ok }) => !ok)).toEqual([]);
  return [answer.from, ...answer.rows];
}

test.each([
  ['the same', after],
  ['another', changedTo('integer', ['place', 'id'])],
])('after a change that was cut off, %s change counts everything', async (_, again) => {
  const directory = mkdtempSync(join(root, 'ledger-'));
  let store = await open(directory);
  await store.prepare([...builtInStreams, before]);
  await send(store, before, 'a');
  await store.prepare([after]);
  await store.close();

  store = await open(directory);
  await store.prepare([...builtInStreams, before]);
  await send(store, before, 'b', 'c');
  await store.prepare([again]);
  await send(store, again, 'd');
  expect(await counts(store, again)).toEqual(['rollup places', [null, '2026-10-01', '4', 4]]);
  await store.close();
});

test('a change takes the place of one that could not be written down', async () => {
  const store = await open(mkdtempSync(join(root, 'ledger-')));
  await store.prepare([...builtInStreams, before]);
  await send(store, before, 'a');
  await store.prepare([after]);
  await send(store, before, 'b');
  const other = changedTo('text', ['id', 'place']);
  await store.prepare([other]);
  await send(store, other, 'c');
  expect(await counts(store, other)).toEqual(['rollup places', [null, '2026-10-01', '3', 3]]);
  await store.close();
});

test('a rollup that a new version brings is complete from where retention has dropped records', async () => {
  const directory = mkdtempSync(join(root, 'ledger-'));
  let store = await open(directory);
  await store.prepare([...builtInStreams, before]);
  await send(store, before, 'a');
  const dropped = BigInt(Date.parse('2026-10-04T00:00:00Z')) * 1000n;
  await store.tend({ drop: [{ stream: before, before: dropped }], compact: false });
  await store.close();

  store = await open(directory);
  const states = await store.prepare([...builtInStreams, after]);
  expect(states.get('steps')).toEqual({
    droppedBefore: dropped,
    rollupsCompleteFrom: new Map([['places', dropped]]),
  });
  await store.close();
});
