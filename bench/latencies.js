/** What something took, many times, as two figures: the middle, and the slowest of a hundred. */

/** @param {number[]} sorted @param {number} share */
export function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** @param {number[]} took milliseconds; they are sorted */
export function latenciesOf(took) {
  took.sort((a, b) => a - b);
  return { p50_ms: quantile(took, 0.5), p99_ms: quantile(took, 0.99) };
}

/**
 * Asks once to warm up, and then so often as it is told, or as there is time: once at least.
 * @param {number} askings
 * @param {(n: number) => Promise<() => any>} question answers how to read and check its answer, which is not timed, and says
 *   where that came from
 * @param {number} [budget] seconds
 */
export async function askedOften(askings, question, budget = Number.POSITIVE_INFINITY) {
  const until = performance.now() + budget * 1000;
  const took = [];
  const from = (await question(0))();
  for (let n = 0; n < askings && (n === 0 || performance.now() < until); n++) {
    const start = performance.now();
    const check = await question(n);
    took.push(performance.now() - start);
    check();
  }
  return { from, asked: took.length, ...latenciesOf(took) };
}
