/** `tallybook reports import` and `tallybook rates import`, as a user runs them. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { failure, file, json, run, scratch, serve } from './harness.ts';

const name = 'Service_Product_NO_NOK_20200101-20200131.tsv';
const lines =
  'dsp_id\ttitle\tartists\tisrc\tusages\trevenue\na\tt\tx\tSEABC1234567\t2\t10.5\nb\tt\tx\t\t1\t0.5\n';

test('reports and rates are taken in, with a server and without', async () => {
  const directory = scratch();
  const data = join(directory, 'data');
  const report = file(directory, name, lines);
  const rates = file(directory, 'rates.csv', 'Date,USD,NOK,\n2020-01-31,1.1,10,\n2020-01-30,N/A,12.5,\n');
  const first = await json(['reports', 'import', report, '--data', data]);
  expect(first).toMatchObject({ status: 'ingested', rows: 2, revenue: '11', euro: null });
  expect(await json(['rates', 'import', rates, '--data', data])).toMatchObject({
    rates: 3,
    new: 3,
    reports: 1,
  });
  const server = await serve(data);
  try {
    const again = await json(['reports', 'import', report, '--data', data]);
    expect(again).toMatchObject({ id: first.id, euro: { rate: '11.25', policy: 'period_average' } });
    const refused = await failure(['imports', 'undo', String(first.id), '--data', data]);
    expect(refused).toMatchObject({ code: 'import_not_undoable' });
    expect(await json(['reports', 'delete', String(first.id), '--data', data])).toMatchObject({ rows: 2 });
    const gone = await failure(['reports', 'delete', String(first.id), '--data', data]);
    expect(JSON.stringify(gone)).toContain('Not found.');
  } finally {
    server.kill('SIGTERM');
    await server.ended;
  }
});

test('a file whose name says nothing is refused', async () => {
  const directory = scratch();
  const report = file(directory, 'report.tsv', lines);
  const failed = await failure(['reports', 'import', report, '--data', join(directory, 'data')]);
  expect(JSON.stringify(failed)).toContain('says nothing of a report');
});

test('of many files, those after one that fails are not begun, and those before it are done', async () => {
  const directory = scratch();
  const data = join(directory, 'data');
  const named = (month: string) => `Service_Product_NO_NOK_2020${month}01-2020${month}28.tsv`;
  const reports = [
    file(directory, named('01'), lines),
    file(directory, named('02'), lines.replace('10.5', '1')),
    file(directory, 'report.tsv', lines),
    file(directory, named('03'), lines.replace('10.5', '2')),
  ];
  const { code, stdout } = await run(['reports', 'import', ...reports, '--data', data, '--json']);
  expect(code).not.toBe(0);
  expect(
    stdout
      .trim()
      .split('\n')
      .map((report) => JSON.parse(report).path),
  ).toEqual([named('01'), named('02')]);
  const { rows } = await json(['query', 'report_lines', '--measures', 'count', '--data', data]);
  expect(rows).toEqual([{ count: 4 }]);
});
