/**
 * Asking (SPEC 1.4): answers, the entries behind them, records, and the fate of an id.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { selectionOfForm } from '../../engine/forms.ts';
import { type AskedQuestion, QuestionSchema, questionFromParameters } from '../../engine/question.ts';
import { canonicalId } from '../../engine/record-id.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { entriesJson, entriesTable, fateJson, recordsTable, standingJson } from '../entries.ts';
import { outputFormat, sendTable, tellOrigin } from '../formats.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { type Address, refuseOtherForm } from '../records-address.ts';
import { AnswerSchema, ExplainSchema, FateSchema, problems, RecordsSchema } from '../schemas.ts';
import { closed, formatParameter, questionQuery, StreamParams, selectionParameters } from './parameters.ts';

const json = 'application/json; charset=utf-8';
type Query = Record<string, string | string[] | undefined>;
interface Read {
  Params: { stream: string };
}
const SelectionQuery = Type.Object({ ...selectionParameters, ...pageParameters, ...formatParameter }, closed);
const tables = (schema: object) => ({
  200: {
    description: 'The answer',
    content: {
      'application/json': { schema },
      'application/x-ndjson': { schema: {} },
      'text/csv': { schema: {} },
      'application/vnd.apache.parquet': { schema: {} },
    },
  },
  ...problems,
});

export function readRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  const answer = async (request: FastifyRequest<Read>, reply: FastifyReply, asked: AskedQuestion) => {
    const format = outputFormat(request);
    const { columns, rows, from, as_of, more } = await tallybook.ask(request.params.stream, asked);
    tellOrigin(reply, { from, as_of });
    const rest = `"from":${JSON.stringify(from)},"as_of":${JSON.stringify(as_of)},"more":${more}`;
    return sendTable(reply, format, { columns, rows }, 'rows', rest);
  };

  app.get<Read>(
    '/v1/streams/:stream/query',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'Ask a question',
        description:
          'Answered from the smallest rollup that can answer exactly, else from the ledger; the answer says which.',
        tags: ['questions'],
        params: StreamParams,
        querystring: Type.Object({ ...questionQuery, ...formatParameter }, closed),
        response: tables(AnswerSchema),
      },
    },
    (request, reply) => answer(request, reply, questionFromParameters(withoutFormat(request.query as Query))),
  );

  app.post<Read>(
    '/v1/streams/:stream/query',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'Ask a question in JSON',
        tags: ['questions'],
        params: StreamParams,
        querystring: Type.Object(formatParameter, closed),
        body: QuestionSchema,
        response: tables(AnswerSchema),
      },
    },
    (request, reply) => answer(request, reply, request.body as AskedQuestion),
  );

  app.get<Read>(
    '/v1/streams/:stream/explain',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'The entries behind a figure',
        description:
          'Every entry that the same filter selects, those that were taken back (sign -1) too, by order of arrival.',
        tags: ['questions'],
        params: StreamParams,
        querystring: SelectionQuery,
        response: tables(ExplainSchema),
      },
    },
    async (request, reply) => {
      const format = outputFormat(request);
      const stream = tallybook.streams.get(request.params.stream);
      const { entries, next, rejects } = await tallybook.explain(
        stream.name,
        selectionOf(request),
        pageOf(request),
      );
      linkNext(request, reply, next);
      if (format !== 'json') return sendTable(reply, format, entriesTable(stream, entries), 'entries', '');
      const rest = `${next === undefined ? '' : `"next":"${next}",`}"rejects":${JSON.stringify(rejects)}`;
      return reply
        .header('content-type', json)
        .send(`{"entries":[${entriesJson(stream, entries).join(',')}],${rest}}`);
    },
  );
}

/** Records as they stand, and the fate of an id, of every stream or under the address of a system. */
export function recordRoutes(
  app: FastifyInstance,
  { tallybook, address }: { tallybook: Tallybook; address: Address },
): void {
  const { config, tag, plural } = address;

  app.get(
    address.records,
    {
      config: { ...config, scope: 'read' },
      schema: {
        summary: `List the ${plural} that stand`,
        description:
          'By order of arrival. As NDJSON and CSV they are the plain records, in the form in which they can be sent.',
        tags: [tag],
        params: address.params,
        querystring: SelectionQuery,
        response: tables(RecordsSchema),
      },
    },
    async (request, reply) => {
      const format = outputFormat(request);
      const shape = address.shapeOf(request);
      const selection = selectionOfForm(shape, selectionOf(request));
      const { records, next } = await tallybook.records(shape.name, selection, pageOf(request));
      linkNext(request, reply, next);
      if (format !== 'json') return sendTable(reply, format, recordsTable(shape, records), 'records', '');
      const rest = next === undefined ? '' : `,"next":"${next}"`;
      return reply
        .header('content-type', json)
        .send(`{"records":[${standingJson(shape, records).join(',')}]${rest}}`);
    },
  );

  app.get<{ Params: { id: string } }>(
    `${address.records}/:id`,
    {
      config: { ...config, scope: 'read' },
      schema: {
        summary: `One of the ${plural}, with its whole history`,
        description:
          'As it stands, or null, and a line for each time its id was sent: what became of it, when, from whom.',
        tags: [tag],
        params: address.recordParams,
        response: { 200: FateSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const shape = address.shapeOf(request);
      const fate = await tallybook.record(shape.name, id);
      refuseOtherForm(shape, id, fate);
      return reply.header('content-type', json).send(fateJson(shape, canonicalId(shape, id), fate));
    },
  );
}

function withoutFormat({ format: _, ...rest }: Query): Query {
  return rest;
}

function selectionOf(request: FastifyRequest): AskedQuestion {
  const { where, from, to, known_at, tz } = request.query as Query;
  return questionFromParameters({ where, from, to, known_at, tz });
}
