/** What is wrong with what applications send: rejects in groups, over time; and what the schemas only warn of. */
import { Type } from 'typebox';
import { type Every, everyNames } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Route } from '../system.ts';
import { shownReject } from './listing.ts';
import { equals } from './selection.ts';
import { eventsStream, warningsBook } from './streams.ts';

const groupings = ['code', 'field', 'category', 'name', 'application'] as const;
/** Where a grouping stands in a reject. Category and name are read from the original, where it is JSON. */
const placeOf: Record<(typeof groupings)[number], string> = {
  code: 'code',
  field: 'field',
  category: 'original.category',
  name: 'original.name',
  application: 'source',
};
const text = (description: string) => Type.Optional(Type.String({ maxLength: 512, description }));
const times = {
  from: text('Seen then or later.'),
  to: text('Seen before then.'),
};
const Name = Type.Union([Type.String(), Type.Null()]);

export const errorsRoute: Route = {
  method: 'GET',
  path: '/v1/events/errors',
  scope: 'read',
  streams: [eventsStream],
  summary: 'What is refused, in groups',
  description:
    'The rejects that are open, largest group first, each with a sample; GET /v1/rejects?stream=events lists them one by one. Category and name are null where the original is no JSON.',
  query: Type.Object({
    group_by: text(`One or more of ${groupings.join(', ')}, separated by commas; all when not given.`),
    every: Type.Optional(
      Type.Enum([...everyNames], { description: 'Over time: split by when they were refused.' }),
    ),
    code: text('Refused with this code.'),
    field: text('Refused for this field.'),
    category: text('Of this category.'),
    name: text('Of this name.'),
    source: text('Sent by this source.'),
    ...times,
  }),
  paged: false,
  answers: Type.Object({
    groups: Type.Array(
      Type.Object(
        {
          ...Object.fromEntries(groupings.map((name) => [name, Type.Optional(Name)])),
          count: Type.Integer(),
          first_seen: Type.String(),
          last_seen: Type.String(),
          sample: Type.Unknown(),
        },
        { additionalProperties: true },
      ),
    ),
  }),
  async answer({ tallybook, query }) {
    const by = groupingsOf(query.group_by);
    const every = (query.every ?? 'all') as Every;
    const { code, field, source, from, to } = query;
    const where = equals(query, ['category', 'name'], 'original.');
    const filter = { stream: eventsStream.name, code, field, source, from, to, where };
    const groups = await tallybook.rejects.group(
      filter,
      by.map((name) => placeOf[name]),
      every,
    );
    return {
      body: {
        groups: groups.map(({ key, bucket, sample, ...group }) => ({
          ...Object.fromEntries(by.map((name) => [name, key[placeOf[name]]])),
          ...(every === 'all' ? {} : { [every]: bucket }),
          ...group,
          sample: sample && shownReject(sample),
        })),
      },
    };
  },
};

function groupingsOf(given: string | undefined): readonly (typeof groupings)[number][] {
  return given === undefined
    ? groupings
    : given.split(',').map((part) => {
        const grouping = groupings.find((known) => known === part.trim());
        if (grouping) return grouping;
        const detail = `group_by names ${part.trim()}; expected one or more of ${groupings.join(', ')}`;
        throw new TallybookError('bad_request', detail);
      });
}

const warned = ['category', 'name', 'version', 'field', 'source'];

export const warningsRoute: Route = {
  method: 'GET',
  path: '/v1/events/warnings',
  scope: 'read',
  streams: [eventsStream],
  summary: 'What schemas warn of, in groups',
  description:
    'Events that were taken in although they do not fit the schema of their type, largest group first.',
  query: Type.Object({ category: text('Of this category.'), name: text('Of this name.'), ...times }),
  paged: false,
  answers: Type.Object({
    groups: Type.Array(
      Type.Object({
        category: Type.String(),
        name: Type.String(),
        version: Type.Integer(),
        field: Type.String(),
        application: Type.String(),
        count: Type.Integer(),
        first_seen: Type.String(),
        last_seen: Type.String(),
        sample: Type.String({ description: 'The id of one of the events.' }),
      }),
    ),
  }),
  async answer({ tallybook, query }) {
    const { from, to } = query;
    const { rows } = await tallybook.books.ask(warningsBook, {
      where: equals(query, ['category', 'name']),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      by: warned,
      measures: ['count', 'min(at)', 'max(at)', 'max(event)'],
      order: ['-count'],
      limit: limits.page_rows,
    });
    const groups = rows.map(
      ([category, name, version, field, application, count, first_seen, last_seen, sample]) => ({
        category,
        name,
        version: Number(version),
        field,
        application,
        count,
        first_seen,
        last_seen,
        sample,
      }),
    );
    return { body: { groups } };
  },
};
