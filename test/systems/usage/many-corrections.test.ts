/**
 * 20,000 corrections in one request: another day, price, amount or subscription for each record. The sums are those of a
 * recount, to the cent, for every subscription, day and month.
 */
import { expect, test } from 'vitest';
import { Random } from '../../contract/random-work.ts';
import { lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { data, openUsage } from './sent.ts';

const seed = Number(process.env.TALLYBOOK_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
const many = 20_000;
const subscriptions = 40;

interface Made {
  subscription: number;
  /** In October and November 2026, from 0. */
  day: number;
  cents: number;
  used: number;
}

const made = (random: Random): Made => ({
  subscription: 1 + random.below(subscriptions),
  day: random.below(61),
  cents: random.below(100_000),
  used: random.below(1_000_000),
});
const dayOf = (day: number): string => new Date(Date.UTC(2026, 9, 1 + day)).toISOString().slice(0, 10);
const priceOf = (cents: number): string =>
  `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const record = ({ subscription, day, cents, used }: Made, n: number): object =>
  data(`r${n}`, subscription, priceOf(cents), `${dayOf(day)}T06:43:00Z`, used);

/** `subscription price used records`, ascending. Cents add up exactly in numbers: there are 2 thousand million of them at most. */
function recounted(all: readonly Made[], wanted: (one: Made) => boolean = () => true): string[] {
  const sums = new Map<number, [cents: number, used: number, records: number]>();
  for (const one of all.filter(wanted)) {
    const [cents, used, records] = sums.get(one.subscription) ?? [0, 0, 0];
    sums.set(one.subscription, [cents + one.cents, used + one.used, records + 1]);
  }
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([subscription, [cents, used, records]]) => [subscription, priceOf(cents), used, records].join(' '));
}

test.each(storeKinds)(
  `${many} corrections in one request, %s (TALLYBOOK_TEST_SEED=${seed})`,
  async (kind) => {
    const random = new Random(seed);
    const usage = await openUsage(kind);
    const before = Array.from({ length: many }, () => made(random));
    // One thing of each record is another one; of some all of it.
    const after = before.map((one, n): Made => {
      const other = made(random);
      const moved = [
        { day: (one.day + 1 + (other.day % 60)) % 61 },
        { cents: one.cents + 1 },
        { used: one.used + 1 },
        { subscription: (one.subscription % subscriptions) + 1 },
        { ...other, cents: one.cents + 7 },
      ];
      return { ...one, ...moved[n % moved.length] };
    });
    const asked = async (days: string) => {
      const found = (await usage.all(`/v1/usage/metrics?type=data&${days}`)) as {
        subscription_id: string;
        usage: { total_price: string; total_used: string; records: number }[];
      }[];
      return found.flatMap(({ subscription_id, usage }) =>
        usage.map(({ total_price, total_used, records }) =>
          [subscription_id, total_price, total_used, records].join(' '),
        ),
      );
    };
    const check = async (all: readonly Made[]) => {
      expect(await asked('')).toEqual(recounted(all));
      expect(await asked('from=2026-10-01&to=2026-10-31')).toEqual(recounted(all, ({ day }) => day < 31));
      expect(await asked('from=2026-11-01&to=2026-11-30')).toEqual(recounted(all, ({ day }) => day >= 31));
      expect(await asked('from=2026-10-17&to=2026-11-03')).toEqual(
        recounted(all, ({ day }) => day >= 16 && day <= 33),
      );
      for (const day of [0, 30, 31, 60])
        expect(await asked(`from=${dayOf(day)}&to=${dayOf(day)}`), dayOf(day)).toEqual(
          recounted(all, (one) => one.day === day),
        );
    };
    const send = (mode: string, all: readonly Made[]) =>
      usage.done('POST', `/v1/usage/data?mode=${mode}`, lines(all.map(record)), ndjson);
    expect(await send('insert', before)).toMatchObject({ accepted: many });
    await check(before);
    expect(await send('upsert', after)).toMatchObject({ accepted: 0, corrected: many, rejected: 0 });
    await check(after);
    expect(await send('upsert', after)).toMatchObject({ corrected: 0, duplicates: many });
    await check(after);
    expect((await usage.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  },
  120_000,
);
