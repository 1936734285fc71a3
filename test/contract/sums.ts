/** Chapter: sums of keys over stretches of time, in columns. Each is compared with the same question in rows. */
import { describe, expect } from 'vitest';
import { formatTimestamp } from '../../src/engine/calendar.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { AskedStretch } from '../../src/engine/sums.ts';
import { planSums } from '../../src/engine/sums.ts';
import { instant, onFreshStore, rule, type StoreUnderTest, type Trial } from './harness.ts';

const steps = defineStream('steps', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    sensor: { type: 'integer', required: true },
    people: { type: 'integer', required: true },
    maybe: { type: 'integer' },
  },
  rollups: {
    daily: { every: 'day', by: ['sensor'], sum: ['people'] },
    hourly: { every: 'hour', by: ['sensor'], sum: ['people'] },
  },
});

const tallies = defineStream('tallies', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    key: { type: 'integer', required: true },
    people: { type: 'integer', required: true },
    other: { type: 'integer', required: true },
  },
  rollups: { kept: { every: 'all', by: ['key'], sum: ['people'] } },
});

const step = (n: number, people: number) => ({
  id: `s${n}`,
  at: formatTimestamp(instant('2026-10-01T00:00:00Z') + BigInt(n) * 1_234_567_891n),
  sensor: n % 7 === 0 ? '-9223372036854775807' : String(n % 5),
  people,
});
const stretch = (from?: string, to?: string, keys?: string[]): AskedStretch => ({
  from: from === undefined ? undefined : instant(from),
  to: to === undefined ? undefined : instant(to),
  ...(keys ? { keys } : {}),
});
/** More than stores compare one by one, and far from each other. */
const scattered = ['-9223372036854775807', ...Array.from({ length: 150 }, (_, n) => String(n * 3))];
/** Whole days, whole hours, neither, nothing, everything; keys that are neighbours, and such as are not. */
const standard = [
  stretch(),
  stretch('2026-10-01T00:00:00Z', '2026-10-02T00:00:00Z'),
  stretch('2026-10-01T03:00:00Z', '2026-10-02T05:00:00Z'),
  stretch('2026-10-01T03:20:34.567890Z', '2026-10-02T05:00:00.000001Z', ['1', '4', '99']),
  stretch(undefined, '2026-10-02T17:31:00Z'),
  stretch(undefined, '2026-10-02T17:31:00Z', ['3', '1']),
  stretch('2026-10-01T03:20:34.567890Z', '2026-10-02T17:31:00Z', ['-9223372036854775807']),
  stretch('2030-01-01T00:00:00Z'),
  stretch('2026-10-01T03:20:34.567890Z', '2026-10-02T17:31:00Z', scattered),
  stretch(undefined, undefined, scattered),
];

/** So many, of few keys each, that a store may put them together: from and to edges of days and hours, and between. */
const manyStretches = Array.from({ length: 60 }, (_, n) => {
  const hour = 3_600_000_000n;
  const from =
    instant('2026-10-01T00:00:00Z') + BigInt(n % 9) * 8n * hour + (n % 3 === 0 ? 0n : BigInt(n) * 7_654_321n);
  const keys = [String(n % 5), ...(n % 4 === 0 ? ['-9223372036854775807', '99'] : [])];
  return {
    from: n % 10 === 9 ? undefined : from,
    to: n % 7 === 6 ? undefined : from + BigInt(n % 11) * 5n * hour + (n % 2 === 0 ? 0n : 1n),
    keys,
  };
});

async function agree(
  trial: Trial,
  measure: string,
  knownAt?: bigint,
  stretches: readonly AskedStretch[] = standard,
): Promise<void> {
  const plans = planSums(steps, { measure, by: 'sensor', stretches, knownAt }, trial.states.get('steps')!);
  const { stretches: found } = await trial.store.sums(plans);
  for (const [index, { from, to, keys }] of stretches.entries()) {
    const rows = await trial.rows(steps, {
      measures: [measure],
      by: ['sensor'],
      ...(from === undefined ? {} : { from: formatTimestamp(from) }),
      ...(to === undefined ? {} : { to: formatTimestamp(to) }),
      ...(keys ? { where: { sensor: [...keys] } } : {}),
      ...(knownAt === undefined ? {} : { known_at: formatTimestamp(knownAt) }),
    });
    const added = new Map<string, bigint>();
    for (const [i, key] of found[index]!.keys.entries())
      added.set(String(key), (added.get(String(key)) ?? 0n) + found[index]!.sums[i]!);
    const nonzero = (entries: Iterable<[unknown, unknown]>) =>
      [...entries]
        .map(([k, v]) => `${k} ${v}`)
        .filter((text) => !text.endsWith(' 0'))
        .sort();
    expect(nonzero(added), `${measure} of stretch ${index}`).toEqual(
      nonzero(rows.map(([key, sum]) => [key, sum])),
    );
  }
}

export function sumsChapter(under: StoreUnderTest): void {
  describe('sums over stretches', () => {
    rule(under, 'every stretch equals the question in rows, whatever the rollups give', () =>
      onFreshStore(under, [steps], async (trial) => {
        await trial.insert(steps, ...Array.from({ length: 200 }, (_, n) => step(n, (n % 11) - 3)));
        await agree(trial, 'sum(people)');
        const before = trial.now;
        await trial.upsert(steps, step(10, 1_000_000), { ...step(11, 5), sensor: 99 });
        await trial.retract(steps, 's20', 's21');
        await agree(trial, 'sum(people)');
        await agree(trial, 'count');
        await agree(trial, 'sum(people)', before);
        await trial.store.tend({ drop: [], compact: true });
        await trial.insert(steps, step(500, 7));
        await agree(trial, 'sum(people)');
      }),
    );
    rule(under, 'many stretches of few keys equal the questions in rows', () =>
      onFreshStore(under, [steps], async (trial) => {
        const agreed = (measure: string, knownAt?: bigint) =>
          agree(trial, measure, knownAt, [...standard, ...manyStretches]);
        await trial.insert(steps, ...Array.from({ length: 200 }, (_, n) => step(n, (n % 11) - 3)));
        await agreed('sum(people)');
        const before = trial.now;
        await trial.upsert(steps, step(10, 1_000_000), { ...step(11, 5), sensor: 99 });
        await trial.retract(steps, 's20', 's21');
        await agreed('sum(people)');
        await agreed('count');
        await agreed('sum(people)', before);
        await trial.insert(steps, { ...step(11, 0), id: 'large', people: String(2n ** 63n - 1n) });
        const asked = { measure: 'sum(people)', by: 'sensor', stretches: manyStretches, knownAt: undefined };
        await trial.insert(steps, { ...step(11, 0), id: 'larger', people: String(2n ** 63n - 1n) });
        const plans = planSums(steps, asked, trial.states.get('steps')!);
        await expect(trial.store.sums(plans)).rejects.toMatchObject({ code: 'sum_out_of_range' });
      }),
    );
    rule(under, 'few keys may have more records within an hour than are read one by one', () =>
      onFreshStore(under, [steps], async (trial) => {
        const hour = instant('2026-10-01T10:00:00Z');
        const records = Array.from({ length: 60_000 }, (_, n) => ({
          id: `m${n}`,
          at: formatTimestamp(hour + BigInt(n) * 59_000n),
          sensor: n % 2,
          people: n % 3,
        }));
        await trial.insert(steps, ...records);
        const within = (from: bigint, to: bigint) => ({ from, to, keys: ['0', '1'] });
        const stretches = [
          within(hour + 1n, hour + 3_540_000_000n),
          within(hour + 1n, hour + 59_000n + 1n),
          within(hour + 600_000_000n, hour + 3_000_000_000n),
        ];
        await agree(trial, 'sum(people)', undefined, stretches);
        await agree(trial, 'count', undefined, stretches);
      }),
    );
    rule(under, 'many stretches without times equal the question in rows, with a rollup and without', () =>
      onFreshStore(under, [tallies], async (trial) => {
        const records = Array.from({ length: 50 }, (_, n) => ({
          id: `t${n}`,
          key: n % 9,
          people: n,
          other: 2,
        }));
        await trial.insert(tallies, ...records);
        await trial.upsert(tallies, { id: 't3', key: 4, people: 100, other: 5 });
        const stretches = Array.from({ length: 40 }, (_, n) =>
          stretch(undefined, undefined, [String(n % 10)]),
        );
        const state = trial.states.get('tallies')!;
        for (const measure of ['sum(people)', 'sum(other)', 'count']) {
          const rows = await trial.rows(tallies, { measures: [measure], by: ['key'] });
          const sums = new Map(rows.map(([key, sum]) => [key, BigInt(sum as string)]));
          const plans = planSums(tallies, { measure, by: 'key', stretches, knownAt: undefined }, state);
          const found = (await trial.store.sums(plans)).stretches.map(({ sums }) =>
            sums.reduce((a, b) => a + b, 0n),
          );
          expect(found, measure).toEqual(stretches.map((_, n) => sums.get(String(n % 10)) ?? 0n));
        }
      }),
    );
    rule(under, 'a sum that does not fit into 64 bits is told', () =>
      onFreshStore(under, [steps], async (trial) => {
        await trial.insert(
          steps,
          { ...step(1, 0), people: String(2n ** 63n - 1n) },
          { ...step(1, 1), id: 'one' },
        );
        for (const [from, to] of [
          [undefined, undefined],
          [undefined, '2026-10-02T00:00:00Z'],
        ]) {
          const stretches = [stretch(from, to), stretch(from, to, ['1'])];
          for (const one of stretches) {
            const asked = { measure: 'sum(people)', by: 'sensor', stretches: [one], knownAt: undefined };
            const plans = planSums(steps, asked, trial.states.get('steps')!);
            await expect(trial.store.sums(plans)).rejects.toMatchObject({ code: 'sum_out_of_range' });
          }
        }
      }),
    );
    rule(under, 'what may be missing or has a point is refused', async () => {
      const state = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
      for (const [measure, by] of [
        ['sum(maybe)', 'sensor'],
        ['max(people)', 'sensor'],
        ['sum(people)', 'maybe'],
        ['sum(people)', 'id'],
      ])
        expect(() =>
          planSums(steps, { measure: measure!, by: by!, stretches: standard, knownAt: undefined }, state),
        ).toThrow('required integer');
    });
  });
}
