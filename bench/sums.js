/**
 * A benchmark that does not look at the results measures who is wrong the fastest. After its clock has
 * stopped, every contestant answers two questions from its own rollup, and the answers must be the same,
 * figure by figure, as those that DuckDB works out from the file itself:
 *
 *     by type and day              60 rows
 *     by subscription and type    100,000 rows
 *
 * Money is compared in cents, as whole numbers.
 */
import { createHash } from 'node:crypto';

/**
 * @typedef {{key: string, price: string | bigint, used: string | bigint, count: string | bigint | number}} Sum
 * `price` is a decimal text such as '3.1', or a bigint of cents
 * @typedef {{records: number, cents: string, used: string, hash: string}} Fingerprint
 */

/**
 * @param {Sum[]} byTypeAndDay keys such as 'data 2026-10-05'
 * @param {Sum[]} bySubscriptionAndType keys such as '77 data'
 * @returns {Fingerprint}
 */
export function fingerprint(byTypeAndDay, bySubscriptionAndType) {
  const total = { records: 0n, cents: 0n, used: 0n };
  const lines = [...byTypeAndDay, ...bySubscriptionAndType].map(
    ({ key, price, used, count }) => `${key} ${cents(price)} ${BigInt(used)} ${BigInt(count)}`,
  );
  for (const { price, used, count } of byTypeAndDay) {
    total.records += BigInt(count);
    total.cents += cents(price);
    total.used += BigInt(used);
  }
  return {
    records: Number(total.records),
    cents: String(total.cents),
    used: String(total.used),
    hash: createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16),
  };
}

/** @param {string | bigint} price @returns {bigint} */
export function cents(price) {
  if (typeof price === 'bigint') return price;
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(price) ?? [];
  const digits = fraction.replace(/0+$/, '');
  if (whole === undefined || digits.length > 2) throw new Error(`"${price}" is no sum of prices in cents`);
  return BigInt(sign + whole + digits.padEnd(2, '0'));
}

/**
 * @param {string} who
 * @param {Fingerprint} found
 * @param {Fingerprint} expected
 */
export function mustEqual(who, found, expected) {
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  throw new Error(
    `${who} has other sums than the file: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`,
  );
}
