/** What was read beside a commit of many rows is read again. */
import { expect, test } from 'vitest';
import { ReadGate } from '../../src/stores/duckdb/read-gate.ts';

function later<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  return { promise, resolve, reject };
}

const roomy = async () => false;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what a commit came between is read again, an error too', async () => {
  const gate = new ReadGate(roomy);
  const first = later<string>();
  const second = later<string>();
  const reads = [first.promise, second.promise, Promise.resolve('whole')];
  const answer = gate.read(() => reads.shift()!);
  await gate.commit(async () => undefined);
  first.resolve('a part');
  await turn();
  await gate.commit(async () => undefined);
  second.reject(new Error('rows that are gone'));
  expect(await answer).toBe('whole');
  await expect(gate.read(() => Promise.reject(new Error('no such table')))).rejects.toThrow('no such table');
});

test('nobody begins to read during a commit, one that fails included', async () => {
  const gate = new ReadGate(roomy);
  const commit = later<void>();
  const committing = gate.commit(() => commit.promise);
  await turn();
  let read = false;
  const answer = gate.read(async () => {
    read = true;
  });
  await turn();
  expect(read).toBe(false);
  commit.reject(new Error('the disk is full'));
  await expect(committing).rejects.toThrow('the disk is full');
  await answer;
  expect(read).toBe(true);
});

test('who was disturbed three times keeps the next commit waiting', async () => {
  const gate = new ReadGate(roomy);
  const reads: { resolve(value: string): void }[] = [];
  const answer = gate.read(() => {
    const read = later<string>();
    reads.push(read);
    return read.promise;
  });
  for (let n = 0; n < 3; n++) {
    await gate.commit(async () => undefined);
    reads[n]!.resolve('a part');
    await turn();
  }
  expect(reads.length).toBe(4);
  let committed = false;
  const committing = gate.commit(async () => {
    committed = true;
  });
  await turn();
  expect(committed).toBe(false);
  reads[3]!.resolve('whole');
  expect(await answer).toBe('whole');
  await committing;
});

test('commits come one after the other', async () => {
  const gate = new ReadGate(roomy);
  const first = later<void>();
  const order: string[] = [];
  const committing = gate.commit(async () => {
    await first.promise;
    order.push('first');
  });
  const next = gate.commit(async () => {
    order.push('second');
  });
  await turn();
  first.resolve();
  await Promise.all([committing, next]);
  expect(order).toEqual(['first', 'second']);
});

test('a commit of few rows does not disturb; where room is tight, every commit waits until nobody reads', async () => {
  const gate = new ReadGate(roomy);
  const reading = later<string>();
  let reads = 0;
  const answer = gate.read(() => {
    reads++;
    return reading.promise;
  });
  await gate.commit(async () => undefined, 10);
  reading.resolve('whole');
  expect(await answer).toBe('whole');
  expect(reads).toBe(1);

  const tight = new ReadGate(async () => true);
  const slow = later<string>();
  const slowAnswer = tight.read(() => slow.promise);
  let committed = false;
  const committing = tight.commit(async () => {
    committed = true;
  }, 10);
  await turn();
  expect(committed).toBe(false);
  slow.resolve('whole');
  expect(await slowAnswer).toBe('whole');
  await committing;
  expect(committed).toBe(true);
});
