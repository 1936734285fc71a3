/** An answer says which commit is the last that it holds: also where it is found without a transaction (snapshot.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { checkQuestion } from '../../src/engine/question.ts';
import type { AsOf, TextDelivery } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Connection } from '../../src/stores/duckdb/connection.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { LedgerState } from '../../src/stores/duckdb/ledger-state.ts';
import { inSnapshot } from '../../src/stores/duckdb/snapshot.ts';
import { delivery } from '../contract/harness.ts';

const plays = defineStream('plays', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    song: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['song'], sum: [] } },
});

test('answers beside small commits, large ones and corrections hold all up to the commit that they name, and no more', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-snapshot-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const store = await openDuckDBStore({
    directory,
    memoryLimit: '512MB',
    threads: 2,
    foldAfterMilliseconds: 3,
  });
  onTestFinished(() => store.close());
  const states = await store.prepare([...builtInStreams, plays]);
  /** How many records stand after each batch. */
  const standing = new Map([[0, 0]]);
  let held = 0;
  let done = false;
  const record = (n: number) => ({ id: `p${n}`, at: '2026-10-05T06:00:00Z', song: 7 });
  const write = async () => {
    for (let round = 0; round < 120; round++) {
      const many = round % 10 === 9 ? 1_200 : 1;
      const sent = round % 4 === 3 ? [delivery(plays, 'retract', [`"p${held - 1}"`])] : [];
      if (sent.length === 0)
        sent.push(
          delivery(
            plays,
            'insert',
            Array.from({ length: many }, (_, n) => record(held + n)),
          ),
        );
      const [receipt] = await store.publish(sent as TextDelivery[]);
      expect(receipt!.accepted + receipt!.retracted).toBe(receipt!.received);
      held += receipt!.accepted - receipt!.retracted;
      standing.set(receipt!.batch, held);
    }
    done = true;
  };
  const asked = { measures: ['count'], where: { song: { eq: '7' } } };
  const plan = planQuestion(plays, checkQuestion(plays, asked), states.get('plays')!);
  const answers: [AsOf, number][] = [];
  const ask = async () => {
    while (!done) {
      const { rows, as_of } = await store.ask(plan);
      answers.push([as_of, Number(rows[0]![0])]);
    }
  };
  await Promise.all([write(), ask(), ask()]);
  expect(answers.length).toBeGreaterThan(20);
  for (const [{ batch }, count] of answers) expect(count, `up to batch ${batch}`).toBe(standing.get(batch));
});

test('what a commit disturbs is asked again in a transaction', async () => {
  const steps: string[] = [];
  const connection = {
    transaction: async (work: () => Promise<unknown>) => {
      steps.push('begin');
      return work();
    },
    rows: async () => [[9n, 0n]],
  } as unknown as Connection;
  let last: AsOf | undefined = { batch: 8, recorded_at: 'then' };
  const work = (disturbed: boolean) => async () => {
    steps.push('ask');
    if (disturbed && steps.length === 1) last = { batch: 9, recorded_at: 'now' };
    return 'rows';
  };
  const found = (isShort: boolean, disturbed: boolean) => {
    steps.length = 0;
    return inSnapshot(connection, isShort, () => last, undefined, work(disturbed));
  };
  expect((await found(true, false)).as_of).toEqual({ batch: 8, recorded_at: 'then' });
  expect(steps).toEqual(['ask']);
  expect((await found(true, true)).as_of.batch).toBe(9);
  expect(steps).toEqual(['ask', 'begin', 'ask']);
  await found(false, false);
  expect(steps).toEqual(['begin', 'ask']);
  last = undefined;
  await found(true, false);
  expect(steps).toEqual(['begin', 'ask']);
});

test('what is read before and after records are dropped does not belong together', async () => {
  const state = new LedgerState(1, 1, 1n, { batch: 1, recorded_at: 'then' }, () => 2n);
  const before = state.last;
  await state.drop(async () => expect(state.last).toBeUndefined());
  expect(state.last).toEqual(before);
  expect(state.last).not.toBe(before);
  await expect(state.commit([], () => Promise.reject(new Error('no room')))).rejects.toThrow('no room');
  expect(state.last).toBeUndefined();
  await state.commit([{ batch: 2, recordedAt: 2n }], async () => expect(state.last).toBeUndefined());
  expect(state.last?.batch).toBe(2);
});
