import { describe, expect, test } from 'vitest';
import { lines, ndjson, openApp, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';
const bad = [
  sale('n1', { amount: 'x' }),
  sale('n2', { amount: 'y' }),
  sale('n3', { at: 'soon' }),
  sale('n4', { color: 'red' }),
];

describe.each(storeKinds)('rejects over HTTP, %s', (kind) => {
  test('listed newest first, filtered, paged', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, bad);
    const { json } = await send('GET', '/v1/rejects');
    expect(json.rejects.map((r: { record_id: string }) => r.record_id).sort()).toEqual([
      'n1',
      'n2',
      'n3',
      'n4',
    ]);
    expect(json.next).toBeUndefined();
    expect((await send('GET', '/v1/rejects?field=amount')).json.rejects).toHaveLength(2);
    expect(
      (await send('GET', '/v1/rejects?code=unknown_field&stream=sales&source=local')).json.rejects,
    ).toMatchObject([{ record_id: 'n4' }]);
    expect((await send('GET', '/v1/rejects?stream=clicks')).json.rejects).toEqual([]);
    expect((await send('GET', '/v1/rejects?to=2020-01-01')).json.rejects).toEqual([]);
    expect((await send('GET', '/v1/rejects?from=2020-01-01')).json.rejects).toHaveLength(4);
    const seen: string[] = [];
    for (let url: string | undefined = '/v1/rejects?page_size=3'; url; ) {
      const page = await send('GET', url);
      seen.push(...page.json.rejects.map((r: { id: string }) => r.id));
      url = /<(.*)>; rel="next"/.exec(String(page.headers.link ?? ''))?.[1];
    }
    expect(seen).toEqual(json.rejects.map((r: { id: string }) => r.id));
  });

  test('grouped, with counts, times and a sample', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, bad);
    const { groups } = (await send('GET', '/v1/rejects?group_by=code,field')).json;
    expect(groups[0]).toMatchObject({
      key: { code: 'invalid_value', field: 'amount' },
      count: 2,
      sample: { code: 'invalid_value', field: 'amount' },
    });
    expect(groups[0].first_seen <= groups[0].last_seen).toBe(true);
    expect(groups.map((g: { count: number }) => g.count)).toEqual([2, 1, 1]);
    expect(groups).toContainEqual(
      expect.objectContaining({ key: { code: 'unknown_field', field: 'color' } }),
    );
  });

  test('replayed with a patch: what passes counts once and leaves the list, every digit kept', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, bad);
    const body =
      '{"filter":{"field":"amount"},"patch":{"amount":1234567890123456789012345678.0123456789,"customer":null}}';
    const { json } = await send('POST', '/v1/rejects/replay', body, { 'content-type': 'application/json' });
    expect(json).toMatchObject({ received: 2, accepted: 2, more: false, not_open: [] });
    expect(json.verdicts).toContainEqual(
      expect.objectContaining({ stream: 'sales', id: 'n1', verdict: 'accepted', reject: expect.any(String) }),
    );
    const { text, json: kept } = await send('GET', `${records}/n1`);
    expect(text).toContain('"amount":"1234567890123456789012345678.0123456789"');
    expect(kept.standing).toMatchObject({ source: 'local', record: { customer: null } });
    expect((await send('GET', '/v1/rejects')).json.rejects).toHaveLength(2);
    expect(
      (await send('POST', '/v1/rejects/replay', body, { 'content-type': 'application/json' })).json,
    ).toMatchObject({ received: 0 });
    const left = await send('GET', `/v1/rejects/${json.verdicts[0].reject}`);
    expect(left.json).toMatchObject({
      left: { reason: 'replayed', at: expect.any(String) },
      original: expect.stringContaining('"amount":"'),
    });
  });

  test('what still fails stays, with its verdict; ids that are not there are named', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, bad);
    const ids = (await send('GET', '/v1/rejects')).json.rejects.map((r: { id: string }) => r.id);
    const { json } = await send('POST', '/v1/rejects/replay', {
      ids: [...ids, 'r999'],
      patch: { amount: '2' },
    });
    expect(json).toMatchObject({ received: 4, accepted: 2, rejected: 2, not_open: ['r999'] });
    expect((await send('GET', '/v1/rejects')).json.rejects).toHaveLength(2);
  });

  test('a conflict becomes a correction when it is replayed as an upsert', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, [sale('c'), sale('c', { amount: 9 })]);
    expect((await send('POST', '/v1/rejects/replay', { filter: { code: 'conflict' } })).json).toMatchObject({
      conflicts: 1,
    });
    expect(
      (await send('POST', '/v1/rejects/replay', { filter: { code: 'conflict' }, mode: 'upsert' })).json,
    ).toMatchObject({ corrected: 1 });
    expect((await send('GET', '/v1/rejects')).json.rejects).toEqual([]);
    expect((await send('GET', '/v1/streams/sales/query?measures=sum(amount)')).json.rows).toEqual([
      { 'sum(amount)': '9' },
    ]);
  });

  test('bytes that are no text stay until a patch gives the whole record', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, Buffer.from('{"id":"\xe9","amount":1}\n', 'latin1'), ndjson);
    expect((await send('POST', '/v1/rejects/replay', { filter: {} })).json).toMatchObject({
      rejected: 1,
      verdicts: [{ code: 'unreadable', message: expect.stringContaining('no UTF-8') }],
    });
    expect((await send('POST', '/v1/rejects/replay', { filter: {}, patch: { id: 'é' } })).json).toMatchObject(
      { rejected: 1, verdicts: [{ code: 'missing_field' }] },
    );
    expect((await send('POST', '/v1/rejects/replay', { filter: {}, patch: sale('é') })).json).toMatchObject({
      accepted: 1,
    });
    expect((await send('GET', '/v1/rejects')).json.rejects).toEqual([]);
  });

  test('discarded with a reason, which is kept', async () => {
    const { send } = await openApp(kind);
    await send('POST', records, lines(bad), ndjson);
    const [first] = (await send('GET', '/v1/rejects?order=oldest')).json.rejects;
    expect((await send('DELETE', `/v1/rejects/${first.id}?reason=a%20test`)).json).toEqual({
      discarded: 1,
      not_open: [],
    });
    expect((await send('GET', `/v1/rejects/${first.id}`)).json).toMatchObject({
      left: { reason: 'discarded: a test' },
    });
    expect((await send('DELETE', '/v1/rejects', { filter: {}, reason: 'all of it' })).json).toEqual({
      discarded: 3,
      not_open: [],
    });
    expect((await send('GET', '/v1/rejects')).json.rejects).toEqual([]);
  });
});
