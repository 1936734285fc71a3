/**
 * What an alert watches (SPEC 1.8): a measure of a stream for each key and period, held against a limit.
 *
 *     {"stream": "usage", "measure": "sum(used)", "where": {"type": "data"}, "by": ["subscription_id"],
 *      "period": "month", "thresholds": [80, 100],
 *      "limit": {"of": "subscription_id", "path": ["subscriptions.plan", "plans.data_available"]}}
 *
 * The limit is a number, or is found for each key: the value of one dimension is the id of a record, whose field holds
 * the id of the next one, and so on; the field at the end is the limit. A record that is missing, or a field that
 * is null or below zero, means: no limit, and nothing is told.
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { rejectsStream } from './built-in-streams.ts';
import { compareNumbers, plainNumber } from './decimal.ts';
import { TallybookError } from './errors.ts';
import type { Field } from './field-types.ts';
import { limits } from './limits.ts';
import { planQuestion } from './plan.ts';
import { checkQuestion, type Question, QuestionSchema } from './question.ts';
import type { Stream } from './stream.ts';

const closed = { additionalProperties: false };
const Figure = Type.Union([Type.String({ maxLength: 60 }), Type.Number()]);
export const periods = ['day', 'week', 'month', 'all'] as const;

export const AlertSchema = Type.Object(
  {
    description: Type.Optional(Type.String({ maxLength: 2_000 })),
    stream: Type.String({ maxLength: 200 }),
    measure: Type.String({
      maxLength: 200,
      description: 'count, sum(f), avg(f), count_distinct(f), min(f) or max(f) of a number',
    }),
    where: QuestionSchema.properties.where,
    by: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: limits.question_dimensions,
        uniqueItems: true,
        description: 'The fields that make a key; one key for all when not given.',
      }),
    ),
    period: Type.Enum([...periods]),
    tz: Type.Optional(Type.String({ description: 'Time zone of the periods; UTC when not given.' })),
    thresholds: Type.Optional(
      Type.Array(Figure, {
        minItems: 1,
        maxItems: limits.alert_thresholds,
        description: 'In per cent of the limit; 80 and 100 when not given.',
      }),
    ),
    limit: Type.Union([
      Figure,
      Type.Object(
        {
          of: Type.String({ description: 'The dimension whose value is the id of the first record.' }),
          path: Type.Array(Type.String({ maxLength: 200 }), {
            minItems: 1,
            maxItems: limits.alert_hops,
            description: 'stream.field of each record on the way.',
          }),
        },
        closed,
      ),
    ]),
    enabled: Type.Optional(Type.Boolean({ description: 'true when not given' })),
  },
  closed,
);
export type AskedAlert = Static<typeof AlertSchema>;

/** A definition with nothing left out: as it is kept and shown. */
export interface AlertDefinition {
  description?: string;
  stream: string;
  measure: string;
  where: NonNullable<AskedAlert['where']>;
  by: string[];
  period: (typeof periods)[number];
  tz: string;
  /** Plain numbers, ascending. */
  thresholds: string[];
  /** A plain number, or the way to one. */
  limit: string | { of: string; path: string[] };
  enabled: boolean;
}

export interface Hop {
  stream: Stream;
  field: Field;
}

/** A definition with its names resolved. */
export interface Watched {
  stream: Stream;
  /** The one measure for every key and period. */
  question: Question;
  thresholds: string[];
  limit: string | { /** Index into the dimensions. */ of: number; hops: Hop[] };
}

type FindStream = (name: string) => Stream;

/** Checks a definition. Throws `bad_alert` or `unknown_stream` with what to change. */
export function checkAlert(name: string, asked: unknown, streamOf: FindStream): AlertDefinition {
  const fault = [...Value.Errors(AlertSchema, asked)].find(({ keyword }) => keyword !== 'boolean');
  if (fault) {
    const extra = (fault.params as { additionalProperties?: string[] }).additionalProperties;
    const at = fault.instancePath.slice(1).replaceAll('/', '.') || 'the definition';
    throw bad(name, `${at} ${fault.message}${extra ? ` (${extra.join(', ')})` : ''}`);
  }
  const given = asked as AskedAlert;
  const definition: AlertDefinition = {
    ...(given.description === undefined ? {} : { description: given.description }),
    stream: given.stream,
    measure: given.measure,
    where: given.where ?? {},
    by: given.by ?? [],
    period: given.period,
    tz: given.tz ?? 'UTC',
    thresholds: checkThresholds(name, given.thresholds ?? [80, 100]),
    limit: typeof given.limit === 'object' ? given.limit : positive(name, 'limit', given.limit),
    enabled: given.enabled ?? true,
  };
  const watched = resolveAlert(name, definition, streamOf);
  checkRetention(name, watched);
  return definition;
}

/** Which rollup the figures come from; undefined: the ledger. */
export function rollupOfAlert({ stream, question }: Watched): string | undefined {
  const nothingDropped = { droppedBefore: undefined, rollupsCompleteFrom: new Map() };
  return planQuestion(stream, question, nothingDropped).rollup?.name;
}

/** Resolves the names of a definition. Throws as `checkAlert`. */
export function resolveAlert(name: string, definition: AlertDefinition, streamOf: FindStream): Watched {
  const { measure, where, by, period, tz, limit } = definition;
  // Rejects are counted like records: an alert on the rate at which a source sends what is refused.
  const stream = definition.stream === rejectsStream.name ? rejectsStream : streamOf(definition.stream);
  const question = asAlert(name, () =>
    checkQuestion(stream, { measures: [measure], where, by, every: period, tz, limit: limits.answer_rows }),
  );
  const { name: kind, field } = question.measures[0]!;
  if ((kind === 'min' || kind === 'max') && !isNumber(field!)) {
    throw bad(name, `${measure} is a ${field!.type}; only a number can be held against a limit`);
  }
  return {
    stream,
    question,
    thresholds: definition.thresholds,
    limit: typeof limit === 'string' ? limit : resolveLimit(name, question, limit, streamOf),
  };
}

function resolveLimit(
  name: string,
  question: Question,
  { of, path }: { of: string; path: string[] },
  streamOf: FindStream,
): { of: number; hops: Hop[] } {
  const dimension = question.by.findIndex(({ text }) => text === of);
  if (dimension < 0) {
    const known = question.by.map(({ text }) => text).join(', ') || 'none';
    throw bad(name, `limit.of is ${of}; expected one of the dimensions of "by": ${known}`);
  }
  const { field, path: into } = question.by[dimension]!;
  let pointer = { text: of, type: into.length > 0 ? 'text' : field.type };
  const hops = path.map((text, index): Hop => {
    const [streamName = '', fieldName, ...rest] = text.split('.');
    if (fieldName === undefined || rest.length > 0)
      throw bad(name, `limit.path has ${text}; expected stream.field`);
    const stream = streamOf(streamName);
    const found = stream.field(fieldName);
    if (!found) {
      const names = stream.fields.map((known) => known.name).join(', ');
      throw bad(
        name,
        `limit.path: the stream ${streamName} has no field ${fieldName}; its fields are ${names}`,
      );
    }
    if (!stream.id)
      throw bad(name, `limit.path: the stream ${streamName} declares no "id" to find a record by`);
    if (stream.retention !== undefined) {
      throw bad(name, `limit.path: the stream ${streamName} drops its records in time; limits must stay`);
    }
    if (stream.id.type !== pointer.type) {
      const detail = `limit.path: ${pointer.text} is a ${pointer.type}, the id of ${streamName} a ${stream.id.type}; they must be of one type`;
      throw bad(name, detail);
    }
    if (index === path.length - 1 && !isNumber(found))
      throw bad(name, `limit.path ends at ${text}, a ${found.type}; expected an integer or a decimal`);
    pointer = { text, type: found.type };
    return { stream, field: found };
  });
  return { of: dimension, hops };
}

/** What retention drops must be in a rollup, or the figures of a period would shrink. */
function checkRetention(name: string, watched: Watched): void {
  const { stream, question } = watched;
  if (stream.retention === undefined || rollupOfAlert(watched) !== undefined) return;
  const { every, by, where, measures } = question;
  const fields = [...by, ...where.map(({ dimension }) => dimension)].map(({ text }) => text);
  throw bad(
    name,
    `the stream ${stream.name} drops its records in time, and no rollup keeps ${measures[0]!.text} by ${[...new Set(fields)].join(', ') || 'nothing'} for every ${every} of ${question.tz}; declare one`,
  );
}

function checkThresholds(name: string, given: (string | number)[]): string[] {
  const plain = given.map((threshold) => positive(name, 'a threshold', threshold));
  return [...new Set(plain)].sort(compareNumbers);
}

function positive(name: string, what: string, given: string | number): string {
  const plain = plainNumber(String(given));
  if (plain === undefined || compareNumbers(plain, '0') <= 0 || plain.replace('.', '').length > 38)
    throw bad(name, `${what} is ${given}; expected a number above zero of at most 38 digits`);
  return plain;
}

function isNumber(field: Field): boolean {
  return field.type === 'integer' || field.type === 'decimal';
}

function asAlert<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TallybookError && error.code === 'bad_question') throw bad(name, error.message);
    throw error;
  }
}

function bad(name: string, detail: string): TallybookError {
  return new TallybookError('bad_alert', `alert ${name.slice(0, 70)}: ${detail}`);
}
