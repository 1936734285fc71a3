/**
 * Questions answered from rollups that are kept in a PostgreSQL. The planner takes the smallest that answers exactly, as
 * it does for those of a ledger; there is no ledger behind them, so what none of them can tell is refused.
 */
import { answerColumns } from '../engine/answer-columns.ts';
import { type Every, formatBucket, parseTimestamp } from '../engine/calendar.ts';
import { plainNumber } from '../engine/decimal.ts';
import type { RollupDeclaration } from '../engine/declaration.ts';
import { TallybookError } from '../engine/errors.ts';
import type { Field } from '../engine/field-types.ts';
import { planQuestion } from '../engine/plan.ts';
import {
  type AskedQuestion,
  type Condition,
  checkQuestion,
  type Measure,
  type Question,
} from '../engine/question.ts';
import type { Answer } from '../engine/store.ts';
import { defineStream, type Rollup, type Stream } from '../engine/stream.ts';
import type { Installed } from './installation.ts';
import { keyColumns, sumColumn } from './kept-rollup.ts';
import { qualified, quote, type Relation, shown } from './names.ts';
import type { Row, Session } from './session.ts';

/** Throws `bad_question` for what the rollups do not tell. */
export type AskKept = (asked: AskedQuestion) => Promise<Answer>;

/** @param stream as whoever asks declares it; its fields are those of the rollups */
export function askKept(session: Session, stream: Stream, installed: readonly Installed[]): AskKept {
  const rollups: Record<string, RollupDeclaration> = {};
  const relations = new Map<string, Relation>();
  for (const { stream: of, relation } of installed) {
    const name = of.rollups[0]!.name;
    rollups[name] = of.declaration.rollups![name]!;
    relations.set(name, relation);
  }
  const { id: _, forms: __, ...declared } = stream.declaration;
  const asking = defineStream(stream.name, { ...declared, rollups });
  return async (asked) => {
    const { question, rollup } = planQuestion(asking, checkQuestion(asking, asked), {
      droppedBefore: undefined,
      rollupsCompleteFrom: new Map(),
    });
    if (!rollup)
      throw new TallybookError(
        'bad_question',
        `the raw records are in a PostgreSQL, where ${[...relations.values()].map(shown).join(', ')} cannot answer this`,
      );
    const relation = relations.get(rollup.name)!;
    const values: unknown[] = [];
    const sql = statement(question, rollup, relation, values);
    // What is committed before this is in the answer.
    const [now] = await session.query(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time`,
    );
    const rows = await session.query(sql, values);
    return {
      columns: answerColumns(question),
      rows: rows.slice(0, question.limit).map((row) => readRow(question, relation, row)),
      from: `postgres ${shown(relation)}`,
      as_of: { batch: 0, recorded_at: now!.time! },
      more: rows.length > question.limit,
    };
  };
}

function statement(question: Question, rollup: Rollup, relation: Relation, values: unknown[]): string {
  const parameter = (value: unknown, type: string): string => `$${values.push(value)}::${type}`;
  const types = new Map(keyColumns({ rollup }).map(({ name, type }) => [name, type]));
  const key = (name: string): string =>
    `kept.${quote(name)}${types.get(name) === 'text' ? ' collate "C"' : ''}`;
  const compared = (of: string, operator: string, texts: readonly string[], type: string): string => {
    switch (operator) {
      case 'is_null':
        return `${of} is null`;
      case 'not_null':
        return `${of} is not null`;
      case 'ne':
        return `${of} is distinct from ${parameter(texts[0], type)}`;
      case 'in':
        return `${of} = any (${parameter(texts, `${type}[]`)})`;
      case 'like':
        return `${of} like ${parameter(texts[0], type)} escape ''`;
      default:
        return `${of} ${signs[operator]} ${parameter(texts[0], type)}`;
    }
  };
  const condition = ({ dimension, operator, values: texts }: Condition): string =>
    compared(key(dimension.field.name), operator, texts, types.get(dimension.field.name)!);
  const figure = ({ name, field, only, parts }: Measure): string => {
    if (name === 'greatest') return `greatest(${parts.map(figure).join(', ')})`;
    if (name !== 'sum' && name !== 'count')
      throw new TallybookError(
        'bad_question',
        `${name} cannot be asked of a rollup in a PostgreSQL; sum and count can`,
      );
    const column = name === 'count' ? 'count' : sumColumn(field!);
    return `coalesce(sum(kept.${quote(column)})${only ? ` filter (where ${condition(only)})` : ''}, 0)`;
  };
  const { by, every, measures, having, order, after, from, to } = question;
  const bucket = `kept.${quote(rollup.every)}`;
  const where = [
    ...question.where.map(condition),
    // A record without a field that it must have is none; a raw table may hold such rows.
    ...by.filter(({ field }) => field.required).map(({ field }) => `${key(field.name)} is not null`),
    ...[
      { edge: from, sign: '>=' },
      { edge: to, sign: '<' },
    ].flatMap(({ edge, sign }) =>
      edge === undefined
        ? []
        : [
            `${bucket} ${sign} ${parameter(formatBucket(edge, rollup.every, rollup.tz), types.get(rollup.every)!)}`,
          ],
    ),
  ];
  const keys = [
    ...by.map(({ field }) => key(field.name)),
    ...(every === 'all' ? [] : [coarser(bucket, rollup, every)]),
  ];
  const names = [
    ...by.map(({ text }) => text),
    ...(every === 'all' ? [] : [every as string]),
    ...measures.map(({ text }) => text),
  ];
  // With its table: a bare name would be the text that goes out.
  const place = (name: string): string => `answer.c${names.indexOf(name)}`;
  const typeOf = (name: string): string => types.get(name) ?? 'numeric';
  const grouped = `select ${[...keys, ...measures.map(figure)].map((value, index) => `${value} as c${index}`).join(', ')}
    from ${qualified(relation)} as kept${where.length === 0 ? '' : `\n    where ${where.join(' and ')}`}${
      keys.length === 0 ? '' : `\n    group by ${keys.map((_, index) => index + 1).join(', ')}`
    }`;
  const kept = [
    ...having.map(({ measure, operator, values: texts }) =>
      compared(place(measures[measure]!.text), operator, texts, 'numeric'),
    ),
    ...(after
      ? [
          order.reduceRight((rest, { column, descending }, index) => {
            const value = after[index]!;
            if (value === null) return `(${place(column)} is null and ${rest})`;
            const text = parameter(value, typeOf(column));
            return `(${place(column)} ${descending ? '<' : '>'} ${text} or ${place(column)} is null or (${place(column)} = ${text} and ${rest}))`;
          }, 'false'),
        ]
      : []),
  ];
  const ordered = order.map(
    ({ column, descending }) => `${place(column)} ${descending ? 'desc' : 'asc'} nulls last`,
  );
  const output = names.map((name, index) =>
    asText(`c${index}`, index < keys.length ? (types.get(name) ?? bucketType(every)) : 'numeric'),
  );
  return `select ${output.join(', ')}
  from (
    ${grouped}
  ) as answer${kept.length === 0 ? '' : `\n  where ${kept.join(' and ')}`}${
    ordered.length === 0 ? '' : `\n  order by ${ordered.join(', ')}`
  }
  limit ${question.limit + 1}`;
}

const signs: Record<string, string> = { eq: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' };

const bucketType = (every: Every): string =>
  every === 'hour' || every === 'minute' ? 'timestamptz' : 'date';

/** The bucket of a question from the bucket of a rollup that nests in it. */
function coarser(bucket: string, rollup: Rollup, every: Every): string {
  if (rollup.every === every) return bucket;
  if (bucketType(rollup.every) === 'date') return `date_trunc('${every}', ${bucket}::timestamp)::date`;
  const zone = `'${rollup.tz}'`;
  if (bucketType(every) === 'timestamptz') return `date_trunc('${every}', ${bucket}, ${zone})`;
  return `date_trunc('${every}', ${bucket} at time zone ${zone})::date`;
}

/** Times in the one way in which answers write them, whatever the session is set to. */
function asText(column: string, type: string): string {
  if (type === 'timestamptz')
    return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`;
  if (type === 'date') return `to_char(${column}, 'YYYY-MM-DD') as ${column}`;
  return `${column}::text as ${column}`;
}

function readRow(question: Question, relation: Relation, row: Row): Answer['rows'][number] {
  const { by, every, measures } = question;
  const keys = by.length + (every === 'all' ? 0 : 1);
  return Object.values(row).map((value, index) => {
    if (value === null) return null;
    if (index < by.length) return ofField(by[index]!.field, value);
    if (index < keys)
      return every === 'hour' || every === 'minute'
        ? formatBucket(parseTimestamp(value)!, every, question.tz)
        : value;
    const { name, field } = measures[index - keys]!;
    if (name === 'count') return Number(value);
    const sum = plainNumber(value)!;
    const scale = field!.type === 'decimal' ? field!.scale : 0;
    if ((sum.split('.')[1]?.length ?? 0) <= scale) return sum;
    throw new TallybookError(
      'bad_settings',
      `${shown(relation)} holds a sum of ${field!.name} with more than the ${scale} decimals that the field has: ${sum}`,
    );
  });
}

function ofField({ type }: Field, value: string): string | boolean {
  if (type === 'boolean') return value === 'true';
  return type === 'decimal' ? plainNumber(value)! : value;
}
