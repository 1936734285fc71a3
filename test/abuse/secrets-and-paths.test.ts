/** What must not come out (keys, secrets, paths of the server), and what must not be reached by a name. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { systems } from '../../src/systems/systems.ts';
import { csv, makeDirectory, openApp, sale } from '../http/open-app.ts';

const records = '/v1/streams/sales/records';
const octets = { 'content-type': 'application/octet-stream' };
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

test('no key and no secret is logged, told again, or kept as it is', async () => {
  const { send, tallybook, directory, logged } = await openApp('duckdb', { auth: true, systems });
  await tallybook.sources.ensureAdminKey(join(directory, 'admin.key'));
  const admin = readFileSync(join(directory, 'admin.key'), 'utf8').trim();
  const { json } = await send(
    'POST',
    '/v1/sources',
    { name: 'shop', scopes: ['ingest'], streams: ['clicks'] },
    bearer(admin),
  );
  const shop: string = json.key;
  const hook = await send('PUT', '/v1/webhooks/hook', { url: 'https://example.com/' }, bearer(admin));
  const secret: string = hook.json.secret;
  expect(secret).toMatch(/^whsec_/);
  const wrong = 'tb_a-key-that-was-mistyped';
  const answers = [
    await send('GET', '/v1/sources', undefined, bearer(admin)),
    await send('GET', '/v1/sources/shop', undefined, bearer(admin)),
    await send('GET', '/v1/webhooks', undefined, bearer(admin)),
    await send('GET', '/v1/webhooks/hook/deliveries', undefined, bearer(admin)),
    await send('GET', '/openapi.json', undefined, bearer(admin)),
    await send('GET', '/metrics', undefined, bearer(admin)),
    await send('POST', records, sale('a'), bearer(shop)),
    await send('POST', records, sale('a'), bearer(wrong)),
    await send('GET', '/v1/nothing', undefined, bearer(wrong)),
    await send('POST', '/v1/track', { writeKey: wrong, event: 'e' }),
    await send('POST', '/v1/imports?stream=sales', 'PAR1 and no more', {
      ...bearer(admin),
      'content-type': 'application/vnd.apache.parquet',
    }),
    await send('POST', '/v1/admin/backup', { directory: join(directory, 'backup') }, bearer(admin)),
    // What fails inside is logged.
    await send('POST', '/v1/admin/backup', { directory: join(directory, 'data') }, bearer(admin)),
    ...(await Promise.all(
      ['_sources', '_webhooks', '_streams'].flatMap((stream) =>
        ['records', 'query', 'explain'].map((what) =>
          send('GET', `/v1/streams/${stream}/${what}`, undefined, bearer(admin)),
        ),
      ),
    )),
  ];
  expect(answers.slice(-9).map(({ status }) => status)).toEqual(Array(9).fill(404));
  const told = answers.map(({ text }) => text).join('\n') + logged.join('\n');
  for (const hidden of [admin, shop, secret, wrong]) expect.soft(told).not.toContain(hidden);
  // Of keys only hashes are kept.
  for (const name of readdirSync(join(directory, 'data'), { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, 'data', name);
    if (!statSync(path).isFile()) continue;
    const kept = readFileSync(path, 'latin1');
    for (const key of [admin, shop]) expect.soft(kept.includes(key), name).toBe(false);
  }
});

test('names reach SQL only as names: declared, asked for, or called so by a file', async () => {
  const { send } = await openApp('duckdb');
  const nasty = `x"; drop table book; --'`;
  for (const declaration of [
    { fields: { [nasty]: { type: 'text' } } },
    { fields: { a: { type: 'text' } }, rollups: { [nasty]: { every: 'all', by: ['a'] } } },
    { fields: { a: { type: 'text' } }, forms: { [nasty]: { names: { a: 'b' } } } },
    { fields: { a: { type: 'text' } }, forms: { f: { names: { a: nasty } } } },
    { fields: { a: { type: 'text' } }, lookups: [nasty] },
  ])
    expect
      .soft(await send('PUT', '/v1/streams/odd', declaration))
      .toMatchObject({ status: 400, json: { code: 'bad_declaration' } });
  expect(
    await send('PUT', `/v1/streams/${encodeURIComponent(nasty)}`, { fields: { a: { type: 'text' } } }),
  ).toMatchObject({ status: 400 });
  const quoted = { type: 'text', pattern: `[^"';]*|.*drop.*`, default: nasty, one_of: [nasty, 'a'] };
  expect(
    (await send('PUT', '/v1/streams/odd', { fields: { a: quoted, select: { type: 'json' } } })).status,
  ).toBe(201);
  expect(
    (await send('POST', '/v1/streams/odd/records', [{ select: { [nasty]: 1 } }, { a: 'a' }])).json.accepted,
  ).toBe(2);
  const ask = async (asked: object) => (await send('POST', '/v1/streams/odd/query', asked)).json;
  expect((await ask({ by: ['a'], where: { a: nasty } })).rows).toEqual([{ a: nasty, count: 1 }]);
  expect((await ask({ by: [`select.${nasty}`] })).rows).toContainEqual({
    [`select.${nasty}`]: '1',
    count: 1,
  });
  expect((await ask({ where: { [`select.${nasty}`]: nasty } })).rows).toEqual([{ count: 0 }]);
  for (const asked of [
    { measures: [`sum(${nasty})`] },
    { by: [nasty] },
    { order: [nasty] },
    { tz: nasty },
    { having: { [nasty]: 1 } },
  ])
    expect.soft(await ask(asked), JSON.stringify(asked)).toMatchObject({ code: 'bad_question' });
  const named = `/v1/imports?stream=odd&format=csv&name=${encodeURIComponent(`../../${nasty}`)}`;
  expect((await send('POST', named, `a\n"${nasty.replace('"', '""')}"\n`, csv)).json).toMatchObject({
    counts: { accepted: 1 },
  });
  expect(
    (await send('POST', '/v1/imports?stream=odd', `"${nasty.replace('"', '""')}"\n1\n`, csv)).status,
  ).toBe(400);
  expect((await send('POST', '/v1/admin/verify')).json.ok).toBe(true);
});

test('no file is reached or written by a name that was sent', async () => {
  const { app, send, directory } = await openApp('duckdb', { systems, console: true });
  writeFileSync(join(directory, 'console', 'secret.txt'), 'secret');
  for (const path of [
    '/assets/../secret.txt',
    '/assets/..%2fsecret.txt',
    '/assets/%2e%2e%2fsecret.txt',
    '/assets/..%5csecret.txt',
    '/assets/%00',
    '/assets//etc/passwd',
    '/assets/%2fetc%2fpasswd',
    '/../secret.txt',
    '/explore/..%2f..%2fsecret.txt',
    '/docs/..%2f..%2fpackage.json',
  ]) {
    const { statusCode, body } = await app.inject({ url: path });
    expect
      .soft([path, statusCode < 500, body.includes('secret') && statusCode === 200])
      .toEqual([path, true, false]);
    expect.soft(body, path).not.toMatch(/root:|"dependencies"/);
  }
  const before = readdirSync(directory).sort();
  for (const name of [
    '../../escaped.csv',
    '/tmp/tallybook-escaped.csv',
    'a/../../escaped.csv',
    '..\\escaped.csv',
  ])
    await send(
      'POST',
      `/v1/imports?stream=sales&name=${encodeURIComponent(name)}`,
      'id,at,amount\nq,2026-10-05,1\n',
      octets,
    );
  const named = gzipSync('id,at,amount\nr,2026-10-05,1\n');
  await send('POST', '/v1/imports?stream=sales&format=csv', named, {
    ...octets,
    'content-disposition': 'attachment; filename="../../escaped.csv"',
  });
  expect(readdirSync(directory).sort()).toEqual(before);
  expect(readdirSync(join(directory, 'spool'))).toEqual([]);
  expect(existsSync('/tmp/tallybook-escaped.csv')).toBe(false);
  // A backup makes a directory that is not there yet, and touches none that is.
  expect((await send('POST', '/v1/admin/backup', { directory: join(directory, 'console') })).status).toBe(
    400,
  );
  expect(readFileSync(join(directory, 'console', 'secret.txt'), 'utf8')).toBe('secret');
  for (const unusable of ['a\0b', join(directory, 'console', 'secret.txt'), join(directory, 'n'.repeat(300))])
    expect
      .soft(await send('POST', '/v1/admin/backup', { directory: unusable }))
      .toMatchObject({ status: 400, json: { code: 'directory_unusable' } });
});

test('in CSV a value stays in its cell, and stays what it is', async () => {
  const { send } = await openApp('duckdb');
  const values = ['=1+1', '@SUM(A1)', 'a,b', 'a"b', 'a\r\nb,c', '"', '\t', ' '];
  await send(
    'POST',
    records,
    values.map((customer, i) => sale(`${i}`, { customer })),
  );
  const { text } = await send('GET', '/v1/streams/sales/query?by=customer&format=csv');
  const path = join(makeDirectory(), 'answer.csv');
  writeFileSync(path, text);
  const database = await (await DuckDBInstance.create()).connect();
  const read = await database.runAndReadAll(
    `select customer, count from read_csv('${path}', header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', auto_detect = false, columns = {'customer': 'varchar', 'count': 'varchar'})`,
  );
  expect(read.getRows().sort()).toEqual(values.map((value) => [value, '1']).sort());
  database.closeSync();
  expect((await send('GET', '/v1/streams/sales/query?by=customer&format=csv')).headers).toMatchObject({
    'x-content-type-options': 'nosniff',
  });
});

test('a Parquet file that is damaged, or holds far more than it weighs, is refused without our paths', async () => {
  const { send, errors, directory } = await openApp('duckdb');
  const path = join(makeDirectory(), 'made.parquet');
  const database = await (await DuckDBInstance.create()).connect();
  const parquet = async (rows: number, page = 'p') => {
    await database.run(
      `copy (select timestamp '2026-10-05' as at, '${page}' as page, 1 as n from range(${rows})) to '${path}' (format parquet, row_group_size 5000000)`,
    );
    return readFileSync(path);
  };
  const few = await parquet(10);
  const post = (body: Buffer) =>
    send('POST', '/v1/imports?stream=clicks&format=parquet&wait=100', body, octets);
  const broken = Buffer.from(few);
  broken.fill(0xff, 10, 40);
  for (const [what, body] of [
    ['cut off', few.subarray(0, -20)],
    ['no Parquet', Buffer.from('a,b\n1,2\n')],
    ['damaged', broken],
  ] as const) {
    const answer = await post(body);
    expect.soft(answer, what).toMatchObject({
      status: 400,
      json: { code: 'import_failed', detail: expect.stringContaining('truncated or damaged') },
    });
    expect.soft(answer.text, what).not.toContain(directory);
  }
  const manyRows = await parquet(25_000_000);
  // Its dictionary holds the one text, which stands in every row.
  const longTexts = await parquet(2_000, 'p'.repeat(100_000));
  database.closeSync();
  for (const [what, bomb] of Object.entries({ manyRows, longTexts })) {
    expect(await post(bomb), what).toMatchObject({
      status: 400,
      json: { code: 'import_failed', detail: expect.stringContaining('unpack to more than') },
    });
  }
  expect((await post(few)).json).toMatchObject({ counts: { received: 10 } });
  expect(errors).toEqual([]);
});
