/** The client in Node.js, as it is built, against a real server and what can go wrong on the way to it. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ClientOptions, Retry, TallybookClient, Undelivered, UndeliveredError } from '../src/index.ts';
import { path, Served, until } from './served.ts';
import { Unreliable } from './unreliable.ts';

// What is tested is what is published; the source gives the types.
const built: typeof import('../src/index.ts') = await import('../dist/index.js' as string);
const library = fileURLToPath(new URL('../dist/index.js', import.meta.url));

let served: Served;
let key: string;
/** Each test has a way of its own to the server, and a session of its own. */
let way: Unreliable;
let session: string;

beforeAll(async () => {
  served = await Served.start();
  key = await served.source('node');
});
afterAll(() => served?.stop());
beforeEach(async () => {
  session = randomUUID();
  way = await Unreliable.before(served.url);
  onTestFinished(() => way.close());
});

interface Told {
  errors: Undelivered[];
  retries: Retry[];
}

function open(options: ClientOptions = {}): { client: TallybookClient } & Told {
  const errors: Undelivered[] = [];
  const retries: Retry[] = [];
  const client = new built.TallybookClient({
    url: way.url,
    key,
    sessionId: session,
    delayMilliseconds: 10,
    retryMilliseconds: 10,
    onError: (error) => void errors.push(error),
    onRetry: (retry) => void retries.push(retry),
    ...options,
  });
  onTestFinished(() => client.close({ timeoutMilliseconds: 1 }).catch(() => undefined));
  return { client, errors, retries };
}

/** Sends events 0, 1, 2…, and gives their ids. */
function sendSome(client: TallybookClient, count: number, from = 0): (string | undefined)[] {
  return Array.from({ length: count }, (_, i) =>
    client.send({ category: 'cart', name: 'item added', data: { n: from + i } }),
  );
}

/** The numbers of the events that the ledger has, in the order of their arrival. */
const arrived = async (): Promise<number[]> => (await served.events(session)).map(({ data }) => data.n);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const sizes = (): number[] => way.requests.map(({ events }) => events.length);

describe('batches', () => {
  test('an event arrives whole, with an id, a session and a time of its own', async () => {
    const { client } = open();
    const before = new Date().toISOString();
    const id = client.send({ category: 'cart', name: 'item added', data: { n: 0, text: 'ä😀' } });
    await client.flush();
    expect(await served.events(session)).toEqual([
      expect.objectContaining({ id, session_id: session, category: 'cart', data: { n: 0, text: 'ä😀' } }),
    ]);
    const [{ timestamp } = { timestamp: '' }] = await served.events(session);
    expect(timestamp >= before).toBe(true);
    expect(way.requests[0]!.headers.authorization).toBe(`Bearer ${key}`);
  });

  test('what an event brings along is sent as it is', async () => {
    const { client } = open();
    const other = randomUUID();
    const timestamp = '2026-10-05T06:43:00.123456Z';
    client.send({ id: other, session_id: other, category: 'a', name: 'b', timestamp });
    await client.flush();
    expect(await served.events(other)).toEqual([
      expect.objectContaining({ id: other, session_id: other, data: {}, timestamp }),
    ]);
  });

  test('an event is sent as it was when it was queued', async () => {
    const { client } = open();
    const data = { n: 0 };
    client.send({ category: 'a', name: 'b', data });
    data.n = 99;
    await client.flush();
    expect(await arrived()).toEqual([0]);
  });

  test('events go when the first has waited long enough, without a flush', async () => {
    const { client } = open();
    sendSome(client, 3);
    await until(async () => (await arrived()).length === 3);
    expect(sizes()).toEqual([3]);
  });

  test('events go when enough wait, in their order', async () => {
    const { client } = open({ batchEvents: 100, delayMilliseconds: 60_000 });
    sendSome(client, 250);
    await until(async () => (await arrived()).length === 200);
    await client.flush();
    expect(sizes()).toEqual([100, 100, 50]);
    expect(await arrived()).toEqual(numbers(250));
  });

  test('no request has more bytes than it may; a larger event goes alone', async () => {
    const { client } = open({ batchBytes: 1_000 });
    sendSome(client, 20);
    client.send({ category: 'a', name: 'b', data: { n: 20, text: 'ä'.repeat(2_000) } });
    sendSome(client, 2, 21);
    await client.flush();
    expect(await arrived()).toEqual(numbers(23));
    const large = way.requests.filter(({ body }) => Buffer.byteLength(body) > 1_000);
    expect(large.map(({ events }) => events.length)).toEqual([1]);
    expect(sizes().length).toBeLessThan(23);
  });

  test('of a batch of thousands every refused event is known', async () => {
    const { client, errors } = open({ batchEvents: 5_000 });
    for (let n = 0; n < 400; n++) client.send({ category: 'a', data: { n } });
    await expect(client.flush()).rejects.toThrow(UndeliveredErrorLike);
    expect(sizes()).toEqual([400]);
    expect(errors.map(({ event }) => event.data!.n)).toEqual(numbers(400));
  });
});

/** The built library has a class of its own of that name. */
const UndeliveredErrorLike = built.UndeliveredError as typeof UndeliveredError;

test('another stream takes events by its own address', async () => {
  const { client, errors } = open({ path: '/v1/streams/events/records' });
  sendSome(client, 2);
  client.send({ category: 'cart' });
  await expect(client.flush()).rejects.toThrow('missing_field');
  expect(await arrived()).toEqual([0, 1]);
  expect(errors.length).toBe(1);
});

describe('what goes wrong on the way', () => {
  test.each([
    [500, undefined],
    [502, '<html>bad gateway</html>'],
    [503, '{"code":"overloaded","detail":"too much waits"}'],
    [408, undefined],
    [200, '<html>sign in to this network</html>'],
    [200, '{"received":1}'],
  ])('after an answer %d %s the same events go again', async (status, body) => {
    way.faults.push({ status, ...(body !== undefined && { body }) });
    const { client, errors, retries } = open();
    sendSome(client, 3);
    await client.flush();
    expect(await arrived()).toEqual(numbers(3));
    expect(way.requests.map(({ body }) => body)).toEqual([way.requests[0]!.body, way.requests[0]!.body]);
    expect(retries).toEqual([expect.objectContaining({ attempt: 1 })]);
    expect(errors).toEqual([]);
  });

  test.each([
    ['in seconds', () => '1'],
    // Its resolution is a second, so this is between one and two from now.
    ['as a date', () => new Date(Date.now() + 2_000).toUTCString()],
  ])('after 429 it waits as long as Retry-After says, %s', async (_, header) => {
    way.faults.push({ status: 429, headers: { 'retry-after': header() } });
    const { client, retries } = open();
    sendSome(client, 1);
    await client.flush();
    expect(await arrived()).toEqual([0]);
    const [first, second] = way.requests;
    // The two clocks may differ by a millisecond.
    expect(second!.at - first!.at).toBeGreaterThan(990);
    expect(retries[0]!.waitMilliseconds).toBeGreaterThan(990);
  });

  test('the rate limit of a source makes it wait, and loses nothing', async () => {
    const limited = await served.source('limited', { rate_limit: 30 });
    const ask = (): Promise<Response> =>
      fetch(served.url + path, { method: 'POST', headers: { authorization: `Bearer ${limited}` } });
    await until(async () => (await Promise.all([ask(), ask(), ask()])).some(({ status }) => status === 429));
    const { client, retries, errors } = open({ key: limited });
    sendSome(client, 10);
    await client.flush();
    expect(await arrived()).toEqual(numbers(10));
    expect(retries).toEqual([expect.objectContaining({ message: expect.stringContaining('30 requests') })]);
    expect(errors).toEqual([]);
  });

  test.each(['request', 'after commit', 'answer'] as const)(
    'a connection that breaks (%s) loses nothing, and nothing counts twice',
    async (cut) => {
      way.faults.push({ cut }, { cut });
      const { client, errors, retries } = open();
      const [id] = sendSome(client, 50);
      await client.flush();
      expect(await arrived()).toEqual(numbers(50));
      expect(retries.length).toBe(2);
      expect(errors).toEqual([]);
      expect(await served.fate(id!)).toEqual(
        cut === 'request' ? ['accepted'] : ['accepted', 'duplicate', 'duplicate'],
      );
    },
  );

  test('a server that is killed and started again has every event once', async () => {
    const { client, errors } = open({ batchEvents: 20, retryMaxMilliseconds: 200 });
    sendSome(client, 1_000);
    await until(() => way.requests.length > 5);
    await served.kill();
    sendSome(client, 1_000, 1_000);
    await served.again();
    await client.flush();
    expect(await arrived()).toEqual(numbers(2_000));
    expect(errors).toEqual([]);
  });

  test('an attempt without an answer is given up and made again', async () => {
    let release = (): void => undefined;
    way.faults.push({ hold: new Promise<void>((resolve) => (release = resolve)) });
    const { client, retries } = open({ timeoutMilliseconds: 200 });
    sendSome(client, 2);
    await client.flush();
    release();
    expect(retries.length).toBe(1);
    expect(await arrived()).toEqual(numbers(2));
  });

  test('a body that is too large for somebody on the way goes in parts', async () => {
    way.bytesMax = 2_000;
    const { client, errors } = open();
    sendSome(client, 60);
    await client.flush();
    expect(await arrived()).toEqual(numbers(60));
    sendSome(client, 60, 60);
    const before = way.requests.length;
    await client.flush();
    expect(await arrived()).toEqual(numbers(120));
    // It has learned the bound.
    expect(way.requests.slice(before).every(({ body }) => body.length <= 2_000)).toBe(true);
    expect(errors).toEqual([]);
  });

  test('an event that is too large alone is told, and holds nobody up', async () => {
    way.bytesMax = 2_000;
    const { client, errors } = open();
    sendSome(client, 2);
    client.send({ category: 'a', name: 'b', data: { n: 99, text: 'x'.repeat(3_000) } });
    sendSome(client, 2, 2);
    await expect(client.flush()).rejects.toThrow('http_413');
    expect(errors).toEqual([expect.objectContaining({ code: 'http_413' })]);
    expect(errors[0]!.event.data!.n).toBe(99);
    expect(await arrived()).toEqual(numbers(4));
  });

  test.each([
    ['a key that is none', { key: 'tb_none' }, 'unauthenticated'],
    ['no key', { key: '' }, 'unauthenticated'],
    ['an address that is none', { path: '/v1/nothing' }, 'unknown_route'],
    ['a stream that is none', { path: '/v1/streams/nothing/records' }, 'unknown_stream'],
  ])('%s: the events are told, and not tried again', async (_, options, code) => {
    const { client, errors, retries } = open(options);
    sendSome(client, 2);
    const error = await client.flush().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UndeliveredErrorLike);
    expect((error as UndeliveredError).undelivered).toEqual(errors);
    expect(errors.map((error) => [error.code, error.event.data!.n])).toEqual([
      [code, 0],
      [code, 1],
    ]);
    expect(way.requests.length).toBe(1);
    expect(retries).toEqual([]);
  });
});

describe('flush and close', () => {
  test('flush resolves when the events are in the ledger, and not before', async () => {
    let release = (): void => undefined;
    way.faults.push({ hold: new Promise<void>((resolve) => (release = resolve)) });
    const { client } = open();
    sendSome(client, 1);
    let flushed = false;
    const flush = client.flush().then(() => {
      flushed = true;
    });
    await until(() => way.requests.length === 1);
    await until(async () => (await arrived()).length === 0);
    expect(flushed).toBe(false);
    release();
    await flush;
    expect(await arrived()).toEqual([0]);
  });

  test('flush does not wait for what is sent after it', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { client } = open({ delayMilliseconds: 1 });
    sendSome(client, 1);
    const flushed = client.flush();
    way.faults.push({ hold: Promise.resolve() }, { hold: held });
    await until(() => way.requests.length === 1);
    sendSome(client, 1, 1);
    await flushed;
    release();
    await client.flush();
    expect(await arrived()).toEqual([0, 1]);
  });

  test('an event that the ledger refuses is told with its verdict; those beside it count', async () => {
    const { client, errors } = open();
    sendSome(client, 1);
    const id = client.send({ category: 'cart', data: { n: 7 } });
    sendSome(client, 1, 1);
    const error = (await client.flush().catch((error: unknown) => error)) as UndeliveredError;
    expect(error.undelivered).toEqual([
      {
        event: expect.objectContaining({ id, category: 'cart', data: { n: 7 }, session_id: session }),
        code: 'missing_field',
        field: 'name',
        message: expect.stringContaining('name'),
      },
    ]);
    expect(error.message).toContain('missing_field');
    expect(errors).toEqual(error.undelivered);
    expect(await arrived()).toEqual([0, 1]);
    // It was told; the next one has nothing to tell.
    await client.flush();
  });

  test('a flush tells what was refused before it was called', async () => {
    const { client, errors } = open();
    client.send({ category: 'cart' });
    await until(() => errors.length === 1);
    await expect(client.flush()).rejects.toThrow('missing_field');
    await client.flush();
  });

  test('another content under an id that stands is a conflict', async () => {
    const { client } = open();
    const id = randomUUID();
    client.send({ id, category: 'a', name: 'b', data: { n: 0 }, timestamp: '2026-10-05T06:43:00Z' });
    client.send({ id, category: 'a', name: 'b', data: { n: 1 }, timestamp: '2026-10-05T06:43:00Z' });
    await expect(client.flush()).rejects.toThrow('conflict');
    expect(await arrived()).toEqual([0]);
  });

  test('flush says what waits when its time is over; it goes all the same', async () => {
    way.faults.push({ status: 503, headers: { 'retry-after': '1' } });
    const { client, errors } = open();
    sendSome(client, 2);
    const error = (await client
      .flush({ timeoutMilliseconds: 100 })
      .catch((error: unknown) => error)) as UndeliveredError;
    expect(error.undelivered.map(({ code, event }) => [code, event.data!.n])).toEqual([
      ['waiting', 0],
      ['waiting', 1],
    ]);
    expect(errors).toEqual([]);
    await client.flush();
    expect(await arrived()).toEqual([0, 1]);
  });

  test('close delivers, takes no more, and can be called again', async () => {
    const { client, errors } = open({ delayMilliseconds: 60_000 });
    sendSome(client, 2);
    await client.close();
    expect(await arrived()).toEqual([0, 1]);
    expect(sendSome(client, 1)).toEqual([undefined]);
    await client.close();
    expect(errors).toEqual([expect.objectContaining({ code: 'closed' })]);
  });

  test('close says what it leaves behind, and gives up what is under way', async () => {
    way.always = { hold: new Promise(() => undefined) };
    const { client } = open();
    sendSome(client, 2);
    await expect(client.close({ timeoutMilliseconds: 100 })).rejects.toMatchObject({
      undelivered: [{ code: 'waiting' }, { code: 'waiting' }],
    });
    expect(await arrived()).toEqual([]);
  });

  test('a program that sends and comes to its end delivers before it ends', async () => {
    const program = `import { TallybookClient } from '${library}';
      const client = new TallybookClient(${JSON.stringify({ url: way.url, key, sessionId: session })});
      for (let n = 0; n < 3; n++) client.send({ category: 'a', name: 'b', data: { n } });`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(await arrived()).toEqual(numbers(3));
  });
});

describe('bounds', () => {
  test.each([
    ['events', { queueEvents: 10 }, 10],
    ['bytes', { queueBytes: 2_000 }, undefined],
  ])(
    'a queue that is full of %s refuses the newest, and says so; the others go',
    async (_, options, room) => {
      way.always = { status: 503 };
      const { client, errors } = open({ ...options, batchEvents: 5 });
      const ids = sendSome(client, 30);
      const taken = ids.filter((id) => id !== undefined);
      if (room !== undefined) expect(taken.length).toBe(room);
      expect(ids.slice(taken.length)).toEqual(Array(30 - taken.length).fill(undefined));
      await until(() => way.requests.length > 1);
      expect(errors.map(({ code, event }) => [code, event.data!.n])).toEqual(
        numbers(30)
          .slice(taken.length)
          .map((n) => ['queue_full', n]),
      );
      way.always = undefined;
      await client.flush();
      expect(await arrived()).toEqual(numbers(taken.length));
      expect(sendSome(client, 1, 30)).toEqual([expect.any(String)]);
    },
  );

  test('what cannot be written as JSON is told', async () => {
    const { client, errors } = open();
    expect(client.send({ category: 'a', name: 'b', data: { n: 1n } })).toBeUndefined();
    await client.flush();
    expect(errors).toEqual([expect.objectContaining({ code: 'unserializable' })]);
  });

  test('a callback that throws stops nothing', async () => {
    const thrown: unknown[] = [];
    const listener = (error: unknown): void => void thrown.push(error);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', listener);
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException');
      for (const other of others) process.on('uncaughtException', other);
    });
    const { client } = open({
      onError: () => {
        throw new Error('from the callback');
      },
    });
    client.send({ category: 'a' });
    sendSome(client, 1);
    await expect(client.flush()).rejects.toThrow('missing_field');
    expect(await arrived()).toEqual([0]);
    await until(() => thrown.length > 0);
    expect(thrown).toEqual([new Error('from the callback')]);
  });

  test.each([
    [{ batchEvents: 0 }, 'batchEvents is 0; expected a number from 1'],
    [{ queueBytes: Number.NaN }, 'queueBytes is NaN'],
    [{ url: 'nowhere' }, 'Invalid URL'],
  ])('options that make no sense are refused: %o', (options, message) => {
    expect(() => new built.TallybookClient({ url: way.url, ...options })).toThrow(message);
  });

  test('an address below a path keeps it', async () => {
    const asked: string[] = [];
    const { client } = open({
      url: 'http://127.0.0.1:1/below/',
      fetch: async (input) => {
        asked.push(String(input));
        return Response.json({ received: 1 });
      },
    });
    sendSome(client, 1);
    await client.flush();
    expect(asked).toEqual([`http://127.0.0.1:1/below${path}`]);
  });
});
