/** Two servers on one ledger in ClickHouse with one log in front, while things are killed and stand still. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { dropDatabase, freshDatabase } from '../clickhouse-store.ts';
import { type Served, serve } from '../faults/served.ts';
import { type NatsServers, natsServer, startNats, within } from '../nats/servers.ts';
import { holdingWire } from './wires.ts';

const declaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    amount: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', sum: ['amount'] } },
};
const at = '2026-10-05T06:00:00Z';
const turnMilliseconds = 1_000 * limits.log_turn_seconds;

describe.skipIf(!natsServer)('two nodes on one ledger and one log (needs nats-server)', () => {
  const root = mkdtempSync(join(tmpdir(), 'tallybook-nodes-'));
  let nodes = 0;
  let servers: NatsServers;
  let store: string;
  let wire: Awaited<ReturnType<typeof holdingWire>>;
  /** The first takes from the log, over the wire. */
  let first: Served;
  let second: Served;
  beforeAll(async () => {
    servers = await startNats(1);
    store = await freshDatabase();
    wire = await holdingWire(store);
    first = await node(wire.address);
    expect((await send(first, 'PUT', '/v1/streams/facts', declaration)).status).toBeLessThan(300);
    await within(20_000, async () => expect(await isTaking(first)).toBe(true));
    second = await node(store);
  });
  afterAll(async () => {
    for (const served of [first, second]) {
      served?.signal('SIGCONT');
      await served?.kill();
    }
    wire?.close();
    await servers?.stop();
    rmSync(root, { recursive: true, force: true });
    if (store) await dropDatabase(store);
  });

  function node(address: string): Promise<Served> {
    const options = ['--store', address, '--log', `${servers.address}/facts`, '--systems', 'none'];
    return serve(join(root, `node-${++nodes}`), ...options);
  }

  async function send(served: Served, method: string, path: string, body?: object) {
    const response = await fetch(`${served.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body ? JSON.stringify(body) : null,
    });
    return { status: response.status, text: await response.text() };
  }
  async function ask<T>(served: Served, path: string): Promise<T> {
    const { status, text } = await send(served, 'GET', path);
    expect(status, text).toBe(200);
    return JSON.parse(text) as T;
  }
  const isTaking = async (served: Served): Promise<boolean> =>
    /^tallybook_log_taking 1$/m.test((await send(served, 'GET', '/metrics')).text);
  async function isVerified(served: Served): Promise<void> {
    const { text } = await send(served, 'POST', '/v1/admin/verify');
    expect(JSON.parse(text)).toMatchObject({ ok: true });
  }

  test('one that stood still in the moment of its commit, for longer than its turn, does not do it again', async () => {
    const accept = async (to: Served, amount: number) =>
      expect((await send(to, 'PUT', '/v1/streams/facts/records/a', { at, amount })).status).toBe(202);
    const amounts = async () => {
      const path = '/v1/streams/facts/records/a';
      const { history } = await ask<{ history: { record: { amount: string } }[] }>(second, path);
      return history.map(({ record }) => record.amount);
    };
    await accept(second, 1);
    await within(20_000, async () => expect(await amounts()).toEqual(['1']));

    const held = wire.hold();
    await accept(second, 2);
    await held.isCaught;
    first.signal('SIGSTOP');
    await accept(second, 3);
    await within(turnMilliseconds + 20_000, async () => expect(await amounts()).toEqual(['1', '2', '3']));
    held.release();
    first.signal('SIGCONT');
    await within(20_000, async () =>
      expect((await send(first, 'GET', '/metrics')).text).toMatch(/^tallybook_log_restarts_total [1-9]/m),
    );
    await accept(second, 4);
    await within(20_000, async () => expect(await amounts()).toEqual(['1', '2', '3', '4']));
    await isVerified(second);
  });

  test('when the one that takes is killed, all that was accepted is there, once', async () => {
    const accepted = new Map<string, number>([['a', 4]]);
    let alive = [first, second];
    /** What was not answered is sent again, to whoever is there, before what comes after it. */
    async function accept(writer: number, method: string, path: string, body: object): Promise<void> {
      for (let attempt = writer; ; attempt++) {
        const to = alive[attempt % alive.length]!;
        const answer = await send(to, method, `/v1/streams/facts/records${path}`, body).catch(
          () => undefined,
        );
        if (answer?.status === 202) return;
        await sleep(50);
      }
    }
    async function write(writer: number): Promise<void> {
      for (let n = 0; n < 40; n++) {
        const id = `w${writer}-${n}`;
        await accept(writer, 'POST', '', { id, at, amount: n });
        accepted.set(id, n);
        for (const amount of n % 10 === 0 ? [100 + n, 200 + n] : []) {
          await accept(writer, 'PUT', `/${id}`, { at, amount });
          accepted.set(id, amount);
        }
      }
    }
    const writing = Promise.all([0, 1, 2, 3].map(write));
    await sleep(300);
    const taking = (await isTaking(first)) ? first : second;
    alive = alive.filter((one) => one !== taking);
    await taking.kill();
    await writing;
    const sum = [...accepted.values()].reduce((a, b) => a + b, 0);
    const query = '/v1/streams/facts/query?measures=count,sum(amount)';
    await within(turnMilliseconds + 40_000, async () =>
      expect((await ask<{ rows: unknown[] }>(alive[0]!, query)).rows).toEqual([
        { count: accepted.size, 'sum(amount)': String(sum) },
      ]),
    );
    await isVerified(alive[0]!);
  });
});
