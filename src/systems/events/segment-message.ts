/**
 * From a message of Segment's interface to an event, as text: so that what an application put into its properties is
 * kept digit for digit.
 *
 *     {"type":"track","event":"Order Completed","anonymousId":"a1","messageId":"m1","properties":{"total":12.50}}
 *     {"id":"m1","session_id":"a1","category":"track","name":"Order Completed","data":{"total":12.50},"timestamp":…}
 *
 * What is missing stays missing, and what is wrong stays wrong: the ledger refuses it, and keeps it with the errors.
 */
import { formatTimestamp, type Micros, parseTimestamp } from '../../engine/calendar.ts';
import { objectMembers, writeObject } from '../../engine/exact-json.ts';

export const messageTypes = ['track', 'page', 'screen', 'identify', 'group', 'alias'] as const;
export type MessageType = (typeof messageTypes)[number];

/** The members of a message, each as it was written. */
type Message = ReadonlyMap<string, string>;

export interface Sending {
  /** When the batch was sent by its sender's clock, as JSON text; a message may bring its own. */
  sentAt: string | undefined;
  received: Micros;
}

/**
 * A sender whose clock is right needs no correction, and a message that is sent once more must stay the same: so clocks
 * are corrected by whole steps of ten seconds.
 */
const skewStep = 10_000_000n;

/** @param type where the address says it; else the message does. Text that is no JSON object stays as it is. */
export function eventOfMessage(text: string, type: MessageType | undefined, sending: Sending): string {
  const message = objectMembers(text)?.members;
  if (!message) return text;
  const said = type ?? (string(message.get('type')) as MessageType | undefined);
  const properties = membersOf(message.get('properties'));
  const context = membersOf(message.get('context'));
  const own = given(properties?.get('category')) ?? given(message.get('category'));
  const event: [string, string | undefined][] = [
    ['id', given(message.get('messageId'))],
    [
      'session_id',
      asText(
        given(context?.get('sessionId')) ??
          given(properties?.get('session_id')) ??
          given(message.get('anonymousId')) ??
          given(message.get('userId')),
      ),
    ],
    ['category', own ?? (said === undefined ? undefined : JSON.stringify(said))],
    ['name', nameOf(message, said)],
    ['data', dataOf(message, said)],
    ['timestamp', timestampOf(message, sending)],
  ];
  return writeObject(event.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** Of a track its event; of a page its name, or that it is one. */
function nameOf(message: Message, type: MessageType | undefined): string | undefined {
  if (type === 'track') return given(message.get('event'));
  const name = given(message.get('name')) ?? (type === 'page' ? undefined : given(message.get('event')));
  return name ?? (type === undefined ? undefined : JSON.stringify(type));
}

/** The properties; of who somebody is, the ids and traits. */
function dataOf(message: Message, type: MessageType | undefined): string | undefined {
  if (type !== 'identify' && type !== 'group' && type !== 'alias')
    return given(message.get('properties')) ?? '{}';
  const members: [string, string | undefined][] = [
    ['user_id', given(message.get('userId'))],
    ['group_id', given(message.get('groupId'))],
    ['previous_id', given(message.get('previousId'))],
    ['traits', given(message.get('traits'))],
  ];
  return writeObject(members.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** By the clock here: the sender's says when it happened and when it was sent, and we know when it was received. */
function timestampOf(message: Message, { sentAt, received }: Sending): string {
  const written = given(message.get('timestamp')) ?? given(message.get('originalTimestamp'));
  if (written === undefined) return JSON.stringify(formatTimestamp(received));
  const at = instant(written);
  const sent = instant(given(message.get('sentAt')) ?? sentAt);
  if (at === undefined || sent === undefined) return written;
  const ahead = sent - received;
  const half = ahead < 0n ? -skewStep / 2n : skewStep / 2n;
  const steps = (ahead + half) / skewStep;
  return steps === 0n ? written : JSON.stringify(formatTimestamp(at - steps * skewStep));
}

function instant(written: string | undefined): Micros | undefined {
  const text = string(written);
  return text === undefined ? undefined : parseTimestamp(text);
}

function given(value: string | undefined): string | undefined {
  return value === 'null' ? undefined : value;
}

function string(value: string | undefined): string | undefined {
  return value?.startsWith('"') ? (JSON.parse(value) as string) : undefined;
}

/** Ids are texts; a browser's session id may be a number, the time at which it began. */
function asText(value: string | undefined): string | undefined {
  return value !== undefined && /^-?[0-9]/.test(value) ? JSON.stringify(value) : value;
}

function membersOf(value: string | undefined): Message | undefined {
  return value === undefined ? undefined : objectMembers(value)?.members;
}
