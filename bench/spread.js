/** Several rounds as one figure: the median, with the least and the most beside it. */

/** @param {number[]} numbers @returns {{median: number, min: number, max: number} | undefined} */
export function spread(numbers) {
  const sorted = numbers.filter((number) => typeof number === 'number').sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}
