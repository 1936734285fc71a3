/**
 * Writing records (SPEC 1.2): one, many, by id; corrections and retractions.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import type { Form } from '../../engine/forms.ts';
import { isLogged } from '../../engine/front-log.ts';
import { recordWithId } from '../../engine/record-id.ts';
import { documentText, oneText } from '../../engine/record-texts.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import {
  idempotencyKeyOf,
  publishBody,
  publishOne,
  type RecordsBody,
  takeRecordBodies,
} from '../deliveries.ts';
import { sendOneReceipt, sendReceipt } from '../receipts.ts';
import { type Address, refuseOtherForm } from '../records-address.ts';
import { LoggedSchema, problems, ReceiptSchema, RefusedSchema } from '../schemas.ts';
import { closed, reasonParameter } from './parameters.ts';

const verdictsParameter = {
  verdicts: Type.Optional(
    Type.Enum(['all'], { description: 'List every verdict, not only the first that were not accepted.' }),
  ),
};
const WriteQuery = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(['insert', 'upsert'], {
        description: 'insert: a known id with other content is a conflict; upsert: it is a correction.',
      }),
    ),
    ...verdictsParameter,
    ...reasonParameter,
  },
  closed,
);
const logged = {
  ...LoggedSchema,
  description: 'Accepted by the log in front, where there is one: a message, and no verdicts yet',
};
const alone = {
  200: {
    ...ReceiptSchema,
    description: 'The verdict is duplicate or corrected; for many records: the receipt, whatever the mix',
  },
  201: { ...ReceiptSchema, description: 'One record, accepted' },
  202: logged,
  409: { description: 'A conflict', content: { 'application/problem+json': { schema: RefusedSchema } } },
  422: { description: 'Rejected', content: { 'application/problem+json': { schema: RefusedSchema } } },
  ...problems,
};
const recordTypes = ['application/json', 'application/x-ndjson', 'text/csv', 'text/tab-separated-values'];

interface WriteRequest {
  Querystring: { mode?: 'insert' | 'upsert'; verdicts?: 'all'; reason?: string };
}
interface OneRequest {
  Params: { id: string };
  Querystring: { reason?: string };
}

export function writeRoutes(
  app: FastifyInstance,
  { tallybook, address }: { tallybook: Tallybook; address: Address },
): void {
  const { config, tag, plural, params, recordParams } = address;
  const shapeOf = (request: FastifyRequest): { stream: Stream; form: Form | undefined } => {
    const shape = address.shapeOf(request);
    return shape.of
      ? { stream: tallybook.streams.get(shape.name), form: shape as Form }
      : { stream: shape, form: undefined };
  };
  takeRecordBodies(app, tallybook);
  // Before the body is read: what cannot be taken in is not even received.
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    try {
      address.shapeOf(request);
      tallybook.refuseWhenFull();
      done();
    } catch (error) {
      done(error as Error);
    }
  });

  app.post<WriteRequest>(
    address.records,
    {
      config: { ...config, scope: 'ingest', takes: { types: recordTypes, idempotencyKey: true } },
      schema: {
        summary: `Send ${plural}`,
        description:
          'One JSON object, an array, NDJSON, CSV or TSV with a header row; plain, gzip or zstd. The answer comes after the commit: what it counts is on disk and in the next answer. Behind a log it is 202, and the verdicts follow.',
        tags: [tag],
        params,
        querystring: WriteQuery,
        response: alone,
      },
    },
    async (request, reply) => {
      const { mode, verdicts, reason } = request.query;
      const outcome = await publishBody(tallybook, request.body as RecordsBody | undefined, {
        mode: mode ?? address.mode,
        source: request.source.name,
        reason,
        idempotencyKey: idempotencyKeyOf(request),
        allVerdicts: verdicts === 'all',
        ...shapeOf(request),
      });
      return outcome.alone
        ? sendOneReceipt(reply, outcome.taken)
        : sendReceipt(reply, outcome.taken, verdicts === 'all');
    },
  );

  app.put<OneRequest>(
    `${address.records}/:id`,
    {
      config: { ...config, scope: 'ingest', takes: { types: ['application/json'] } },
      schema: {
        summary: `Correct one of the ${plural}, or create it`,
        description:
          'The id of the address is put into the record where it is absent. A correction may move any field; the figures before it stay reproducible.',
        tags: [tag],
        params: recordParams,
        querystring: Type.Object(reasonParameter, closed),
        response: alone,
      },
    },
    async (request, reply) => {
      const { params, query, source } = request;
      const { stream, form } = shapeOf(request);
      const text = recordWithId(stream, params.id, oneRecord(request.body as RecordsBody | undefined));
      const delivery = { stream, form, mode: 'upsert' as const, source: source.name, reason: query.reason };
      return sendOneReceipt(reply, await publishOne(tallybook, text, [params.id], delivery));
    },
  );

  app.delete<OneRequest>(
    `${address.records}/:id`,
    {
      config: { ...config, scope: 'ingest' },
      schema: {
        summary: `Take one of the ${plural} back`,
        tags: [tag],
        params: recordParams,
        querystring: Type.Object(reasonParameter, closed),
        response: { 200: ReceiptSchema, 202: logged, ...problems },
      },
    },
    async (request, reply) => {
      const { params, query, source } = request;
      const { stream, form } = shapeOf(request);
      if (form) refuseOtherForm(form, params.id, await tallybook.record(stream.name, params.id));
      const delivery = {
        stream,
        form: undefined,
        mode: 'retract' as const,
        source: source.name,
        reason: query.reason,
      };
      const taken = await publishOne(tallybook, JSON.stringify(params.id), [''], delivery);
      const verdict = isLogged(taken) ? undefined : taken.verdicts[0]!;
      if (verdict?.code === 'not_found')
        throw new TallybookError('unknown_record', `${verdict.message} (${params.id.slice(0, 100)})`);
      return sendOneReceipt(reply, taken);
    },
  );

  app.post<WriteRequest>(
    address.retractions,
    {
      config: { ...config, scope: 'ingest', takes: { types: ['application/json', 'application/x-ndjson'] } },
      schema: {
        summary: `Take ${plural} back by id`,
        description: 'An array or NDJSON of ids, or of objects such as {"id":"a1"}.',
        tags: [tag],
        params,
        querystring: Type.Object({ ...verdictsParameter, ...reasonParameter }, closed),
        response: { 200: ReceiptSchema, 202: logged, ...problems },
      },
    },
    async (request, reply) => {
      const { verdicts, reason } = request.query;
      const { taken } = await publishBody(tallybook, request.body as RecordsBody | undefined, {
        stream: shapeOf(request).stream,
        form: undefined,
        mode: 'retract',
        source: request.source.name,
        reason,
        idempotencyKey: undefined,
        allVerdicts: verdicts === 'all',
      });
      return sendReceipt(reply, taken, verdicts === 'all');
    },
  );
}

/** The text of a body that must be one JSON object. */
function oneRecord(body: RecordsBody | undefined): string {
  if (!body)
    throw new TallybookError('unreadable_body', 'there is no body; expected the record as a JSON object');
  if (body.format !== 'json')
    throw new TallybookError('unsupported_format', 'expected the record as application/json');
  if (body.kind === 'file') throw new TallybookError('too_large', 'a record is not this large');
  const text = oneText(documentText(body.bytes).trim());
  if (!text.startsWith('{'))
    throw new TallybookError('unreadable_body', 'the body is no JSON object; expected one record');
  return text;
}
