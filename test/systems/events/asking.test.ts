/** Asking for events, sessions and errors; the live tail; alerts on what is refused. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { limits } from '../../../src/engine/limits.ts';
import { lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { event, type OpenEvents, openEvents, session } from './sent.ts';

const other = 'b0000000-0000-4000-8000-000000000002';
const sent = [
  event({ id: 'a', timestamp: '2026-03-09 10:00:00.000003' }),
  event({ id: 'b', timestamp: '2026-03-09 10:00:00.000002', name: 'scroll', data: { depth: 75, path: '/' } }),
  event({
    id: 'c',
    timestamp: '2026-03-10 00:00:00',
    session_id: other,
    data: { path: '/pricing', plan: { id: 7 } },
  }),
  event({ id: 'd', timestamp: '2026-03-09 23:59:59.999999', category: 'form interaction', name: 'submit' }),
  event({ id: 'e', timestamp: '2026-03-09 10:00:00.000003', name: 'scroll', data: { depth: 20 } }),
];
const idsOf = (events: { id: string }[]) => events.map(({ id }) => id).join('');

describe.each(storeKinds)('asking for events, %s', (kind) => {
  // biome-ignore format: one line a case
  const lists: [query: string, ids: string][] = [
    ['', 'edcba'],
    ['?order=oldest', 'abcde'],
    [`?session_id=${other}`, 'c'],
    ['?category=page%20interaction', 'ecba'],
    ['?category=page%20interaction&name=scroll', 'eb'],
    ['?source=local', 'edcba'],
    ['?source=nobody', ''],
    ['?from=2026-03-10', 'c'],
    ['?to=2026-03-10', 'edba'],
    ['?from=2026-03-09T10:00:00.000003Z&to=2026-03-09T10:00:00.000004Z', 'ea'],
    ['?where=data.path%3D/', 'dba'],
    ['?where=data.plan.id%3D7', 'c'],
    ['?where=data.depth%3D75&where=data.path%3D/', 'b'],
    ['?where=data.path+is+null', 'e'],
    ['?where=data.path+like+/p%25&name=pageview', 'c'],
  ];
  test('GET /v1/events, with every filter', async () => {
    const { done } = await openEvents(kind);
    await done('POST', '/v1/events', sent);
    for (const [query, ids] of lists)
      expect(idsOf((await done('GET', `/v1/events${query}`)).events), query).toBe(ids);
  });

  test('by pages with a cursor, also with a filter, while others come in', async () => {
    const { done } = await openEvents(kind);
    await done('POST', '/v1/events', sent);
    const first = await done('GET', '/v1/events?page_size=2&category=page%20interaction');
    await done('POST', '/v1/events', event({ id: 'f' }));
    const second = await done(
      'GET',
      `/v1/events?page_size=2&category=page%20interaction&cursor=${first.next}`,
    );
    expect([idsOf(first.events), idsOf(second.events), second.next]).toEqual(['ec', 'ba', undefined]);
  });

  // biome-ignore format: one line a case
  const pages: [query: string, count: number, ids: string, next: string | null, previous: string | null][] = [
    ['', 5, 'edcba', null, null],
    ['?limit=2', 5, 'ed', 'limit=2&offset=2', null],
    ['?limit=2&offset=2', 5, 'cb', 'limit=2&offset=4', 'limit=2&offset=0'],
    ['?limit=2&offset=4', 5, 'a', null, 'limit=2&offset=2'],
    ['?limit=2&offset=5', 5, '', null, 'limit=2&offset=3'],
    ['?offset=7', 5, '', null, 'offset=0&limit=100'],
    [`?session_id=${session}`, 4, 'edba', null, null],
    ['?category=form%20interaction', 1, 'd', null, null],
    ['?start_date=2026-03-10', 1, 'c', null, null],
    ['?end_date=2026-03-09', 4, 'edba', null, null],
    ['?start_date=2026-03-09&end_date=2026-03-10', 5, 'edcba', null, null],
    ['?start_date=2026-03-09%2010:00:00.000003&end_date=2026-03-09%2023:59:59.999999', 3, 'eda', null, null],
    ['?start_date=2026-03-09T10:00:00.000003Z&end_date=2026-03-09T10:00:00.000003Z', 2, 'ea', null, null],
    ['?end_date=2026-03-09T12:00:00+02:00', 0, '', null, null],
    ['?category=page%20interaction&limit=1&offset=1', 4, 'c', 'category=page+interaction&limit=1&offset=2', 'category=page+interaction&limit=1&offset=0'],
  ];
  test('GET /theeye/events by offset, with and without the final slash', async () => {
    const { done } = await openEvents(kind);
    await done('POST', '/v1/events', sent);
    const link = (parameters: string | null) => parameters && `/theeye/events/?${parameters}`;
    for (const [query, count, ids, next, previous] of pages) {
      for (const path of ['/theeye/events', '/theeye/events/']) {
        const answer = await done('GET', `${path}${query}`);
        const expected = { count, next: link(next), previous: link(previous), results: ids };
        expect({ ...answer, results: idsOf(answer.results) }, path + query).toEqual(expected);
      }
    }
  });

  test('what lies behind the last offset is reached by following the links, and none is told twice', async () => {
    const { done } = await openEvents(kind);
    const count = limits.offset_rows + 250;
    const all = Array.from({ length: count }, (_, i) => event({ id: `${i}` }));
    await done('POST', '/v1/events', lines(all), ndjson);
    await done('POST', '/v1/events', 'null\n'.repeat(count), ndjson);
    const byOffset: [path: string, placeOf: (one: { id: string; index: number }) => number][] = [
      ['/theeye/events/', ({ id }) => Number(id)],
      ['/theeye/errors/', ({ index }) => index],
    ];
    for (const [path, placeOf] of byOffset) {
      const found: number[] = [];
      const before: (string | null)[] = [];
      let link: string | null = `${path}?limit=90&offset=${limits.offset_rows - 10}`;
      while (link !== null) {
        const page = await done('GET', link);
        expect(page.count).toBe(count);
        found.push(...page.results.map(placeOf));
        before.push(page.previous);
        link = page.next;
      }
      expect(found).toEqual(Array.from({ length: 260 }, (_, i) => 259 - i));
      // The first page, and the ones by which it came here.
      expect(before[1]).toBe(`${path}?limit=90&offset=${limits.offset_rows - 10}`);
      const last = await done('GET', before[2]!);
      expect(last.results.map(placeOf)).toEqual(found.slice(90, 180));
      expect([last.previous, (await done('GET', last.next)).results.map(placeOf)]).toEqual([
        before[1],
        found.slice(180),
      ]);
    }
  });

  // biome-ignore format: one line a case
  const refused: [url: string, detail: string][] = [
    ['/theeye/events?limit=0', 'limit is 0'],
    ['/theeye/events?limit=1001', 'limit is 1001'],
    ['/theeye/events?offset=-1', 'offset is -1'],
    ['/theeye/events?offset=10001', 'follow `next`, or ask GET /v1/events, which reaches everything with a cursor'],
    ['/theeye/errors?offset=10001', 'GET /v1/rejects?stream=events'],
    ['/theeye/events?offset=1000000000&cursor=MQ', 'offset is 1000000000'],
    ['/theeye/events?offset=11000&cursor=x', 'the cursor x'],
    ['/theeye/events?start_date=yesterday', 'start_date is yesterday'],
    ['/theeye/errors?start_date=2026-03-10&end_date=2026-03-09', 'lies after'],
    ['/v1/events?where=path', 'is no condition'],
    ['/v1/events?where=nothing%3D1', 'has no field nothing'],
    ['/v1/events?from=x', 'from is x'],
    ['/v1/events/errors?group_by=colour', 'group_by names colour'],
    [`/v1/sessions/${session}?cursor=abc`, 'the cursor'],
  ];
  test('a list that cannot be meant is refused with what to change', async () => {
    const { send, done } = await openEvents(kind);
    await done('POST', '/v1/events', sent);
    for (const [url, detail] of refused) {
      const { status, json } = await send('GET', url);
      expect(status, url).toBe(400);
      expect(json.detail).toContain(detail);
    }
  });

  test('a session is in order of time, those of one instant in order of arrival, by pages too', async () => {
    const { send, done } = await openEvents(kind);
    await done('POST', '/v1/events', sent);
    const whole = await done('GET', `/v1/sessions/${session}`);
    expect(whole).toMatchObject({
      count: 4,
      first: '2026-03-09T10:00:00.000002Z',
      last: '2026-03-09T23:59:59.999999Z',
      duration_seconds: '50399.999997',
    });
    expect(idsOf(whole.events)).toBe('baed');
    const page = await done('GET', `/v1/sessions/${session}?page_size=2`);
    await done('POST', '/v1/events', event({ id: 'f', timestamp: '2026-03-09 10:00:00' }));
    const next = await done('GET', `/v1/sessions/${session}?page_size=2&cursor=${page.next}`);
    expect([idsOf(page.events), idsOf(next.events), next.count, next.next]).toEqual([
      'ba',
      'ed',
      5,
      undefined,
    ]);
    await done('DELETE', '/v1/streams/events/records/e');
    expect(idsOf((await done('GET', `/v1/sessions/${session}`)).events)).toBe('fbad');
    expect((await send('GET', '/v1/sessions/none')).json).toMatchObject({
      status: 404,
      code: 'unknown_session',
    });
  });

  test('errors in groups: by reason, field, type and application, over time, with first and last', async () => {
    const { done } = await openEvents(kind);
    await done('POST', '/theeye/events', [
      event({ data: 1 }),
      event({ data: [] }),
      event({ name: 'scroll', data: 2 }),
    ]);
    await done('POST', '/theeye/events', 'x', { 'content-type': 'text/plain' }).catch(() => undefined);
    const { groups } = await done('GET', '/v1/events/errors');
    expect(groups).toMatchObject([
      {
        code: 'invalid_value',
        field: 'data',
        category: 'page interaction',
        name: 'pageview',
        application: 'local',
        count: 2,
      },
      {
        code: 'invalid_value',
        field: 'data',
        category: 'page interaction',
        name: 'scroll',
        application: 'local',
        count: 1,
      },
      { code: 'unreadable', field: null, category: null, name: null, application: 'local', count: 1 },
    ]);
    expect(groups[0].first_seen).toMatch(/^\d{4}-/);
    expect(groups[0].sample).toMatchObject({ code: 'invalid_value', application: 'local' });
    const byCode = await done('GET', '/v1/events/errors?group_by=code,application&every=day');
    expect(byCode.groups).toMatchObject([
      { code: 'invalid_value', application: 'local', day: new Date().toISOString().slice(0, 10), count: 3 },
      { code: 'unreadable', count: 1 },
    ]);
    expect((await done('GET', '/v1/events/errors?group_by=name&name=scroll')).groups).toMatchObject([
      { name: 'scroll', count: 1 },
    ]);
    const listed = await done('GET', '/theeye/errors?category=page%20interaction&limit=2');
    expect(listed).toMatchObject({
      count: 3,
      next: '/theeye/errors/?category=page+interaction&limit=2&offset=2',
    });
    expect((await done('GET', `/theeye/errors?session_id=${session}`)).count).toBe(3);
    const today = new Date().toISOString().slice(0, 10);
    expect((await done('GET', `/theeye/errors?start_date=${today}&end_date=${today}`)).count).toBe(4);
    expect((await done('GET', '/theeye/errors?end_date=2020-01-01')).count).toBe(0);
  });

  test('an alert on how much of what a source sends is refused', async () => {
    const { done, tallybook } = await openEvents(kind);
    const alert = {
      stream: '_rejects',
      measure: 'count',
      where: { stream: 'events' },
      by: ['source', 'original.name'],
      period: 'day',
      limit: 2,
      thresholds: [100],
    };
    await done('PUT', '/v1/alerts/broken', alert);
    for (const data of [1, 2]) await done('POST', '/theeye/events', event({ data }));
    await expect.poll(() => tallybook.evaluation.lagSeconds, { timeout: 10_000 }).toBe(0);
    expect((await done('GET', '/v1/notifications')).notifications).toMatchObject([
      { alert: 'broken', key: 'local,pageview', value: '2' },
    ]);
  });
});

/** Reads server-sent events from a socket until there are so many; then lets go. */
async function tail(
  { listen }: OpenEvents,
  path: string,
  count: number,
  headers: Record<string, string> = {},
): Promise<{ told: Promise<{ id: string; event: { id: string } }[]> }> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(`${await listen()}${path}`, { headers, signal: stop.signal });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const read = async () => {
    const found: { id: string; event: { id: string } }[] = [];
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const match = /^id: (.*)\nevent: event\ndata: (.*)$/.exec(text.slice(0, end));
        if (match) found.push({ id: match[1]!, event: JSON.parse(match[2]!) });
        text = text.slice(end + 2);
      }
      if (found.length >= count) break;
    }
    stop.abort();
    return found;
  };
  return { told: read() };
}

describe('the live tail', () => {
  test('tells events after their commit, with a filter, and goes on from the last id', async () => {
    const opened = await openEvents('duckdb');
    const { done } = opened;
    await done('POST', '/v1/events', event({ id: 'before' }));
    const { told } = await tail(opened, '/v1/events/live?name=scroll&where=data.depth%3D75', 2);
    for (const one of sent) await done('POST', '/v1/events', one);
    await done('POST', '/v1/events', event({ id: 'bad', name: 'scroll', data: [] }));
    await done('POST', '/v1/events', event({ id: 'g', name: 'scroll', data: { depth: 75.0 } }));
    const found = await told;
    expect(idsOf(found.map((one) => one.event))).toBe('bg');
    expect(found[0]!.event).toMatchObject({
      session_id: session,
      data: { depth: 75, path: '/' },
      application: 'local',
    });
  });

  test('with Last-Event-ID what came in between is told, each once', async () => {
    const opened = await openEvents('duckdb');
    const { done } = opened;
    const address = await opened.listen();
    const open = { ...opened, listen: async () => address };
    const { told } = await tail(open, '/v1/events/live', 1);
    await done('POST', '/v1/events', sent[0]);
    const [first] = await told;
    await done('POST', '/v1/events', sent.slice(1, 4));
    const again = await tail(open, '/v1/events/live', 4, { 'last-event-id': first!.id });
    await done('POST', '/v1/events', sent[4]);
    expect(idsOf((await again.told).map((one) => one.event))).toBe('bcde');
  });

  test('an id that is none is refused', async () => {
    const { send } = await openEvents('memory');
    const { status, json } = await send('GET', '/v1/events/live', undefined, { 'last-event-id': '?' });
    expect([status, json.code]).toEqual([400, 'bad_request']);
  });
});
