/**
 * Numbers as text, exactly: no value here ever passes through a double.
 *
 * A plain number is `-?digits[.digits]` in its shortest form (no leading zeros, no trailing zeros of a
 * fraction, no `-0`): `1.50` is `1.5`, `1e3` is `1000`. Answers give decimals in this form (SPEC 1.4).
 */

/** What a number may look like, in the common subset of JavaScript's and RE2's regular expressions. */
export const numberGrammar = '-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]{1,3})?';
const numberPattern = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?$/;

/** The plain form of a number's text, or undefined when it is no number: `1.5e2` gives `150`. */
export function plainNumber(text: string): string | undefined {
  const match = numberPattern.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(point, 1);
  const left = padded.slice(0, at).replace(/^0+(?=.)/, '');
  const right = padded.slice(at).replace(/0+$/, '');
  const plain = right ? `${left}.${right}` : left;
  return sign && plain !== '0' ? `-${plain}` : plain;
}

/** A decimal scaled to a whole number: ('1.5', 2) gives 150n. The text must be plain and have at most `scale` decimals. */
export function toScaled(plain: string, scale: number): bigint {
  const [whole = '0', fraction = ''] = plain.split('.');
  return BigInt(whole + fraction.padEnd(scale, '0'));
}

/** The plain text of a scaled whole number: (150n, 2) gives '1.5'. */
export function fromScaled(scaled: bigint, scale: number): string {
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(scale + 1, '0');
  const left = digits.slice(0, digits.length - scale);
  const right = digits.slice(digits.length - scale).replace(/0+$/, '');
  return (scaled < 0n ? '-' : '') + (right ? `${left}.${right}` : left);
}

/** Decimals added to a field's own scale in an average. */
export const averageExtraScale = 6;

/** sum / count, rounded half away from zero to that many decimals more than `scale`, by which the sum is scaled. */
export function averageOf(sum: bigint, scale: number, count: bigint): string {
  return fromScaled(averageUnits(sum, count), scale + averageExtraScale);
}

/** The same, scaled. */
export function averageUnits(sum: bigint, count: bigint): bigint {
  const numerator = sum * 10n ** BigInt(averageExtraScale);
  const negative = numerator < 0n;
  const magnitude = negative ? -numerator : numerator;
  const rounded = (2n * magnitude + count) / (2n * count);
  return negative ? -rounded : rounded;
}

/** -1, 0 or 1: how two plain numbers compare by value. */
export function compareNumbers(a: string, b: string): number {
  const scale = Math.max(a.split('.')[1]?.length ?? 0, b.split('.')[1]?.length ?? 0);
  const x = toScaled(a, scale);
  const y = toScaled(b, scale);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The product of two plain numbers, plain and exact. */
export function multiply(a: string, b: string): string {
  const scales = [a, b].map((number) => number.split('.')[1]?.length ?? 0) as [number, number];
  return fromScaled(toScaled(a, scales[0]) * toScaled(b, scales[1]), scales[0] + scales[1]);
}

/** The quotient of two plain numbers of the same sign, cut (not rounded) to a number of decimals. */
export function divideCut(a: string, b: string, decimals: number): string {
  const scale = Math.max(a.split('.')[1]?.length ?? 0, b.split('.')[1]?.length ?? 0);
  return fromScaled((toScaled(a, scale) * 10n ** BigInt(decimals)) / toScaled(b, scale), decimals);
}
