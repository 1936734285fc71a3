/**
 * Chapter: what becomes of a record by its id, against what stands before it.
 *
 * The table is written in short: `insert a1 b1` sends a with content 1 and b with content 1; `retract a` takes a
 * back. `&` separates deliveries of one commit, `|` commits. The verdicts stand in the same shape (A accepted,
 * = duplicate, C corrected, X conflict, R retracted, ? not found), and at the end what stands, in order of arrival.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Mode } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { delivery, rule, type StoreUnderTest, Trial, verdictsOf } from './harness.ts';

const things = defineStream('things', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    content: { type: 'integer', required: true },
    topic: { type: 'text' },
  },
  rollups: { topics: { every: 'all', by: ['topic'], sum: ['content'] } },
});

const sequences: [sent: string, verdicts: string, standing: string][] = [
  // insert
  ['insert a1', 'A', 'a1'],
  ['insert a1 b1', 'A A', 'a1 b1'],
  ['insert a1 a1', 'A =', 'a1'],
  ['insert a1 a2', 'A X', 'a1'],
  ['insert a1 a2 a1 a2', 'A X = X', 'a1'],
  ['insert a1 b1 a1 c1 b2', 'A A = A X', 'a1 b1 c1'],
  ['insert a1 | insert a1', 'A | =', 'a1'],
  ['insert a1 | insert a2', 'A | X', 'a1'],
  ['insert a1 | insert a2 | insert a2', 'A | X | X', 'a1'],
  ['insert a1 | insert a2 | insert a1', 'A | X | =', 'a1'],
  ['insert a1 & insert a1', 'A & =', 'a1'],
  ['insert a1 b1 & insert b2 a1 c1', 'A A & X = A', 'a1 b1 c1'],
  ['insert a1 & insert a2 & insert a1', 'A & X & =', 'a1'],
  // upsert
  ['upsert a1', 'A', 'a1'],
  ['upsert a1 a1', 'A =', 'a1'],
  ['upsert a1 a2', 'A C', 'a2'],
  ['upsert a1 a2 a1', 'A C C', 'a1'],
  ['upsert a1 a2 a2 a3 a3', 'A C = C =', 'a3'],
  ['upsert a1 b1 a2 b1 a2', 'A A C = =', 'b1 a2'],
  ['insert a1 | upsert a1', 'A | =', 'a1'],
  ['insert a1 | upsert a2', 'A | C', 'a2'],
  ['insert a1 | upsert a2 a1', 'A | C C', 'a1'],
  ['insert a1 | upsert a2 | upsert a1 | upsert a1', 'A | C | C | =', 'a1'],
  ['insert a1 | upsert a2 | insert a1', 'A | C | X', 'a2'],
  ['insert a1 | upsert a2 | insert a2', 'A | C | =', 'a2'],
  ['upsert a1 & upsert a2', 'A & C', 'a2'],
  ['upsert a1 a2 & upsert a1', 'A C & C', 'a1'],
  ['insert a1 b1 c1 | upsert b2 d1', 'A A A | C A', 'a1 c1 b2 d1'],
  // retract
  ['retract a', '?', ''],
  ['insert a1 | retract a', 'A | R', ''],
  ['insert a1 | retract a a', 'A | R =', ''],
  ['insert a1 | retract a | retract a', 'A | R | =', ''],
  ['insert a1 b1 | retract b c a', 'A A | R ? R', ''],
  ['insert a1 | retract a & retract a', 'A | R & =', ''],
  ['insert a1 | upsert a2 | retract a', 'A | C | R', ''],
  // again after a retraction
  ['insert a1 | retract a | insert a1', 'A | R | A', 'a1'],
  ['insert a1 | retract a | insert a2', 'A | R | A', 'a2'],
  ['insert a1 | retract a | upsert a2', 'A | R | A', 'a2'],
  ['insert a1 | retract a | insert a1 | insert a1', 'A | R | A | =', 'a1'],
  ['insert a1 | retract a | insert a2 | insert a1', 'A | R | A | X', 'a2'],
  ['insert a1 | retract a | insert a1 | retract a', 'A | R | A | R', ''],
  ['insert a1 | retract a | retract a | insert a2 | upsert a1', 'A | R | = | A | C', 'a1'],
  // deliveries of one commit are grouped by mode, in order of first appearance
  ['insert a1 & upsert a2', 'A & C', 'a2'],
  ['upsert a2 & insert a1', 'A & X', 'a2'],
  ['insert a1 & retract a', 'A & R', ''],
  ['insert a1 & retract a & insert a1', 'A & R & =', ''],
  ['insert a1 & retract a & upsert a1', 'A & R & A', 'a1'],
  ['insert a1 & retract a & upsert a2 a3', 'A & R & A C', 'a3'],
  ['retract a & insert a1', '? & A', 'a1'],
  ['insert a1 | retract a & insert a2', 'A | R & A', 'a2'],
  ['insert a1 | retract a & insert a1', 'A | R & A', 'a1'],
  ['insert a1 | upsert a2 & retract a & insert a3', 'A | C & R & A', 'a3'],
  ['insert a1 | insert a2 & retract a & upsert a3', 'A | X & R & A', 'a3'],
  ['upsert a1 & retract a & upsert a2', 'A & R & C', ''],
  ['insert a1 b1 & upsert a2 c1 & retract b c & insert c2 d1', 'A A & C C & R R & A A', 'd1 a2'],
];

const letters: Record<string, string> = {
  accepted: 'A',
  duplicate: '=',
  corrected: 'C',
  conflict: 'X',
  retracted: 'R',
  'rejected not_found': '?',
};

function parse(sent: string): { mode: Mode; records: string[] }[][] {
  return sent.split(' | ').map((commit) =>
    commit.split(' & ').map((one) => {
      const [mode, ...records] = one.split(' ');
      return { mode: mode as Mode, records };
    }),
  );
}

/** Sequences share a store; each has its own topic, and ids that start with it. */
function written(topic: string, mode: Mode, record: string): string {
  const id = `${topic}-${record[0]}`;
  return mode === 'retract'
    ? JSON.stringify(id)
    : `{"id":"${id}","topic":"${topic}","content":${record.slice(1)}}`;
}

async function run(trial: Trial, topic: string, sent: string): Promise<string> {
  const commits: string[] = [];
  for (const commit of parse(sent)) {
    const deliveries = commit.map(({ mode, records }) =>
      delivery(
        things,
        mode,
        records.map((record) => written(topic, mode, record)),
      ),
    );
    const receipts = await trial.publish(...deliveries);
    const shorts = receipts.map((receipt) =>
      verdictsOf(receipt).map((verdict) => letters[verdict] ?? verdict),
    );
    commits.push(shorts.map((short) => short.join(' ')).join(' & '));
  }
  return commits.join(' | ');
}

async function standing(trial: Trial, topic: string): Promise<string> {
  const entries = await trial.entries(things, { standing: true, asked: { where: { topic } } });
  return entries.map(({ id, values: [, content] }) => `${id.slice(topic.length + 1)}${content}`).join(' ');
}

/** Every figure must follow from the list of what stands, and the entries must tell how it came about. */
async function figuresAgree(trial: Trial, topic: string, expected: string): Promise<void> {
  const records = expected === '' ? [] : expected.split(' ');
  const sum = records.reduce((total, record) => total + Number(record.slice(1)), 0);
  for (const of of ['planned', 'ledger'] as const) {
    const rows = await trial.rows(things, { measures: ['count', 'sum(content)'], where: { topic } }, of);
    expect(rows, of).toEqual([[records.length, String(sum)]]);
  }
  const entries = await trial.entries(things, { asked: { where: { topic } } });
  expect(entries.reduce((total, { sign, values }) => total + sign * Number(values[1]), 0)).toBe(sum);
  for (const entry of entries.filter(({ sign }) => sign === -1)) {
    const reversed = entries.find(({ seq }) => seq === entry.reverses);
    expect(reversed).toMatchObject({ sign: 1, reverses: null, id: entry.id, values: entry.values });
  }
}

export function sequencesChapter(under: StoreUnderTest): void {
  describe('sequences', () => {
    let trial: Trial;
    beforeAll(async () => {
      trial = await Trial.open(under, things);
    });
    afterAll(() => trial.close());
    sequences.forEach(([sent, verdicts, stands], n) => {
      rule(under, `${sent}: ${verdicts}`, async () => {
        expect(await run(trial, `t${n}`, sent)).toBe(verdicts);
        expect(await standing(trial, `t${n}`)).toBe(stands);
        await figuresAgree(trial, `t${n}`, stands);
      });
    });
    rule(under, 'the books are right after all of these', () => trial.verified());
  });
}
