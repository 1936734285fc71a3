/**
 * A log in front on a cluster of three NATS servers, while things are killed: the server that leads the log, the node
 * that takes from it, the consumer. Writers go on meanwhile, send again what was not answered, and correct what was.
 * In the end every record that was accepted is there, once, with the last content that was accepted for it.
 *
 * A short run is part of the tests; the long one is `TALLYBOOK_LOG_ROUNDS=20 npx vitest run test/faults/log`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NatsServers, natsServer, startNats, within } from '../nats/servers.ts';
import { type Served, serve } from './served.ts';

const rounds = Number(process.env['TALLYBOOK_LOG_ROUNDS'] ?? 1);
const declaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    writer: { type: 'integer', required: true },
    amount: { type: 'integer', required: true },
  },
  rollups: { daily: { every: 'day', by: ['writer'], sum: ['amount'] } },
};
const at = '2026-10-05T06:00:00Z';

describe.skipIf(!natsServer)('a log on three servers (needs nats-server)', () => {
  const root = mkdtempSync(join(tmpdir(), 'tallybook-log-'));
  let servers: NatsServers;
  let served: Served;
  beforeAll(async () => {
    servers = await startNats(3);
    served = await node();
    const put = await fetch(`${served.url}/v1/streams/facts`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(declaration),
    });
    expect(put.ok, await put.text()).toBe(true);
  }, 90_000);
  afterAll(async () => {
    await served?.kill();
    await servers?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const node = () => serve(join(root, 'data'), '--log', `${servers.address}/facts`, '--systems', 'none');

  /** What must be there in the end: by id, the last amount that was accepted. */
  const accepted = new Map<string, number>();
  /** Ids of which the last request was given up without an answer. */
  const unknown = new Set<string>();

  /** Sends until it is accepted, the same each time, as a client does. */
  async function send(method: string, path: string, body: object, stop: AbortSignal): Promise<boolean> {
    while (!stop.aborted) {
      try {
        const response = await fetch(`${served.url}/v1/streams/facts/records${path}`, {
          method,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(15_000),
        });
        const text = await response.text();
        if (response.status === 202) return true;
        expect([503], `${text}\n${served.log()}`).toContain(response.status);
      } catch (error) {
        if ((error as Error).name === 'AssertionError') throw error;
      }
      await sleep(50);
    }
    return false;
  }

  async function write(round: number, writer: number, stop: AbortSignal): Promise<void> {
    for (let n = 0; !stop.aborted; n++) {
      const id = `r${round}-w${writer}-${n}`;
      unknown.add(id);
      if (!(await send('POST', '', { id, at, writer, amount: n }, stop))) return;
      accepted.set(id, n);
      if (n % 3 === 0 && !(await correctTwice(id, writer, n, stop))) return;
      unknown.delete(id);
    }
  }

  /** A correction that came again after the second would undo it. */
  async function correctTwice(id: string, writer: number, n: number, stop: AbortSignal): Promise<boolean> {
    for (const amount of [1_000 + n, 2_000 + n]) {
      if (!(await send('PUT', `/${id}`, { at, writer, amount }, stop))) return false;
      accepted.set(id, amount);
    }
    return true;
  }

  test(
    `the leader, the node and the consumer are killed; nothing accepted is lost, nothing is there twice (${rounds} rounds)`,
    async () => {
      for (let round = 1; round <= rounds; round++) {
        const stop = new AbortController();
        const writers = Array.from({ length: 6 }, (_, writer) => write(round, writer, stop.signal));
        const failed = Promise.all(writers);
        await sleep(1_000);

        const connection = await servers.look();
        const managing = await jetstreamManager(connection, { timeout: 5_000, checkAPI: false });
        await managing.consumers.delete('facts', 'tallybook');
        await connection.close();
        await within(20_000, async () =>
          expect(await metric('tallybook_log_restarts_total')).toBeGreaterThan(0),
        );

        const leader = await servers.leaderOf('facts');
        await servers.kill(leader);
        expect(await servers.leaderOf('facts')).not.toBe(leader);
        await sleep(1_000);

        await served.kill();
        served = await node();
        await sleep(1_000);
        await servers.start(leader);
        await sleep(1_000);

        stop.abort();
        await failed;
        await check();
      }
      console.info(`${rounds} rounds: ${accepted.size} records accepted`);
    },
    60_000 + rounds * 60_000,
  );

  async function check(): Promise<void> {
    await within(30_000, async () => {
      expect(await metric('tallybook_log_lag_messages')).toBe(0);
    });
    const standing = new Map<string, number>();
    let cursor = '';
    do {
      const page = await json(`/v1/streams/facts/records?page_size=1000${cursor}`);
      for (const { id, record } of page.records) {
        expect(standing.has(id), `${id} stands twice`).toBe(false);
        standing.set(id, Number(record.amount));
      }
      cursor = page.next ? `&cursor=${encodeURIComponent(page.next)}` : '';
    } while (cursor !== '');
    for (const [id, amount] of accepted) {
      if (unknown.has(id)) expect(standing.has(id), id).toBe(true);
      else expect(standing.get(id), id).toBe(amount);
    }
    for (const id of standing.keys()) expect(accepted.has(id) || unknown.has(id), id).toBe(true);
    expect((await json('/v1/rejects')).rejects).toEqual([]);
    expect(await metric('tallybook_log_taken_total{outcome="dead"}')).toBeNaN();
    const verify = await fetch(`${served.url}/v1/admin/verify`, { method: 'POST' });
    const { checks } = (await verify.json()) as { checks: { ok: boolean }[] };
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  async function json(path: string): Promise<any> {
    const response = await fetch(served.url + path);
    expect(response.status).toBe(200);
    return response.json();
  }

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(`${served.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  }
});
