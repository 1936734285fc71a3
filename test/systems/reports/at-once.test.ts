/** Reports while others are under way: rates that change meanwhile, replaced and deleted at the same time. */
import { describe, expect, test } from 'vitest';
import { storeKinds } from '../../http/open-app.ts';
import { line, openHeld, tsv } from './sent.ts';

const norway = 'Service_Product_NO_NOK_20200101-20200131.tsv';

describe.each(storeKinds)('reports at once, %s', (kind) => {
  test('rates that change while a report is taken in count for it', async () => {
    const { post, send, get, putRates, tallybook, hold, release } = await openHeld(kind);
    await putRates('{"policy":"fixed","fixed":{"NOK":8}}');
    hold();
    const { json: report } = await post(norway, tsv([line('a', '100')]), { wait: '0' });
    expect(report).toMatchObject({ status: 'in_progress', euro: { rate: '8' } });
    expect((await putRates('{"fixed":{"NOK":12345.0000000001}}')).json.reports).toBe(0);
    const own = await send('PUT', `/dsrs/${report.id}/rate`, { policy: 'fixed', rate: '5' });
    expect(own).toMatchObject({ status: 409, json: { code: 'report_busy' } });
    release();
    await tallybook.imports.wait(report.id);
    expect(await get(`/dsrs/${report.id}`)).toMatchObject({
      status: 'ingested',
      euro: { rate: '12345.0000000001' },
    });
  });

  test('rates that change while a report is replaced do not bring it back, and count if it stays', async () => {
    const { take, post, send, get, putRates, lines, tallybook, hold, release } = await openHeld(kind);
    await putRates('{"policy":"fixed","fixed":{"NOK":"8"}}');
    const first = await take(norway, tsv([line('a', '100')]));
    const supersede = { supersede: String(first.id), wait: '0' };
    hold();
    const { json: broken } = await post(norway, 'dsp_id\n', supersede);
    expect((await putRates('{"fixed":{"NOK":"5"}}')).json.reports).toBe(0);
    expect((await post(norway, tsv([line('b', '1')]), supersede)).json.code).toBe('report_busy');
    expect((await send('DELETE', `/dsrs/${first.id}`)).json.code).toBe('report_busy');
    release();
    await tallybook.imports.wait(broken.id);
    await expect.poll(async () => (await get(`/dsrs/${first.id}`)).euro.rate).toBe('5');
    hold();
    const { json: second } = await post(norway, tsv([line('a', '1')]), supersede);
    expect((await putRates('{"fixed":{"NOK":"4"}}')).json.reports).toBe(0);
    release();
    await tallybook.imports.wait(second.id);
    expect(await get(`/dsrs/${second.id}`)).toMatchObject({ euro: { rate: '4' }, supersedes: first.id });
    expect((await send('GET', `/dsrs/${first.id}`)).status).toBe(404);
    expect(await lines()).toEqual([1, '1']);
  });

  test('a report that is deleted twice at once is deleted once, and one that is taken in is stopped', async () => {
    const { take, post, send, get, lines, hold, release } = await openHeld(kind);
    const { id } = await take(norway, tsv([line('a', '100')]));
    const answers = await Promise.all([send('DELETE', `/dsrs/${id}`), send('DELETE', `/dsrs/${id}`)]);
    const statuses = answers.map(({ status }) => status).sort();
    expect([
      [200, 404],
      [200, 409],
    ]).toContainEqual(statuses);
    hold();
    const { json: other } = await post(norway, tsv([line('b', '1')]), { wait: '0' });
    const stopped = send('DELETE', `/dsrs/${other.id}`);
    release();
    expect((await stopped).status).toBe(200);
    expect(await get('/dsrs/')).toEqual([]);
    expect(await lines()).toEqual([0, '0']);
    expect((await get('/v1/rejects')).rejects).toEqual([]);
  });
});
