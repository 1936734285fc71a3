/** Under load, at its bounds, and when it stops. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { TallybookError } from '../../src/engine/errors.ts';
import { limits } from '../../src/engine/limits.ts';
import type { Delivery, MayFail, Store } from '../../src/engine/store.ts';
import { lines, ndjson, openApp, replaceVerbs, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';

/** A store whose commits wait until they are let go. */
function holdingCommits() {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let hold = false;
  const commits: number[] = [];
  const wrapStore = (store: Store): Store =>
    replaceVerbs(store, {
      async publish(deliveries: Delivery[]) {
        if (hold) await held;
        commits.push(deliveries.length);
        return store.publish(deliveries);
      },
    });
  return {
    commits,
    wrapStore,
    hold: () => {
      hold = true;
    },
    letGo: () => {
      hold = false;
      letGo();
    },
  };
}

/** Sends text over a bare connection and gives what comes back until the server closes it. */
async function raw(base: string, text: string): Promise<string> {
  const { port } = new URL(base);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

describe.each(storeKinds)('serving, %s', (kind) => {
  test('many requests at once become few commits, and each gets its own receipt', async () => {
    const { commits, wrapStore, hold, letGo } = holdingCommits();
    const opened = await openApp(kind, { wrapStore });
    const base = await opened.listen();
    commits.length = 0;
    hold();
    const sent = Array.from({ length: 200 }, async (_, index) => {
      const id = `id${index % 150}`;
      const answer = await fetch(base + records, {
        method: 'POST',
        body: JSON.stringify(sale(id)),
        headers: { 'content-type': 'application/json' },
      });
      return [
        answer.status,
        ((await answer.json()) as { verdicts: { id: string }[] }).verdicts[0]!.id === id,
      ];
    });
    while (opened.tallybook.writer.depth.records < 200) await sleep(5);
    letGo();
    const answers = await Promise.all(sent);
    expect(answers.filter(([status]) => status === 201)).toHaveLength(150);
    expect(answers.filter(([status]) => status === 200)).toHaveLength(50);
    expect(answers.every(([, own]) => own)).toBe(true);
    expect(commits.reduce((a, b) => a + b, 0)).toBe(200);
    // The one that was held, and all that came meanwhile.
    expect(commits).toHaveLength(2);
  });

  test('a full waiting room: 503 with whole seconds, and nothing is taken in', async () => {
    const { wrapStore, hold, letGo } = holdingCommits();
    const { send, tallybook } = await openApp(kind, { wrapStore });
    hold();
    const big = Array.from({ length: limits.waiting_records / 4 }, (_, index) => ({ id: `r${index}` }));
    const body = lines(big);
    const waiting = Array.from({ length: 4 }, () => send('POST', records, body, ndjson));
    while (tallybook.writer.depth.records < limits.waiting_records) await sleep(5);
    const refused = await send('POST', records, sale('late'));
    expect(refused).toMatchObject({
      status: 503,
      json: { code: 'overloaded', detail: expect.stringContaining('nothing of this request was taken in') },
    });
    expect(refused.headers['retry-after']).toMatch(/^[0-9]+$/);
    expect((await send('GET', '/readyz')).status).toBe(503);
    expect((await send('GET', '/healthz')).status).toBe(200);
    const { text } = await send('GET', '/metrics');
    expect(text).toContain(`tallybook_waiting_records ${limits.waiting_records}\n`);
    expect(text).toContain(`tallybook_waiting_records_limit ${limits.waiting_records}\n`);
    expect(text).toContain(`tallybook_waiting_bytes_limit ${limits.waiting_bytes}\n`);
    expect(text).toContain(`tallybook_waiting_deliveries_limit ${limits.waiting_deliveries}\n`);
    // Whoever asks whether it is ready is refused nothing.
    expect(text).toContain('tallybook_refused_requests_total{code="overloaded"} 1\n');
    // What waits is not needed any more; it must be answered all the same.
    for (const name of ['sales']) expect(tallybook.streams.get(name).name).toBe(name);
    letGo();
    if (kind === 'duckdb')
      expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    else await Promise.allSettled(waiting);
    expect((await send('POST', records, sale('late'))).status).toBe(201);
  }, 60_000);

  test('refused requests are counted by their code, whatever refuses them', async () => {
    const { send, tallybook } = await openApp(kind, { auth: true });
    const bounds = { origins: undefined, streams: undefined };
    const { key } = await tallybook.sources.create('reader', { ...bounds, scopes: ['read'], rateLimit: 6 });
    const as = { authorization: `Bearer ${key}` };
    const ops = await tallybook.sources.create('ops', { ...bounds, scopes: ['read'], rateLimit: undefined });
    const counted = async () => {
      const { text } = await send('GET', '/metrics', undefined, { authorization: `Bearer ${ops.key}` });
      const lines = text.matchAll(/^tallybook_refused_requests_total\{code="(\w+)"\} ([1-9]\d*)$/gm);
      return Object.fromEntries([...lines].map(([, code, count]) => [code, Number(count)]));
    };
    expect(await counted()).toEqual({});
    expect((await send('GET', '/v1/streams')).status).toBe(401);
    expect((await send('GET', '/v1/streams', undefined, { authorization: 'Bearer none' })).status).toBe(401);
    expect((await send('POST', records, sale('1'), as)).status).toBe(403);
    expect((await send('GET', '/v1/streams/none', undefined, as)).status).toBe(404);
    expect((await send('GET', '/nothing')).status).toBe(404);
    // Before a route is found.
    expect((await send('GET', '/v1/%')).status).toBe(400);
    expect((await send('GET', '/v1/streams/sales/query?measures=nope', undefined, as)).status).toBe(400);
    expect(await counted()).toEqual({
      unauthenticated: 2,
      forbidden: 1,
      unknown_stream: 1,
      unknown_route: 1,
      bad_request: 1,
      bad_question: 1,
    });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await send('GET', '/v1/streams', undefined, as)).status);
    const late = statuses.filter((status) => status === 429).length;
    expect(late).toBeGreaterThan(0);
    expect((await counted())['rate_limited']).toBe(late);
  });

  test('a store that has come to its end: not ready, whatever waits', async () => {
    let fail: (error: TallybookError) => void = () => undefined;
    const wrapStore = (store: Store) => {
      const failing: Store & MayFail = {
        ...replaceVerbs(store, {}),
        whenFailed(listener) {
          fail = listener;
        },
      };
      return failing;
    };
    const { send } = await openApp(kind, { wrapStore });
    expect((await send('GET', '/readyz')).status).toBe(200);
    fail(new TallybookError('store_failed', 'the database has given up', { retryAfter: 10 }));
    expect(await send('GET', '/readyz')).toMatchObject({
      status: 503,
      json: { code: 'store_failed' },
      headers: { 'retry-after': '10' },
    });
    expect((await send('GET', '/healthz')).status).toBe(200);
  });

  test('what is under way when the server stops is answered, what comes then is refused', async () => {
    const { wrapStore, hold, letGo } = holdingCommits();
    const opened = await openApp(kind, { wrapStore });
    const base = await opened.listen();
    hold();
    const post = (id: string) =>
      `POST ${records} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${JSON.stringify(sale(id)).length}\r\n\r\n${JSON.stringify(sale(id))}`;
    const underWay = raw(base, post('last'));
    while (opened.tallybook.writer.depth.records === 0) await sleep(2);
    const closed = opened.app.close();
    await sleep(20);
    letGo();
    expect(await underWay).toMatch(/^HTTP\/1.1 201 /);
    await closed;
    await expect(fetch(`${base}/healthz`)).rejects.toThrow();
    expect((await opened.tallybook.records('sales', {}, {})).records.map(({ id }) => id)).toEqual(['last']);
    await opened.tallybook.close();
  });

  test('a connection that is still open is told that the server stops', async () => {
    const { wrapStore, hold, letGo } = holdingCommits();
    const opened = await openApp(kind, { wrapStore });
    const base = await opened.listen();
    hold();
    const body = JSON.stringify(sale('last'));
    const post = `POST ${records} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(Number(new URL(base).port), '127.0.0.1');
    let answer = '';
    const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    socket.write(post);
    while (opened.tallybook.writer.depth.records === 0) await sleep(2);
    const closed = opened.app.close();
    await sleep(20);
    // On the same connection, behind the one under way.
    socket.write('GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await sleep(20);
    letGo();
    await ended;
    await closed;
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 503']);
    expect(answer).toContain('"code":"closing"');
    expect(answer.toLowerCase()).toContain('connection: close');
  });
});

test('a body cut off by its sender leaves nothing', async () => {
  const opened = await openApp('memory');
  const base = await opened.listen();
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.write(
    `POST ${records} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 500\r\n\r\n${lines([sale('half')])}\n`,
  );
  await sleep(50);
  socket.destroy();
  await sleep(50);
  expect((await opened.tallybook.records('sales', {}, {})).records).toEqual([]);
  expect(opened.errors).toEqual([]);
});

test('a body that is too large by its own word is refused before it comes', async () => {
  const opened = await openApp('memory');
  const base = await opened.listen();
  const answer = await raw(
    base,
    `POST ${records} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${limits.body_bytes + 1}\r\n\r\n{`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 413 /);
  expect(answer).toContain('POST /v1/imports');
});

test('headers that are too large are refused', async () => {
  const opened = await openApp('memory');
  const base = await opened.listen();
  const answer = await raw(
    base,
    `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-large: ${'x'.repeat(limits.header_bytes)}\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 431 /);
});

test('the pages: documented here, with no other host, under a strict policy', async () => {
  const { send } = await openApp('memory');
  const page = await send('GET', '/docs');
  expect(page.status).toBe(200);
  expect(page.text.match(/https?:\/\//g)).toBeNull();
  expect(page.headers['content-security-policy']).toContain("script-src 'self'");
  expect(page.headers['content-security-policy']).toContain("connect-src 'self'");
  const script = await send('GET', '/docs/reference.js');
  expect(script.headers['content-type']).toContain('text/javascript');
  expect(script.text.length).toBeGreaterThan(1_000_000);
  const answer = await send('GET', '/v1/streams');
  expect(answer.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  });
});
