import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { csv, lines, ndjson, openApp, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';

describe.each(storeKinds)('writing over HTTP, %s', (kind) => {
  test('one record: the verdict gives the status, the receipt comes with it', async () => {
    const { send } = await openApp(kind);
    const accepted = await send('POST', records, sale('a1'));
    expect(accepted).toMatchObject({
      status: 201,
      json: { received: 1, accepted: 1, verdicts: [{ index: 0, id: 'a1', verdict: 'accepted' }] },
    });
    expect(accepted.json.recorded_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(await send('POST', records, sale('a1', { amount: 1.5 }))).toMatchObject({
      status: 200,
      json: { duplicates: 1, verdicts: [{ verdict: 'duplicate' }] },
    });
    const conflict = await send('POST', records, sale('a1', { amount: 2 }));
    expect(conflict).toMatchObject({
      status: 409,
      json: { conflicts: 1, code: 'conflict', verdicts: [{ verdict: 'conflict' }] },
    });
    expect(conflict.headers['content-type']).toContain('application/problem+json');
    expect(await send('POST', `${records}?mode=upsert`, sale('a1', { amount: 2 }))).toMatchObject({
      status: 200,
      json: { corrected: 1 },
    });
    const rejected = await send('POST', records, sale('a2', { amount: 'many' }));
    expect(rejected).toMatchObject({
      status: 422,
      json: { code: 'invalid_value', verdicts: [{ field: 'amount', code: 'invalid_value' }] },
    });
    expect(rejected.json.detail).toContain('"many"');
  });

  test('many: 200 with the receipt, whatever the mix; all verdicts when they are asked for', async () => {
    const { send } = await openApp(kind);
    const body = [sale('a'), sale('b'), sale('a'), sale('c', { amount: 'x' })];
    const some = await send('POST', records, body);
    expect(some).toMatchObject({
      status: 200,
      json: { received: 4, accepted: 2, duplicates: 1, rejected: 1, errors: [{ index: 2 }, { index: 3 }] },
    });
    expect(some.json.verdicts).toBeUndefined();
    const all = await send('POST', `${records}?verdicts=all`, lines(body as object[]), ndjson);
    expect(all.json.verdicts.map((verdict: { verdict: string }) => verdict.verdict)).toEqual([
      'duplicate',
      'duplicate',
      'duplicate',
      'rejected',
    ]);
  });

  test.each([
    [
      'NDJSON',
      ndjson,
      '\uFEFF{"id":"n1","at":"2026-10-05","amount":1}\r\n\n  \n{"id":"n2","at":"2026-10-05T00:00","amount":"2"}\n',
    ],
    [
      'NDJSON under its other names',
      { 'content-type': 'application/jsonl' },
      '{"id":"n1","at":"2026-10-05","amount":1}\n{"id":"n2","at":"2026-10-05T00:00","amount":"2"}',
    ],
    ['CSV', csv, 'id,at,amount\nn1,2026-10-05 00:00:00,1\nn2,2026-10-05T00:00:00Z,2\n'],
    [
      'TSV',
      { 'content-type': 'text/tab-separated-values' },
      'id\tat\tamount\r\nn1\t2026-10-05 00:00:00\t1\r\nn2\t2026-10-05T00:00:00Z\t2\r\n',
    ],
  ])('%s', async (_name, headers, body) => {
    const { send } = await openApp(kind);
    const expected = body.includes('"2026-10-05",')
      ? { received: 2, accepted: 1, rejected: 1 }
      : { received: 2, accepted: 2 };
    expect((await send('POST', records, body, headers)).json).toMatchObject(expected);
    const packed = await send('POST', records, gzipSync(body), { ...headers, 'content-encoding': 'gzip' });
    expect(packed.json).toMatchObject({ received: 2, accepted: 0, duplicates: expected.accepted });
  });

  test('every digit of a number is kept', async () => {
    const { send } = await openApp(kind);
    await send(
      'POST',
      records,
      '{"id":"d","at":"2026-10-05T00:00:00Z","amount":1234567890123456789012345678.0123456789,"data":{"n":0.10000000000000000000001,"big":9007199254740993}}',
      { 'content-type': 'application/json' },
    );
    const { text } = await send('GET', `${records}/d`);
    expect(text).toContain('"amount":"1234567890123456789012345678.0123456789"');
    expect(text).toContain('{"n":0.10000000000000000000001,"big":9007199254740993}');
  });

  test('an idempotency key makes a retry of records without ids a duplicate', async () => {
    const { send } = await openApp(kind);
    const body = [
      { at: '2026-10-05T00:00:00Z', page: '/' },
      { at: '2026-10-05T00:00:00Z', page: '/' },
    ];
    const key = { 'idempotency-key': 'order 7' };
    expect((await send('POST', '/v1/streams/clicks/records', body, key)).json).toMatchObject({ accepted: 2 });
    expect((await send('POST', '/v1/streams/clicks/records', body, key)).json).toMatchObject({
      duplicates: 2,
    });
    expect(
      (await send('POST', '/v1/streams/clicks/records', lines(body), { ...ndjson, ...key })).json,
    ).toMatchObject({ duplicates: 2 });
    const asCsv = 'at,page\n2026-10-05T00:00:00Z,/\n2026-10-05T00:00:00Z,/\n';
    expect((await send('POST', '/v1/streams/clicks/records', asCsv, { ...csv, ...key })).json).toMatchObject({
      duplicates: 2,
    });
    expect((await send('POST', '/v1/streams/clicks/records', body)).json).toMatchObject({ accepted: 2 });
    expect(
      (await send('POST', '/v1/streams/clicks/records', body, { 'idempotency-key': 'order 8' })).json,
    ).toMatchObject({ accepted: 2 });
  });

  test('PUT creates and corrects; the id of the address counts', async () => {
    const { send } = await openApp(kind);
    const { id: _, ...rest } = sale('x') as { id: string };
    expect(await send('PUT', `${records}/p%2F1`, rest)).toMatchObject({
      status: 201,
      json: { verdicts: [{ id: 'p/1' }] },
    });
    expect(await send('PUT', `${records}/p%2F1?reason=typo`, { ...rest, amount: 7 })).toMatchObject({
      status: 200,
      json: { corrected: 1 },
    });
    expect(await send('PUT', `${records}/p%2F1`, { ...rest, amount: 7 })).toMatchObject({
      status: 200,
      json: { duplicates: 1 },
    });
    expect(await send('PUT', `${records}/p%2F1`, sale('other'))).toMatchObject({
      status: 400,
      json: { code: 'bad_request' },
    });
    expect(await send('PUT', `${records}/p%2F1`, { ...rest, amount: 'x' })).toMatchObject({ status: 422 });
    const { json } = await send('GET', `${records}/p%2F1`);
    expect(json).toMatchObject({ id: 'p/1', standing: { reason: 'typo', record: { amount: '7' } } });
    expect(json.history.map((line: { verdict: string }) => line.verdict)).toEqual([
      'accepted',
      'corrected',
      'duplicate',
      'rejected',
    ]);
  });

  test('DELETE takes a record back; what was never seen is 404', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, sale('gone'));
    expect(await send('DELETE', `${records}/gone?reason=withdrawn`)).toMatchObject({
      status: 200,
      json: { retracted: 1 },
    });
    expect(await send('DELETE', `${records}/gone`)).toMatchObject({ status: 200, json: { duplicates: 1 } });
    expect(await send('DELETE', `${records}/never`)).toMatchObject({
      status: 404,
      json: { code: 'unknown_record' },
    });
    expect((await send('GET', `${records}/gone`)).json).toMatchObject({
      standing: null,
      history: [
        { verdict: 'accepted' },
        { verdict: 'retracted', reason: 'withdrawn' },
        { verdict: 'duplicate' },
      ],
    });
  });

  test.each([
    ['an array of ids', '["a","b","no"]', 'application/json'],
    ['an array of objects', '[{"id":"a"},{"id":"b"},{"id":"no"}]', 'application/json'],
    ['NDJSON', '"a"\n{"id":"b"}\n"no"', 'application/x-ndjson'],
  ])('retractions as %s', async (_name, body, type) => {
    const { send } = await openApp(kind);
    await send('POST', records, [sale('a'), sale('b'), sale('c')]);
    const { status, json } = await send('POST', '/v1/streams/sales/retractions?reason=test', body, {
      'content-type': type,
    });
    expect({ status, json }).toMatchObject({
      status: 200,
      json: {
        received: 3,
        retracted: 2,
        rejected: 1,
        errors: [{ verdict: 'retracted' }, { verdict: 'retracted' }, { code: 'not_found' }],
      },
    });
    expect((await send('GET', records)).json.records).toHaveLength(1);
  });

  test('a body too large for memory goes by way of a file, with the same receipt', async () => {
    const { send } = await openApp(kind);
    const filler = 'x'.repeat(60_000);
    const many = Array.from({ length: 160 }, (_, index) => sale(`big${index}`, { customer: filler }));
    const spread = `[\n ${many.map((record) => JSON.stringify(record, null, 1)).join(' ,\n')}\n]\n`;
    expect((await send('POST', records, spread, { 'content-type': 'application/json' })).json).toMatchObject({
      received: 160,
      accepted: 160,
    });
    expect((await send('POST', records, lines(many), ndjson)).json).toMatchObject({
      received: 160,
      duplicates: 160,
    });
    const packed = gzipSync(lines(many));
    expect(
      (await send('POST', records, packed, { ...ndjson, 'content-encoding': 'gzip' })).json,
    ).toMatchObject({ duplicates: 160 });
    const cut = spread.slice(0, -4);
    expect(await send('POST', records, cut, { 'content-type': 'application/json' })).toMatchObject({
      status: 400,
      json: { code: 'unreadable_body' },
    });
  });
});
