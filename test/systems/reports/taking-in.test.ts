/** Taking in reports: the same figures by every door, what is refused and leaves nothing, and what goes again. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { reportsSystem } from '../../../src/systems/reports/index.ts';
import { storeKinds } from '../../http/open-app.ts';
import {
  gzipNamed,
  header,
  type Line,
  line,
  multipart,
  openHeld,
  openReports,
  spain,
  tsv,
  zstdStored,
} from './sent.ts';

const lines: Line[] = [
  line('a', '0.00000000000000000001'),
  line('b', '99999999999999999.9'),
  line('c', '1.5e-3', '7'),
  ['d', '', '', '', '', ''],
  ['e', 'a "quoted" title', "l'artiste", 'se-abc-12-34567', '2', '1'],
  ['f', 't', 'a', 'wrong', '2', '1'],
];
const text = tsv(lines);
const revenue = '100000000000000001.90150000000000000001';
const figures = { status: 'ingested', rows: 6, rejected: 0, usages: '13' };
const warnings = [
  '1 line without title',
  '1 line without artists',
  '1 line without isrc',
  '1 line with a malformed isrc',
  '1 line without usages, counted as 0',
  '1 line without revenue, counted as 0',
];

describe.each(storeKinds)('taking in reports, %s', (kind) => {
  const sent = multipart(spain, text);
  const named = { 'content-disposition': `attachment; filename="${spain}"` };
  const reversed = tsv(
    lines.map((cells) => [...cells].reverse()),
    [...header].reverse(),
  );
  const twoMembers = Buffer.concat([gzipSync(text.slice(0, 99)), gzipSync(text.slice(99))]);
  // biome-ignore format: one line a case
  const doors: [title: string, content: Buffer | string, query: string, headers: Record<string, string>][] = [
    ['the name as a parameter', text, `?name=${spain}`, { 'content-type': 'text/tab-separated-values' }],
    ['the name in the header', text, '', { ...named, 'content-type': 'text/tab-separated-values' }],
    ['a gzip', gzipSync(text), '', { ...named, 'content-type': 'application/gzip' }],
    ['the name inside of the gzip', gzipNamed(spain, text), '', {}],
    ['a gzip of several members', twoMembers, `?name=${spain}.gz`, {}],
    ['a byte-order mark and CRLF', `\ufeff${text.replaceAll('\n', '\r\n')}`, `?name=${spain}`, {}],
    ['columns in another order', reversed, `?name=${spain}`, {}],
    ['multipart', sent.body, '', sent.headers],
  ];
  test.each(doors)('gives the same figures: %s', async (_, content, query, headers) => {
    const { send } = await openReports(kind);
    const all = { 'content-type': 'application/octet-stream', ...headers };
    const { status, json } = await send('POST', `/dsrs/import/${query}`, content, all);
    expect([status, json]).toMatchObject([
      200,
      {
        ...figures,
        revenue,
        warnings,
        path: expect.stringContaining(spain),
        territory: { name: 'Spain', code_2: 'ES' },
        currency: { name: 'Euro', code: 'EUR' },
        period_start: '2020-01-01',
        period_end: '2020-01-31',
      },
    ]);
  });

  test('a quote is a character like others, also at the beginning of a cell', async () => {
    const { take, get } = await openReports(kind);
    const titles = ['"Heroes', '"Heroes"', '""', '"a" song', 'it\'s 7" long', '"'];
    const { rows, rejected } = await take(
      spain,
      tsv(titles.map((title, i) => line(`r${i}`, '1', '1', title))),
    );
    expect([rows, rejected]).toEqual([titles.length, 0]);
    const found: { title: string }[] = await get('/resources/percentile/100');
    expect(found.map(({ title }) => title)).toEqual(titles);
  });

  test('the name inside of a gzip is taken, and a disagreement told', async () => {
    const { take } = await openReports(kind);
    const inside = 'Service_Product_NO_NOK_20200201-20200229.tsv';
    const report = await take(`${spain}.gz`, gzipNamed(inside, text));
    expect(report).toMatchObject({ path: inside, territory: { code_2: 'NO' }, period_end: '2020-02-29' });
    expect(report.warnings[0]).toBe(
      `the name inside of the gzip, ${inside}, was taken; the file was sent as ${spain}.gz`,
    );
    const { take: again } = await openReports(kind);
    const unreadable = await again(`${spain}.gz`, gzipNamed('dump.tsv', text));
    expect(unreadable).toMatchObject({ path: `${spain}.gz`, warnings });
  });

  test('the same content again is the same report, also packed, and when both come at once', async () => {
    const { post, get, lines: held } = await openReports(kind);
    const answers = await Promise.all([
      post(spain, text),
      post(spain, text),
      post(`${spain}.gz`, gzipSync(text)),
    ]);
    const other = await post('Service_Product_ES_EUR_20200201-20200229.tsv', tsv([line('z', '1')]));
    expect(answers.map(({ status, json }) => [status, json.id])).toEqual([
      [200, answers[0]!.json.id],
      [200, answers[0]!.json.id],
      [200, answers[0]!.json.id],
    ]);
    expect(other.json.id).not.toBe(answers[0]!.json.id);
    expect((await get('/dsrs/')).map(({ id }: { id: number }) => id)).toHaveLength(2);
    expect(await held()).toEqual([7, '100000000000000002.90150000000000000001']);
  });

  test('lines that are none are rejected, and can be downloaded with the reason', async () => {
    const { take, send } = await openReports(kind);
    const bad = [
      line('a', '1'),
      line('', '1'),
      line('b', '12,5'),
      line('c', '1', '1.5'),
      ['too', 'few'],
      line('d', '1234567890123456789'),
      line('e', '0.000000000000000000001'),
      line('f', '2'),
    ];
    const { id, rows, rejected, revenue } = await take(spain, tsv(bad));
    expect([rows, rejected, revenue]).toEqual([2, 6, '3']);
    const download = await send('GET', `/dsrs/${id}/rejected`);
    expect(download.headers['content-disposition']).toBe(`attachment; filename="rejected-${id}.tsv"`);
    const table = download.text
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t'));
    expect(table[0]).toEqual(['line', 'column', 'value', 'reason']);
    expect(table.slice(1).map(([number, column, value]) => [number, column, value])).toEqual([
      ['3', 'dsp_id', ''],
      ['4', 'revenue', '12,5'],
      ['5', 'usages', '1.5'],
      ['6', '', expect.any(String)],
      ['7', 'revenue', '1234567890123456789'],
      ['8', 'revenue', '0.000000000000000000001'],
    ]);
    expect((await send('GET', '/dsrs/99/rejected')).status).toBe(404);
  });

  const [head = '', accepted, bad, few] = [header, line('a', '1'), line('b', '12,5'), ['too', 'few']].map(
    (cells) => cells.join('\t'),
  );
  // biome-ignore format: one line a case
  const blank: [title: string, content: Buffer | string, rejected: string[]][] = [
    ['in the middle', [head, accepted, '', '', bad, bad, '', bad, ''].join('\n'), ['5', '6', '8']],
    ['behind the header', [head, '', '', bad, accepted, bad].join('\n'), ['4', '6']],
    ['with CRLF', [head, accepted, '', bad, ''].join('\r\n'), ['4']],
    ['before rows that cannot be read', [head, '', few, accepted, '', '', few, bad, ''].join('\n'), ['3', '7', '8']],
    ['in a gzip', gzipSync([head, accepted, '', bad, ''].join('\n')), ['4']],
  ];
  // The memory store unpacks no zstd. DuckDB's looks for the header in the first line, and refuses such a file.
  if (kind === 'memory')
    blank.push(['before the header', ['', '', head, accepted, bad, ''].join('\n'), ['5']]);
  else blank.push(['in a zstd', zstdStored([head, accepted, '', bad, ''].join('\n')), ['4']]);
  test.each(blank)(
    'a rejected line has the number that it has in the file: blank lines %s',
    async (_, content, rejected) => {
      const { take, send } = await openReports(kind);
      const { id } = await take(spain, content);
      const [, ...rows] = (await send('GET', `/dsrs/${id}/rejected`)).text.trimEnd().split('\n');
      expect(rows.map((row) => row.split('\t')[0])).toEqual(rejected);
      // The reader says the same of rows that cannot be read.
      for (const row of rows.filter((told) => told.includes('cannot be read')))
        expect(row).toMatch(/^(\d+)\t.*: line \1:/);
    },
  );

  const good = gzipSync(text);
  // biome-ignore format: one line a case
  const refused: [title: string, name: string, content: Buffer | string, status: number, why: RegExp][] = [
    ['a name that says nothing', 'report.tsv', text, 400, /says nothing of a report/],
    ['a period that ends before it starts', 'A_B_ES_EUR_20200131-20200101.tsv', text, 400, /before its start/],
    ['a territory that is none', 'A_B_XX_EUR_20200101-20200131.tsv', text, 400, /no territory XX/],
    ['a currency that is none', 'A_B_ES_ABC_20200101-20200131.tsv', text, 400, /no currency ABC/],
    ['an empty file', spain, '', 400, /empty|no body/],
    ['a header alone', spain, `${header.join('\t')}\n`, 400, /no lines/],
    ['other columns', spain, 'a\tb\n1\t2\n', 400, /column/],
    ['UTF-16', spain, Buffer.from(`\ufeff${text}`, 'utf16le'), 400, /UTF-8/],
    ['a gzip that is cut off', `${spain}.gz`, good.subarray(0, good.length - 20), 400, /unpacked/],
    ['a gzip with garbage behind it', `${spain}.gz`, Buffer.concat([good, Buffer.from('garbage')]), 400, /unpacked/],
    ['a gzip of which bits have changed', `${spain}.gz`, Buffer.concat([good.subarray(0, -8), Buffer.alloc(8)]), 400, /unpacked/],
    ['a bomb', `${spain}.gz`, gzipSync(Buffer.alloc(200_000_000)), 413, /unpack/],
  ];
  test.each(refused)('%s is refused and leaves nothing', async (_, name, content, status, why) => {
    const { post, get, lines: held, send } = await openReports(kind);
    const answer = await post(name, content);
    expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(why)]);
    expect(await held()).toEqual([0, '0']);
    const reports = await get('/dsrs/');
    expect(reports.filter((report: { status: string }) => report.status !== 'failed')).toEqual([]);
    expect((await send('GET', '/resources/percentile/50')).json).toEqual([]);
  });

  test('one that takes longer than the wait says where its progress is told', async () => {
    const { post, get, tallybook, hold, release } = await openHeld(kind);
    hold();
    for (const wait of ['0', '1']) {
      const started = performance.now();
      const { status, json, headers } = await post(spain, text, { wait });
      expect(performance.now() - started).toBeGreaterThan(Number(wait) * 1_000 - 10);
      expect([status, json.status, json.rows]).toEqual([202, 'in_progress', null]);
      expect(headers.location).toBe(`/dsrs/${json.id}`);
      expect(json.progress).toBe(`/v1/imports/${json.id}`);
      expect(await get(json.progress)).toMatchObject({ id: json.id, status: 'in_progress' });
      expect(await get(`/dsrs/${json.id}`)).toMatchObject({ status: 'in_progress' });
    }
    const [json] = await get('/dsrs/');
    release();
    await tallybook.imports.wait(json.id);
    expect(await get(`/dsrs/${json.id}`)).toMatchObject({ ...figures, log: expect.any(Array) });
    expect(await get(`/dsrs/${json.id}/`)).toMatchObject(figures);
    expect((await post(spain, text, { wait: 'x' })).status).toBe(400);
  });

  test('a report whose import was cut off has failed, and can be sent again', async () => {
    const { tallybook, get, take } = await openReports(kind);
    const report = await take(spain, text);
    const { log: _, ...record } = await get(`/dsrs/${report.id}`);
    const cut = {
      id: 77,
      path: spain,
      service: 'P',
      territory: 'ES',
      currency: 'EUR',
      status: 'in_progress',
    };
    const times = { period_start: '2020-01-01', period_end: '2020-01-31', created_at: record.created_at };
    await tallybook.write({
      stream: tallybook.streams.get('reports'),
      mode: 'upsert',
      source: 'test',
      reason: undefined,
      content: {
        kind: 'texts',
        texts: [JSON.stringify({ ...cut, ...times, checksum: 'x' })],
        fallbackIds: [''],
      },
      allVerdicts: false,
    });
    expect(await get('/dsrs/77')).toMatchObject({ status: 'failed', error: 'it was never started' });
    await reportsSystem.open!(tallybook);
    const { records } = await tallybook.records('reports', { where: { status: 'failed' } }, {});
    expect(records.map(({ id }) => id)).toEqual(['77']);
    expect((await get('/dsrs/77')).log).toMatchObject([{ message: 'failed: it was never started' }]);
  });

  test('what is not there', async () => {
    const { send, post } = await openReports(kind);
    for (const url of ['/dsrs/1', '/dsrs/1/', '/dsrs/x', '/dsrs/99999999999999999999'])
      expect(await send('GET', url)).toMatchObject({ status: 404, json: { detail: 'Not found.' } });
    expect(await send('DELETE', '/dsrs/1')).toMatchObject({ status: 404, json: { detail: 'Not found.' } });
    expect((await post(spain, text, { supersede: '5' })).status).toBe(400);
  });
});
