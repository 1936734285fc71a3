/** Which events are meant: by session, category, name, source, time, and what their data holds. */
import { Type } from 'typebox';
import {
  formatTimestamp,
  lastInstant,
  type Micros,
  parseDate,
  parseTimestamp,
} from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import { type AskedQuestion, questionFromParameters } from '../../engine/question.ts';
import type { AskedEntries } from '../../engine/tallybook.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 512, description }));

/** What `GET /v1/events` and the live tail take. */
export const filterParameters = {
  session_id: text('Of this session.'),
  category: text('Of this category.'),
  name: text('Of this name.'),
  source: text('Sent by this source.'),
  where: Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: limits.question_conditions })], {
      description: 'A condition, may be repeated: data.path=/pricing, data.depth>=50, data.plan in a,b',
    }),
  ),
};
export const timeParameters = {
  from: text('Happened then or later: a timestamp, or a date.'),
  to: text('Happened before then.'),
};

type Query = Readonly<Record<string, string | string[] | undefined>>;

/** Throws `bad_question` for a condition that is none. */
export function selectionOf(query: Query): AskedEntries {
  const { where } = questionFromParameters({ where: query.where });
  const { from, to, source } = query as Record<string, string | undefined>;
  return {
    where: { ...where, ...equals(query, ['session_id', 'category', 'name']) },
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    source,
  };
}

/** Conditions that a field, or what stands at a path, is what the parameter of its name says. */
export function equals(
  query: Query,
  names: readonly string[],
  path = '',
): NonNullable<AskedQuestion['where']> {
  return Object.fromEntries(
    names.flatMap((name) =>
      query[name] === undefined ? [] : [[`${path}${name}`, { eq: query[name] as string }]],
    ),
  );
}

/** Times of which both ends are meant, as a question has them: a date means all of its day. Throws `bad_request`. */
export function inclusive(
  fromName: string,
  from: string | undefined,
  toName: string,
  to: string | undefined,
): Pick<AskedQuestion, 'from' | 'to'> {
  const first = from === undefined ? undefined : instant(fromName, from).first;
  const last = to === undefined ? undefined : instant(toName, to).last;
  if (first !== undefined && last !== undefined && first > last)
    throw new TallybookError('bad_request', `${fromName} (${from}) lies after ${toName} (${to})`);
  return {
    ...(first === undefined ? {} : { from: formatTimestamp(first) }),
    // Nothing lies behind the last instant that there is.
    ...(last === undefined || last >= lastInstant ? {} : { to: formatTimestamp(last + 1n) }),
  };
}

const day = 86_400_000_000n;

function instant(name: string, given: string): { first: Micros; last: Micros } {
  // A plus sign that was not encoded arrives as a space.
  const at = parseTimestamp(given.replace(/(?<=[T ].*:\d\d(\.\d+)?) (?=\d\d:?\d\d$)/, '+'));
  if (at !== undefined) return { first: at, last: at };
  const days = parseDate(given);
  if (days !== undefined) return { first: BigInt(days) * day, last: BigInt(days + 1) * day - 1n };
  throw new TallybookError(
    'bad_request',
    `${name} is ${given.slice(0, 100)}; expected a timestamp such as 2026-10-05T06:43:00Z, or a date`,
  );
}
