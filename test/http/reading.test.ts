import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { csv, lines, ndjson, openApp, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';
const query = '/v1/streams/sales/query';

/** Columns with their types, and rows as texts. */
async function readParquet(bytes: Buffer): Promise<{ columns: Record<string, string>; rows: unknown[][] }> {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-read-parquet-'));
  const path = join(directory, 'answer.parquet');
  writeFileSync(path, bytes);
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    const described = await connection.runAndReadAll(`describe from '${path}'`);
    const columns = Object.fromEntries(described.getRows().map(([name, type]) => [name, String(type)]));
    const texts = Object.keys(columns).map((name) => `"${name}"::varchar`);
    const rows = await connection.runAndReadAll(`select ${texts.join(', ')} from '${path}'`);
    return { columns, rows: rows.getRows() };
  } finally {
    instance.closeSync();
    rmSync(directory, { recursive: true });
  }
}

describe.each(storeKinds)('asking over HTTP, %s', (kind) => {
  async function withSales() {
    const opened = await openApp(kind);
    await opened.send('POST', records, [
      sale('1', {
        at: '2026-10-05T01:00:00Z',
        customer: 'a',
        amount: '1.5',
        paid: true,
        data: { n: 1.0, s: 'x,"y' },
      }),
      sale('2', { at: '2026-10-05T23:00:00Z', customer: 'b', amount: '2', paid: false }),
      sale('3', { at: '2026-10-07T01:00:00Z', customer: 'a', amount: '0.25', data: { n: 2 } }),
      sale('4', { at: '2026-10-07T02:00:00Z', customer: '', amount: '10' }),
    ]);
    return opened;
  }

  test('the answer in JSON: dimensions, the bucket, the measures as they were asked', async () => {
    const { send } = await withSales();
    const { json, text } = await send(
      'GET',
      `${query}?measures=sum(amount),count&by=customer&every=day&where=customer=a`,
    );
    expect(json).toMatchObject({
      from: 'rollup daily',
      more: false,
      as_of: { batch: expect.any(Number), recorded_at: expect.any(String) },
    });
    expect(text).toMatch(
      /^\{"rows":\[\{"customer":"a","day":"2026-10-05","sum\(amount\)":"1.5","count":1\},\{"customer":"a","day":"2026-10-07","sum\(amount\)":"0.25","count":1\}\],"from":/,
    );
    const posted = await send('POST', query, {
      measures: ['sum(amount)', 'count'],
      by: ['customer'],
      every: 'day',
      where: { customer: 'a' },
    });
    expect(posted.json.rows).toEqual(json.rows);
  });

  test('measures of some records as parameters, and the page after a row', async () => {
    const { send } = await withSales();
    const greatest = 'greatest(sum(amount) if customer=a, sum(amount) if customer=b)';
    const parameters = new URLSearchParams([
      ['measures', `${greatest},count if paid=true`],
      ['by', 'customer'],
      ['having', `${greatest}>=1.75`],
      ['having', 'count if paid=true<2'],
      ['order', `-${greatest}`],
    ]);
    const { json } = await send('GET', `${query}?${parameters}`);
    expect(json.rows).toEqual([
      { customer: 'b', [greatest]: '2', 'count if paid=true': 0 },
      { customer: 'a', [greatest]: '1.75', 'count if paid=true': 1 },
    ]);
    const next = await send('GET', `${query}?${parameters}&after=2,b`);
    expect(next.json.rows).toEqual(json.rows.slice(1));
  });

  test('NDJSON and CSV, by accept or format', async () => {
    const { send } = await withSales();
    const asked = `${query}?measures=sum(amount),count&by=customer&order=customer`;
    const line = await send('GET', asked, undefined, { accept: 'application/x-ndjson' });
    expect(line.text).toBe(
      '{"customer":"","sum(amount)":"10","count":1}\n{"customer":"a","sum(amount)":"1.75","count":2}\n{"customer":"b","sum(amount)":"2","count":1}\n',
    );
    expect(line.headers).toMatchObject({
      'x-tallybook-from': 'rollup daily',
      'content-type': 'application/x-ndjson; charset=utf-8',
    });
    const table = await send('GET', `${asked}&format=csv`);
    expect(table.text).toBe('customer,sum(amount),count\r\n"",10,1\r\na,1.75,2\r\nb,2,1\r\n');
    expect(
      (await send('GET', asked, undefined, { accept: 'text/csv;q=0.5, application/json;q=0.4' })).headers[
        'content-type'
      ],
    ).toContain('text/csv');
    expect(
      (await send('GET', asked, undefined, { accept: 'text/html, */*;q=0.1' })).headers['content-type'],
    ).toContain('application/json');
  });

  test('as Parquet: types of the stream, every digit', async () => {
    const { app } = await withSales();
    const asked = 'measures=sum(amount),count,max(amount),avg(amount)&by=customer,paid&every=hour';
    const answer = await app.inject({
      url: `${query}?${asked}&order=customer`,
      headers: { accept: 'application/vnd.apache.parquet' },
    });
    expect(answer.headers['content-type']).toBe('application/vnd.apache.parquet');
    expect(await readParquet(answer.rawPayload)).toEqual({
      columns: {
        customer: 'VARCHAR',
        paid: 'BOOLEAN',
        hour: 'TIMESTAMP',
        'sum(amount)': 'DECIMAL(38,10)',
        count: 'BIGINT',
        'max(amount)': 'DECIMAL(38,10)',
        'avg(amount)': 'DECIMAL(38,16)',
      },
      rows: [
        ['', null, '2026-10-07 02:00:00', '10.0000000000', '1', '10.0000000000', '10.0000000000000000'],
        ['a', 'true', '2026-10-05 01:00:00', '1.5000000000', '1', '1.5000000000', '1.5000000000000000'],
        ['a', null, '2026-10-07 01:00:00', '0.2500000000', '1', '0.2500000000', '0.2500000000000000'],
        ['b', 'false', '2026-10-05 23:00:00', '2.0000000000', '1', '2.0000000000', '2.0000000000000000'],
      ],
    });
    const listed = await app.inject({ url: `${records}?format=parquet&page_size=1` });
    expect(await readParquet(listed.rawPayload)).toMatchObject({
      columns: { at: 'TIMESTAMP', amount: 'DECIMAL(38,10)', data: 'VARCHAR' },
      rows: [['1', '2026-10-05 01:00:00', 'a', '1.5000000000', 'true', '{"n":1,"s":"x,\\"y"}']],
    });
  });

  test('a large answer is the same, whatever its form', async () => {
    const { send } = await openApp(kind);
    const many = Array.from({ length: 2_500 }, (_, index) => sale(`k${index}`, { customer: `c${index}` }));
    await send('POST', records, lines(many), ndjson);
    const asked = `${query}?by=customer&measures=count`;
    const { rows } = (await send('GET', asked)).json;
    expect(rows).toHaveLength(2_500);
    expect(
      (await send('GET', `${asked}&format=ndjson`)).text
        .trim()
        .split('\n')
        .map((row) => JSON.parse(row)),
    ).toEqual(rows);
    expect((await send('GET', `${asked}&limit=10`)).json).toMatchObject({
      more: true,
      rows: rows.slice(0, 10),
    });
  });

  test('fill=zero gives every bucket', async () => {
    const { send } = await withSales();
    const { rows } = (
      await send(
        'GET',
        `${query}?every=day&from=2026-10-04&to=2026-10-09&fill=zero&measures=sum(amount),count,max(amount)&where=customer=a`,
      )
    ).json;
    expect(rows).toEqual([
      { day: '2026-10-04', 'sum(amount)': '0', count: 0, 'max(amount)': null },
      { day: '2026-10-05', 'sum(amount)': '1.5', count: 1, 'max(amount)': '1.5' },
      { day: '2026-10-06', 'sum(amount)': '0', count: 0, 'max(amount)': null },
      { day: '2026-10-07', 'sum(amount)': '0.25', count: 1, 'max(amount)': '0.25' },
      { day: '2026-10-08', 'sum(amount)': '0', count: 0, 'max(amount)': null },
    ]);
  });

  test('records: pages by cursor meet every record once, in order; the values as they can be sent again', async () => {
    const { send } = await withSales();
    const ids: string[] = [];
    let url: string | undefined = `${records}?page_size=3&where=amount<5`;
    for (let pages = 0; url && pages < 5; pages++) {
      const { json, headers } = await send('GET', url);
      ids.push(...json.records.map((record: { id: string }) => record.id));
      url = /<(.*)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
      expect(url !== undefined).toBe(json.next !== undefined);
    }
    expect(ids).toEqual(['1', '2', '3']);
    expect(
      (await send('GET', `${records}?order=newest&page_size=2`)).json.records.map(
        (r: { id: string }) => r.id,
      ),
    ).toEqual(['4', '3']);
    expect((await send('GET', `${records}?from=2026-10-06`)).json.records).toHaveLength(2);
    const again = await send('GET', `${records}?format=csv`);
    expect(again.text.split('\r\n')[1]).toBe(
      '1,2026-10-05T01:00:00.000000Z,a,1.5,true,"{""n"":1,""s"":""x,\\""y""}"',
    );
    expect((await send('POST', records, again.text, csv)).json).toMatchObject({ received: 4, duplicates: 4 });
    const plain = await send('GET', `${records}?format=ndjson`);
    expect(plain.text.split('\n')[1]).toBe(
      '{"id":"2","at":"2026-10-05T23:00:00.000000Z","customer":"b","amount":"2","paid":false,"data":null}',
    );
    expect((await send('POST', records, plain.text, ndjson)).json).toMatchObject({
      received: 4,
      duplicates: 4,
    });
  });

  test('known_at gives the old figure, explain every entry behind the new one', async () => {
    const { send } = await withSales();
    const before = (await send('GET', `${query}?measures=sum(amount)`)).json;
    await send(
      'PUT',
      `${records}/1`,
      sale('1', { at: '2026-10-09T00:00:00Z', customer: 'c', amount: '100' }),
    );
    await send('POST', records, sale('5', { amount: 'x' }));
    const then = encodeURIComponent(before.as_of.recorded_at);
    expect((await send('GET', `${query}?measures=sum(amount)&known_at=${then}`)).json).toMatchObject({
      rows: before.rows,
      from: 'ledger',
    });
    const explained = (await send('GET', '/v1/streams/sales/explain?where=customer in a,c')).json;
    expect(explained.rejects).toEqual({ open: 1 });
    expect(
      explained.entries
        .filter((e: { id: string }) => e.id === '1')
        .map((e: { sign: number; record: { amount: string } }) => [e.sign, e.record.amount]),
    ).toEqual([
      [1, '1.5'],
      [-1, '1.5'],
      [1, '100'],
    ]);
    const table = await send('GET', '/v1/streams/sales/explain?format=csv&page_size=1');
    expect(table.text.split('\r\n')[0]).toBe(
      '_seq,_batch,_recorded_at,_sign,_reverses,_source,_import,_reason,_id,id,at,customer,amount,paid,data',
    );
    expect(table.headers.link).toContain('rel="next"');
  });

  test('where a stream declares no id, the one that was made is shown', async () => {
    const { send } = await openApp(kind);
    await send(
      'POST',
      '/v1/streams/clicks/records',
      { at: '2026-10-05T00:00:00Z', page: '/' },
      { 'idempotency-key': 'k' },
    );
    const [record] = (await send('GET', '/v1/streams/clicks/records')).json.records;
    expect(record.id).toMatch(/^[0-9a-f]{32}:1$/);
    expect((await send('GET', '/v1/streams/clicks/records?format=ndjson')).text).toContain(
      `{"_id":"${record.id}","at":`,
    );
    expect((await send('GET', `/v1/streams/clicks/records/${record.id}`)).json).toMatchObject({
      id: record.id,
      standing: { record: { page: '/' } },
    });
    expect(
      (
        await send('PUT', `/v1/streams/clicks/records/${record.id}`, {
          at: '2026-10-05T00:00:00Z',
          page: '/2',
        })
      ).json,
    ).toMatchObject({ corrected: 1 });
  });

  test('a number of a question keeps its digits too', async () => {
    const { send } = await openApp(kind);
    await send(
      'POST',
      '/v1/streams/clicks/records',
      [{ at: '2026-10-05', n: 1 }].map(() => ({ at: '2026-10-05T00:00:00Z', n: '9007199254740993' })),
    );
    const asked = (n: string) =>
      send('POST', '/v1/streams/clicks/query', `{"where":{"n":${n}}}`, {
        'content-type': 'application/json',
      });
    expect((await asked('9007199254740993')).json.rows).toEqual([{ count: 1 }]);
    expect((await asked('9007199254740992')).json.rows).toEqual([{ count: 0 }]);
  });

  test('operations: verify, compact, health, metrics', async () => {
    const { send } = await withSales();
    const verified = (await send('POST', '/v1/admin/verify')).json;
    expect(verified.ok).toBe(true);
    expect(verified.checks.length).toBeGreaterThan(0);
    expect((await send('POST', '/v1/admin/compact')).json).toEqual({ dropped: 0 });
    await send('GET', `${query}?measures=count`);
    const { text } = await send('GET', '/metrics');
    expect(text).toContain('tallybook_verdicts_total{stream="sales",verdict="accepted"} 4');
    expect(text).toMatch(/tallybook_question_seconds_count\{stream="sales",from="rollup daily"\} 1/);
    expect(text).toMatch(/tallybook_waiting_records 0/);
  });
});
