/** Servers on one ledger that are stopped and started again one after the other, as a new version is brought in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { type Answer, at, factsDeclaration, request } from '../faults/clients.ts';
import { type Served, serve } from '../faults/served.ts';

const writers = 4;
/** For how long a request is sent to one server and the other in turn. */
const patienceMilliseconds = 15_000;

test('a rolling restart is seen by nobody who asks the other server, and loses and doubles nothing', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tallybook-rolling-'));
  const store = await freshDatabase();
  const started: Served[] = [];
  onTestFinished(async () => {
    for (const server of started) await server.kill();
    rmSync(root, { recursive: true, force: true });
    await dropDatabase(store);
  });
  const start = async (name: string): Promise<Served> => {
    const server = await serve(join(root, name), '--store', store, '--systems', 'none');
    started.push(server);
    return server;
  };
  const servers: [Served, Served] = [await start('one'), await start('other')];
  const declared = await request(
    `${servers[0].url}/v1/streams/facts`,
    'PUT',
    JSON.stringify(factsDeclaration),
  );
  expect(declared?.status, JSON.stringify(declared)).toBe(201);

  /** Sent to one server, and to the other when that one is not there or says that it stops; answered within patience. */
  async function sent(first: number, method: string, path: string, body?: string): Promise<Answer> {
    const until = Date.now() + patienceMilliseconds;
    for (let attempt = first; Date.now() < until; attempt++) {
      const answer = await request(`${servers[attempt % 2]!.url}/v1/streams/facts${path}`, method, body);
      // The other server learns of a stream within seconds.
      if (answer && answer.status !== 503 && answer.status !== 404) return answer;
      await sleep(20);
    }
    throw new Error(`${method} ${path} found no server within ${patienceMilliseconds} ms`);
  }

  const expected = new Map<string, number>();
  let stopped = false;
  async function write(writer: number): Promise<void> {
    for (let n = 0; !stopped; n++) {
      const id = `w${writer}-${n}`;
      const record = (cents: number) => JSON.stringify({ id, at: at(n % 10), kind: 'a', cents });
      const made = await sent(writer + n, 'POST', '/records', record(n));
      // Sent again after an answer that got lost, it is a duplicate.
      expect([200, 201], JSON.stringify(made)).toContain(made.status);
      if (n % 3 === 0) {
        const corrected = await sent(writer + n + 1, 'PUT', `/records/${id}`, record(n + 7));
        expect([200, 201], JSON.stringify(corrected)).toContain(corrected.status);
      }
      expected.set(id, n % 3 === 0 ? n + 7 : n);
    }
  }
  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  const restarting = (async () => {
    for (const [turn, name] of ['one', 'other', 'one', 'other'].entries()) {
      await sleep(1_000);
      const before = expected.size;
      expect(await servers[turn % 2]!.stop()).toBe(0);
      // While one is away the other takes everything in.
      await expect
        .poll(() => expected.size, { timeout: patienceMilliseconds })
        .toBeGreaterThan(before + writers);
      servers[turn % 2] = await start(name);
    }
    await sleep(1_000);
  })().finally(() => {
    stopped = true;
  });
  await Promise.all([restarting, writing]);

  const cents = [...expected.values()].reduce((sum, value) => sum + value, 0);
  for (const server of servers) {
    const asked = await request(`${server.url}/v1/streams/facts/query?measures=count,sum(cents)`);
    expect(asked!.body.rows).toEqual([{ count: expected.size, 'sum(cents)': String(cents) }]);
  }
  const verified = await request(`${servers[0].url}/v1/admin/verify`, 'POST');
  expect(verified!.body).toMatchObject({ ok: true });
});
