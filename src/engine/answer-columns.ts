/** The columns of an answer: dimensions, the bucket, the measures as they were asked. Their types never depend on a value. */
import { averageExtraScale } from './decimal.ts';
import type { Field } from './field-types.ts';
import type { Dimension, Measure, Question } from './question.ts';
import type { Column } from './store.ts';

/** What sums and averages have at most. */
const widest = 38;

export function answerColumns({ by, every, measures }: Question): Column[] {
  const bucket: Column[] = every === 'all' ? [] : [{ name: every, type: bucketType(every) }];
  return [...by.map(dimensionColumn), ...bucket, ...measures.map(measureColumn)];
}

export function measureColumn({ name, field, text }: Measure): Column {
  switch (name) {
    case 'count':
    case 'count_distinct':
      return { name: text, type: 'count' };
    case 'avg':
      return {
        name: text,
        type: 'decimal',
        digits: { precision: widest, scale: scaleOf(field!) + averageExtraScale },
      };
    case 'weighted':
      // It may have more digits than any decimal type of a file.
      return { name: text, type: 'decimal' };
    case 'sum':
    case 'greatest':
      return { name: text, type: field!.type, digits: { precision: widest, scale: scaleOf(field!) } };
    default:
      return fieldColumn(text, field!);
  }
}

export function fieldColumn(name: string, field: Field): Column {
  const { type } = field;
  return type === 'decimal'
    ? { name, type, digits: { precision: field.precision, scale: field.scale } }
    : { name, type };
}

function dimensionColumn({ text, field, path }: Dimension): Column {
  return path.length > 0 ? { name: text, type: 'text' } : fieldColumn(text, field);
}

function bucketType(every: Exclude<Question['every'], 'all'>): 'date' | 'timestamp' {
  return every === 'minute' || every === 'hour' ? 'timestamp' : 'date';
}

const scaleOf = (field: Field): number => (field.type === 'decimal' ? field.scale : 0);
