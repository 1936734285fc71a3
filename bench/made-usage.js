/**
 * Usage records that change: record `i` in version `v`, cut from the two numbers, the same on every machine; and what
 * their sums must be. A new version has another price, use and day, and every fourth another subscription: so a
 * correction moves from one row of the aggregate to another.
 *
 * Sums are kept in cents as whole numbers far below 2^53, so they are exact.
 */
export const DAYS = 30;
const FIRST_DAY_MS = Date.UTC(2026, 9, 1);

/** The stream as the usage system declares it: sums by day, month and in all. */
const by = ['subscription_id', 'type'];
const sum = ['price', 'used'];
export const USAGE = {
  id: 'id',
  time: 'usage_date',
  fields: {
    id: { type: 'text', required: true },
    type: { type: 'text', one_of: ['data', 'voice'], required: true },
    subscription_id: { type: 'integer', required: true },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer', min: 0, required: true },
  },
  rollups: {
    daily: { every: 'day', by, sum },
    monthly: { every: 'month', by, sum },
    total: { every: 'all', by, sum },
  },
};

/** Ten records a subscription and type or so, as a month's aggregate has. */
export const subscriptionsFor = (size) => Math.min(50_000, Math.max(10, Math.floor(size / 20)));

/**
 * @typedef {{id: string, type: 'data' | 'voice', subscription_id: number, usage_date: string, cents: number, price: string, used: number}} Usage
 */
export class MadeUsage {
  #subscriptions;
  /** Version of each record; -1 for one that does not stand. */
  #versions = /** @type {number[]} */ ([]);
  #sums = new Map();

  constructor(size) {
    this.#subscriptions = subscriptionsFor(size);
  }

  get subscriptions() {
    return this.#subscriptions;
  }

  /** Records that were never there before. @returns {Usage[]} */
  create(many) {
    return Array.from({ length: many }, () => {
      const record = this.#record(this.#versions.length, 0);
      this.#versions.push(0);
      this.#add(record, 1);
      return record;
    });
  }

  /** Records from a position on, as they are to be from now on. @returns {Usage[]} */
  correct(from, many) {
    return Array.from({ length: many }, (_, n) => {
      const i = from + n;
      this.#add(this.#record(i, this.#versions[i]), -1);
      const record = this.#record(i, ++this.#versions[i]);
      this.#add(record, 1);
      return record;
    });
  }

  /** Records from a position on, which are to go. @returns {Usage[]} */
  remove(from, many) {
    return Array.from({ length: many }, (_, n) => {
      const i = from + n;
      const record = this.#record(i, this.#versions[i]);
      this.#add(record, -1);
      this.#versions[i] = -1;
      return record;
    });
  }

  /**
   * Compares sums with the right ones, key by key.
   * @param {string} what @param {{subscription_id: number | string, type: string, price: string, used: string, records: number | string}[]} found
   */
  mustBe(what, found) {
    const left = new Map([...this.#sums].filter(([, { records }]) => records > 0));
    for (const { subscription_id, type, price, used, records } of found) {
      if (Number(records) === 0) continue;
      const key = `${subscription_id} ${type}`;
      const right = left.get(key);
      const equal =
        right?.cents === centsOf(price) && right.used === Number(used) && right.records === Number(records);
      if (!equal)
        throw new Error(
          `${what}: ${key} is ${price}, ${used}, ${records}; expected ${JSON.stringify(right)} (in cents)`,
        );
      left.delete(key);
    }
    if (left.size > 0)
      throw new Error(`${what}: ${left.size} keys are missing, such as ${[...left.keys()][0]}`);
  }

  /** The worst keys over a limit, as `price` in cents. */
  exceeding(limitCents, many) {
    return [...this.#sums.values()]
      .map(({ cents }) => cents)
      .filter((cents) => cents >= limitCents)
      .sort((a, b) => b - a)
      .slice(0, many);
  }

  /** A limit that about one key in fifty reaches. */
  limitCents() {
    const all = [...this.#sums.values()].map(({ cents }) => cents).sort((a, b) => b - a);
    return all[Math.floor(all.length / 50)];
  }

  of(subscription) {
    return ['data', 'voice'].flatMap((type) => {
      const sums = this.#sums.get(`${subscription} ${type}`);
      return sums && sums.records > 0 ? [{ type, ...sums }] : [];
    });
  }

  /** @returns {Usage} */
  #record(i, version) {
    const random = mixed(i * 31 + version * 7_919 + 1);
    const other = mixed(random + i);
    const mover = version % 4 === 3 ? version : 0;
    const cents = 1 + (other % 1_000);
    return {
      id: `r${i}`,
      type: mixed(i) % 2 === 0 ? 'data' : 'voice',
      subscription_id: 1 + (mixed(i + mover * 104_729) % this.#subscriptions),
      usage_date: new Date(FIRST_DAY_MS + (random % (DAYS * 86_400)) * 1_000).toISOString(),
      cents,
      price: decimalOf(cents),
      used: 1 + (random % 10_000),
    };
  }

  #add({ subscription_id, type, cents, used }, sign) {
    const key = `${subscription_id} ${type}`;
    const sums = this.#sums.get(key) ?? { cents: 0, used: 0, records: 0 };
    sums.cents += sign * cents;
    sums.used += sign * used;
    sums.records += sign;
    this.#sums.set(key, sums);
  }
}

/** A whole number of 32 bits, well mixed. */
function mixed(number) {
  let x = (number ^ 0x9e3779b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

export function centsOf(price) {
  const [whole, fraction = ''] = String(price).split('.');
  return Number(whole + fraction.slice(0, 2).padEnd(2, '0'));
}

export function decimalOf(cents) {
  const digits = String(cents).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
