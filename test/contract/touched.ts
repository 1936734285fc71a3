/** Chapter: which keys were touched after a time. What the alerts ask, so that they look at nothing else. */
import { describe, expect } from 'vitest';
import { type Micros, parseTimestamp } from '../../src/engine/calendar.ts';
import { planQuestion } from '../../src/engine/plan.ts';
import { type AskedQuestion, checkQuestion } from '../../src/engine/question.ts';
import type { Answer } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import {
  delivery,
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  type Trial,
} from './harness.ts';

const calls = defineStream('calls', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    line: { type: 'text' },
    seconds: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['line'], sum: ['seconds'] } },
});
const call = (id: string, line: string | null, day: number): object => ({
  id,
  line,
  at: `2026-10-0${day}T12:00:00Z`,
  seconds: 60,
});

const byLineAndDay: AskedQuestion = { by: ['line'], every: 'day' };

async function touched(trial: Trial, after: Micros, asked = byLineAndDay): Promise<Answer> {
  const question = { ...checkQuestion(calls, asked), touchedAfter: after };
  return trial.store.ask(planQuestion(calls, question, trial.states.get('calls')!));
}

/** Lines and days, in order. */
const keys = ({ columns, rows }: Answer): string[] => {
  const [line, day] = ['line', 'day'].map((name) => columns.findIndex((column) => column.name === name));
  return rows.map((row) => `${row[line!]} ${row[day!]}`).sort();
};
const time = ({ recorded_at }: Receipt): Micros => parseTimestamp(recorded_at)!;

export function touchedChapter(under: StoreUnderTest): void {
  const scratch = scratchDirectory();

  describe('keys that were touched', () => {
    rule(under, 'a correction touches the key that it leaves and the one that it goes to', () =>
      onFreshStore(under, [calls], async (trial) => {
        const first = await trial.insert(calls, call('1', 'a', 1), call('2', 'b', 1), call('3', null, 2));
        expect(keys(await touched(trial, 0n))).toEqual(['a 2026-10-01', 'b 2026-10-01', 'null 2026-10-02']);
        expect(keys(await touched(trial, time(first)))).toEqual([]);

        const moved = await trial.upsert(calls, call('1', 'c', 3));
        const answer = await touched(trial, time(first));
        expect(keys(answer)).toEqual(['a 2026-10-01', 'c 2026-10-03']);
        expect(answer.from).toBe('ledger');
        expect(answer.as_of).toEqual({ batch: moved.batch, recorded_at: moved.recorded_at });

        await trial.insert(calls, call('2', 'b', 1), call('3', 'b', 5));
        expect(keys(await touched(trial, time(moved))), 'a repeat or a conflict touches nothing').toEqual([]);
        await trial.retract(calls, '2');
        expect(keys(await touched(trial, time(moved)))).toEqual(['b 2026-10-01']);
      }),
    );

    rule(under, 'conditions, limits and orders hold as in any other question', () =>
      onFreshStore(under, [calls], async (trial) => {
        await trial.insert(calls, call('1', 'a', 1), call('2', 'b', 2), call('3', 'c', 3));
        await trial.retract(calls, '3');
        expect(
          keys(await touched(trial, 0n, { ...byLineAndDay, where: { line: { in: ['b', 'c'] } } })),
        ).toEqual(['b 2026-10-02', 'c 2026-10-03']);
        const some = await touched(trial, 0n, { ...byLineAndDay, from: '2026-10-02', limit: 1 });
        expect([keys(some), some.more]).toEqual([['b 2026-10-02'], true]);
      }),
    );

    rule(under, 'what a file brought, and what retention has dropped', () =>
      onFreshStore(under, [calls], async (trial) => {
        const before = await trial.insert(calls, call('1', 'a', 1));
        const path = scratch.write('calls.ndjson', JSON.stringify(call('2', 'b', 4)));
        await trial.publish(delivery(calls, 'insert', [], { content: fileContent(path) }));
        expect(keys(await touched(trial, time(before)))).toEqual(['b 2026-10-04']);
        await trial.drop(calls, '2026-10-02T00:00:00Z');
        expect(keys(await touched(trial, 0n)), 'no refusal, though records were dropped').toEqual([
          'b 2026-10-04',
        ]);
      }),
    );
  });
}
