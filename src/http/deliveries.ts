/**
 * From the body of a request to a delivery: which kind of body, which records, which ids they get.
 */
import { rename, rm } from 'node:fs/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import type { Form } from '../engine/forms.ts';
import type { Taken } from '../engine/front-log.ts';
import { limits } from '../engine/limits.ts';
import { fallbackIds, idPrefix } from '../engine/record-id.ts';
import { documentText, elementsOf, linesOf, oneText, type RecordTexts } from '../engine/record-texts.ts';
import type { FileFormat, Mode } from '../engine/store.ts';
import type { Stream } from '../engine/stream.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import { takeBounded } from '../engine/too-long.ts';
import { arrayFileToLines } from './array-to-lines.ts';
import { type Body, readBody } from './bodies.ts';

/** A body of records as it was read: `json` is one document, the others are one record a line or row. */
export type RecordsBody = Body & { format: 'json' | Exclude<FileFormat, 'parquet'> };

export interface RecordsRequest {
  stream: Stream;
  /** The form in which the records come, if not the stream's own. */
  form: Form | undefined;
  mode: Mode;
  source: string;
  reason: string | undefined;
  idempotencyKey: string | undefined;
  allVerdicts: boolean;
}

/** Whether one object came alone: then its verdict gives the status of the answer. */
export interface Outcome {
  taken: Taken;
  alone: boolean;
}

const formatOfType: Record<string, RecordsBody['format']> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-jsonlines': 'ndjson',
  'text/csv': 'csv',
  'text/tab-separated-values': 'tsv',
};
const knownTypes = 'application/json, application/x-ndjson, text/csv or text/tab-separated-values';

/** Lets the routes of this scope take bodies of records; nothing in them is parsed. */
export function takeRecordBodies(app: FastifyInstance, tallybook: Tallybook): void {
  app.removeAllContentTypeParsers();
  const spoolPath = () => tallybook.spoolPath();
  app.addContentTypeParser('*', (request, payload, done) => {
    const type = request.headers['content-type'] ?? '';
    const semicolon = type.indexOf(';');
    const format = formatOfType[(semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase()];
    if (format === undefined) {
      done(
        new TallybookError(
          'unsupported_format',
          `content-type is ${type || 'missing'}; expected ${knownTypes}`,
        ),
      );
      return;
    }
    readBody(request, payload, { spoolPath, toFile: format === 'csv' || format === 'tsv' }, (error, body) => {
      if (error) done(error);
      else done(null, Object.assign(body!, { format }));
    });
  });
}

/** Takes in the records of a body: the receipt comes after the commit, or what the log says when it has them. */
export function publishBody(
  tallybook: Tallybook,
  body: RecordsBody | undefined,
  request: RecordsRequest,
): Promise<Outcome> {
  if (!body)
    throw new TallybookError('unreadable_body', `there is no body; expected records as ${knownTypes}`);
  return body.kind === 'memory'
    ? publishTexts(tallybook, body, request)
    : publishFile(tallybook, body, request);
}

async function publishTexts(
  tallybook: Tallybook,
  body: RecordsBody & { kind: 'memory' },
  request: RecordsRequest,
): Promise<Outcome> {
  if (body.format !== 'json') return publishMany(tallybook, linesOf(body.bytes), request);
  const text = documentText(body.bytes).trim();
  if (text.startsWith('[')) return publishMany(tallybook, elementsOf(text), request);
  const { stream, source, idempotencyKey } = request;
  const ids = fallbackIds(stream, () => idPrefix(source, stream, idempotencyKey), 1);
  return { taken: await publishOne(tallybook, oneText(text), ids, request), alone: true };
}

/** Takes in one record; its receipt lists the verdict, whatever it is. */
export function publishOne(
  tallybook: Tallybook,
  text: string,
  fallbackIds: string[],
  {
    stream,
    form,
    mode,
    source,
    reason,
    idempotencyKey,
  }: Pick<RecordsRequest, 'stream' | 'form' | 'mode' | 'source' | 'reason'> &
    Partial<Pick<RecordsRequest, 'idempotencyKey'>>,
): Promise<Taken> {
  const content = { kind: 'texts' as const, texts: [text], fallbackIds };
  const delivery = { stream, form, mode, source, reason, content, allVerdicts: true };
  return tallybook.take(delivery, idempotencyKey);
}

async function publishMany(
  tallybook: Tallybook,
  { texts, undecodable, long }: RecordTexts,
  request: RecordsRequest,
): Promise<Outcome> {
  const { stream, form, mode, source, idempotencyKey, allVerdicts } = request;
  if (texts.length === 0) throw new TallybookError('unreadable_body', 'the body holds no record');
  const ids = fallbackIds(stream, () => idPrefix(source, stream, idempotencyKey), texts.length);
  const delivery = {
    stream,
    form,
    mode,
    source,
    reason: request.reason,
    content: { kind: 'texts' as const, texts, fallbackIds: ids, ...(undecodable && { undecodable }) },
    allVerdicts,
  };
  return { taken: await takeBounded(tallybook, delivery, long, idempotencyKey), alone: false };
}

/** A body that went to a file is published from there, and the file deleted. */
async function publishFile(
  tallybook: Tallybook,
  body: RecordsBody & { kind: 'file' },
  request: RecordsRequest,
): Promise<Outcome> {
  const { path, compression, format } = body;
  try {
    if (format === 'json') {
      if (compression !== 'none') {
        throw new TallybookError(
          'unsupported_format',
          `this server cannot unpack a JSON document from ${compression}; send NDJSON, or gzip`,
        );
      }
      await arrayFileToLines(path, `${path}.lines`);
      await rename(`${path}.lines`, path);
    }
    const { stream, form, mode, source, idempotencyKey, allVerdicts } = request;
    const taken = await tallybook.take({
      stream,
      form,
      mode,
      source,
      reason: request.reason,
      content: {
        kind: 'file',
        path,
        format: format === 'json' ? 'ndjson' : format,
        compression,
        idPrefix: idPrefix(source, stream, idempotencyKey),
        import: undefined,
        onProgress: () => undefined,
        signal: undefined,
        alongside: undefined,
      },
      allVerdicts,
    });
    return { taken, alone: false };
  } finally {
    await rm(path, { force: true });
    await rm(`${path}.lines`, { force: true });
  }
}

/** The `Idempotency-Key` header. Throws `bad_request` for one that is too long. */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || key.length === 0 || key.length > limits.idempotency_key_characters) {
    throw new TallybookError(
      'bad_request',
      `the Idempotency-Key must have 1 to ${limits.idempotency_key_characters} characters, once`,
    );
  }
  return key;
}
