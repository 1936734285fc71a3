/**
 * The doors for events. What is sent is cut into the texts of single records and goes to the ledger: nothing is parsed
 * here, and nothing is lost here either. A body that is no event at all, not even JSON, becomes a reject with its bytes.
 */
import { isUtf8 } from 'node:buffer';
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { arrayElements } from '../../engine/exact-json.ts';
import { isLogged, type Taken } from '../../engine/front-log.ts';
import { limits } from '../../engine/limits.ts';
import { fallbackIds, idPrefix } from '../../engine/record-id.ts';
import { boundedTexts, linesOf, type RecordTexts } from '../../engine/record-texts.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { takeBounded } from '../../engine/too-long.ts';
import type { Route, RouteRequest } from '../system.ts';
import { eventsStream } from './streams.ts';

const types = ['application/json', 'application/x-ndjson', 'text/plain'];
const lineTypes = /^application\/(x-ndjson|ndjson|jsonl|x-jsonlines)\b/i;

/** What came in one body. */
interface Received extends RecordTexts {
  /** One document that is no array: its one record tells whether it could be read. Its text, where it is one. */
  alone: { text: string | undefined } | undefined;
}

export const sendRoute: Route = {
  method: 'POST',
  path: '/v1/events',
  scope: 'ingest',
  streams: [eventsStream],
  summary: 'Send events',
  description: `One JSON object, an array, or NDJSON; plain or packed, at most ${limits.memory_body_bytes} bytes. 202 with the verdicts, after the commit: what it counts is on disk and in the next answer. What is refused is kept, with its bytes. A body that is no JSON at all is kept, too, and answered with 400.`,
  query: Type.Object({
    verdicts: Type.Optional(
      Type.Enum(['all'], {
        description: 'List every verdict, not only the first that were not accepted; of one event always.',
      }),
    ),
  }),
  takes: { bytes: types },
  paged: false,
  answers: { 202: receiptSchema() },
  answer: (request) => take(request, request.query.verdicts === 'all'),
};

export const theeyeSendRoute: Route = {
  method: 'POST',
  path: '/theeye/events/',
  scope: 'ingest',
  streams: [eventsStream],
  summary: 'Send events, as applications know it',
  description:
    'The same as `POST /v1/events`: 202 for whatever can be read; what is no event is found under `GET /theeye/errors`.',
  takes: { bytes: types },
  paged: false,
  answers: { 202: receiptSchema() },
  answer: (request) => take(request, false),
};

async function take(request: RouteRequest, all: boolean) {
  const received = receive(request.bytes, request.contentType);
  const list = all || received.alone ? ('verdicts' as const) : ('errors' as const);
  const receipt = await publishEvents(request, received, list === 'verdicts');
  const unreadable = isLogged(receipt) || receipt.verdicts[0]?.code === 'unreadable';
  if (received.alone && unreadable) refuseUnreadable(received.alone.text);
  return { status: 202, receipt, list };
}

/** Cuts a body into records. What is no record stays one text, which will be refused. */
function receive(bytes: Buffer = Buffer.alloc(0), contentType: string): Received {
  if (lineTypes.test(contentType)) {
    const lines = linesOf(bytes);
    if (lines.texts.length > 0) return { alone: undefined, ...lines };
  }
  if (!isUtf8(bytes)) {
    const kept = bytes.subarray(0, limits.record_bytes).toString('base64');
    return {
      texts: [''],
      undecodable: new Map([[0, kept]]),
      long: undefined,
      alone: { text: undefined },
    };
  }
  const text = bytes.toString().replace(/^\uFEFF/, '');
  const elements = /^\s*\[/.test(text) ? arrayElements(text) : undefined;
  if (elements && elements.length > 0) return { alone: undefined, ...boundedTexts(elements) };
  return { alone: { text }, ...boundedTexts([text]) };
}

/** Takes in events: the receipt comes after the commit, or what the log says when it has them. */
export function publishEvents(
  { tallybook, source, idempotencyKey }: Pick<RouteRequest, 'tallybook' | 'source' | 'idempotencyKey'>,
  { texts, undecodable, long }: RecordTexts,
  allVerdicts: boolean,
): Promise<Taken> {
  const stream = currentStream(tallybook);
  const prefix = () => idPrefix(source.name, stream, idempotencyKey);
  const delivery = {
    stream,
    mode: 'insert' as const,
    source: source.name,
    reason: undefined,
    content: {
      kind: 'texts' as const,
      texts,
      fallbackIds: fallbackIds(stream, prefix, texts.length),
      ...(undecodable && { undecodable }),
    },
    allVerdicts,
  };
  return takeBounded(tallybook, delivery, long, idempotencyKey);
}

/** As it is now: users may have added to it. */
export function currentStream(tallybook: Tallybook) {
  return tallybook.streams.get(eventsStream.name);
}

/** Throws `unreadable_body` where a body is no JSON; a string or a number can be read, and is no event. */
function refuseUnreadable(text: string | undefined): void {
  const why = text === undefined ? 'it is no UTF-8' : whyNoJson(text);
  if (why === undefined) return;
  const detail = `the body is no JSON document: ${why}. Send one event, an array, or one event a line as application/x-ndjson. It is kept: GET /theeye/errors`;
  throw new TallybookError('unreadable_body', detail);
}

function whyNoJson(text: string): string | undefined {
  if (text.trim() === '') return 'it is empty';
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function receiptSchema() {
  return Type.Object(
    {
      batch: Type.Optional(Type.Integer()),
      recorded_at: Type.Optional(Type.String()),
      received: Type.Integer(),
    },
    {
      additionalProperties: true,
      description:
        'The receipt: counts of verdicts, and the verdicts in `verdicts` or `errors`. Behind a log in front: `log`, `sequence` and `repeated`, and no verdicts yet.',
    },
  );
}
