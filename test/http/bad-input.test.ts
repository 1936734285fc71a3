/**
 * What is sent wrongly, one line a case: what came, the status, the code, and a part of the detail, which must say
 * what to change.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { csv, lines, ndjson, openApp, replaceVerbs, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';
const query = '/v1/streams/sales/query';
const json = { 'content-type': 'application/json' };
const gzip = { ...ndjson, 'content-encoding': 'gzip' };
const packed = gzipSync(lines([sale('a'), sale('b')]));
const corrupt = Buffer.from(packed);
corrupt.writeUInt8(corrupt[30]! ^ 0xff, 30);
const declaration = (field: object) => ({ fields: { a: field } });

type Case = [
  what: string,
  method: string,
  url: string,
  body: unknown,
  headers: Record<string, string>,
  status: number,
  code: string,
  detail: string,
];
// biome-ignore format: a table, one line a case
const cases: Case[] = [
  ['an unknown route', 'GET', '/v1/nothing', undefined, {}, 404, 'unknown_route', 'there is no GET /v1/nothing'],
  ['an unknown method', 'PATCH', records, sale('a'), {}, 404, 'unknown_route', 'there is no PATCH'],
  ['an unknown stream', 'POST', '/v1/streams/none/records', sale('a'), {}, 404, 'unknown_stream', 'the streams are clicks, sales'],
  ["a stream of Tallybook's own", 'POST', '/v1/streams/_rejects/records', sale('a'), {}, 404, 'unknown_stream', 'no stream _rejects'],
  ['a broken JSON object', 'POST', records, '{"id":"a",', json, 400, 'unreadable_body', 'no JSON document'],
  ['a broken JSON object in the middle', 'POST', records, '{"id":"a",,"x":1}', json, 400, 'unreadable_body', 'no JSON document'],
  ['a broken JSON array', 'POST', records, '[{"id":"a"},]', json, 400, 'unreadable_body', 'no JSON document'],
  ['two objects as one document', 'POST', records, '{"id":"a"}\n{"id":"b"}', json, 400, 'unreadable_body', 'application/x-ndjson'],
  ['no UTF-8 in a document', 'POST', records, Buffer.from('{"id":"\xff"}', 'latin1'), json, 400, 'unreadable_body', 'no UTF-8'],
  ['an empty body', 'POST', records, '', json, 400, 'unreadable_body', 'no JSON document'],
  ['no body', 'POST', records, undefined, {}, 400, 'unreadable_body', 'there is no body'],
  ['an empty array', 'POST', records, '[]', json, 400, 'unreadable_body', 'holds no record'],
  ['blank lines alone', 'POST', records, '\n \n', ndjson, 400, 'unreadable_body', 'holds no record'],
  ['a form', 'POST', records, 'id=a', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_format', 'expected application/json'],
  ['no content-type', 'POST', records, Buffer.from('{}'), {}, 415, 'unsupported_format', 'content-type is missing'],
  ['an unknown packing', 'POST', records, 'x', { ...json, 'content-encoding': 'br' }, 415, 'unsupported_format', 'expected gzip, zstd'],
  ['no gzip at all', 'POST', records, 'plain', gzip, 400, 'unreadable_body', 'cannot be unpacked'],
  ['a gzip cut off', 'POST', records, packed.subarray(0, packed.length - 12), gzip, 400, 'unreadable_body', 'cannot be unpacked'],
  ['a corrupt gzip', 'POST', records, corrupt, gzip, 400, 'unreadable_body', 'cannot be unpacked'],
  ['a gzip of CSV cut off', 'POST', records, packed.subarray(0, packed.length - 12), { ...csv, 'content-encoding': 'gzip' }, 400, 'unreadable_body', 'cannot be unpacked'],
  ['a record that is too large', 'POST', records, sale('a', { customer: 'x'.repeat(limits.record_bytes) }), {}, 413, 'too_large', 'expected at most 2097152'],
  ['a mode that is none', 'POST', `${records}?mode=replace`, sale('a'), {}, 400, 'bad_request', 'mode must be one of insert, upsert'],
  ['a parameter that is not known', 'POST', `${records}?modus=upsert`, sale('a'), {}, 400, 'bad_request', 'modus is not known here'],
  ['an idempotency key that is too long', 'POST', records, sale('a'), { 'idempotency-key': 'k'.repeat(256) }, 400, 'bad_request', 'Idempotency-Key'],
  ['a reason that is too long', 'DELETE', `${records}/a?reason=${'r'.repeat(1_001)}`, undefined, {}, 400, 'bad_request', 'reason'],
  ['an array for PUT', 'PUT', `${records}/a`, [], {}, 400, 'unreadable_body', 'no JSON object'],
  ['NDJSON for PUT', 'PUT', `${records}/a`, '{}', ndjson, 415, 'unsupported_format', 'application/json'],
  ['an address with a broken escape', 'GET', `${records}/%zz`, undefined, {}, 400, 'bad_request', 'broken % sequence'],
  ['a filter that is misspelt', 'GET', `${query}?form=2026-01-01`, undefined, {}, 400, 'bad_request', 'form is not known here'],
  ['a measure that is none', 'GET', `${query}?measures=total(amount)`, undefined, {}, 400, 'bad_question', 'expected count, sum(f)'],
  ['a measure of some records that are none', 'GET', `${query}?measures=count if color=red`, undefined, {}, 400, 'bad_question', 'has no field color'],
  ['the greatest of what are no sums', 'GET', `${query}?measures=greatest(count)`, undefined, {}, 400, 'bad_question', 'expected sums with the same number of decimals'],
  ['after too few values', 'GET', `${query}?by=customer&order=-count&after=3`, undefined, {}, 400, 'bad_question', 'after has 1 values; expected those of count, customer'],
  ['after a row of buckets', 'GET', `${query}?every=day&after=3`, undefined, {}, 400, 'bad_question', 'leave every out'],
  ['after no number', 'POST', query, { by: ['customer'], order: ['-count'], after: ['x', 'a'] }, {}, 400, 'bad_question', 'after count: x is no number'],
  ['a sum of text', 'GET', `${query}?measures=sum(customer)`, undefined, {}, 400, 'bad_question', 'customer is a text'],
  ['a field that is none', 'GET', `${query}?by=color`, undefined, {}, 400, 'bad_question', 'has no field color; its fields are'],
  ['a time that is none', 'GET', `${query}?from=yesterday`, undefined, {}, 400, 'bad_question', 'from is yesterday'],
  ['a zone that is none', 'GET', `${query}?every=day&tz=Mars/Olympus`, undefined, {}, 400, 'bad_question', 'expected a time zone'],
  ['a zone that is none, of a list', 'GET', `${records}?from=2026-10-05&tz=Mars/Olympus`, undefined, {}, 400, 'bad_question', 'expected a time zone'],
  ['a condition that is none', 'GET', `${query}?where=amount`, undefined, {}, 400, 'bad_question', 'is no condition'],
  ['a format that is none', 'GET', `${query}?format=xml`, undefined, {}, 406, 'unsupported_format', 'expected one of json, ndjson, csv'],
  ['a type that is none', 'GET', query, undefined, { accept: 'application/xml' }, 406, 'unsupported_format', 'application/json'],
  ['a question of no object', 'POST', query, '[]', json, 400, 'bad_request', 'the body: must be object'],
  ['a question with an unknown name', 'POST', query, { measure: ['count'] }, {}, 400, 'bad_request', 'measure is not known here'],
  ['a broken question', 'POST', query, '{"by":', json, 400, 'unreadable_body', 'no valid JSON'],
  ['a page that is too large', 'GET', `${records}?page_size=100000`, undefined, {}, 400, 'bad_request', 'page_size must be <= 1000'],
  ['a page size that is no number', 'GET', `${records}?page_size=many`, undefined, {}, 400, 'bad_request', 'page_size must be integer'],
  ['a cursor of our neighbour', 'GET', `${records}?cursor=abc`, undefined, {}, 400, 'bad_request', 'was not made by this server'],
  ['a record never seen', 'GET', `${records}/never`, undefined, {}, 404, 'unknown_record', 'has never seen a record with the id never'],
  ['a declaration of nothing', 'PUT', '/v1/streams/new', {}, {}, 400, 'bad_declaration', 'fields'],
  ['a field of a type that is none', 'PUT', '/v1/streams/new', declaration({ type: 'float' }), {}, 400, 'bad_declaration', '"type" must be one of text'],
  ['a stream name that is none', 'PUT', '/v1/streams/New-Stream', declaration({ type: 'text' }), {}, 400, 'bad_declaration', 'must match'],
  ['a change of what is stored', 'PUT', '/v1/streams/clicks', declaration({ type: 'text' }), {}, 409, 'incompatible_declaration', 'cannot be removed'],
  ['an import of no stream', 'POST', '/v1/imports', 'x', csv, 400, 'bad_request', 'stream is missing'],
  ['an import of an unknown stream', 'POST', '/v1/imports?stream=none', 'x', csv, 404, 'unknown_stream', 'no stream none'],
  ['an import in an unknown form', 'POST', '/v1/imports?stream=sales&form=till', 'x', csv, 400, 'bad_request', 'the stream sales has no form till; it has none'],
  ['an import of no format', 'POST', '/v1/imports?stream=sales', 'x', { 'content-type': 'application/octet-stream' }, 415, 'unsupported_format', 'add format='],
  ['an empty import', 'POST', '/v1/imports?stream=sales', '', csv, 400, 'unreadable_body', 'empty'],
  ['an import cut off', 'POST', '/v1/imports?stream=sales&name=a.ndjson.gz', packed.subarray(0, packed.length - 9), { 'content-type': 'application/gzip' }, 400, 'unreadable_body', 'cannot be unpacked'],
  ['an import never started', 'GET', '/v1/imports/77', undefined, {}, 404, 'unknown_import', 'no import 77'],
  ['an import of no number', 'GET', '/v1/imports/x', undefined, {}, 400, 'bad_request', 'id must be integer'],
  ['the undoing of no import', 'DELETE', '/v1/imports/77', undefined, {}, 404, 'unknown_import', 'no import 77'],
  ['a reject that is none', 'GET', '/v1/rejects/r99', undefined, {}, 404, 'unknown_reject', 'no reject r99'],
  ['a grouping that is none', 'GET', '/v1/rejects?group_by=mood', undefined, {}, 400, 'bad_request', 'expected one or more of code'],
  ['a replay of nothing', 'POST', '/v1/rejects/replay', {}, {}, 400, 'bad_request', 'either ids or filter'],
  ['a replay with a patch that is none', 'POST', '/v1/rejects/replay', { filter: {}, patch: 7 }, {}, 400, 'bad_request', 'patch must be object'],
  ['a discard with no reason', 'DELETE', '/v1/rejects/r1', undefined, {}, 400, 'bad_request', 'reason is missing'],
  ['a source with a bad name', 'POST', '/v1/sources', { name: 'Shop 1', scopes: ['read'] }, {}, 400, 'bad_request', 'name must match pattern'],
  ['a source with no scope', 'POST', '/v1/sources', { name: 'shop', scopes: [] }, {}, 400, 'bad_request', 'scopes'],
  ['an origin that is none', 'POST', '/v1/sources', { name: 'shop', scopes: ['read'], origins: ['example.com'] }, {}, 400, 'bad_request', 'is no origin'],
  ['a source that is none', 'GET', '/v1/sources/none', undefined, {}, 404, 'unknown_source', 'no source none'],
  ['a key that is none', 'DELETE', '/v1/sources/none/keys/k', undefined, {}, 404, 'unknown_source', 'no source none'],
  ['a backup to nowhere', 'POST', '/v1/admin/backup', {}, {}, 400, 'bad_request', 'directory is missing'],
];

describe.each(storeKinds)('bad input, %s', (kind) => {
  test('every case of the table, and nothing is kept', async () => {
    const { send, tallybook } = await openApp(kind);
    const answers: unknown[] = [];
    for (const [what, method, url, body, headers] of cases) {
      const { status, json, headers: sent } = await send(method, url, body, headers);
      expect.soft(sent['content-type'], what).toBe('application/problem+json; charset=utf-8');
      answers.push([what, status, json?.code, json?.detail]);
      expect
        .soft(json, what)
        .toMatchObject({ type: `urn:tallybook:problem:${json?.code}`, title: expect.any(String), status });
    }
    const expected = cases.map(([what, , , , , status, code, detail]) => [
      what,
      status,
      code,
      expect.stringContaining(detail),
    ]);
    expect(answers).toEqual(expected);
    expect((await tallybook.records('sales', {}, {})).records).toEqual([]);
    expect(await tallybook.rejects.count({})).toBe(0);
    expect((await send('GET', '/v1/imports')).json.imports).toEqual([]);
  });

  test('a gzip bomb is refused while it is unpacked', async () => {
    const { send, tallybook } = await openApp(kind);
    const bomb = gzipSync(Buffer.alloc(limits.bomb_free_bytes * 2), { level: 9 });
    expect(bomb.length * limits.unpack_ratio).toBeLessThan(limits.bomb_free_bytes * 2.1);
    expect(await send('POST', records, bomb, gzip)).toMatchObject({
      status: 413,
      json: { code: 'too_large', detail: expect.stringContaining('unpack to more than') },
    });
    expect(await send('POST', '/v1/imports?stream=sales', bomb, ndjson)).toMatchObject({ status: 413 });
    expect(await tallybook.rejects.count({})).toBe(0);
  });

  test('broken lines among good ones: each is rejected on its own, with its original', async () => {
    const { send } = await openApp(kind);
    const body = Buffer.concat([
      Buffer.from('{"id":"a","at":"2026-10-05T00:00:00Z","amount":1}\n'),
      Buffer.from('{"id":"b","at":\n'),
      Buffer.from('{"id":"\xe9","at":"2026-10-05T00:00:00Z","amount":1}\n', 'latin1'),
      Buffer.from('"a1"\n{"id":"c","at":"2026-10-05T00:00:00Z","amount":1,"amount":2}\n'),
      Buffer.from('{"id":"d","at":"2026-02-30T00:00:00Z","amount":1}\r\n'),
      Buffer.from('{"id":"é","at":"2026-10-05T00:00:00Z","amount":1}'),
    ]);
    const { status, json } = await send('POST', `${records}?verdicts=all`, body, ndjson);
    expect(status).toBe(200);
    expect(
      json.verdicts.map((v: { index: number; verdict: string; code?: string }) => [
        v.index,
        v.verdict,
        v.code,
      ]),
    ).toEqual([
      [0, 'accepted', undefined],
      [1, 'rejected', 'unreadable'],
      [2, 'rejected', 'unreadable'],
      [3, 'rejected', 'unreadable'],
      [4, 'rejected', 'unreadable'],
      [5, 'rejected', 'invalid_value'],
      [6, 'accepted', undefined],
    ]);
    const { rejects } = (await send('GET', '/v1/rejects?order=oldest')).json;
    expect(rejects[0]).toMatchObject({ original: '{"id":"b","at":', encoding: 'utf8', index: 1 });
    const bytes = Buffer.from(rejects[1].original, 'base64').toString('latin1');
    expect(rejects[1]).toMatchObject({ encoding: 'base64' });
    expect(bytes).toBe('{"id":"\xe9","at":"2026-10-05T00:00:00Z","amount":1}');
  });

  test('a line that is too long is rejected with its beginning, its neighbours are taken', async () => {
    const { send } = await openApp(kind);
    const long = JSON.stringify(sale('long', { customer: 'é'.repeat(limits.record_bytes / 2) }));
    const { json: receipt } = await send(
      'POST',
      `${records}?verdicts=all`,
      `${lines([sale('a')])}\n${long}\n${lines([sale('b')])}`,
      ndjson,
    );
    const message = expect.stringContaining(
      `has ${Buffer.byteLength(long)} bytes; expected at most ${limits.record_bytes}`,
    );
    const verdicts = [{ id: 'a' }, { index: 1, code: 'unreadable', message }, { index: 2, id: 'b' }];
    expect(receipt).toMatchObject({ received: 3, accepted: 2, rejected: 1, verdicts });
    const [reject] = (await send('GET', '/v1/rejects')).json.rejects;
    expect(reject).toMatchObject({ index: 1, message, encoding: 'utf8', stream: 'sales' });
    expect(long.startsWith(reject.original)).toBe(true);
    expect(reject.original.length).toBeGreaterThan(100_000);
    const inArray = await send('POST', records, `[${long},${JSON.stringify(sale('c'))}]`, json);
    expect(inArray.json).toMatchObject({ accepted: 1, rejected: 1, errors: [{ index: 0, message }] });
    expect(await send('POST', records, long, json)).toMatchObject({ status: 413, json: { detail: message } });
  });

  test('a line that is too long in a body that goes to a file is told as such', async () => {
    const { send } = await openApp(kind);
    const long = JSON.stringify(sale('long', { customer: 'x'.repeat(limits.memory_body_bytes) }));
    const { json: receipt } = await send(
      'POST',
      records,
      `${lines([sale('a')])}\n${long}\n${lines([sale('b')])}`,
      ndjson,
    );
    const message = `the row cannot be read: it is longer than ${limits.record_bytes} bytes`;
    expect(receipt).toMatchObject({ accepted: 2, rejected: 1, errors: [{ index: 1, message }] });
    const [reject] = (await send('GET', '/v1/rejects')).json.rejects;
    expect(reject.original).toBe(long.slice(0, limits.record_bytes));
  });

  test('CSV with too few columns: that row is rejected', async () => {
    const { send } = await openApp(kind);
    const { json } = await send(
      'POST',
      records,
      'id,at,amount\na,2026-10-05 00:00:00,1\nb,2026-10-05 00:00:00\nc,2026-10-05 00:00:00,3,4\nd,2026-10-05 00:00:00,5\n',
      csv,
    );
    expect(json).toMatchObject({
      received: 4,
      accepted: 2,
      rejected: 2,
      errors: [
        { index: 1, code: 'unreadable' },
        { index: 2, code: 'unreadable' },
      ],
    });
  });

  test('what fails inside says nothing but an id to quote', async () => {
    const opened = await openApp(kind, {
      wrapStore: (store) => replaceVerbs(store, { fate: () => Promise.reject(new Error('secret /path')) }),
    });
    const { errors } = opened;
    const answer = await opened.app.inject({ method: 'GET', url: `${records}/a` });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain('secret');
    const { detail } = answer.json() as { detail: string };
    const request = /as (\S+)$/.exec(detail)![1];
    expect(errors).toMatchObject([{ fields: { request, err: { message: 'secret /path' } } }]);
  });
});
