/** A rollup inside of a real PostgreSQL, by the command: installed, verified, removed, compared, served. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done, failure, file, json, read, run, sales, scratch, serve } from './harness.ts';
import { type PostgresServer, postgresBinaries, startPostgres } from './postgres.ts';

const tables = [
  `create table usage_data (id serial primary key, subscription_id integer not null, price numeric(10, 2) not null,
     usage_date timestamptz, kilobytes_used integer)`,
  `create table usage_voice (id serial primary key, subscription_id integer not null, price numeric(10, 2) not null,
     usage_date timestamptz, seconds_used integer)`,
  `insert into usage_data (subscription_id, price, usage_date, kilobytes_used) values
     (8047, 4.20, '2026-10-05 06:43Z', 51200), (8047, 5.80, '2026-10-21 12:00Z', 70650),
     (8048, 0.50, '2026-10-06 08:00Z', 1024), (8049, 12.00, '2026-10-06 09:00Z', 4096)`,
  `insert into usage_voice (subscription_id, price, usage_date, seconds_used) values
     (8047, 0.30, '2026-10-05 07:00Z', 185), (8048, 10.01, '2026-10-31 23:59Z', 3600)`,
];

describe.skipIf(postgresBinaries === undefined)('tallybook postgres', () => {
  let postgres: PostgresServer;
  let databases = 0;
  const database = (...statements: string[]) => postgres.database(`rollup_${++databases}`, ...statements);
  const nameOf = (url: string): string => url.split('/').at(-1)!;
  const install = (url: string, ...args: string[]): string[] => [
    ...['postgres', 'install', 'usage', '--rollup', 'daily', '--postgres', url, ...args],
  ];

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  /** Everything that is in a database, as a backup writes it; without the random word that newer ones have. */
  function dump(url: string): string {
    const text = execFileSync(join(postgresBinaries!, 'pg_dump'), ['--dbname', url], { encoding: 'utf8' });
    return text.replace(/^\\(un)?restrict .*$/gm, '');
  }

  test('install shows the SQL and changes nothing; what it shows can be run as it is, and reversed', async () => {
    const url = await database(...tables);
    const before = dump(url);
    const sql = await done(install(url));
    expect(sql).toContain('create table "public"."usage_daily"');
    expect(sql).not.toContain(postgres.password);
    expect(dump(url)).toBe(before);

    const directory = scratch();
    await done(install(url, '--out', directory));
    expect(readdirSync(directory).sort()).toEqual(['usage_daily.down.sql', 'usage_daily.up.sql']);
    expect(`${read(join(directory, 'usage_daily.up.sql'))}\n`).toBe(sql);
    await postgres.run(nameOf(url), sql);
    expect(await json(['postgres', 'verify', '--postgres', url])).toMatchObject({ ok: true });
    await postgres.run(nameOf(url), read(join(directory, 'usage_daily.down.sql')));
    expect(dump(url)).toBe(before);
  });

  test.each(['triggers', 'view', 'materialized'])(
    'remove leaves the database as it was: %s',
    async (strategy) => {
      const url = await database(...tables);
      const before = dump(url);
      await done(install(url, '--strategy', strategy, '--apply'));
      expect(dump(url)).not.toBe(before);
      await json(['postgres', 'remove', 'usage_daily', '--postgres', url]);
      expect(dump(url)).not.toBe(before);
      await done(['postgres', 'remove', 'public.usage_daily', '--postgres', url, '--apply']);
      expect(dump(url)).toBe(before);
    },
  );

  test('what is applied was shown first; installing again counts anew what was written past the triggers', async () => {
    const url = await database(...tables);
    expect(await done(install(url, '--apply'))).toContain('create table "public"."usage_daily"');
    const past = [`set session_replication_role = 'replica'`, 'update usage_data set price = 5 where id = 1'];
    await postgres.run(nameOf(url), ...past, 'delete from usage_voice where id = 2');
    const { code, stdout } = await run(['postgres', 'verify', '--postgres', url]);
    expect(code).toBe(4);
    expect(stdout).toMatch(/2 keys differ/);
    expect(stdout).toMatch(/kept +8047 +data +2026-10-05 +1 +4\.20? +51200/);
    expect(stdout).toMatch(
      /counted +8047 +data +2026-10-05 +1 +5 +51200|counted +8047 +data +2026-10-05 +1 +5\.00 +51200/,
    );
    await done(install(url, '--apply'));
    await done(['postgres', 'verify', 'usage_daily', '--postgres', url]);
  });

  test('a disabled trigger is told', async () => {
    const url = await database(...tables);
    await done(install(url, '--apply'));
    await postgres.run(nameOf(url), 'alter table usage_voice disable trigger usage_daily_voice_delete');
    const { code, stdout } = await run(['postgres', 'verify', '--postgres', url, '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      rollups: [{ differences: 0, missing_triggers: ['usage_daily_voice_delete on public.usage_voice'] }],
    });
  });

  test('a failure leaves nothing behind', async () => {
    const url = await database(...tables, 'create view usage_daily as select 1');
    const before = dump(url);
    const { exit, code, detail } = await failure(install(url, '--apply')).catch(() => ({
      exit: 0,
      code: '',
      detail: '',
    }));
    expect([exit, code]).toEqual([2, 'bad_settings']);
    expect(detail).toContain('already exists');
    expect(dump(url)).toBe(before);
  });

  test("a user's own stream, with columns of other names, into a schema of its own", async () => {
    const url = await database(
      'create schema reports',
      `create table orders (at timestamptz, who text, "Total" numeric)`,
      `insert into orders values ('2026-10-05 06:43Z', 'ann', 1.5), ('2026-10-05 07:43Z', 'ann', 2.25), ('2026-10-06Z', null, 1)`,
    );
    const declared = file(scratch(), 'sales.json', sales);
    const args = [
      '--streams',
      declared,
      '--table',
      'orders',
      '--column',
      'customer=who',
      '--column',
      'amount=Total',
    ];
    await done([
      'postgres',
      'install',
      'sales',
      ...args,
      '--into',
      'reports.daily',
      '--postgres',
      url,
      '--apply',
    ]);
    await postgres.run(
      nameOf(url),
      `do $$ begin
      assert (select array_agg(d::text order by day, customer) from reports.daily d) =
        '{"(ann,2026-10-05,2,3.75)","(,2026-10-06,1,1)"}'; end $$`,
    );
    expect(await json(['postgres', 'verify', 'reports.daily', '--postgres', url])).toMatchObject({
      ok: true,
    });
  });

  test.each([
    ['no database', ['verify'], 'usage', /--postgres/],
    ['no such stream', ['install', 'nothing'], 'usage', /no stream nothing.*usage, plans/],
    [
      'no such rollup',
      ['install', 'usage', '--rollup', 'hourly'],
      'bad_settings',
      /no rollup hourly; it has daily, monthly, total/,
    ],
    ['several rollups', ['install', 'usage'], 'bad_settings', /name one with --rollup/],
    [
      'no such table',
      ['install', 'usage', '--rollup', 'daily', '--table', 'data=nowhere'],
      'bad_settings',
      /no table nowhere; there are usage_data, usage_voice/,
    ],
    [
      'a table twice',
      [
        'install',
        'usage',
        '--rollup',
        'daily',
        '--table',
        'data=usage_data',
        '--table',
        'data=public.usage_data',
      ],
      'bad_settings',
      /twice/,
    ],
    ['nothing to remove', ['remove', 'usage_data'], 'bad_settings', /no rollup usage_data/],
    [
      'a name that would be cut',
      ['install', 'usage', '--rollup', 'daily', '--into', 'x'.repeat(60)],
      'bad_settings',
      /63 bytes/,
    ],
  ])('%s is told', async (what, args, code, detail) => {
    const url = await database(...tables);
    const found = await failure([
      'postgres',
      ...args,
      ...(what === 'no database' ? [] : ['--postgres', url]),
    ]);
    expect(found).toMatchObject({ exit: 2, code });
    expect(found.detail).toMatch(detail);
  });

  test('compare measures every way, and leaves nothing behind', async () => {
    const url = await database(...tables);
    const before = dump(url);
    const { cells } = await json<{ cells: Record<string, unknown>[] }>([
      ...['postgres', 'compare', '--postgres', url, '--records', '20,50', '--subscriptions', '3', '--quiet'],
    ]);
    expect(cells).toHaveLength(24);
    expect(new Set(cells.map(({ way }) => way)).size).toBe(6);
    for (const cell of cells) expect(cell.microseconds_per_record).toBeGreaterThan(0);
    expect(await done(['postgres', 'compare', '--postgres', url, '--records', '10', '--quiet'])).toMatch(
      /statement-level/,
    );
    expect(dump(url)).toBe(before);
  });

  describe('serve --usage', () => {
    const get = async (url: string): Promise<{ status: number; body: unknown; from: string | null }> => {
      const response = await fetch(url);
      return {
        status: response.status,
        body: await response.json(),
        from: response.headers.get('x-tallybook-from'),
      };
    };

    test.each(['triggers', 'view'])('answers from the rollup in PostgreSQL, kept by %s', async (strategy) => {
      const url = await database(...tables);
      await done(install(url, '--strategy', strategy, '--apply'));
      const server = await serve(join(scratch(), 'data'), '--no-auth', '--usage', url);
      const exceeding = await get(
        `${server.url}/v1/usage/exceeding?limit=10.00&from=2026-10-01&to=2026-10-31`,
      );
      expect(exceeding).toEqual({
        status: 200,
        from: 'postgres public.usage_daily',
        body: [
          {
            subscription_id: '8049',
            exceeded: [{ type: 'data', total_price: '12.00', exceeded_by: '2.00' }],
          },
          {
            subscription_id: '8048',
            exceeded: [{ type: 'voice', total_price: '10.01', exceeded_by: '0.01' }],
          },
          {
            subscription_id: '8047',
            exceeded: [{ type: 'data', total_price: '10.00', exceeded_by: '0.00' }],
          },
        ],
      });
      await postgres.run(
        nameOf(url),
        `update usage_data set price = 4.19, usage_date = '2026-11-01' where id = 1`,
      );
      const metrics = await get(`${server.url}/v1/usage/metrics?subscription_id=8047&to=2026-10-31`);
      expect(metrics.body).toEqual([
        {
          subscription_id: '8047',
          usage: [
            { type: 'data', total_price: '5.80', total_used: '70650', records: 1 },
            { type: 'voice', total_price: '0.30', total_used: '185', records: 1 },
          ],
        },
      ]);
      // Page by page the same.
      const first = await fetch(`${server.url}/v1/usage/exceeding?limit=0.01&page_size=2`);
      const link = /<([^>]*)>; rel="next"/.exec(first.headers.get('link')!)![1]!;
      const pages = [
        ...((await first.json()) as object[]),
        ...((await get(new URL(link, server.url).href)).body as object[]),
      ];
      expect(pages).toEqual((await get(`${server.url}/v1/usage/exceeding?limit=0.01`)).body);
      expect((await get(`${server.url}/api/usage/price_limit/?price_limit=10`)).body).toEqual([
        { subscription_id: 8048, price_exceeded: '0.01', type_of_usage: 'voice' },
        { subscription_id: 8049, price_exceeded: '2.00', type_of_usage: 'data' },
      ]);
      expect((await get(`${server.url}/api/usage/usage_metrics/8047/`)).body).toEqual([
        { subscription_id: 8047, total_price: '10.29', total_used: 122035 },
      ]);
      // Raw records are in PostgreSQL, and have no address here.
      expect((await get(`${server.url}/v1/usage/data`)).status).toBe(404);
      expect((await get(`${server.url}/v1/streams/usage`)).status).toBe(404);
      server.kill('SIGTERM');
      expect((await server.ended).code).toBe(0);
    });

    test('a database without such a rollup is told at the start; one that goes is told with each answer', async () => {
      const url = await database(...tables);
      const data = join(scratch(), 'data');
      const args = ['serve', '--data', data, '--port', '0', '--no-auth', '--usage', url];
      expect(await failure(args)).toMatchObject({
        exit: 2,
        code: 'bad_settings',
        detail: expect.stringContaining('install usage'),
      });
      await done(install(url, '--strategy', 'materialized', '--apply'));
      expect((await failure(args)).detail).toContain('last refresh');
      await done(['postgres', 'remove', 'usage_daily', '--postgres', url, '--apply']);
      await done(install(url, '--apply'));
      const server = await serve(data, '--no-auth', '--usage', url);
      await postgres.run(nameOf(url), 'drop table usage_daily_pending cascade', 'drop table usage_daily');
      const { status, body } = await get(`${server.url}/v1/usage/metrics`);
      expect([status, (body as { code: string }).code]).toEqual([503, 'database_unavailable']);
    });
  });
});
