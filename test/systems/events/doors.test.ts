/** What comes in at the doors for events, and what becomes of it: nothing that was sent disappears. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/engine/limits.ts';
import { lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { at, event, json, openEvents, session } from './sent.ts';

const samples = [
  event(),
  event({ name: 'cta click', data: { host: 'shop.example.com', path: '/', element: 'chat bubble' } }),
  event({
    category: 'form interaction',
    name: 'submit',
    data: { host: 'shop.example.com', path: '/', form: { first_name: 'Ada', last_name: 'Byron' } },
  }),
];

interface Bad {
  title: string;
  body: string | Buffer;
  /** Of an event that could be read at all; a body that is none is answered with 400 and kept as well. */
  status: 202 | 400;
  code: string;
  field: string | null;
}

const text = (more: object) => JSON.stringify(event(more));
const without = (name: string) => {
  const { [name]: _, ...rest } = event();
  return JSON.stringify(rest);
};
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
// biome-ignore format: one line a case
const bad: Bad[] = [
  { title: 'no session', body: without('session_id'), status: 202, code: 'missing_field', field: 'session_id' },
  { title: 'a session that is null', body: text({ session_id: null }), status: 202, code: 'missing_field', field: 'session_id' },
  { title: 'a session without a character', body: text({ session_id: '' }), status: 202, code: 'bad_length', field: 'session_id' },
  { title: 'a session that is a number', body: text({ session_id: 7 }), status: 202, code: 'invalid_value', field: 'session_id' },
  { title: 'no category', body: without('category'), status: 202, code: 'missing_field', field: 'category' },
  { title: 'no name', body: without('name'), status: 202, code: 'missing_field', field: 'name' },
  { title: 'a name of 10,000 characters', body: text({ name: 'n'.repeat(10_000) }), status: 202, code: 'bad_length', field: 'name' },
  { title: 'no data', body: without('data'), status: 202, code: 'missing_field', field: 'data' },
  { title: 'data that is a text', body: text({ data: '{"path":"/"}' }), status: 202, code: 'invalid_value', field: 'data' },
  { title: 'data that is a list', body: text({ data: [{ path: '/' }] }), status: 202, code: 'invalid_value', field: 'data' },
  { title: 'data that is null', body: text({ data: null }), status: 202, code: 'missing_field', field: 'data' },
  { title: '200 levels of nesting', body: `{"data":{"a":${'['.repeat(200)}${']'.repeat(200)}},${text({ data: undefined }).slice(1)}`, status: 202, code: 'invalid_value', field: 'data' },
  { title: 'no time', body: without('timestamp'), status: 202, code: 'missing_field', field: 'timestamp' },
  { title: 'a time that is none', body: text({ timestamp: '2026-02-30 10:00:00' }), status: 202, code: 'invalid_value', field: 'timestamp' },
  { title: 'a time as a number', body: text({ timestamp: 1_700_000_000 }), status: 202, code: 'invalid_value', field: 'timestamp' },
  { title: 'a time in an hour', body: text({ timestamp: inAnHour }), status: 202, code: 'in_future', field: 'timestamp' },
  { title: 'a member that is not known', body: text({ user: 'u1' }), status: 202, code: 'unknown_field', field: 'user' },
  { title: 'a member named twice', body: `{"name":"x",${text({}).slice(1)}`, status: 202, code: 'unreadable', field: null },
  { title: 'a string', body: '"pageview"', status: 202, code: 'unreadable', field: null },
  { title: 'a number', body: '12.50', status: 202, code: 'unreadable', field: null },
  { title: 'null', body: 'null', status: 202, code: 'unreadable', field: null },
  { title: 'an empty list', body: '[]', status: 202, code: 'unreadable', field: null },
  { title: 'an empty object', body: '{}', status: 202, code: 'missing_field', field: 'session_id' },
  { title: 'an empty body', body: '', status: 400, code: 'unreadable', field: null },
  { title: 'blanks', body: ' \n ', status: 400, code: 'unreadable', field: null },
  { title: 'broken JSON', body: '{"session_id": "a', status: 400, code: 'unreadable', field: null },
  { title: 'a broken list', body: `[${text({})}`, status: 400, code: 'unreadable', field: null },
  { title: 'a comma too many', body: `[${text({})},]`, status: 400, code: 'unreadable', field: null },
  { title: 'bytes that are no text', body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), status: 400, code: 'unreadable', field: null },
  { title: 'a form', body: 'session_id=a&name=pageview', status: 400, code: 'unreadable', field: null },
];

describe.each(storeKinds)('doors for events, %s', (kind) => {
  test('events are taken in, in order of arrival though their times are equal, with their microseconds', async () => {
    const { send, done } = await openEvents(kind);
    for (const sample of samples) {
      const answer = await send('POST', '/v1/events', sample);
      expect(answer).toMatchObject({
        status: 202,
        json: { received: 1, accepted: 1, verdicts: [{ index: 0, verdict: 'accepted' }] },
      });
      expect(answer.json.verdicts[0].id).toMatch(/^[0-9a-f-]{36}:1$/);
    }
    const found = await done('GET', `/v1/sessions/${session}`);
    expect(found).toMatchObject({
      session_id: session,
      count: 3,
      first: '2026-03-09T18:04:59.120034Z',
      last: '2026-03-09T18:04:59.120034Z',
      duration_seconds: '0',
      applications: ['local'],
    });
    expect(found.events.map((one: { name: string }) => one.name)).toEqual([
      'pageview',
      'cta click',
      'submit',
    ]);
    expect(found.events.map((one: { data: unknown }) => one.data)).toEqual(samples.map(({ data }) => data));
  });

  test('sent again with ids they are duplicates, and other content under a known id is kept with the errors', async () => {
    const { send, done } = await openEvents(kind);
    const sent = samples.map((sample, i) => ({ id: `e${i}`, ...sample }));
    expect(await done('POST', '/v1/events', sent)).toMatchObject({ accepted: 3, errors: [] });
    expect(await done('POST', '/v1/events', lines(sent), ndjson)).toMatchObject({
      accepted: 0,
      duplicates: 3,
    });
    expect(await done('POST', '/v1/events?verdicts=all', [sent[0], event({ id: 'e9' })])).toMatchObject({
      verdicts: [
        { id: 'e0', verdict: 'duplicate' },
        { id: 'e9', verdict: 'accepted' },
      ],
    });
    const other = await send('POST', '/theeye/events', { ...sent[0], name: 'other' });
    expect(other).toMatchObject({ status: 202, json: { conflicts: 1, verdicts: [{ code: 'conflict' }] } });
    expect((await done('GET', '/theeye/errors')).count).toBe(1);
  });

  test('a retry with the same idempotency key counts once', async () => {
    const { done } = await openEvents(kind);
    const key = { 'idempotency-key': 'page-7', ...json };
    expect(await done('POST', '/v1/events', samples, key)).toMatchObject({ accepted: 3 });
    expect(await done('POST', '/v1/events', samples, key)).toMatchObject({ accepted: 0, duplicates: 3 });
  });

  for (const path of ['/v1/events', '/theeye/events', '/theeye/events/']) {
    test(`every kind of bad event is found under the errors with its bytes: ${path}`, async () => {
      const { send, done } = await openEvents(kind);
      for (const { title, body, status } of bad) {
        const answer = await send('POST', path, body, json);
        expect(answer.status, title).toBe(status);
        if (status === 400) expect(answer.json, title).toMatchObject({ code: 'unreadable_body' });
        else expect(answer.json, title).toMatchObject({ received: 1, rejected: 1 });
      }
      const { count, results } = await done('GET', '/theeye/errors');
      expect(count).toBe(bad.length);
      // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
      const told = results.toReversed().map(({ code, field, original, encoding, application }: any) => ({
        code,
        field,
        body: encoding === 'base64' ? Buffer.from(original, 'base64') : original,
        application,
      }));
      expect(told).toEqual(bad.map(({ code, field, body }) => ({ code, field, body, application: 'local' })));
      expect((await done('GET', '/v1/events')).events).toEqual([]);
    });
  }

  test('in a list or in lines, a bad event spoils only itself', async () => {
    const { done } = await openEvents(kind);
    const mixed = [
      event({ id: 'a' }),
      'x',
      5,
      [event()],
      null,
      event({ id: 'b', data: [] }),
      event({ id: 'c' }),
    ];
    expect(await done('POST', '/theeye/events', mixed)).toMatchObject({
      received: 7,
      accepted: 2,
      rejected: 5,
      errors: [{ index: 1 }, { index: 2 }, { index: 3 }, { index: 4 }, { index: 5, field: 'data' }],
    });
    const inLines = `${text({ id: 'd' })}\n{"broken\n\n[]\n${text({ id: 'e' })}\n`;
    expect(await done('POST', '/v1/events', inLines, ndjson)).toMatchObject({
      received: 4,
      accepted: 2,
      rejected: 2,
    });
    const { results } = await done('GET', '/theeye/errors');
    expect(results.map(({ original }: { original: string }) => original)).toEqual([
      '[]',
      '{"broken',
      text({ id: 'b', data: [] }),
      'null',
      `[${text({})}]`,
      '5',
      '"x"',
    ]);
  });

  test('whatever its type is said to be, and packed', async () => {
    const { done } = await openEvents(kind);
    await done('POST', '/v1/events', text({ id: 'a' }), { 'content-type': 'text/plain;charset=UTF-8' });
    await done('POST', '/theeye/events', gzipSync(text({ id: 'b' })), {
      ...json,
      'content-encoding': 'gzip',
    });
    await done('POST', '/theeye/events', text({ id: 'c' }), {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await done('POST', '/v1/events', `\ufeff${text({ id: 'd' })}`, json);
    const { events } = await done('GET', '/v1/events?order=oldest');
    expect(events.map(({ id }: { id: string }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('an event that is longer than a record may be is told as such, and the others of its body count', async () => {
    const { send, done, tallybook } = await openEvents(kind);
    const path = 'é'.repeat(limits.record_bytes / 2);
    const long = text({ id: 'long', data: { path } });
    const message = `the record has ${Buffer.byteLength(long)} bytes; expected at most ${limits.record_bytes}. Its beginning is kept; send it in parts`;
    const refused = { id: null, verdict: 'rejected', code: 'unreadable', message };
    expect(await done('POST', '/v1/events', long, json)).toMatchObject({
      received: 1,
      rejected: 1,
      verdicts: [{ index: 0, ...refused }],
    });
    const [a, b] = [text({ id: 'a' }), text({ id: 'b', data: [] })];
    const bodies: [body: string, headers: Record<string, string>][] = [
      [`[${a},${long},${b}]`, json],
      [`${a}\n\n${long}\n${b}\n`, ndjson],
    ];
    for (const [body, headers] of bodies) {
      const receipt = await done('POST', '/v1/events?verdicts=all', body, headers);
      expect(receipt).toMatchObject({ received: 3, accepted: headers === json ? 1 : 0, rejected: 2 });
      expect(receipt.verdicts).toMatchObject([
        { index: 0, id: 'a' },
        { index: 1, ...refused },
        { index: 2, id: 'b', field: 'data' },
      ]);
    }
    const { results } = await done('GET', '/theeye/errors');
    // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
    const kept = results.filter((one: any) => one.message === message);
    expect(kept.map(({ index, application }: Record<string, unknown>) => [index, application])).toEqual([
      [1, 'local'],
      [1, 'local'],
      [0, 'local'],
    ]);
    for (const { original } of kept) {
      expect(long.startsWith(original)).toBe(true);
      expect(Buffer.byteLength(original)).toBeGreaterThan(262_140);
    }
    const broken = await send('POST', '/v1/events', long.slice(0, -1), json);
    expect(broken).toMatchObject({ status: 400, json: { code: 'unreadable_body' } });
    expect((await done('GET', '/theeye/errors')).count).toBe(6);
    const patch = event({ id: 'long', data: { path: '/' } });
    expect(await done('POST', '/v1/rejects/replay', { ids: [kept[0].id], patch })).toMatchObject({
      accepted: 1,
    });
    expect((await tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('what is too large is refused before it is read', async () => {
    const { send } = await openEvents(kind);
    const answer = await send('POST', '/v1/events', 'x'.repeat(8_388_609), json);
    expect(answer).toMatchObject({ status: 413, json: { code: 'too_large' } });
  });

  test('every digit of the data is kept', async () => {
    const { send } = await openEvents(kind);
    const data = '{"total":12.50,"big":12345678901234567890,"small":0.12345678901234567890123}';
    await send('POST', '/v1/events', text({}).replace(/"data":\{.*?\}/, `"data":${data}`), json);
    expect((await send('GET', '/v1/events')).text).toContain(`"data":${data}`);
    expect((await send('GET', `/v1/sessions/${session}`)).text).toContain(`"data":${data}`);
  });

  test('the generic routes see the same stream, and hold to the same rules', async () => {
    const { send, done } = await openEvents(kind);
    expect(await send('POST', '/v1/streams/events/records', event({ id: 'a', data: [] }))).toMatchObject({
      status: 422,
      json: { code: 'invalid_value' },
    });
    await done('POST', '/v1/streams/events/records', event({ id: 'a' }));
    const { rows, from } = await done(
      'GET',
      '/v1/streams/events/query?by=category,name&every=day&measures=count',
    );
    expect(rows).toEqual([
      { category: 'page interaction', name: 'pageview', day: at.slice(0, 10), count: 1 },
    ]);
    expect(from).toBe('rollup hourly');
  });
});

test('with keys, the application is the source of the key, and a key for other streams is none for events', async () => {
  const { tallybook, done, send } = await openEvents('duckdb', true);
  const keyOf = async (name: string, scopes: ('ingest' | 'read')[], streams?: string[]) => {
    const settings = { scopes, streams, origins: undefined, rateLimit: undefined };
    return { authorization: `Bearer ${(await tallybook.sources.create(name, settings)).key}` };
  };
  const shop = await keyOf('shop', ['ingest']);
  const blog = await keyOf('blog', ['ingest']);
  const desk = await keyOf('desk', ['read']);
  const other = await keyOf('other', ['ingest', 'read'], ['usage']);
  await done('POST', '/v1/events', event({ id: 'a' }), shop);
  await done('POST', '/theeye/events', event({ id: 'b', timestamp: '2026-03-09T18:05:00Z' }), blog);
  await done('POST', '/theeye/events', event({ id: 'c', data: 1 }), blog);
  expect((await send('POST', '/v1/events', event(), desk)).status).toBe(403);
  expect((await send('POST', '/v1/events', event(), other)).status).toBe(403);
  expect((await send('GET', '/theeye/events', undefined, other)).status).toBe(403);
  expect((await send('POST', '/theeye/events', event())).status).toBe(401);
  expect(await done('GET', `/v1/sessions/${session}`, undefined, desk)).toMatchObject({
    applications: ['blog', 'shop'],
    duration_seconds: '0.879966',
    events: [{ application: 'shop' }, { application: 'blog' }],
  });
  const { events } = await done('GET', '/v1/events?source=blog', undefined, desk);
  expect(events).toMatchObject([{ id: 'b' }]);
  expect(await done('GET', '/theeye/errors', undefined, desk)).toMatchObject({
    results: [{ application: 'blog', field: 'data' }],
  });
});
