/** What goes into the log and comes out of it, without a server: addresses, messages, which of them share a commit. */
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import type { Delivery, Texts } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { logAddress } from '../../src/nats/address.ts';
import { type Grouped, groupLength } from '../../src/nats/group.ts';
import { decodeMessage, encodeMessage, messageId } from '../../src/nats/message.ts';
import { sales } from '../http/open-app.ts';

describe('addresses', () => {
  const plain = { tls: false, user: undefined, password: undefined, credentials: undefined };
  test.each([
    ['nats://a', { ...plain, servers: ['a'], name: 'tallybook', replicas: 1, bytes: limits.log_bytes }],
    ['nats://a:1,b:2,[::1]:3/x-y_1', { servers: ['a:1', 'b:2', '[::1]:3'], name: 'x-y_1', replicas: 3 }],
    ['nats://a,b,c/x?replicas=1&max_bytes=5000', { replicas: 1, bytes: 5_000 }],
    [
      'tls://me:p%40ss@a.b-c.d/x?creds=/run/creds',
      { tls: true, user: 'me', password: 'p@ss', credentials: '/run/creds' },
    ],
    ['nats://token@a', { user: 'token', password: undefined }],
  ])('%s', (text, parts) => {
    expect(logAddress(text)).toMatchObject(parts);
  });

  test.each([
    ['json', /no address of NATS/],
    ['http://a', /no address of NATS/],
    ['nats://', /no address of NATS/],
    ['nats://a,,b', /no HOST/],
    ['nats://a/x.y', /letters, digits/],
    ['nats://a?replicas=2', /expected 1, 3 or 5/],
    ['nats://a?max_bytes=1GB', /expected a whole number/],
    ['nats://a?maxbytes=1', /no parameter maxbytes/],
  ])('%s is refused', (text, why) => {
    expect(() => logAddress(text)).toThrow(why);
  });

  test('a password is never repeated', () => {
    for (const text of ['nats://me:secret@a,,b', 'nats://me:secret@a?x=1', 'nats:/me:secret@a'])
      expect(() => logAddress(text)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('secret') }),
      );
  });
});

const stream = defineStream('sales', sales);
const delivery = (content: Partial<Texts>, more: Partial<Delivery> = {}): Delivery & { content: Texts } => ({
  stream,
  mode: 'insert',
  source: 's',
  reason: undefined,
  allVerdicts: false,
  ...more,
  content: { kind: 'texts', texts: ['{"id":"é\\n1"}'], fallbackIds: [''], ...content },
});

describe('messages', () => {
  test.each([
    ['one record', delivery({})],
    ['ids by position', delivery({ texts: ['{}', '{}'], fallbackIds: ['p:1', 'p:2'] })],
    ['ids of any kind', delivery({ texts: ['{}', '{}'], fallbackIds: ['p:1', 'q'] })],
    [
      'bytes that are no text',
      delivery({ texts: ['', '{}'], fallbackIds: ['', ''], undecodable: new Map([[0, '/w==']]) }),
    ],
    ['a retraction with its reason', delivery({ texts: ['"a"'] }, { mode: 'retract', reason: 'wrong' })],
  ])('%s comes out as it went in', (_, given) => {
    const { texts, fallbackIds, undecodable } = given.content;
    expect(decodeMessage(encodeMessage(given, 10_000)!)).toEqual({
      stream: 'sales',
      form: null,
      mode: given.mode,
      source: 's',
      reason: given.reason ?? null,
      texts,
      fallbackIds,
      undecodable: undecodable ?? new Map(),
    });
  });

  test('what is too large is packed, and refused when that is too large still', () => {
    const given = delivery({ texts: ['x'.repeat(50_000)] });
    const packed = encodeMessage(given, 1_000)!;
    expect(packed.length).toBeLessThan(1_000);
    expect(decodeMessage(packed).texts).toEqual(given.content.texts);
    expect(encodeMessage(given, 50)).toBeUndefined();
  });

  test.each([
    ['no JSON', /JSON/],
    ['{"v":2}', /version 2/],
    ['{"v":1}', /no stream/],
    ['{"v":1,"stream":"s","source":"s","mode":"insert","texts":[]}', /no records/],
    ['{"v":1,"stream":"s","source":"s","mode":"insert","texts":["{}"],"ids":[]}', /as many ids/],
    ['{"v":1,"stream":"s","source":"s","mode":"insert","texts":["{}"],"ids":"p"}', /no text/],
  ])('%s is none', (text, why) => {
    expect(() => decodeMessage(Buffer.from(text))).toThrow(why);
  });

  test('the id is that of the request under its key, and of its content', () => {
    const id = messageId(delivery({}), 'k');
    expect(messageId(delivery({ fallbackIds: ['other:1'] }), 'k')).toBe(id);
    expect(messageId(delivery({}), 'k2')).not.toBe(id);
    expect(messageId(delivery({ texts: ['{"id":"2"}'] }), 'k')).not.toBe(id);
    expect(messageId(delivery({}, { mode: 'upsert' }), 'k')).not.toBe(id);
    expect(messageId(delivery({}), undefined)).not.toBe(messageId(delivery({}), undefined));
  });
});

describe('which messages share a commit', () => {
  /** `a+` inserts of the source a, `a=` corrections, `a-` retractions; behind a colon another stream. */
  const message = (text: string): Grouped => {
    const [, source, sign, other] = /^(\w)([-+=])(?::(\w+))?$/.exec(text)!;
    const mode = ({ '+': 'insert', '=': 'upsert', '-': 'retract' } as const)[sign as '+'];
    return { stream: other ?? 'sales', form: null, mode, source: source!, reason: null };
  };
  const waiting = (texts: string) =>
    texts.split(' ').map((text) => ({ message: message(text), records: 1, bytes: 10 }));

  test.each([
    ['a+ a+ a+', 3],
    ['a+ b+ a+ b+', 4],
    ['a+ a= a=', 3],
    ['a+ a= a+', 2],
    ['a= b= a=', 2],
    ['a= a- a=', 2],
    ['a+ b+ a= b+', 3],
    ['a+ b+ a= c+', 4],
    ['a= a=:other a= a=:other', 4],
    ['a+ a=:other a+ a+:other a=:other', 4],
  ])('%s: the first %i', (texts, length) => {
    expect(groupLength(waiting(texts))).toBe(length);
  });

  test('a commit is bounded by records and bytes, but takes one message of any size', () => {
    const sized = (records: number, bytes: number) => ({ message: message('a+'), records, bytes });
    const half = sized(limits.batch_records / 2, 10);
    expect(groupLength([half, half, half])).toBe(2);
    expect(groupLength([sized(1, limits.batch_bytes + 1), half])).toBe(1);
    expect(groupLength([sized(1, limits.batch_bytes), sized(1, 1)])).toBe(1);
  });
});
