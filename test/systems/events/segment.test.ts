/** Segment's interface: its own client for Node, unmodified, with another host; and what the one for browsers sends. */
import { Analytics } from '@segment/analytics-node';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/engine/limits.ts';
import { openEvents } from './sent.ts';

const plain = { 'content-type': 'text/plain' };
const shopPage = 'https://shop.example.com';

/** A server with a source, as its client sees it. */
async function shop(rateLimit?: number) {
  const opened = await openEvents('duckdb', true);
  const { key } = await opened.tallybook.sources.create('shop', {
    scopes: ['ingest', 'read'],
    streams: ['events'],
    origins: [shopPage],
    rateLimit,
  });
  const bearer = { authorization: `Bearer ${key}` };
  return {
    ...opened,
    key,
    events: async () => (await opened.done('GET', '/v1/events?order=oldest', undefined, bearer)).events,
    errors: async () => (await opened.done('GET', '/theeye/errors', undefined, bearer)).results,
  };
}

/** The client of Segment, which tells what it could not deliver. */
function clientOf(host: string, writeKey: string) {
  const client = new Analytics({ host, writeKey, flushAt: 10, flushInterval: 200, maxRetries: 1 });
  const failures: unknown[] = [];
  client.on('error', (error) => failures.push(error));
  return { client, failures };
}

describe('the client for Node', () => {
  test('delivers track, page, identify, screen, group and alias', async () => {
    const { listen, key, events, errors } = await shop();
    const { client, failures } = clientOf(await listen(), key);
    const timestamp = new Date('2026-03-09T18:04:59.120Z');
    const who = { anonymousId: 'anon-1', timestamp };
    client.track({
      ...who,
      messageId: 'm1',
      event: 'Order Completed',
      properties: { total: 12.5, category: 'shop' },
    });
    client.page({
      ...who,
      messageId: 'm2',
      name: 'Pricing',
      category: 'Docs',
      properties: { path: '/pricing' },
    });
    client.identify({ ...who, messageId: 'm3', userId: 'u1', traits: { plan: 'family' } });
    client.track({
      userId: 'u1',
      timestamp,
      messageId: 'm4',
      event: 'Signed Up',
      context: { sessionId: 's9' } as object,
    });
    client.screen({ ...who, messageId: 'm5', name: 'Home' });
    client.group({ ...who, messageId: 'm6', userId: 'u1', groupId: 'g1', traits: { seats: 3 } });
    client.alias({ userId: 'u1', previousId: 'anon-1', messageId: 'm7', timestamp });
    await client.closeAndFlush();
    expect(failures).toEqual([]);
    expect(await errors()).toEqual([]);
    const at = '2026-03-09T18:04:59.120000Z';
    expect(await events()).toMatchObject([
      {
        id: 'm1',
        session_id: 'anon-1',
        category: 'shop',
        name: 'Order Completed',
        data: { total: 12.5 },
        timestamp: at,
        application: 'shop',
      },
      { id: 'm2', session_id: 'anon-1', category: 'Docs', name: 'Pricing', data: { path: '/pricing' } },
      {
        id: 'm3',
        session_id: 'anon-1',
        category: 'identify',
        name: 'identify',
        data: { user_id: 'u1', traits: { plan: 'family' } },
      },
      { id: 'm4', session_id: 's9', category: 'track', name: 'Signed Up', data: {} },
      { id: 'm5', category: 'screen', name: 'Home' },
      {
        id: 'm6',
        category: 'group',
        name: 'group',
        data: { user_id: 'u1', group_id: 'g1', traits: { seats: 3 } },
      },
      {
        id: 'm7',
        session_id: 'u1',
        category: 'alias',
        name: 'alias',
        data: { user_id: 'u1', previous_id: 'anon-1' },
      },
    ]);
  });

  test('of a batch with one bad event, only that one is lost, and it is kept with the errors', async () => {
    const { listen, key, events, errors } = await shop();
    const { client, failures } = clientOf(await listen(), key);
    for (const event of ['first', 'n'.repeat(300), 'third'])
      client.track({
        anonymousId: 'a',
        event,
        messageId: event.slice(0, 9),
        timestamp: new Date('2026-03-09'),
      });
    await client.closeAndFlush();
    expect(failures).toEqual([]);
    expect((await events()).map(({ name }: { name: string }) => name)).toEqual(['first', 'third']);
    expect(await errors()).toMatchObject([{ code: 'bad_length', field: 'name', record_id: 'nnnnnnnnn' }]);
  });

  test('told to wait by 429, it waits as long, and delivers then', async () => {
    // A request every three seconds, so that none gets through by being slow.
    const { listen, key, send, tallybook } = await shop(20);
    const host = await listen();
    const { client, failures } = clientOf(host, key);
    const statuses: number[] = [];
    const waits: number[] = [];
    client.on('http_response', ({ status, headers }) => {
      statuses.push(status);
      const wait = (headers as Record<string, string>)['retry-after'];
      if (wait !== undefined) waits.push(Number(wait));
    });
    // The bucket of the source is emptied by somebody else.
    const bearer = { authorization: `Bearer ${key}` };
    while ((await send('GET', '/v1/event-types', undefined, bearer)).status !== 429);
    const started = performance.now();
    client.track({ anonymousId: 'a', event: 'late', messageId: 'late', timestamp: new Date('2026-03-09') });
    await client.closeAndFlush({ timeout: 20_000 });
    expect(statuses).toEqual([429, 200]);
    expect(waits).toHaveLength(1);
    expect(performance.now() - started).toBeGreaterThan(waits[0]! * 1_000 - 10);
    expect(failures).toEqual([]);
    expect((await tallybook.ask('events', { measures: ['count'] })).rows).toEqual([[1]]);
  }, 40_000);
});

describe('what the client in browsers sends', () => {
  const message = {
    anonymousId: 'a',
    messageId: 'm',
    timestamp: '2026-03-09T18:04:59.120Z',
    properties: { path: '/' },
  };
  // biome-ignore format: one line a case
  const paths: [path: string, more: object, name: string, category: string][] = [
    ['/v1/t', { event: 'clicked' }, 'clicked', 'track'],
    ['/v1/track', { event: 'clicked', category: 'nav' }, 'clicked', 'nav'],
    ['/v1/p', { name: 'Home' }, 'Home', 'page'],
    ['/v1/page', {}, 'page', 'page'],
    ['/v1/s', { name: 'Settings' }, 'Settings', 'screen'],
    ['/v1/screen', { name: 'Settings' }, 'Settings', 'screen'],
    ['/v1/i', { userId: 'u' }, 'identify', 'identify'],
    ['/v1/identify', { userId: 'u' }, 'identify', 'identify'],
    ['/v1/g', { groupId: 'g' }, 'group', 'group'],
    ['/v1/group', { groupId: 'g' }, 'group', 'group'],
    ['/v1/a', { userId: 'u', previousId: 'a' }, 'alias', 'alias'],
    ['/v1/alias', { userId: 'u', previousId: 'a' }, 'alias', 'alias'],
  ];
  test('text/plain with the key in the body, from a page of the source, at every path', async () => {
    const { send, key, events } = await shop();
    for (const [path, more] of paths) {
      const body = JSON.stringify({ ...message, ...more, messageId: path, writeKey: key });
      const answer = await send('POST', path, body, { ...plain, origin: shopPage });
      expect(answer, path).toMatchObject({ status: 200, json: { success: true } });
      expect(answer.headers['access-control-allow-origin']).toBe(shopPage);
    }
    const found = (await events()) as { id: string; name: string; category: string; application: string }[];
    expect(found.map(({ id, name, category }) => [id, name, category])).toEqual(
      paths.map(([path, , name, category]) => [path, name, category]),
    );
    expect(new Set(found.map(({ application }) => application))).toEqual(new Set(['shop']));
  });

  test('batches at /v1/b and /v1/batch', async () => {
    const { send, key, events } = await shop();
    for (const path of ['/v1/b', '/v1/batch']) {
      const batch = [
        { ...message, type: 'track', event: 'one', messageId: `${path} 1` },
        { ...message, type: 'page', messageId: `${path} 2` },
      ];
      const body = JSON.stringify({ writeKey: key, batch, sentAt: new Date().toISOString() });
      expect((await send('POST', path, body, plain)).status).toBe(200);
    }
    expect((await events()).map(({ id }: { id: string }) => id)).toEqual([
      '/v1/b 1',
      '/v1/b 2',
      '/v1/batch 1',
      '/v1/batch 2',
    ]);
  });

  test('without a key, with a wrong one or from a page of others it is refused', async () => {
    const { send, key, errors } = await shop();
    const body = (more: object) => JSON.stringify({ ...message, event: 'x', ...more });
    expect((await send('POST', '/v1/t', body({}), plain)).status).toBe(401);
    expect((await send('POST', '/v1/t', body({ writeKey: 'wrong' }), plain)).status).toBe(401);
    expect((await send('POST', '/v1/t', body({ writeKey: 7 }), plain)).status).toBe(401);
    expect((await send('POST', '/v1/t', '{broken', plain)).status).toBe(401);
    const elsewhere = { ...plain, origin: 'https://elsewhere.example.com' };
    expect((await send('POST', '/v1/t', body({ writeKey: key }), elsewhere)).status).toBe(403);
    const wrong = { ...plain, authorization: `Basic ${Buffer.from('wrong:').toString('base64')}` };
    expect((await send('POST', '/v1/t', body({ writeKey: key }), wrong)).status).toBe(401);
    expect(
      (await send('POST', '/v1/t', body({ writeKey: key, pad: 'x'.repeat(1_100_000) }), plain)).status,
    ).toBe(413);
    expect(await errors()).toEqual([]);
  });

  test('the rate limit holds for keys in bodies, and is told as browsers look for it', async () => {
    const { send, key } = await shop(1);
    const body = JSON.stringify({ ...message, event: 'x', writeKey: key });
    expect((await send('POST', '/v1/t', body, plain)).status).toBe(200);
    const refused = await send('POST', '/v1/t', body, plain);
    expect(refused.status).toBe(429);
    expect(refused.headers['x-ratelimit-reset']).toBe(refused.headers['retry-after']);
  });

  test('what cannot be read is answered with 400, and kept', async () => {
    const { send, key, errors } = await shop();
    const basic = { ...plain, authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` };
    const bodies = ['{broken', '{"batch":7}', '[]', ''];
    for (const body of bodies) expect((await send('POST', '/v1/batch', body, basic)).status).toBe(400);
    const kept = (await errors()) as { original: string; code: string }[];
    expect(kept.toReversed().map(({ original, code }) => [original, code])).toEqual([
      ['{broken', 'unreadable'],
      ['{"batch":7}', 'unknown_field'],
      ['[]', 'unreadable'],
      ['', 'unreadable'],
    ]);
  });

  test('a message in a batch that is none is kept as it came, and the others count', async () => {
    const { send, key, events, errors } = await shop();
    const batch = [
      { ...message, type: 'track', event: 'one' },
      'two',
      3,
      { type: 'track', event: 'nobody' },
      { ...message, messageId: 'm2' },
    ];
    const body = JSON.stringify({ writeKey: key, batch });
    expect((await send('POST', '/v1/b', body, plain)).status).toBe(200);
    expect((await events()).length).toBe(1);
    const kept = (await errors()) as { original: string; code: string; field: string | null }[];
    expect(kept.toReversed().map(({ code, field }) => [code, field])).toEqual([
      ['unreadable', null],
      ['unreadable', null],
      ['missing_field', 'session_id'],
      ['missing_field', 'category'],
    ]);
    expect(kept.at(-1)!.original).toBe('"two"');
  });
});

test('a message that is refused is kept as the event that it makes, and is mended and replayed as one', async () => {
  const { send, done, tallybook, key, events, errors } = await shop();
  const message = { event: 'x', messageId: '1', properties: { total: 12.5 }, writeKey: key };
  await send('POST', '/v1/t', JSON.stringify({ ...message, timestamp: '2026-03-09T18:04:59Z' }), plain);
  const [refused] = await errors();
  const made = {
    id: '1',
    category: 'track',
    name: 'x',
    data: { total: 12.5 },
    timestamp: '2026-03-09T18:04:59Z',
  };
  expect([refused.field, JSON.parse(refused.original)]).toEqual(['session_id', made]);
  const desk = await tallybook.sources.create('desk', {
    scopes: ['admin', 'ingest', 'read'],
    streams: undefined,
    origins: undefined,
    rateLimit: undefined,
  });
  const replay = { ids: [refused.id], patch: { session_id: 'a1' } };
  const bearer = { authorization: `Bearer ${desk.key}` };
  expect(await done('POST', '/v1/rejects/replay', replay, bearer)).toMatchObject({ accepted: 1 });
  expect(await events()).toMatchObject([{ ...made, session_id: 'a1', timestamp: expect.any(String) }]);
});

test('a message that is longer than a record may be is kept as it began, and the others count', async () => {
  const { send, key, events, errors } = await shop();
  const basic = { ...plain, authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` };
  const message = { type: 'track', event: 'x', anonymousId: 'a', timestamp: '2026-03-09T18:04:59Z' };
  const pad = 'x'.repeat(limits.record_bytes);
  const long = { ...message, messageId: 'long', properties: { pad } };
  // What is long beside the event does no harm.
  const beside = { ...message, messageId: 'beside', context: { pad } };
  const body = JSON.stringify({ batch: [{ ...message, messageId: '1' }, long, beside] });
  expect((await send('POST', '/v1/batch', body, basic)).status).toBe(200);
  expect((await send('POST', '/v1/track', JSON.stringify(long), basic)).status).toBe(200);
  expect((await events()).map(({ id }: { id: string }) => id)).toEqual(['1', 'beside']);
  const kept = (await errors()) as { original: string; message: string }[];
  expect(kept).toHaveLength(2);
  for (const { original, message } of kept) {
    expect(message).toMatch(/^the record has 2\d{6} bytes; expected at most 2097152/);
    expect(JSON.stringify(long).startsWith(original)).toBe(true);
  }
});

describe('clocks', () => {
  const minute = 60_000;
  const iso = (milliseconds: number) => new Date(milliseconds).toISOString();

  test('one that is wrong is corrected by when the message was sent; one that is right is left as it is', async () => {
    const { send, key, events } = await shop();
    const now = Date.now();
    const sent = async (id: string, happened: number, sentAt: number, where: 'message' | 'batch') => {
      const one = { type: 'track', event: 'x', anonymousId: 'a', messageId: id, timestamp: iso(happened) };
      const body =
        where === 'batch'
          ? { writeKey: key, batch: [one], sentAt: iso(sentAt) }
          : { ...one, writeKey: key, sentAt: iso(sentAt) };
      expect(
        (await send('POST', where === 'batch' ? '/v1/b' : '/v1/t', JSON.stringify(body), plain)).status,
      ).toBe(200);
    };
    await sent('ahead', now + 60 * minute - 5_000, now + 60 * minute, 'batch');
    await sent('behind', now - 60 * minute - 5_000, now - 60 * minute, 'message');
    await sent('right', now - 5_000, now + 1_000, 'batch');
    const times = new Map(
      ((await events()) as { id: string; timestamp: string }[]).map(({ id, timestamp }) => [
        id,
        Date.parse(timestamp),
      ]),
    );
    expect(times.get('ahead')).toBe(now - 5_000);
    expect(times.get('behind')).toBe(now - 5_000);
    expect(times.get('right')).toBe(now - 5_000);
  });

  test('a message without a time happened when it was received; a time that is none is refused', async () => {
    const { send, key, events, errors } = await shop();
    const started = Date.now();
    const one = { event: 'x', anonymousId: 'a', writeKey: key };
    await send('POST', '/v1/t', JSON.stringify({ ...one, messageId: '1' }), plain);
    await send('POST', '/v1/t', JSON.stringify({ ...one, messageId: '2', timestamp: 'yesterday' }), plain);
    const [found] = (await events()) as { timestamp: string }[];
    expect(Date.parse(found!.timestamp)).toBeGreaterThanOrEqual(started);
    expect(await errors()).toMatchObject([{ record_id: '2', field: 'timestamp', code: 'invalid_value' }]);
  });

  test('a message that is sent once more is a duplicate, though it is sent later', async () => {
    const { send, key, events, errors } = await shop();
    const now = Date.now();
    const one = { event: 'x', anonymousId: 'a', messageId: '1', timestamp: iso(now - 9_000), writeKey: key };
    await send('POST', '/v1/t', JSON.stringify({ ...one, sentAt: iso(now) }), plain);
    await send('POST', '/v1/t', JSON.stringify({ ...one, sentAt: iso(now + 700) }), plain);
    expect(await events()).toHaveLength(1);
    expect(await errors()).toEqual([]);
  });

  test('every digit of the properties is kept', async () => {
    const { send, key } = await shop();
    const properties = '{"total":12.50,"big":12345678901234567890}';
    const body = `{"writeKey":"${key}","event":"x","anonymousId":"a","messageId":"1","properties": ${properties}}`;
    await send('POST', '/v1/t', body, plain);
    const { text } = await send('GET', '/v1/events', undefined, { authorization: `Bearer ${key}` });
    expect(text).toContain(`"data":${properties}`);
  });
});
