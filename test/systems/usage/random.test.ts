/**
 * Random work on usage: creates, corrections that move anything, deletes, repeats, in random order and batches, through
 * both addresses. The answers always equal a naive recount of what stands.
 */
import { describe, expect, test } from 'vitest';
import { Random } from '../../contract/random-work.ts';
import { storeKinds } from '../../http/open-app.ts';
import { data, type OpenUsage, openUsage, voice } from './sent.ts';

const given = process.env.TALLYBOOK_TEST_SEED;
const seed = given ? Number(given) : Math.floor(Math.random() * 2 ** 32);

interface Standing {
  type: 'data' | 'voice';
  subscription: number;
  cents: number;
  day: string;
  used: number;
}

const days = ['2026-09-30', '2026-10-01', '2026-10-15', '2026-10-31', '2026-11-01'];
const inDays = [
  { query: '', has: () => true },
  { query: '&from=2026-10-01&to=2026-10-31', has: (day: string) => day.startsWith('2026-10') },
  {
    query: '&from=2026-10-15&to=2026-10-31',
    has: (day: string) => day >= '2026-10-15' && day <= '2026-10-31',
  },
];
const price = (cents: number): string => (cents / 100).toFixed(2);

class Work {
  readonly #random: Random;
  readonly #usage: OpenUsage;
  readonly #standing = new Map<string, Standing>();

  constructor(usage: OpenUsage, random: Random) {
    this.#usage = usage;
    this.#random = random;
  }

  async step(): Promise<void> {
    const random = this.#random;
    const action = random.below(10);
    if (action < 4) await this.#send(random.pick(['data', 'voice']), random.pick(['insert', 'upsert']));
    else if (action < 6) await this.#put();
    else if (action < 8) await this.#takeBack();
    else await this.#resend();
  }

  #made(type: Standing['type']): Standing {
    const random = this.#random;
    return {
      type,
      subscription: 1 + random.below(6),
      cents: random.below(random.pick([10, 1_000])),
      day: random.pick(days),
      used: random.below(100),
    };
  }

  #id(): string {
    return `r${this.#random.below(60)}`;
  }

  #record(id: string, { type, subscription, cents, day, used }: Standing): object {
    return (type === 'data' ? data : voice)(id, subscription, price(cents), `${day}T12:00:00Z`, used);
  }

  async #send(type: Standing['type'], mode: 'insert' | 'upsert'): Promise<void> {
    const sent = Array.from(
      { length: 1 + this.#random.below(12) },
      () => [this.#id(), this.#made(type)] as const,
    );
    const records = sent.map(([id, made]) => this.#record(id, made));
    await this.#usage.done('POST', `/v1/usage/${type}?mode=${mode}`, records);
    for (const [id, made] of sent) {
      if (mode === 'upsert' || !this.#standing.has(id)) this.#standing.set(id, made);
    }
  }

  async #put(): Promise<void> {
    const made = this.#made(this.#random.pick(['data', 'voice']));
    const id = this.#id();
    await this.#usage.done('PUT', `/v1/usage/${made.type}/${id}`, this.#record(id, made));
    this.#standing.set(id, made);
  }

  async #takeBack(): Promise<void> {
    const ids = [...this.#standing.keys()];
    if (ids.length === 0) return;
    if (this.#random.chance(0.5)) {
      const id = this.#random.pick(ids);
      await this.#usage.done('DELETE', `/v1/usage/${this.#standing.get(id)!.type}/${id}`);
      this.#standing.delete(id);
      return;
    }
    const some = [...this.#random.some(ids, 4), 'nobody'];
    await this.#usage.done('POST', '/v1/usage/data/retractions', some);
    for (const id of some) this.#standing.delete(id);
  }

  /** What stands, again, in its own form: nothing changes. */
  async #resend(): Promise<void> {
    const type = this.#random.pick(['data', 'voice'] as const);
    const same = [...this.#standing].filter(([, standing]) => standing.type === type);
    const records = same.map(([id, standing]) => this.#record(id, standing));
    if (records.length === 0) return;
    const receipt = await this.#usage.done('POST', `/v1/usage/${type}`, records);
    expect(receipt).toMatchObject({ duplicates: records.length });
  }

  async check(): Promise<void> {
    for (const { query, has } of inDays) {
      const sums = this.#recount(has);
      const size = 1 + this.#random.below(4);
      expect(await this.#usage.all(`/v1/usage/metrics?page_size=${size}${query}`)).toEqual(metrics(sums));
      const limit = 1 + this.#random.below(3_000);
      const asked = `/v1/usage/exceeding?limit=${price(limit)}&page_size=${size}${query}`;
      expect(await this.#usage.all(asked)).toEqual(exceeding(sums, limit));
    }
  }

  #recount(has: (day: string) => boolean): Sums {
    const sums: Sums = new Map();
    for (const { type, subscription, cents, day, used } of this.#standing.values()) {
      if (!has(day)) continue;
      const ofSubscription = sums.get(subscription) ?? {};
      const sum = ofSubscription[type] ?? { cents: 0, used: 0, records: 0 };
      ofSubscription[type] = { cents: sum.cents + cents, used: sum.used + used, records: sum.records + 1 };
      sums.set(subscription, ofSubscription);
    }
    return sums;
  }
}

type Sums = Map<number, Partial<Record<Standing['type'], { cents: number; used: number; records: number }>>>;
const types = ['data', 'voice'] as const;

function metrics(sums: Sums): object[] {
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([subscription, of]) => ({
      subscription_id: String(subscription),
      usage: types.flatMap((type) => {
        const sum = of[type];
        if (!sum) return [];
        const { cents, used, records } = sum;
        return [{ type, total_price: price(cents), total_used: String(used), records }];
      }),
    }));
}

function exceeding(sums: Sums, limit: number): object[] {
  return [...sums]
    .map(([subscription, of]) => ({
      subscription,
      of,
      worst: Math.max(...types.map((type) => of[type]?.cents ?? 0)),
    }))
    .filter(({ worst }) => worst >= limit)
    .sort((a, b) => b.worst - a.worst || a.subscription - b.subscription)
    .map(({ subscription, of }) => ({
      subscription_id: String(subscription),
      exceeded: types.flatMap((type) => {
        const total = of[type]?.cents ?? 0;
        return total < limit ? [] : [{ type, total_price: price(total), exceeded_by: price(total - limit) }];
      }),
    }));
}

describe.each(storeKinds)('random usage, %s', (kind) => {
  test(`the answers equal a recount (TALLYBOOK_TEST_SEED=${seed})`, async () => {
    const usage = await openUsage(kind);
    const work = new Work(usage, new Random(seed));
    for (let step = 1; step <= 60; step++) {
      await work.step();
      if (step % 6 === 0) await work.check();
    }
    expect((await usage.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
    await usage.tallybook.compact();
    await work.check();
  }, 180_000);
});
