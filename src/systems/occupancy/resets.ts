/** Setting a count: under the address of its space. Resets are records of their own, corrected and taken back as such. */
import { randomUUID } from 'node:crypto';
import { Type } from 'typebox';
import { nowMicros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { valuesByName } from '../../engine/own-books.ts';
import type { Route } from '../system.ts';
import { buildingOf } from './building.ts';
import { instant, SpaceParams, spaceOf, TimeSchema, time } from './parameters.ts';
import { resetsStream, spacesStream } from './streams.ts';

const Reset = Type.Object({
  id: Type.String(),
  space_id: Type.String(),
  ts: TimeSchema,
  count: Type.Integer(),
  reason: Type.Union([Type.String(), Type.Null()]),
});

export const resetRoute: Route = {
  method: 'POST',
  path: '/v1/spaces/:id/resets',
  scope: 'ingest',
  streams: [spacesStream, resetsStream],
  summary: 'Set the count of a space',
  description:
    'From then on everything is counted from there; passages at the very instant are in the count that is set. Now when there is no ts. The same `id` again changes nothing.',
  params: SpaceParams,
  takes: {
    json: Type.Object(
      {
        count: Type.Integer({ minimum: -1_000_000_000, maximum: 1_000_000_000 }),
        ts: Type.Optional(Type.String({ maxLength: 100 })),
        reason: Type.Optional(Type.Union([Type.String({ maxLength: 1_000 }), Type.Null()])),
        id: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      },
      { additionalProperties: false },
    ),
  },
  paged: false,
  answers: { 200: Reset, 201: Reset },
  async answer({ tallybook, params, body, source }) {
    const given = body as { count: number; ts?: string; reason?: string | null; id?: string };
    const space = spaceOf(await buildingOf(tallybook, undefined), params.id!);
    const ts = time(given.ts === undefined ? nowMicros() : instant('ts', given.ts));
    const { count, reason = null, id = randomUUID() } = given;
    const record = { id, space_id: space.id, ts, people: count, reason };
    const receipt = await tallybook.write({
      stream: tallybook.streams.get(resetsStream.name),
      mode: 'insert',
      source: source.name,
      reason: undefined,
      content: { kind: 'texts', texts: [JSON.stringify(record)], fallbackIds: [''] },
      allVerdicts: true,
    });
    const { verdict, message } = receipt.verdicts[0]!;
    if (verdict === 'conflict' || verdict === 'rejected')
      throw new TallybookError(
        'bad_request',
        `the reset was not taken: ${message ?? verdict}; PUT /v1/resets/${id} corrects one`,
      );
    return {
      status: verdict === 'accepted' ? 201 : 200,
      body: { id, space_id: space.id, ts, count, reason },
    };
  },
};

export const resetsRoute: Route = {
  method: 'GET',
  path: '/v1/spaces/:id/resets',
  scope: 'read',
  streams: [spacesStream, resetsStream],
  summary: 'The resets of a space',
  description: 'Those that were made, in order of arrival; rules are under /v1/reset-rules.',
  params: SpaceParams,
  paged: true,
  answers: Type.Array(Reset),
  async answer({ tallybook, params, page }) {
    const space = spaceOf(await buildingOf(tallybook, undefined), params.id!);
    const stream = tallybook.streams.get(resetsStream.name);
    const { records, next } = await tallybook.records(stream.name, { where: { space_id: space.id } }, page);
    const body = records.map(({ values }) => {
      const { id, ts, people, reason } = valuesByName(stream, values);
      return { id, space_id: space.id, ts, count: Number(people), reason };
    });
    return { body, next };
  },
};
