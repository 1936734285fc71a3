/**
 * Imports over HTTP (SPEC 1.3): a file is streamed to disk, then taken in as one unit. Progress by asking, or as
 * server-sent events.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { findForm } from '../../engine/forms.ts';
import { formatOfName } from '../../engine/import-content.ts';
import type { ImportState } from '../../engine/import-state.ts';
import { limits } from '../../engine/limits.ts';
import { type FileFormat, fileFormats } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { within } from '../../engine/within.ts';
import { checkStreamAllowed } from '../auth.ts';
import { linkNext, pageOf, pageParameters } from '../paging.ts';
import { EventsSchema, ImportSchema, ImportsSchema, problems } from '../schemas.ts';
import { sendEvents } from '../server-sent-events.ts';
import { receiveUpload, sentFile, takeFiles } from '../uploads.ts';
import { closed } from './parameters.ts';

const StartQuery = Type.Object(
  {
    stream: Type.String({ maxLength: 200 }),
    form: Type.Optional(
      Type.String({
        maxLength: 200,
        description: "The form in which its records come; else the stream's own.",
      }),
    ),
    mode: Type.Optional(Type.Enum(['insert', 'upsert'])),
    name: Type.Optional(
      Type.String({ maxLength: 1_000, description: "The file's name; its ending tells the format." }),
    ),
    format: Type.Optional(Type.Enum([...fileFormats])),
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: limits.import_wait_seconds,
        description: `Seconds to wait for the end; ${limits.import_wait_default_seconds} when not given.`,
      }),
    ),
  },
  closed,
);
const ImportParams = Type.Object({ id: Type.Integer({ minimum: 1 }) });
interface Start {
  Querystring: {
    stream: string;
    form?: string;
    mode?: 'insert' | 'upsert';
    name?: string;
    format?: FileFormat;
    wait?: number;
  };
}
interface ById {
  Params: { id: number };
}

const formatOfType: Record<string, FileFormat> = {
  'text/csv': 'csv',
  'text/tab-separated-values': 'tsv',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-jsonlines': 'ndjson',
  'application/vnd.apache.parquet': 'parquet',
};

export function importRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  takeFiles(app);

  app.post<Start>(
    '/v1/imports',
    {
      config: {
        scope: 'ingest',
        takes: { types: [...Object.keys(formatOfType), 'application/octet-stream', 'multipart/form-data'] },
      },
      schema: {
        summary: 'Import a file',
        description:
          'The raw body, or one file as multipart; plain, gzip or zstd. Its rows appear together or not at all.',
        tags: ['imports'],
        querystring: StartQuery,
        response: { 200: ImportSchema, 202: ImportSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { query, source } = request;
      checkStreamAllowed(source, query.stream);
      const stream = tallybook.streams.get(query.stream);
      const form = query.form === undefined ? undefined : findForm(stream, query.form);
      const sent = await sentFile(request);
      const name = query.name ?? sent.name ?? 'upload';
      const format = query.format ?? formatOf(request, name);
      const { path, compression } = await receiveUpload(sent, tallybook.spoolPath());
      const { id } = await tallybook.imports.start({
        stream,
        form,
        path,
        name,
        format,
        compression,
        mode: query.mode ?? 'insert',
        source: source.name,
        deleteFile: true,
      });
      const wait = query.wait ?? limits.import_wait_default_seconds;
      const state = (await within(tallybook.imports.wait(id), wait)) ?? (await tallybook.imports.get(id));
      reply.header('location', `/v1/imports/${id}`);
      if (state.status === 'failed')
        throw new TallybookError('import_failed', `import ${id}: ${state.error}`);
      return reply.code(state.status === 'in_progress' ? 202 : 200).send(state);
    },
  );

  app.get(
    '/v1/imports',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'List imports',
        tags: ['imports'],
        querystring: Type.Object(pageParameters, closed),
        response: { 200: ImportsSchema, ...problems },
      },
    },
    async (request, reply) => {
      const { imports, next } = await tallybook.imports.list(pageOf(request));
      linkNext(request, reply, next);
      const { streams: allowed } = request.source;
      const shown = allowed ? imports.filter(({ stream }) => allowed.includes(stream)) : imports;
      return { imports: shown, ...(next === undefined ? {} : { next }) };
    },
  );

  app.get<ById>(
    '/v1/imports/:id',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'How an import stands',
        tags: ['imports'],
        params: ImportParams,
        response: { 200: ImportSchema, ...problems },
      },
    },
    (request) => find(tallybook, request),
  );

  app.get<ById>(
    '/v1/imports/:id/events',
    {
      exposeHeadRoute: false,
      config: { scope: 'read' },
      schema: {
        summary: 'Progress as server-sent events',
        description: 'Events `progress` with the import as it stands, then one `end`.',
        tags: ['imports'],
        params: ImportParams,
        response: {
          200: EventsSchema,
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const state = await find(tallybook, request);
      const events = sendEvents(request, reply, tallybook.sources);
      const tell = (now: ImportState): void => {
        if (now.status === 'in_progress') events.latest('progress', now);
        else events.end('end', now);
      };
      const stop = tallybook.imports.subscribe(state.id, tell);
      if (stop) events.onClose(stop);
      tell(state);
      // It may have ended between the two. Where nobody can say how it ended, who asks again is told why.
      tallybook.imports.wait(state.id).then(tell, () => events.end('progress', state));
    },
  );

  app.delete<ById>(
    '/v1/imports/:id',
    {
      config: { scope: 'ingest' },
      schema: {
        summary: 'Undo an import',
        description:
          'Its records are retracted, in one commit. One that is still in progress is stopped and leaves nothing.',
        tags: ['imports'],
        params: ImportParams,
        response: { 200: ImportSchema, ...problems },
      },
    },
    async (request) => {
      const { id } = await find(tallybook, request);
      return tallybook.imports.withdraw(id, request.source.name);
    },
  );
}

async function find(tallybook: Tallybook, request: FastifyRequest<ById>): Promise<ImportState> {
  const state = await tallybook.imports.get(request.params.id);
  checkStreamAllowed(request.source, state.stream);
  return state;
}

function formatOf(request: FastifyRequest, name: string): FileFormat {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  const format = formatOfType[type] ?? formatOfName(name);
  if (format) return format;
  throw new TallybookError(
    'unsupported_format',
    `neither the content-type (${type || 'missing'}) nor the name (${name.slice(0, 100)}) tells the format; add format=${fileFormats.join('|')}`,
  );
}
