/** Parts of addresses and query parameters that several routes share. */
import { Type } from 'typebox';
import { limits } from '../../engine/limits.ts';

export const closed = { additionalProperties: false };

export const StreamParams = Type.Object({ stream: Type.String({ maxLength: 200 }) });
export const RecordParams = Type.Object({
  stream: Type.String({ maxLength: 200 }),
  id: Type.String({ minLength: 1, maxLength: 4 * limits.id_characters }),
});

const many = (description: string) =>
  Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: limits.question_conditions })], {
      description,
    }),
  );
const one = (description: string) => Type.Optional(Type.String({ maxLength: 200, description }));

/** What selects entries. */
export const selectionParameters = {
  where: many(
    'A condition, may be repeated: type=data, price>=10, type in data,voice, name like a%, plan is null',
  ),
  from: one('Inclusive: a timestamp, or a date (midnight in tz).'),
  to: one('Exclusive.'),
  known_at: one('Only what was recorded up to and including then.'),
  tz: one('Time zone, such as Europe/Madrid; UTC when not given.'),
};

/** A question. */
export const questionQuery = {
  measures: many(
    'count, sum(f), min(f), max(f), avg(f), count_distinct(f), separated by commas; count when not given',
  ),
  by: many('Fields to split by, separated by commas; data.path into a json field.'),
  every: one('minute, hour, day, week, month, quarter, year, all'),
  ...selectionParameters,
  having: many('A condition on a measure, may be repeated: sum(price)>10'),
  order: many('Columns, separated by commas; -column for descending.'),
  after: many('The values of a row in the columns of the order: only rows behind it.'),
  limit: one(`Rows, at most ${limits.answer_rows}; ${limits.answer_rows_default} when not given.`),
  fill: one('zero: buckets in which nothing happened are there too.'),
};

export const formatParameter = {
  format: Type.Optional(Type.String({ maxLength: 60, description: 'json, ndjson or csv; else by Accept.' })),
};
export const reasonParameter = {
  reason: Type.Optional(
    Type.String({ maxLength: limits.reason_characters, description: 'Kept with the entries.' }),
  ),
};
