/**
 * Every door, with requests and bytes that nobody thought of: each is answered, none with a defect, and the ledger is
 * right afterwards. What fails is shrunk to the least that still fails.
 *
 *     TALLYBOOK_TEST_SEED=7 npx vitest run test/abuse/fuzz.test.ts          the same requests again
 *     TALLYBOOK_FUZZ_CASES=1000000 npx vitest run test/abuse/fuzz.test.ts   the long run
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import { expect, test, vi } from 'vitest';
import { systems } from '../../src/systems/systems.ts';
import { type OpenApp, openApp, sale } from '../http/open-app.ts';
import { type Answer, ask } from './answers.ts';
import { bodiesOf, edited, edits } from './bodies.ts';
import { type Asked, type OpenApi, requestsTo } from './requests.ts';

const seed = Number(process.env.TALLYBOOK_TEST_SEED ?? Date.now() % 2 ** 31);
/** Requests of all tests here together. */
const cases = Number(process.env.TALLYBOOK_FUZZ_CASES ?? 1_000);
vi.setConfig({ testTimeout: 60_000 + cases * 100 });

/** Requests that are under way at the same time: their records share commits. */
const atOnce = 8;

async function open(): Promise<OpenApp> {
  const opened = await openApp('duckdb', { systems, console: true });
  await opened.send('POST', '/v1/streams/sales/records', [sale('a', { data: { a: 1 } }), sale('b')]);
  await opened.send('POST', '/v1/streams/sales/records', [sale('c', { amount: 'x' })]);
  await opened.send('POST', '/v1/streams/clicks/records', [{ at: '2026-10-05T06:43:00Z', page: 'p', n: 1 }]);
  return opened;
}

/** Runs requests, some at once, and looks at the ledger in the end. */
async function abuse<Request>(
  { app, tallybook, errors, directory }: OpenApp,
  requests: fc.Arbitrary<Request>,
  count: number,
  send: (request: Request) => Promise<unknown>,
): Promise<void> {
  let sent = 0;
  let most = process.memoryUsage().rss;
  const some = fc.array(requests, { minLength: 1, maxLength: 2 * atOnce, size: 'max' });
  const property = fc.asyncProperty(some, async (list) => {
    sent += list.length;
    const settled = await Promise.allSettled(list.map(send));
    const logged = errors.splice(0);
    const failed = settled.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    if (failed) throw failed.reason;
    if (logged.length > 0) throw new Error(`an error was logged: ${described(logged)}`);
    most = Math.max(most, process.memoryUsage().rss);
  });
  await fc.assert(property, { numRuns: Math.ceil(count / (atOnce + 0.5)), seed });
  expect((await tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  expect((await app.inject({ url: '/readyz' })).statusCode).toBe(200);
  // DuckDB may have 512 MB; the rest is the process, its tests included.
  expect(most).toBeLessThan(1_600_000_000);
  if (process.env.TALLYBOOK_FUZZ_CASES)
    console.log(`${sent} requests, at most ${Math.round(most / 1e6)} MB; ${directory}`);
}

function described(errors: OpenApp['errors']): string {
  return errors
    .map(
      ({ fields, message }) =>
        `${message} ${(fields as { err?: Error }).err?.stack ?? JSON.stringify(fields)}`,
    )
    .join('\n')
    .slice(0, 3_000);
}

test(`every route of the OpenAPI page (TALLYBOOK_TEST_SEED=${seed})`, async () => {
  const opened = await open();
  const { send, app, directory } = opened;
  // A backup goes where it is told to.
  mkdirSync(join(directory, 'here'));
  process.chdir(join(directory, 'here'));
  const { json: document } = (await send('GET', '/openapi.json')) as { json: OpenApi };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const dear = new Set(['/v1/admin/verify', '/v1/admin/compact', '/v1/admin/backup']);
  const requests = operations
    .filter(({ path }) => path !== '/v1/admin/backup')
    .map(({ method, path, operation }) => ({
      weight: dear.has(path) ? 1 : 30,
      arbitrary: requestsTo(method, path, operation).map((asked) => ({
        ...asked,
        endless: operation.responses?.[200]?.content?.['text/event-stream'] !== undefined,
      })),
    }));
  expect(requests.length).toBeGreaterThan(100);
  await abuse(
    opened,
    fc.oneof(...requests),
    cases * 0.75,
    ({ endless, ...asked }: Asked & { endless: boolean }) =>
      ask(app, { ...asked, payload: asked.body } as InjectOptions, endless),
  );
});

const at = '2026-10-05T06:43:00Z';
// biome-ignore format: a door a line
const doors: { url: string; stream: string; files?: boolean; records: Record<string, unknown>[] }[] = [
  { url: '/v1/streams/sales/records', stream: 'sales', records: [{ id: 'a', at, customer: 'é', amount: '1.50', paid: true, data: { a: [1, { b: null }] } }, { id: 'b', at: '2026-10-06', amount: '9'.repeat(28) }] },
  { url: '/v1/streams/clicks/records', stream: 'clicks', records: [{ at, page: 'p', n: '7' }, { at, n: '-9223372036854775808' }] },
  { url: '/v1/usage/data', stream: 'usage', records: [{ id: '1', subscription_id: '7', price: '1.25', kilobytes_used: '100', usage_date: at }, { id: '2', subscription_id: '8', price: '0', kilobytes_used: '1', usage_date: at }] },
  { url: '/v1/usage/voice', stream: 'usage', records: [{ id: '3', subscription_id: '7', price: '1.25', seconds_used: '100', usage_date: at }] },
  { url: '/v1/passages', stream: 'passages', records: [{ timestamp: at, direction: '1', dpu_id: '283' }, { timestamp: at, direction: '-1', dpu_id: '284' }] },
  { url: '/v1/spaces', stream: 'spaces', records: [{ id: '1', name: 'Hall', capacity: '10' }] },
  { url: '/v1/events', stream: 'events', records: [{ session_id: 's', category: 'page', name: 'view', data: { path: '/' }, timestamp: at }, { id: 'e', session_id: 's', category: 'form', name: 'send', data: { a: 1e3 }, timestamp: at }] },
  { url: '/theeye/events', stream: 'events', records: [{ session_id: 's', category: 'page', name: 'view', data: { path: '/' }, timestamp: at }] },
  { url: '/v1/track', stream: 'events', records: [{ messageId: 'm', type: 'track', event: 'e', userId: 'u', properties: { a: 1 }, timestamp: at, sentAt: at }] },
  { url: '/v1/batch', stream: 'events', records: [{ batch: [{ messageId: 'n', type: 'page', anonymousId: 'u', properties: { a: 1 }, timestamp: at }], sentAt: at }] },
  { url: '/v1/imports?stream=sales&wait=300', stream: 'sales', files: true, records: [{ id: 'i', at, amount: '2.50', customer: 'c' }, { id: 'j', at, amount: '3', customer: '=1+1' }] },
  { url: '/v1/imports?stream=clicks&mode=upsert&wait=300', stream: 'clicks', files: true, records: [{ at, page: 'p', n: '1' }, { at, page: 'p', n: '1' }] },
  { url: '/dsrs/import/?name=Service_Product_ES_EUR_20200101-20200131.tsv', stream: '', files: true, records: [{ dsp_id: 'd', title: 't', artists: 'A|B', isrc: 'SEABC1234567', usages: '3', revenue: '1.5' }] },
];

/** Streams of which every answer is a receipt that says what was kept: their doors, and no others, write to them. */
const countable = ['sales', 'clicks', 'usage', 'passages', 'spaces'];

interface Sent {
  door: (typeof doors)[number];
  body: Buffer;
  headers: Record<string, string>;
  how: 'whole' | 'in pieces' | 'multipart';
}

test(`every door of records, with bytes that were right once (TALLYBOOK_TEST_SEED=${seed})`, async () => {
  const opened = await open();
  const { app, directory } = opened;
  const totals = new Map(countable.map((stream) => [stream, { received: 0, accepted: 0, refused: 0 }]));
  const before = await kept(opened);

  const arbitraries = await Promise.all(
    doors.map(async (door, index) => {
      const made = await bodiesOf(door.records, join(directory, 'made', String(index)), door.files === true);
      // Right once: however short the run is, every door has taken something in.
      const [right] = made;
      if (countable.includes(door.stream) && !door.files) {
        const headers = {
          'content-type': right!.type,
          ...(right!.packing ? { 'content-encoding': right!.packing } : {}),
        };
        const payload = right!.bytes;
        count(await ask(app, { method: 'POST', url: door.url, headers, payload }), totals.get(door.stream)!);
      }
      return fc
        .record({
          body: fc.constantFrom(...made),
          edits,
          how: fc.constantFrom(
            'whole' as const,
            'whole' as const,
            'in pieces' as const,
            'multipart' as const,
          ),
          type: fc.option(fc.constantFrom(...made.map(({ type }) => type)), { freq: 10 }),
        })
        .map(({ body, edits, how, type }): Sent => {
          const multipart = how === 'multipart' && door.files === true;
          const ending = `.${body.type
            .split('/')[1]!
            .replace(/^x-|vnd\.apache\.|-separated-values/g, '')
            .replace(
              'tab',
              'tsv',
            )}${body.packing === 'gzip' ? '.gz' : body.packing === 'zstd' ? '.zst' : ''}`;
          const bytes = multipart
            ? edited(
                Buffer.concat([
                  Buffer.from(
                    `--xx\r\ncontent-disposition: form-data; name="file"; filename="a${ending}"\r\n\r\n`,
                  ),
                  body.bytes,
                  Buffer.from('\r\n--xx--\r\n'),
                ]),
                edits,
              )
            : edited(body.bytes, edits);
          const sent = {
            door,
            body: bytes,
            headers: {
              'content-type': multipart ? 'multipart/form-data; boundary=xx' : (type ?? body.type),
              ...(body.packing && !door.files ? { 'content-encoding': body.packing } : {}),
            },
            how,
          };
          const shown = JSON.stringify(bytes.toString('latin1').slice(0, 5_000));
          return Object.assign(sent, {
            [fc.toStringMethod]: () => `${door.url} ${how} ${JSON.stringify(sent.headers)} ${shown}`,
          });
        });
    }),
  );

  // A file is an import of its own, which takes ten times as long as a request.
  const weighted = arbitraries.map((arbitrary, i) => ({ arbitrary, weight: doors[i]!.files ? 1 : 6 }));
  await abuse(opened, fc.oneof(...weighted), cases * 0.25, async ({ door, body, headers, how }) => {
    const payload =
      how === 'in pieces'
        ? Readable.from([body.subarray(0, 9), body.subarray(9)].filter(({ length }) => length > 0))
        : body;
    const answer = await ask(app, { method: 'POST', url: door.url, headers, payload });
    if (countable.includes(door.stream)) count(answer, totals.get(door.stream)!);
  });

  // What receipts said is what is there.
  const after = await kept(opened);
  for (const [stream, { received, accepted, refused }] of totals) {
    expect.soft(received, stream).toBeGreaterThan(0);
    expect.soft(after.get(stream)!.standing - before.get(stream)!.standing, stream).toBe(accepted);
    expect.soft(after.get(stream)!.rejects - before.get(stream)!.rejects, stream).toBe(refused);
  }
});

interface Totals {
  received: number;
  accepted: number;
  refused: number;
}

function count({ status, type, text }: Answer, totals: Totals): void {
  if (!/json/.test(type)) return;
  const told = JSON.parse(text) as Record<string, number> & { counts?: Record<string, number> };
  const receipt = told.counts ?? told;
  if (receipt.received === undefined) return;
  const { received, accepted = 0, duplicates = 0, corrected = 0, conflicts = 0, rejected = 0 } = receipt;
  if (received !== accepted + duplicates + corrected + conflicts + rejected)
    throw new Error(`a receipt that does not add up: ${status} ${text.slice(0, 300)}`);
  totals.received += received;
  totals.accepted += accepted;
  totals.refused += conflicts + rejected;
}

/** How many records stand, and how many rejects there are, of each stream that is counted. */
async function kept({ send, tallybook }: OpenApp) {
  const found = new Map<string, { standing: number; rejects: number }>();
  for (const stream of countable) {
    const standing: number = (await send('GET', `/v1/streams/${stream}/query`)).json.rows[0].count;
    found.set(stream, { standing, rejects: await tallybook.rejects.count({ stream }) });
  }
  return found;
}
