/**
 * What was made to take for ever, to be read as something else, or to reach what is inside: each is answered, with what
 * to change. What takes for ever fails here by the time that a test has.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { unpackFile } from '../../src/engine/unpack.ts';
import { lines, makeDirectory, ndjson, openApp, sale } from '../http/open-app.ts';

const query = '/v1/streams/sales/query';
const json = { 'content-type': 'application/json' };
const encoded = encodeURIComponent;
const nested = (open: string, inside: string, close: string, levels: number) =>
  open.repeat(levels) + inside + close.repeat(levels);

describe('questions', () => {
  // biome-ignore format: a table, one line a case
  const cases: [what: string, method: string, url: string, body: string | undefined, code: string, detail: string][] = [
    ['a condition of blanks', 'GET', `${query}?where=a${'+'.repeat(30_000)}`, undefined, 'bad_question', 'is no condition'],
    ['a condition on a group that could be cut in many ways', 'GET', `${query}?having=${encoded(`sum(${') if ='.repeat(1_500)}\n`)}`, undefined, 'bad_question', 'expected one of the measures: count'],
    ['a time that is no end of times', 'POST', query, JSON.stringify({ from: `T${':00 '.repeat(1_000_000)}` }), 'bad_question', 'expected a timestamp'],
    ['lists in lists', 'POST', query, nested('[', '', ']', 1_000_000), 'bad_request', 'at most 100 are read'],
    ['conditions in conditions', 'POST', query, nested('{"where":', '1', '}', 5_000), 'bad_request', 'at most 100 are read'],
    ['a text as long as a body may be', 'POST', query, JSON.stringify({ from: 'x'.repeat(limits.control_body_bytes - 100) }), 'bad_question', 'from is x'],
    ['the greatest of the greatest', 'POST', query, JSON.stringify({ measures: [nested('greatest(', 'count', ')', 200_000)] }), 'bad_question', 'expected sums'],
    ['the greatest of too many', 'POST', query, JSON.stringify({ measures: [`greatest(${'sum(amount),'.repeat(100_000)})`] }), 'bad_question', 'at most 50'],
    ['an order of more than there is', 'POST', query, JSON.stringify({ order: Array(10_000).fill('count') }), 'bad_request', 'order'],
    ['a pattern too long to be looked for', 'POST', query, JSON.stringify({ where: { customer: { like: '%a'.repeat(100_000) } } }), 'bad_question', 'at most 1000 characters'],
    ['the name of what every object has', 'GET', `${query}?where=constructor=x`, undefined, 'bad_question', 'has no field constructor'],
    ['another', 'POST', query, '{"where":{"valueOf":"x"}}', 'bad_question', 'has no field valueOf'],
    ['the name of what every object comes from', 'POST', query, '{"where":{"__proto__":"x"}}', 'bad_request', '__proto__'],
    ['the same, written otherwise', 'POST', query, '{"where":{"__pr\\u006fto__":"x"}}', 'bad_request', '__proto__'],
  ];

  test('every case of the table', async () => {
    const { send } = await openApp('duckdb');
    await send('POST', '/v1/streams/sales/records', sale('a'));
    for (const [what, method, url, body, code, detail] of cases) {
      const answer = await send(method, url, body, body === undefined ? {} : json);
      expect.soft(answer, what).toMatchObject({
        status: 400,
        json: { code, detail: expect.stringContaining(detail) },
      });
      expect.soft(answer.text.length, what).toBeLessThan(20_000);
    }
    expect(Object.keys(Object)).toEqual([]);
  });

  test('a field may be called as what every object has, and is a field then', async () => {
    const { send } = await openApp('duckdb');
    const fields = { constructor: { type: 'text' }, valueof: { type: 'integer' } };
    expect((await send('PUT', '/v1/streams/odd', { fields })).status).toBe(201);
    const odd: object[] = [
      { constructor: 'a', valueof: 1 },
      { constructor: 'b', valueof: 2 },
      { valueof: 4 },
    ];
    await send('POST', '/v1/streams/odd/records', odd);
    const ask = async (asked: string) => (await send('GET', `/v1/streams/odd/query?${asked}`)).json.rows;
    expect(await ask('measures=sum(valueof)&where=constructor=b')).toEqual([{ 'sum(valueof)': '2' }]);
    expect(await ask('measures=sum(valueof)&where=constructor+is+null')).toEqual([{ 'sum(valueof)': '4' }]);
    expect(await ask('by=constructor&having=count>0&order=constructor&where=constructor+in+a,b')).toEqual([
      { constructor: 'a', count: 1 },
      { constructor: 'b', count: 1 },
    ]);
  });

  test('like: many % and _ on a long text, and every sign of an expression is itself', async () => {
    const { send } = await openApp('duckdb');
    const text = `${'a'.repeat(60_000)}.*[b]\n\\c$^|(d){2}é`;
    await send('POST', '/v1/streams/sales/records', [sale('a', { customer: text }), sale('b')]);
    const count = async (like: string) => {
      const asked = { where: { customer: { like } } };
      return (await send('POST', query, asked)).json.rows[0].count;
    };
    expect(await count(`${'%_a'.repeat(100)}%b`)).toBe(0);
    expect(await count(`${'%a'.repeat(100)}%.*[b]_\\c$^|(%{2}_`)).toBe(1);
    expect(await count(`${'%a'.repeat(100)}%..[b]_\\c%`)).toBe(0);
    expect(await count('%[b]_\\c$^|(d){2}%')).toBe(1);
    expect(await count('%_')).toBe(2);
    expect(await count('%A%b%')).toBe(0);
  });
});

describe('patterns of fields', () => {
  const declared = (pattern: string, more: object = {}) => ({
    fields: { a: { type: 'text', pattern, ...more } },
  });

  test('one that backtracks for ever refuses what does not match, at once', async () => {
    const { send } = await openApp('duckdb');
    expect((await send('PUT', '/v1/streams/slow', declared('(a+)+b|(.*){20}c'))).status).toBe(201);
    const record = { a: 'a'.repeat(50_000) };
    expect((await send('POST', '/v1/streams/slow/records', [record])).json.errors).toMatchObject([
      { code: 'pattern_mismatch' },
    ]);
    const fitting = Array(20).fill({ a: `${'a'.repeat(50)}b` });
    expect((await send('POST', '/v1/streams/slow/records', fitting)).json.accepted).toBe(20);
    const late = declared('(a+)+b', { default: 'a'.repeat(40) });
    expect(await send('PUT', '/v1/streams/late', late)).toMatchObject({
      status: 400,
      json: { code: 'bad_declaration', detail: expect.stringContaining('default') },
    });
  });

  test('one that RE2 cannot use is refused when it is declared, not when records come', async () => {
    const { send } = await openApp('duckdb');
    for (const pattern of ['a{2000}', '(a{100}){100}', '\\p{L}{1000}', '\\u0041', '\\p{Script=Greek}', '[^]'])
      expect.soft(await send('PUT', '/v1/streams/odd', declared(pattern)), pattern).toMatchObject({
        status: 400,
        json: { code: 'bad_declaration', detail: expect.stringContaining('RE2') },
      });
    expect((await send('GET', '/v1/streams/odd')).status).toBe(404);
    expect((await send('PUT', '/v1/streams/odd', declared('[ab]{1,1000}\\x41'))).status).toBe(201);
    const warned = declared('[ab]{1,1000}\\x41', { warn: { pattern: 'b{1001}' } });
    expect(await send('PUT', '/v1/streams/odd', warned)).toMatchObject({ status: 400 });
    expect((await send('POST', '/v1/streams/odd/records', [{ a: 'abA' }, { a: 'c' }])).json).toMatchObject({
      accepted: 1,
      rejected: 1,
    });
  });
});

test('a zstd bomb is refused before it is unpacked', async () => {
  const { send, tallybook } = await openApp('duckdb');
  // Blocks of four bytes that each stand for 128 KB of the same byte.
  const size = 131_072;
  const block = Buffer.from([((size << 3) | 2) & 255, (size >> 5) & 255, size >> 13, 0x41]);
  const header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
  const bomb = Buffer.concat([Buffer.from(header), ...Array<Buffer>(100_000).fill(block)]);
  const directory = makeDirectory();
  const path = join(directory, 'bomb.zst');
  writeFileSync(path, bomb);
  await expect(unpackFile(path, join(directory, 'bomb'), 'zstd')).rejects.toMatchObject({
    code: 'too_large',
  });
  expect(
    await send('POST', '/v1/imports?stream=sales&name=a.ndjson.zst', bomb, {
      'content-type': 'application/zstd',
    }),
  ).toMatchObject({
    status: 400,
    json: { code: 'import_failed', detail: expect.stringContaining('unpack to') },
  });
  expect(
    (await send('POST', '/v1/streams/sales/records', bomb, { ...ndjson, 'content-encoding': 'zstd' })).status,
  ).toBe(413);
  expect((await send('POST', '/v1/streams/sales/records', lines([sale('a')]), ndjson)).status).toBe(200);
  expect(await tallybook.rejects.count({})).toBe(0);
});

test('a zstd that asks for a huge window, or moves a large one with each byte, is refused at once', async () => {
  const directory = makeDirectory();
  const [path, into] = [join(directory, 'a.zst'), join(directory, 'a')];
  const unpacked = (bytes: Buffer) => {
    writeFileSync(path, bytes);
    return unpackFile(path, into, 'zstd').then(() => readFileSync(into));
  };
  const frame = (window: number, blocks: number[][]) =>
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, window, ...blocks.flat()]);
  const once = [(1 << 3) | 2, 0, 0, 0x41];
  const last = [(1 << 3) | 3, 0, 0, 0x41];
  const largest = 17 << 3; // 2 ** (10 + 17)
  expect(String(await unpacked(frame(0, [once, once, last])))).toBe('AAA');
  expect(String(await unpacked(frame(largest, [once, last])))).toBe('AA');
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const two = Buffer.concat([frame(0, [last]), skipped, frame(largest, [last])]);
  expect(String(await unpacked(two))).toBe('AA');
  const refused = { code: 'too_large', message: expect.stringContaining('window') };
  await expect(unpacked(frame(largest + 1, [last]))).rejects.toMatchObject(refused);
  await expect(unpacked(frame(0xa0, [last]))).rejects.toMatchObject(refused);
  await expect(unpacked(Buffer.concat([two, frame(0xa0, [last])]))).rejects.toMatchObject(refused);
  await expect(unpacked(frame(largest, [...Array<number[]>(50_000).fill(once), last]))).rejects.toMatchObject(
    refused,
  );
  await expect(unpacked(frame(0, [once]))).rejects.toMatchObject({ code: 'unreadable_body' });
});
