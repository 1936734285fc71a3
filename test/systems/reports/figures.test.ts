/** What reports add up to: in euro by every policy, the percentile to the last digit, deleted and superseded. */
import { describe, expect, test } from 'vitest';
import { fromScaled, toScaled } from '../../../src/engine/decimal.ts';
import type { Entry } from '../../../src/engine/store.ts';
import type { Tallybook } from '../../../src/engine/tallybook.ts';
import { Random } from '../../contract/random-work.ts';
import { storeKinds } from '../../http/open-app.ts';
import { type Line, line, openReports, spain, tsv } from './sent.ts';

const norway = 'Service_Product_NO_NOK_20200101-20200131.tsv';
const britain = 'Service_Other_GB_GBP_20200201-20200229.tsv';
/** The layout of the central bank: newest first, no week-ends. */
const bank = `Date,USD,NOK,EEK,GBP,
2020-02-28,1.0977,10.3888,N/A,0.85315,
2020-01-31,1.1052,10.1893,N/A,0.84175,
2020-01-30,1.1021,10.1613,N/A,N/A,
2019-12-31,1.1234,9.8638,N/A,0.85080,
`;

interface Resource {
  dsp_id: string;
  revenue_exact: string;
  usages: number;
  dsrs: number[];
}
const short = (resources: Resource[]) =>
  resources.map(({ dsp_id, revenue_exact, usages, dsrs }) => `${dsp_id} ${revenue_exact} ${usages} ${dsrs}`);

/** The number of the last commit. */
const lastBatch = async (tallybook: Tallybook): Promise<number> =>
  (await tallybook.ask('report_lines', {})).as_of.batch;

const entriesOf = async (tallybook: Tallybook, stream: string, imported?: number): Promise<Entry[]> => {
  const { entries } = await tallybook.explain(stream, {}, { size: 1_000 });
  return entries.filter((entry) => imported === undefined || entry.import === imported);
};

const valueIn = (tallybook: Tallybook, { values }: Entry, field: string) =>
  values[tallybook.streams.get('reports').fields.findIndex(({ name }) => name === field)];

/** What was taken back for good since a commit, and in which one. */
async function takenBack(tallybook: Tallybook, since = 0): Promise<string[]> {
  const told = async (stream: string) => {
    const entries = await entriesOf(tallybook, stream);
    const last = new Map(entries.map((entry) => [entry.id, entry]));
    const gone = [...last.values()].filter(({ sign, batch }) => sign === -1 && batch > since);
    return gone.map(({ batch }) => `${stream} in ${batch}`);
  };
  return [...(await told('report_lines')), ...(await told('reports'))];
}

describe.each(storeKinds)('figures of reports, %s', (kind) => {
  test('a rate by every policy is kept with the report', async () => {
    const { take, putRates, get, send } = await openReports(kind);
    const report = await take(norway, tsv([line('a', '100')]));
    expect(report.euro).toBeNull();
    const missing = await send('GET', '/resources/percentile/50');
    expect(missing).toMatchObject({ status: 409, json: { code: 'missing_rates' } });
    expect(missing.json.detail).toContain(`report ${report.id} (NOK, 2020-01-01 to 2020-01-31)`);
    expect(short(await get('/resources/percentile/50?currency=native'))).toEqual([`a 100 1 ${report.id}`]);

    const put = await putRates(bank);
    expect(put.json).toMatchObject({ rates: 11, new: 11, changed: 0, reports: 1, policy: 'period_average' });
    const euro = async () => (await get(`/dsrs/${report.id}`)).euro;
    expect(await euro()).toEqual({
      rate: '10.1753',
      euro_rate: '0.0982772006722161',
      policy: 'period_average',
      source: 'European Central Bank',
      date: '2020-01-30/2020-01-31',
    });
    expect(short(await get('/resources/percentile/50'))).toEqual([`a 9.82772006722161 1 ${report.id}`]);
    expect((await putRates(bank)).json).toMatchObject({ new: 0, changed: 0, reports: 0 });

    await putRates('{"policy":"period_end"}');
    expect(await euro()).toMatchObject({ rate: '10.1893', policy: 'period_end', date: '2020-01-31' });
    await putRates('{"policy":"fixed","fixed":{"NOK":"12.5"}}');
    expect(await euro()).toMatchObject({ rate: '12.5', euro_rate: '0.08', policy: 'fixed' });
    const own = await send('PUT', `/dsrs/${report.id}/rate`, { policy: 'fixed', rate: '10' });
    expect(own.json.euro).toMatchObject({ rate: '10', euro_rate: '0.1' });
    await putRates('{"policy":"period_average"}');
    expect(await euro()).toMatchObject({ rate: '10' });
    await send('PUT', `/dsrs/${report.id}/rate`, { policy: null });
    expect(await euro()).toMatchObject({ rate: '10.1753' });
    const settings = await get('/v1/rates');
    expect(settings).toMatchObject({ policy: 'period_average', fixed: { NOK: '12.5' } });
    expect(settings.currencies).toContainEqual({
      currency: 'NOK',
      first: '2019-12-31',
      last: '2020-02-28',
      days: 4,
    });
  });

  test('the end of a period has the rate of a few days before, not of weeks', async () => {
    const { take, putRates } = await openReports(kind);
    await putRates(bank);
    const end = async (name: string) =>
      (await take(name, tsv([line(name, '1')]), { policy: 'period_end' })).euro?.date;
    expect(await end(britain)).toBe('2020-02-28');
    expect(await end('S_P_GB_GBP_20200101-20200107.tsv')).toBe('2019-12-31');
    expect(await end('S_P_GB_GBP_20200101-20200120.tsv')).toBeUndefined();
    const fixed = await take(norway, tsv([line('n', '1')]), { policy: 'fixed', rate: '8' });
    expect(fixed.euro).toMatchObject({ rate: '8', euro_rate: '0.125', policy: 'fixed' });
  });

  // biome-ignore format: one line a case
  test.each([
    ['Day,NOK\n2020-01-01,1\n', /Date/],
    ['Date,nok\n2020-01-01,1\n', /no currency/],
    ['Date,NOK\n2020-02-30,1\n', /no date/],
    ['Date,NOK\n2020-01-01,x\n', /line 2, NOK/],
    ['Date,NOK\n2020-01-01,0\n', /above 0/],
    ['Date,NOK\n2020-01-01,0.001\n', /more than 90 euro/],
    ['Date,NOK,SEK\n2020-01-01,1\n', /expected 2/],
    ['{"rates":[{"date":"2020-01-01"}]}', /body/],
    ['{"policy":"guess"}', /policy/],
    ['{', /no JSON/],
  ])('rates that are none are refused: %s', async (content, why) => {
    const { putRates, get } = await openReports(kind);
    const { status, text } = await putRates(content);
    expect([status, text]).toEqual([400, expect.stringMatching(why)]);
    expect((await get('/v1/rates')).currencies).toEqual([]);
  });

  test('figures of before are there after rates, reports and lines have changed', async () => {
    const { take, putRates, get, send, tallybook } = await openReports(kind);
    await putRates(bank);
    const { id } = await take(norway, tsv([line('a', '100'), line('b', '1')]));
    const { as_of } = await tallybook.ask('reports', {});
    const then = `/resources/percentile/100?known_at=${as_of.recorded_at}`;
    const before = await get(then);
    expect(short(before)).toEqual([`a 9.82772006722161 1 ${id}`, `b 0.0982772006722161 1 ${id}`]);
    await putRates(
      '{"rates":[{"date":"2020-01-30","currency":"NOK","rate":20},{"date":"2020-01-31","currency":"NOK","rate":"20"}]}',
    );
    expect(short(await get('/resources/percentile/50'))).toEqual([`a 5 1 ${id}`]);
    await take(spain, tsv([line('a', '1')]));
    await send('DELETE', `/dsrs/${id}`);
    expect(await get(then)).toEqual(before);
    expect((await get('/resources/percentile/100')).map(({ dsp_id }: Resource) => dsp_id)).toEqual(['a']);
  });

  test('a resource on several reports is there once, with the texts of the newest', async () => {
    const { take, putRates, get } = await openReports(kind);
    await putRates('{"policy":"fixed","fixed":{"NOK":"10","GBP":"0.8"}}');
    const first = await take(
      britain,
      tsv([line('a', '8', '5', 'new'), line('c', '0.8', '1', 'c'), line('a', '0.8', '1', 'new')]),
    );
    const second = await take(
      norway,
      tsv([line('a', '10', '3', 'old'), line('b', '20', '2', 'b'), line('z', '0')]),
    );
    const all = await get('/resources/percentile/100');
    expect(short(all)).toEqual([
      `a 12 9 ${first.id},${second.id}`,
      `b 2 2 ${second.id}`,
      `c 1 1 ${first.id}`,
    ]);
    expect(all[0]).toMatchObject({ title: 'new', artists: 'An Artist|Another', revenue: 12, usages: 9 });
    const only = async (query: string) => short(await get(`/resources/percentile/100?${query}`));
    expect(await only('territory=no')).toEqual([`b 2 2 ${second.id}`, `a 1 3 ${second.id}`]);
    expect(await only('period_start=2020-02-01')).toEqual([`a 11 6 ${first.id}`, `c 1 1 ${first.id}`]);
    expect(await only('period_end=2020-01-31')).toEqual([`b 2 2 ${second.id}`, `a 1 3 ${second.id}`]);
    expect(await only('period_start=2020-01-02&period_end=2020-01-31')).toEqual([]);
    const statistics = async (by: string) => {
      const { rows } = await get(`/v1/reports/statistics?by=${by}`);
      return rows.map(
        ({ key, lines, usages, revenue }: Record<string, unknown>) => `${key} ${lines} ${usages} ${revenue}`,
      );
    };
    expect(await statistics('territory')).toEqual(['GB 3 7 12', 'NO 3 6 3']);
    expect(await statistics('service')).toEqual(['Other 3 7 12', 'Product 3 6 3']);
    expect(await statistics('period')).toEqual([
      '2020-02-01/2020-02-29 3 7 12',
      '2020-01-01/2020-01-31 3 6 3',
    ]);
    expect(await statistics('artist')).toEqual(['An Artist 6 13 15', 'Another 6 13 15']);
    expect(await statistics('isrc')).toEqual(['SEABC1234567 6 13 15']);
  });

  test('revenue whose sum has more than 38 digits', async () => {
    const { take, putRates, send, get, lines } = await openReports(kind);
    await putRates('{"policy":"fixed","fixed":{"NOK":"8"}}');
    const six = `6${'0'.repeat(17)}`;
    const twelve = `12${'0'.repeat(17)}`;
    const first = await take(spain, tsv([line('a', six), line('a', six), line('b', '1')]));
    const second = await take(norway, tsv([line('b', six)]));
    expect(await lines()).toEqual([4, `18${'0'.repeat(16)}1`]);
    expect(short(await get('/resources/percentile/100'))).toEqual([
      `a ${twelve} 2 ${first.id}`,
      `b 75${'0'.repeat(14)}1 2 ${first.id},${second.id}`,
    ]);
    const { rows } = await get('/v1/reports/statistics?by=territory');
    expect(rows.map(({ revenue }: Record<string, unknown>) => revenue)).toEqual([
      `12${'0'.repeat(16)}1`,
      `75${'0'.repeat(15)}`,
    ]);
    expect((await get('/dsrs')).length).toBe(2);
    expect((await send('DELETE', `/dsrs/${first.id}`)).status).toBe(200);
    expect(await lines()).toEqual([1, six]);
  });

  test('what cannot be asked', async () => {
    const { send, take } = await openReports(kind);
    await take(norway, tsv([line('a', '1')]));
    await take(britain, tsv([line('b', '1')]));
    const statuses: [url: string, status: number][] = [
      ['0', 404],
      ['101', 404],
      ['1.5', 404],
      ['x', 404],
      ['50?territory=XX', 400],
      ['50?period_start=2020-02-30', 400],
      ['50?currency=USD', 400],
      ['50?currency=native', 400],
      ['50?currency=native&territory=GB', 200],
      ['50', 409],
    ];
    for (const [url, status] of statuses)
      expect([url, (await send('GET', `/resources/percentile/${url}`)).status]).toEqual([url, status]);
  });

  test('a report and its lines are deleted in one commit', async () => {
    const { take, send, tallybook } = await openReports(kind);
    const first = await take(spain, tsv([line('a', '1'), line('c', '2')]));
    await take('S_P_ES_EUR_20200201-20200229.tsv', tsv([line('a', '5')]));
    const before = await lastBatch(tallybook);
    await send('DELETE', `/dsrs/${first.id}`);
    expect(await lastBatch(tallybook)).toBe(before + 1);
    const gone = await takenBack(tallybook);
    expect(gone).toEqual([
      `report_lines in ${before + 1}`,
      `report_lines in ${before + 1}`,
      `reports in ${before + 1}`,
    ]);
  });

  test('a report is deleted from every figure, and its content can come again', async () => {
    const { take, send, get, lines } = await openReports(kind);
    const first = await take(spain, tsv([line('a', '1'), line('b', 'x'), line('c', '2')]));
    const second = await take('S_P_ES_EUR_20200201-20200229.tsv', tsv([line('a', '5')]));
    expect((await send('DELETE', `/dsrs/${first.id}`)).json).toMatchObject({ id: first.id, rows: 2 });
    expect(short(await get('/resources/percentile/100'))).toEqual([`a 5 1 ${second.id}`]);
    expect(await lines()).toEqual([1, '5']);
    expect((await send('GET', `/dsrs/${first.id}`)).status).toBe(404);
    expect((await get('/v1/rejects')).rejects).toEqual([]);
    const again = await take(spain, tsv([line('a', '1'), line('b', 'x'), line('c', '2')]));
    expect(again.id).toBeGreaterThan(second.id);
    expect(await lines()).toEqual([3, '8']);
    expect(await (await get('/dsrs')).length).toBe(2);
  });

  test('the import of a report is not undone alone; one of lines that belong to no report is', async () => {
    const { take, send, get, lines } = await openReports(kind);
    const { id } = await take(spain, tsv([line('a', '1')]));
    const refused = await send('DELETE', `/v1/imports/${id}`);
    expect([refused.status, refused.json.code]).toEqual([409, 'import_not_undoable']);
    expect(refused.json.detail).toContain(`DELETE /dsrs/${id}`);
    expect([await lines(), (await get(`/dsrs/${id}`)).status]).toEqual([[1, '1'], 'ingested']);
    const other = 'report\tdsp_id\trevenue\n0\tx\t2\n';
    const loose = await send('POST', '/v1/imports?stream=report_lines&name=x.tsv', other, {
      'content-type': 'text/tab-separated-values',
    });
    expect(await lines()).toEqual([2, '3']);
    expect((await send('DELETE', `/v1/imports/${loose.json.id}`)).json.status).toBe('undone');
    expect((await send('DELETE', `/dsrs/${id}`)).status).toBe(200);
    expect(await lines()).toEqual([0, '0']);
    expect((await send('DELETE', `/v1/imports/${id}`)).json.code).toBe('import_not_undoable');
  });

  test('a report takes the place of another in one commit, or leaves it as it was', async () => {
    const { take, post, send, get, lines, tallybook } = await openReports(kind);
    const first = await take(spain, tsv([line('a', '1'), line('c', '2'), line('d', 'x')]));
    const broken = await post(spain, 'dsp_id\n', { supersede: String(first.id) });
    expect(broken.status).toBe(400);
    expect(await lines()).toEqual([2, '3']);
    const before = await lastBatch(tallybook);
    const second = await take(spain, tsv([line('a', '10')]), { supersede: String(first.id) });
    expect(second.supersedes).toBe(first.id);
    const [came] = await entriesOf(tallybook, 'report_lines', second.id);
    const commit = came!.batch;
    const reports = await entriesOf(tallybook, 'reports');
    const ingested = reports.findLast(({ id, sign }) => id === String(second.id) && sign === 1);
    expect([ingested!.batch, valueIn(tallybook, ingested!, 'status')]).toEqual([commit, 'ingested']);
    expect(await takenBack(tallybook, before)).toEqual([
      `report_lines in ${commit}`,
      `report_lines in ${commit}`,
      `reports in ${commit}`,
    ]);
    expect(await lines()).toEqual([1, '10']);
    expect((await send('GET', `/dsrs/${first.id}`)).status).toBe(404);
    expect(short(await get('/resources/percentile/100'))).toEqual([`a 10 1 ${second.id}`]);
    const { lines: fate } = await tallybook.record('reports', String(first.id));
    expect(fate.at(-1)).toMatchObject({ verdict: 'retracted', reason: `superseded by report ${second.id}` });
    expect((await tallybook.imports.get(first.id)).status).toBe('undone');
    expect(
      (await get('/v1/rejects')).rejects.filter((reject: { import: number }) => reject.import === first.id),
    ).toEqual([]);
    const checks = await tallybook.verify();
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('random reports: every percentile is that of a recount', async () => {
    const { take, putRates, get } = await openReports(kind);
    const random = new Random(20_200_131);
    await putRates('{"policy":"fixed","fixed":{"NOK":"10.1893","GBP":"0.84175","SEK":"10.6768"}}');
    const worth: Record<string, string> = {};
    const sums = new Map<string, bigint>();
    for (const [month, currency] of ['NOK', 'GBP', 'EUR', 'SEK'].entries()) {
      const content: Line[] = Array.from({ length: 150 }, () => {
        const digits = (count: number) => Array.from({ length: count }, () => random.below(10)).join('');
        const revenue = `${digits(1 + random.below(random.chance(0.1) ? 15 : 3))}.${digits(1 + random.below(20))}`;
        return line(`r${random.below(120)}`, revenue);
      });
      const period = `20200${month + 1}01-20200${month + 1}28`;
      const { euro } = await take(`S_P_NO_${currency}_${period}.tsv`, tsv(content));
      worth[currency] = euro.euro_rate;
      for (const [dspId, , , , , revenue] of content) {
        const product = toScaled(revenue, 20) * toScaled(euro.euro_rate, 16);
        sums.set(dspId, (sums.get(dspId) ?? 0n) + product);
      }
    }
    expect(worth.EUR).toBe('1');
    const ranked = [...sums].sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x < y ? 1 : -1));
    const total = ranked.reduce((sum, [, one]) => sum + one, 0n);
    for (const percent of [1, 10, 50, 90, 99, 100]) {
      let before = 0n;
      const expected = ranked.filter(([, one]) => {
        const kept = before * 100n < total * BigInt(percent);
        before += one;
        return kept;
      });
      const found: Resource[] = await get(`/resources/percentile/${percent}`);
      expect(found.map(({ dsp_id, revenue_exact }) => [dsp_id, revenue_exact])).toEqual(
        expected.map(([dspId, one]) => [dspId, fromScaled(one, 36)]),
      );
    }
  });
});
