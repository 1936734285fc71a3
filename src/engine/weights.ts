/**
 * Weights: a sum in which every record counts with the weight that the value of one of its fields has, such as amounts
 * in several currencies, each times what it is worth. A weight is a decimal, and so the sum is one, exact to the last
 * digit, however many it has.
 */
import { type Static, Type } from 'typebox';
import { fromScaled, plainNumber, toScaled } from './decimal.ts';
import { TallybookError } from './errors.ts';
import { checkValue, type Field } from './field-types.ts';
import { limits } from './limits.ts';
import type { Stream } from './stream.ts';

/** Digits after the point that a weight has at most; before it, it has at most two. */
export const weightScale = 16;
/** What is weighted has at most as many digits after the point. */
export const weightedScaleMax = 20;

export const WeightsSchema = Type.Object(
  {
    by: Type.String({ description: 'The field whose values have weights: a text or an integer.' }),
    of: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]), {
      description: `Weights by value, with at most 2 digits before the point and ${weightScale} after it. A record whose value is not among them counts 0.`,
    }),
  },
  { additionalProperties: false },
);
export type AskedWeights = Static<typeof WeightsSchema>;

export interface Weights {
  by: Field;
  /** Values with the same weight together; a weight is a plain number. */
  classes: { weight: string; values: string[] }[];
}

/** Throws `bad_question`. */
export function checkWeights(stream: Stream, { by, of }: AskedWeights): Weights {
  const bad = (detail: string) => new TallybookError('bad_question', `weights: ${detail}`);
  const field = stream.field(by);
  if (field?.type !== 'integer' && field?.type !== 'text')
    throw bad(`by is ${by}; expected a text or an integer of the stream ${stream.name}`);
  const entries = Object.entries(of);
  if (entries.length === 0 || entries.length > limits.question_condition_values)
    throw bad(`${entries.length} values have one; expected 1 to ${limits.question_condition_values}`);
  const classes = new Map<string, string[]>();
  for (const [text, given] of entries) {
    const value = checkValue({ name: field.name, type: field.type }, { kind: 'cell', text });
    if ('code' in value) throw bad(`${text} is no value of ${by}, a ${field.type}`);
    const weight = plainNumber(String(given));
    const [whole = '', fraction = ''] = weight?.split('.') ?? [];
    if (weight === undefined || whole.length > 2 || fraction.length > weightScale || weight.startsWith('-'))
      throw bad(
        `that of ${text} is ${given}; expected a number from 0 with at most 2 digits before the point and ${weightScale} after it`,
      );
    classes.set(weight, [...(classes.get(weight) ?? []), value.value!]);
  }
  return { by: field, classes: [...classes].map(([weight, values]) => ({ weight, values })) };
}

/** The plain text of a weighted sum, from what each weight is of: plain numbers with at most `scale` decimals. */
export function weigh(parts: readonly { weight: string; sum: string }[], scale: number): string {
  const total = parts.reduce(
    (sum, part) => sum + toScaled(part.sum, scale) * toScaled(part.weight, weightScale),
    0n,
  );
  return fromScaled(total, scale + weightScale);
}
