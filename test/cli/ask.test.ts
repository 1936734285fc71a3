import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systems } from '../../src/systems/systems.ts';
import { done, failure, file, json, ledger, read, rows, run, sales, scratch } from './harness.ts';

async function filled(count = 14): Promise<{ directory: string; data: string }> {
  const directory = scratch();
  return { directory, data: await ledger(directory, count) };
}

describe('query', () => {
  test('answers as a table with numbers to the right, and says from where', async () => {
    const { data } = await filled();
    const said = await done([
      'query',
      'sales',
      '--measures',
      'sum(amount),count',
      '--by',
      'customer',
      '--having',
      'count>1',
      '--order',
      '-customer',
      '--limit',
      '2',
      '--data',
      data,
    ]);
    expect(said).toMatch(
      /^customer {2}sum\(amount\) {2}count\nc6 +3 +2\nc5 +3 +2\n\n2 rows in [\d.]+ m?s, from rollup daily, as of batch \d+ \(20.*Z\)\n$/,
    );
  });

  test('answers as JSON and CSV, exactly as the API does', async () => {
    const { data } = await filled();
    const question = [
      'query',
      'sales',
      '--measures',
      'sum(amount)',
      '--every',
      'day',
      '--from',
      '2026-10-01',
      '--to',
      '2026-10-03',
      '--data',
      data,
    ];
    const answer = await json<{ rows: unknown[] }>(question);
    expect(answer).toMatchObject({
      rows: [
        { day: '2026-10-01', 'sum(amount)': '1.5' },
        { day: '2026-10-02', 'sum(amount)': '1.5' },
      ],
      from: 'rollup daily',
      as_of: { batch: expect.any(Number) },
      more: false,
    });
    expect(await done([...question, '--csv'])).toBe(
      'day,sum(amount)\r\n2026-10-01,1.5\r\n2026-10-02,1.5\r\n',
    );
    const withZeros = await json<{ rows: unknown[] }>([
      ...question.map((word) => (word === '2026-10-01' ? '2026-09-30' : word)),
      '--fill',
      'zero',
      '--tz',
      'Europe/Madrid',
    ]);
    expect(withZeros.rows).toHaveLength(3);
  });

  test('asks as of an earlier time', async () => {
    const { data, directory } = await filled(3);
    const { as_of } = await json<{ as_of: { recorded_at: string } }>(['query', 'sales', '--data', data]);
    await done(['import', 'sales', file(directory, 'b.csv', rows(3, 10)), '--data', data]);
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 6 }] });
    expect(await json(['query', 'sales', '--known-at', as_of.recorded_at, '--data', data])).toMatchObject({
      rows: [{ count: 3 }],
    });
  });
});

describe('records', () => {
  test('a record is corrected, taken back, and its history can be read', async () => {
    const { data } = await filled(3);
    const record = JSON.stringify({
      at: '2026-10-02T00:00:00Z',
      customer: 'c9',
      amount: '12345678901234.56',
    });
    expect(
      await done(['records', 'put', 'sales', 'r1', record, '--reason', 'wrong customer', '--data', data]),
    ).toMatch(/^r1: corrected in batch \d+/);
    const history = await done(['records', 'get', 'sales', 'r1', '--data', data]);
    expect(history).toMatch(/^amount +12345678901234\.56$/m);
    expect(history).toMatch(/^accepted .* 1 +-/m);
    expect(history).toMatch(/^corrected .* wrong customer .*amount "1\.5" -> "12345678901234\.56"/m);
    expect(await done(['explain', 'sales', '--where', 'id=r1', '--data', data])).toMatch(/ {2}-1 {2}/);
    expect(await done(['records', 'retract', 'sales', 'r1', '--data', data])).toMatch(/^r1: retracted/);
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 2 }] });
    expect(await failure(['records', 'get', 'sales', 'nobody', '--data', data])).toMatchObject({
      exit: 1,
      code: 'unknown_record',
    });
  });

  test('one that is refused ends with 3 and the reason', async () => {
    const { data } = await filled(1);
    const { code, stdout, stderr } = await run([
      'records',
      'put',
      'sales',
      'r9',
      '{"at":"2026-02-30T00:00:00Z","amount":"1"}',
      '--data',
      data,
    ]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^r9: rejected/);
    expect(stderr).toContain('2026-02-30T00:00:00Z');
  });
});

describe('rejects', () => {
  test('are listed, grouped, shown, fixed and sent again, discarded', async () => {
    const { data, directory } = await filled(1);
    const bad = file(
      directory,
      'bad.csv',
      'id,at,customer,amount\nx1,2026-10-05T00:00:00Z,c1,1.005\nx2,2026-13-05T00:00:00Z,c1,1.00\n',
    );
    expect((await run(['import', 'sales', bad, '--data', data])).code).toBe(3);
    const { rejects } = await json<{ rejects: { id: string; field: string }[] }>([
      'rejects',
      'list',
      '--stream',
      'sales',
      '--field',
      'amount',
      '--data',
      data,
    ]);
    expect(rejects).toHaveLength(1);
    const { id } = rejects[0]!;
    expect(await done(['rejects', 'list', '--group-by', 'code,field', '--data', data])).toMatch(
      /^invalid_value +amount +1 /m,
    );
    expect(await done(['rejects', 'show', id, '--data', data])).toContain('"amount":"1.005"');
    expect(await done(['rejects', 'replay', id, '--patch', '{"amount": 1.01}', '--data', data])).toMatch(
      / 1 +1 +0 /,
    );
    expect(await json(['records', 'get', 'sales', 'x1', '--data', data])).toMatchObject({
      standing: { record: { amount: '1.01' } },
    });
    expect((await run(['rejects', 'replay', '--all', '--data', data])).code).toBe(3);
    expect((await run(['rejects', 'discard', '--all', '--data', data])).code).toBe(2);
    expect(await done(['rejects', 'discard', '--all', '--reason', 'a test', '--data', data])).toBe(
      '1 rejects were discarded.\n',
    );
    expect((await run(['rejects', 'list', '--data', data])).stderr).toBe('There are none.\n');
  });
});

describe('streams', () => {
  test('are declared from a file with one, under its name, and from a file with several', async () => {
    const directory = scratch();
    const data = join(directory, 'data');
    expect(await done(['streams', 'put', file(directory, 'web-shop.json', sales), '--data', data])).toBe(
      'web_shop: declared\n',
    );
    expect(await done(['streams', 'put', file(directory, 'x.json', sales), 'named', '--data', data])).toBe(
      'named: declared\n',
    );
    const several = file(directory, 'several.json', { first: sales, fields: sales });
    expect(await done(['streams', 'put', several, '--data', data])).toBe(
      'first: declared\nfields: declared\n',
    );
    expect(await done(['streams', 'put', several, '--data', data])).toContain(
      'first: declared as it is in the file',
    );
    const { streams } = await json<{ streams: { name: string }[] }>(['streams', 'list', '--data', data]);
    const declared = ['fields', 'first', 'named', 'web_shop'];
    const shipped = systems.flatMap((system) => system.streams.map(({ name }) => name));
    expect(streams.map(({ name }) => name)).toEqual([...declared, ...shipped].sort());
    expect(await json(['streams', 'show', 'first', '--data', data])).toEqual(sales);
    expect(await done(['streams', 'show', 'first', '--data', data])).toMatch(
      /^amount +decimal +precision 18, scale 2, required$/m,
    );
  });

  test('are refused with every fault', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const faulty = file(directory, 'faulty.json', { ...sales, id: 'nothing' });
    expect(await failure(['streams', 'put', faulty, 'other', '--data', data])).toMatchObject({
      exit: 1,
      code: 'bad_declaration',
      detail: expect.stringContaining('"id" names nothing'),
    });
    const changed = file(directory, 'changed.json', {
      ...sales,
      fields: { ...sales.fields, amount: { type: 'integer' } },
    });
    expect(await failure(['streams', 'put', changed, 'sales', '--data', data])).toMatchObject({
      exit: 1,
      code: 'incompatible_declaration',
    });
    const broken = file(directory, 'broken.json', '{"fields": ');
    expect(await failure(['streams', 'put', broken, '--data', data])).toMatchObject({
      exit: 1,
      code: 'bad_declaration',
      detail: expect.stringContaining('no valid JSON'),
    });
  });
});

describe('keys', () => {
  test('are made, listed, added, revoked and removed', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const made = await run([
      'keys',
      'create',
      'shop',
      '--scope',
      'ingest,read',
      '--stream',
      'sales',
      '--rate-limit',
      '600',
      '--data',
      data,
    ]);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^tb_[\w-]{43}\n$/) });
    expect(made.stderr).toContain(`A key that may do everything was written to ${join(data, 'admin.key')}`);
    expect(statSync(join(data, 'admin.key')).mode & 0o777).toBe(0o600);
    const saved = join(directory, 'shop.key');
    const { id } = await json<{ id: string }>(['keys', 'add', 'shop', '--save', saved, '--data', data]);
    expect(read(saved)).toMatch(/^tb_/);
    expect(statSync(saved).mode & 0o777).toBe(0o600);
    expect(await done(['keys', 'list', '--data', data])).toMatch(
      /^shop +ingest, read +sales +- +600 +\w{8} \(20.*\), \w{8}/m,
    );
    expect(await done(['keys', 'revoke', 'shop', id, '--data', data])).toContain('1 of its keys are left');
    expect(await done(['keys', 'remove', 'shop', '--data', data])).toContain('shop and its keys are removed');
    expect(await failure(['keys', 'add', 'shop', '--data', data])).toMatchObject({
      exit: 1,
      code: 'unknown_source',
    });
    expect(await failure(['keys', 'remove', 'admin', '--data', data])).toMatchObject({
      exit: 1,
      code: 'last_admin',
    });
    expect((await run(['keys', 'create', 'other', '--data', data])).code).toBe(2);
    expect((await run(['keys', 'create', 'other', '--scope', 'write', '--data', data])).code).toBe(2);
  });
});
