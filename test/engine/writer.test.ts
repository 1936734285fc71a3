import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TallybookError } from '../../src/engine/errors.ts';
import { limits } from '../../src/engine/limits.ts';
import type { Delivery, Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { type BatchEvent, Writer } from '../../src/engine/writer.ts';
import { openMemoryStore } from '../../src/stores/memory/index.ts';

const stream = defineStream('words', { id: 'id', fields: { id: { type: 'text', required: true } } });

function delivery(...ids: string[]): Delivery {
  const texts = ids.map((id) => JSON.stringify({ id }));
  return {
    stream,
    mode: 'insert',
    source: 't',
    reason: undefined,
    content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
    allVerdicts: true,
  };
}

/** A memory store whose commits can be held, and made to fail. */
async function trial(fail: (deliveries: Delivery[]) => Error | undefined = () => undefined) {
  const memory = openMemoryStore();
  await memory.prepare([stream]);
  const groups: string[][] = [];
  const gates: (() => void)[] = [];
  let held = false;
  const store: Store = {
    ...memory,
    async publish(deliveries) {
      groups.push(
        deliveries.map(({ content }) => (content.kind === 'texts' ? content.texts.length : 0)).map(String),
      );
      if (held) await new Promise<void>((resolve) => gates.push(resolve));
      const error = fail(deliveries);
      if (error) throw error;
      return memory.publish(deliveries);
    },
  };
  const events: BatchEvent[] = [];
  const writer = new Writer(store, (event) => events.push(event));
  const hold = () => {
    held = true;
  };
  const letGo = () => {
    held = false;
    for (const open of gates.splice(0)) open();
  };
  return { writer, groups, events, hold, letGo };
}

test('while one commit runs, all that arrives waits and becomes the next', async () => {
  const { writer, groups, events, hold, letGo } = await trial();
  hold();
  const first = writer.submit(delivery('a'));
  await sleep(5);
  const rest = ['b', 'c', 'a'].map((id) => writer.submit(delivery(id, `${id}2`)));
  expect(writer.depth).toMatchObject({ deliveries: 4, records: 7 });
  letGo();
  expect((await first).verdicts).toMatchObject([{ id: 'a', verdict: 'accepted' }]);
  const receipts = await Promise.all(rest);
  expect(groups).toEqual([['1'], ['2', '2', '2']]);
  expect(new Set(receipts.map(({ batch }) => batch)).size).toBe(1);
  expect(receipts[2]!.verdicts).toMatchObject([{ verdict: 'duplicate' }, { verdict: 'accepted' }]);
  expect(writer.depth).toEqual({ deliveries: 0, records: 0, bytes: 0 });
  expect(
    events.map(({ deliveries, records, counts }) => [deliveries, records, counts.get('words')!.accepted]),
  ).toEqual([
    [1, 1, 1],
    [3, 6, 5],
  ]);
});

test('what arrives in the same turn of the loop is one commit', async () => {
  const { writer, groups } = await trial();
  await Promise.all([writer.submit(delivery('a')), writer.submit(delivery('b'))]);
  expect(groups).toEqual([['1', '1']]);
});

test('a commit takes no more than its bound, but always one', async () => {
  const { writer, groups, hold, letGo } = await trial();
  hold();
  const many = (prefix: string, count: number) =>
    delivery(...Array.from({ length: count }, (_, index) => `${prefix}${index}`));
  const first = writer.submit(delivery('x'));
  await sleep(5);
  const rest = [many('a', limits.batch_records + 1), many('b', 10), many('c', limits.batch_records)].map(
    (d) => writer.submit(d),
  );
  letGo();
  await Promise.all([first, ...rest]);
  expect(groups).toEqual([['1'], [String(limits.batch_records + 1)], ['10'], [String(limits.batch_records)]]);
}, 30_000);

test('one delivery that spoils a commit does not harm the others', async () => {
  const spoils = ({ content }: Delivery) => content.kind === 'texts' && content.texts[0]!.includes('guilty');
  const { writer, groups } = await trial((deliveries) =>
    deliveries.some(spoils) ? new Error('cannot be published') : undefined,
  );
  const sent = await Promise.allSettled(['a', 'guilty', 'b'].map((id) => writer.submit(delivery(id))));
  expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(sent[1]).toMatchObject({ reason: { message: 'cannot be published' } });
  expect(groups).toEqual([['1', '1', '1'], ['1'], ['1'], ['1']]);
  expect(writer.depth.records).toBe(0);
});

test.each(['storage_full', 'database_unavailable'] as const)(
  'an error that would meet all of them is not tried again: %s',
  async (code) => {
    const { writer, groups } = await trial(() => new TallybookError(code, 'not now'));
    const sent = await Promise.allSettled(['a', 'b'].map((id) => writer.submit(delivery(id))));
    expect(sent).toMatchObject([{ reason: { code } }, { reason: { code } }]);
    expect(groups).toHaveLength(1);
  },
);

test('a full room refuses before anything is taken in; an empty one takes any size', async () => {
  const { writer, hold, letGo } = await trial();
  hold();
  const huge = {
    ...delivery(),
    content: {
      kind: 'texts' as const,
      texts: new Array<string>(limits.waiting_records + 5).fill('1'),
      fallbackIds: [],
    },
  };
  const first = writer.submit(huge);
  first.catch(() => undefined);
  await expect(writer.submit(delivery('late'))).rejects.toMatchObject({
    code: 'overloaded',
    retryAfter: expect.any(Number),
    message: expect.stringContaining('nothing of this request was taken in'),
  });
  expect(() => writer.refuseWhenFull()).toThrow(expect.objectContaining({ code: 'overloaded' }));
  letGo();
  await Promise.allSettled([first]);
  writer.refuseWhenFull();
}, 60_000);

test('close commits what was taken in and refuses the rest', async () => {
  const { writer, hold, letGo } = await trial();
  hold();
  const taken = [writer.submit(delivery('a')), writer.submit(delivery('b'))];
  const closed = writer.close();
  await expect(writer.submit(delivery('c'))).rejects.toMatchObject({ code: 'closing', retryAfter: 5 });
  await sleep(5);
  letGo();
  await closed;
  expect((await Promise.all(taken)).map(({ accepted }) => accepted)).toEqual([1, 1]);
});

test('files travel alone, a few at the same time, beside the batches', async () => {
  const { writer, groups, hold, letGo } = await trial();
  hold();
  const undo = (id: number): Delivery => ({
    ...delivery(),
    mode: 'retract',
    content: {
      kind: 'standing_of_import',
      import: id,
      onProgress: () => undefined,
      signal: undefined,
      alongside: undefined,
    },
  });
  const files = Array.from({ length: limits.files_at_once + 2 }, (_, id) => writer.submit(undo(id)));
  const batch = writer.submit(delivery('a'));
  await sleep(5);
  expect(groups).toHaveLength(limits.files_at_once + 1);
  const closed = writer.close();
  letGo();
  await Promise.all([...files, batch, closed]);
  expect(groups).toHaveLength(limits.files_at_once + 3);
});

test('where commits take long, less may wait; but a batch may always', async () => {
  const isLarge = ({ content }: Delivery) => content.kind === 'texts' && content.texts.length > 1_000;
  const { writer, hold, letGo } = await trial((deliveries) =>
    deliveries.some(isLarge) ? new Error('not needed') : undefined,
  );
  const records = (count: number): Delivery => ({
    ...delivery(),
    content: { kind: 'texts', texts: new Array<string>(count).fill('1'), fallbackIds: [] },
  });
  hold();
  const slow = writer.submit(records(1_000));
  // At least 0.2 s for 1,000: at most 5,000 a second, 25,000 in five.
  await sleep(200);
  letGo();
  await slow;
  hold();
  const first = writer.submit(records(limits.batch_records - 1));
  first.catch(() => undefined);
  await expect(writer.submit(records(2))).rejects.toMatchObject({ code: 'overloaded' });
  letGo();
  await expect(first).rejects.toThrow('not needed');
});
