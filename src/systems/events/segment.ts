/**
 * Segment's HTTP interface, at the root: so that its clients send here when their host is changed. Names of the paths,
 * of the members and what is answered are theirs; what is sent becomes events of the stream.
 */
import { isUtf8 } from 'node:buffer';
import { Type } from 'typebox';
import { nowMicros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { arrayElements, objectMembers } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import { boundedTexts } from '../../engine/record-texts.ts';
import type { Route, RouteAnswer, RouteRequest } from '../system.ts';
import { publishEvents } from './doors.ts';
import { eventOfMessage, type MessageType, messageTypes } from './segment-message.ts';
import { eventsStream } from './streams.ts';

const note =
  'As the clients of Segment send it: JSON as application/json or text/plain, the write key as the user name of Basic or as `writeKey` in the body. 200 also where an event in it is refused; that is kept with the errors.';

/** `/v1/track`, and `/v1/t` of the client in browsers. */
export const segmentRoutes: readonly Route[] = [
  route('/v1/batch', undefined),
  route('/v1/b', undefined),
  ...messageTypes.flatMap((type) => [route(`/v1/${type}`, type), route(`/v1/${type[0]}`, type)]),
].filter(({ path }, index, all) => all.findIndex((other) => other.path === path) === index);

function route(path: string, type: MessageType | undefined): Route {
  return {
    method: 'POST',
    path,
    scope: 'ingest',
    streams: [eventsStream],
    summary: type === undefined ? 'Send a batch of messages' : `Send a message: ${type}`,
    description: note,
    takes: { bytes: ['application/json', 'text/plain'] },
    keyIn,
    paged: false,
    answers: Type.Object({ success: Type.Boolean() }),
    answer: (request) => take(request, type),
  };
}

function keyIn(bytes: Buffer): string | undefined {
  const key = objectMembers(bytes.toString())?.members.get('writeKey');
  return key?.startsWith('"') ? (JSON.parse(key) as string) : undefined;
}

async function take(request: RouteRequest, type: MessageType | undefined): Promise<RouteAnswer> {
  const bytes = request.bytes ?? Buffer.alloc(0);
  const text = isUtf8(bytes) ? bytes.toString() : undefined;
  const members = text === undefined ? undefined : objectMembers(text)?.members;
  const sending = { sentAt: members?.get('sentAt'), received: nowMicros() };
  const messages = type === undefined ? arrayElements(members?.get('batch') ?? '') : members && [text!];
  if (!messages) {
    const undecodable =
      text === undefined
        ? new Map([[0, bytes.subarray(0, limits.record_bytes).toString('base64')]])
        : undefined;
    await publishEvents(request, boundedTexts([text ?? ''], undecodable), false);
    const expected =
      type === undefined ? 'a JSON object with "batch", an array' : 'a message as a JSON object';
    throw new TallybookError(
      'unreadable_body',
      `the body is not ${expected}. It is kept: GET /theeye/errors`,
    );
  }
  if (messages.length > 0) {
    const events = messages.map((message) => eventOfMessage(message, type, sending));
    await publishEvents(request, boundedTexts(events, undefined, messages), false);
  }
  return { body: { success: true } };
}
