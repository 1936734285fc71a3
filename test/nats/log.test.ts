/** The log in front, over HTTP: one JetStream server, a real ledger. */
import { randomBytes } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { TallybookError } from '../../src/engine/errors.ts';
import { openNatsLog } from '../../src/nats/index.ts';
import { eventsSystem } from '../../src/systems/events/index.ts';
import {
  lines,
  ndjson,
  type OpenApp,
  openApp,
  replaceVerbs,
  sale,
  sales as salesDeclaration,
} from '../http/open-app.ts';
import { type NatsServers, natsServer, startNats, within } from './servers.ts';

describe.skipIf(!natsServer)('with a log in front (needs nats-server)', () => {
  let servers: NatsServers;
  let logs = 0;
  beforeAll(async () => {
    servers = await startNats(1);
  });
  afterAll(() => servers?.stop());

  const newAddress = () => `${servers.address}/log${++logs}`;

  async function openLogged(address = newAddress(), options: Parameters<typeof openApp>[1] = {}) {
    const opened = await openApp('duckdb', options);
    const log = await openNatsLog({ tallybook: opened.tallybook, address, shared: false });
    await within(10_000, async () => log.refuseWhenFull());
    return { ...opened, log, name: address.split('/').at(-1)! };
  }

  const counted = async ({ send }: Pick<OpenApp, 'send'>, stream = 'sales') =>
    (await send('GET', `/v1/streams/${stream}/query?measures=count`)).json.rows[0].count;
  const metric = async ({ send }: Pick<OpenApp, 'send'>, name: string) => {
    const { text } = await send('GET', '/metrics');
    return Number(
      text
        .split('\n')
        .find((line: string) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  };

  test('records are answered by their message, and committed after', async () => {
    const opened = await openLogged();
    const one = await opened.send('POST', '/v1/streams/sales/records', sale('a'));
    expect(one.status).toBe(202);
    expect(one.json).toEqual({ received: 1, log: opened.name, sequence: '1', repeated: false });
    const many = await opened.send(
      'POST',
      '/v1/streams/sales/records',
      lines([sale('b'), sale('c')]),
      ndjson,
    );
    expect(many.json).toMatchObject({ received: 2, sequence: '2' });
    await opened.log.settled();
    expect(await counted(opened)).toBe(3);
    const { json } = await opened.send('GET', '/v1/streams/sales/records/a');
    expect(json.history).toMatchObject([{ verdict: 'accepted' }]);
  });

  test('what is corrected, taken back and sent again is so in the order in which it was accepted', async () => {
    const opened = await openLogged();
    const { send } = opened;
    const at = '/v1/streams/sales/records';
    const accepted = [
      await send('POST', at, sale('a', { amount: '1' })),
      await send('PUT', `${at}/a`, { at: '2026-10-05T00:00:00Z', amount: '2' }),
      await send('POST', `${at}?mode=upsert`, sale('a', { amount: '3' })),
      await send('DELETE', `${at}/a`),
      await send('POST', at, sale('a', { amount: '4' })),
      await send('POST', '/v1/streams/sales/retractions', '["a"]', { 'content-type': 'application/json' }),
      await send('PUT', `${at}/a`, { at: '2026-10-05T00:00:00Z', amount: '5' }),
    ];
    expect(accepted.map(({ status }) => status)).toEqual(accepted.map(() => 202));
    await opened.log.settled();
    const { json } = await send('GET', `${at}/a`);
    expect(json.standing.record.amount).toBe('5');
    expect(json.history.map(({ verdict }: { verdict: string }) => verdict)).toEqual([
      'accepted',
      'corrected',
      'corrected',
      'retracted',
      'accepted',
      'retracted',
      'accepted',
    ]);
  });

  test('the same request with the same key is one message; other content under it is another', async () => {
    const opened = await openLogged();
    const click = { at: '2026-10-05T00:00:00Z', page: '/' };
    const send = (body: object) =>
      opened.send('POST', '/v1/streams/clicks/records', body, { 'idempotency-key': 'k1' });
    expect((await send(click)).json).toMatchObject({ sequence: '1', repeated: false });
    expect((await send(click)).json).toMatchObject({ sequence: '1', repeated: true });
    expect((await send({ ...click, page: '/b' })).json).toMatchObject({ sequence: '2', repeated: false });
    await opened.log.settled();
    expect(await counted(opened, 'clicks')).toBe(1);
    expect((await opened.send('GET', '/v1/rejects')).json.rejects).toMatchObject([{ code: 'conflict' }]);
  });

  test('what was committed and not acknowledged comes again, and changes nothing', async () => {
    // A node that dies between commit and acknowledgement: its store commits, and does not come back.
    let dying = true;
    let revive = (): void => undefined;
    const death = new Promise<void>((resolve) => {
      revive = resolve;
    });
    const address = newAddress();
    const opened = await openLogged(address, {
      wrapStore: (store) =>
        replaceVerbs(store, {
          async publish(deliveries) {
            const receipts = await store.publish(deliveries);
            if (dying && deliveries.some(({ stream }) => stream.name === 'sales')) await death;
            return receipts;
          },
        }),
    });
    const { send, tallybook, log: dead } = opened;
    const at = '/v1/streams/sales/records';
    await send('POST', `${at}?mode=upsert`, sale('a', { amount: '1' }));
    await within(10_000, async () => expect((await send('GET', `${at}/a`)).status).toBe(200));
    const history = async () => (await send('GET', `${at}/a`)).json.history;
    expect(await history()).toHaveLength(1);

    // The node that takes its place gets it again, and knows it.
    const died = dead.close();
    const next = await openNatsLog({ tallybook, address, shared: false });
    await within(15_000, async () =>
      expect(await metric(opened, 'tallybook_log_taken_total{outcome="redelivered"}')).toBe(1),
    );
    await within(15_000, () => next.settled());
    expect(await history()).toHaveLength(1);

    dying = false;
    revive();
    await died;
    await send('POST', `${at}?mode=upsert`, sale('a', { amount: '2' }));
    await send('POST', at, sale('b', { amount: undefined }));
    await next.settled();
    expect(await history()).toHaveLength(2);
    expect((await send('GET', '/v1/rejects')).json.rejects).toHaveLength(1);
    expect((await tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  }, 60_000);

  test('a message that is none, or is for a stream that is not there, goes to the rejects; others go on', async () => {
    const opened = await openLogged();
    const connection = await servers.look();
    onTestFinished(() => connection.close());
    const publishing = jetstream(connection);
    await publishing.publish(`${opened.name}.sales`, 'not JSON');
    const later = { v: 1, stream: 'later', form: null, mode: 'insert', source: 's', reason: null };
    const record = '{"id":"x","at":"2026-10-05T00:00:00Z","amount":"7"}';
    await publishing.publish(
      `${opened.name}.later`,
      JSON.stringify({ ...later, ids: [''], texts: [record], undecodable: [] }),
    );
    await opened.send('POST', '/v1/streams/sales/records', sale('a'));
    await opened.log.settled();
    expect(await counted(opened)).toBe(1);
    const { rejects } = (await opened.send('GET', '/v1/rejects')).json;
    expect(rejects).toMatchObject([
      { stream: 'later', code: 'not_committed', encoding: 'utf8', source: 's' },
      { stream: 'sales', code: 'not_committed', encoding: 'base64' },
    ]);
    const bytes = rejects[1];
    const { original } = (await opened.send('GET', `/v1/rejects/${encodeURIComponent(bytes.id)}`)).json;
    expect(Buffer.from(original, 'base64').toString()).toBe('not JSON');
    expect(await metric(opened, 'tallybook_log_taken_total{outcome="dead"}')).toBe(2);

    await opened.tallybook.streams.put('later', salesDeclaration);
    const replayed = await opened.send('POST', '/v1/rejects/replay', {
      filter: { stream: 'later' },
    });
    expect(replayed.json).toMatchObject({ accepted: 1 });
    expect(await counted(opened, 'later')).toBe(1);
    expect((await opened.send('GET', '/v1/rejects')).json.rejects).toHaveLength(1);
  });

  test('a message on which the store fails again and again goes to the rejects, and does not block the others', async () => {
    const opened = await openLogged(undefined, {
      wrapStore: (store) =>
        replaceVerbs(store, {
          publish: async (deliveries) => {
            const poisoned = deliveries.some(
              ({ stream, content }) =>
                stream.name === 'sales' && content.kind === 'texts' && /poison/.test(content.texts.join()),
            );
            if (poisoned) throw new Error('the store cannot digest this');
            return store.publish(deliveries);
          },
        }),
    });
    const at = '/v1/streams/sales/records';
    await Promise.all(['a', 'poison', 'c'].map((id) => opened.send('POST', at, sale(id))));
    await opened.log.settled();
    expect(await counted(opened)).toBe(2);
    const { rejects } = (await opened.send('GET', '/v1/rejects')).json;
    expect(rejects).toMatchObject([{ code: 'not_committed', stream: 'sales' }]);
    expect(rejects[0].message).toContain('the store cannot digest this');
  });

  test('while the store is away records are accepted up to the size of the log; all are committed after', async () => {
    let away = false;
    const opened = await openLogged(`${newAddress()}?max_bytes=20000`, {
      wrapStore: (store) =>
        replaceVerbs(store, {
          publish: async (deliveries) => {
            if (away) throw new TallybookError('storage_full', 'away');
            return store.publish(deliveries);
          },
        }),
    });
    away = true;
    const at = '/v1/streams/sales/records';
    let accepted = 0;
    let refused: Awaited<ReturnType<OpenApp['send']>> | undefined;
    while (!refused) {
      const answer = await opened.send('POST', at, sale(`s${accepted}`));
      if (answer.status === 202) accepted++;
      else refused = answer;
    }
    expect(refused).toMatchObject({ status: 503, json: { code: 'overloaded' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await opened.send('GET', '/readyz')).status).toBe(503);
    expect(accepted).toBeGreaterThan(20);
    await within(5_000, async () =>
      expect(await metric(opened, 'tallybook_log_lag_messages')).toBe(accepted),
    );
    expect(await metric(opened, 'tallybook_log_lag_seconds')).toBeGreaterThan(0);
    away = false;
    await within(10_000, () => opened.log.settled());
    expect(await counted(opened)).toBe(accepted);
    await within(5_000, async () => expect(await metric(opened, 'tallybook_log_lag_messages')).toBe(0));
    await within(5_000, async () => expect((await opened.send('POST', at, sale('after'))).status).toBe(202));
    expect((await opened.send('GET', '/readyz')).status).toBe(200);
  });

  test('what does not fit a message goes to the ledger itself, after what the log held before it', async () => {
    const opened = await openLogged();
    const at = '/v1/streams/sales/records';
    await opened.send('PUT', `${at}/a`, { at: '2026-10-05T00:00:00Z', amount: '1' });
    const csv = 'id,at,amount\na,2026-10-05T00:00:00Z,2\n';
    const file = await opened.send('POST', `${at}?mode=upsert`, csv, { 'content-type': 'text/csv' });
    expect(file).toMatchObject({ status: 200, json: { corrected: 1 } });
    // Bytes of chance cannot be packed.
    const data = randomBytes(700_000).toString('base64');
    const large = [sale('b', { data: { data } }), sale('c', { data: { data } })];
    const answer = await opened.send('POST', at, lines(large), ndjson);
    expect(answer).toMatchObject({ status: 200, json: { accepted: 2 } });
    // The same size of something that can be packed fits.
    const packable = sale('d', { data: { data: 'x'.repeat(1_000_000) } });
    expect((await opened.send('POST', at, lines([packable, sale('e')]), ndjson)).status).toBe(202);
    await opened.log.settled();
    expect(await counted(opened)).toBe(5);
    expect((await opened.send('GET', `${at}/a`)).json.standing.record.amount).toBe('2');
  });

  test('events go through the log by all of their doors', async () => {
    const opened = await openLogged(undefined, { systems: [eventsSystem], streams: {} });
    const event = { session_id: 's', category: 'c', name: 'n', data: {}, timestamp: '2026-10-05T00:00:00Z' };
    const json = { 'content-type': 'application/json' };
    const one = await opened.send('POST', '/v1/events', JSON.stringify({ ...event, id: 'e1' }), json);
    expect(one).toMatchObject({ status: 202, json: { received: 1, log: opened.name } });
    expect((await opened.send('POST', '/theeye/events', JSON.stringify(event), json)).status).toBe(202);
    const track = { type: 'track', event: 'n', anonymousId: 's', messageId: 'm' };
    expect((await opened.send('POST', '/v1/batch', JSON.stringify({ batch: [track] }), json)).json).toEqual({
      success: true,
    });
    // What cannot be read is kept all the same, and told at once.
    expect((await opened.send('POST', '/v1/events', 'no JSON', json)).status).toBe(400);
    await opened.log.settled();
    expect(await counted(opened, 'events')).toBe(3);
    expect((await opened.send('GET', '/v1/rejects')).json.rejects).toMatchObject([{ code: 'unreadable' }]);
  });

  test('what was given to somebody who never acknowledges it is read from the log, and keeps its place', async () => {
    const opened = await openLogged();
    const connection = await servers.look();
    onTestFinished(() => connection.close());
    const at = '/v1/streams/sales/records/a';
    const put = (amount: number) => opened.send('PUT', at, { at: '2026-10-05T00:00:00Z', amount });
    await put(0);
    await opened.log.settled();
    // Both ask for messages now, and get them by turns.
    const consumer = await jetstream(connection).consumers.get(opened.name, 'tallybook');
    const stolen: number[] = [];
    const thief = await consumer.consume({ callback: ({ seq }) => void stolen.push(seq) });
    for (let amount = 1; amount <= 30 || stolen.length === 0; amount++)
      expect((await put(amount)).status).toBe(202);
    await thief.close();
    await put(1_000);
    const history = async () => (await opened.send('GET', at)).json.history;
    await within(15_000, async () => expect((await history()).at(-1).record.amount).toBe('1000'));
    const amounts = (await history()).map(({ record }: { record: { amount: string } }) =>
      Number(record.amount),
    );
    expect(stolen.length).toBeGreaterThan(0);
    expect(amounts).toEqual([...amounts.keys()].slice(0, -1).concat(1_000));
  }, 40_000);

  test('a consumer that is deleted from under the node is made again; nothing is lost or doubled', async () => {
    const opened = await openLogged();
    const connection = await servers.look();
    onTestFinished(() => connection.close());
    const managing = await jetstreamManager(connection);
    for (let i = 0; i < 60; i++) {
      await opened.send('POST', '/v1/streams/clicks/records', { at: '2026-10-05T00:00:00Z', n: i });
      if (i % 20 === 10) await managing.consumers.delete(opened.name, 'tallybook').catch(() => false);
    }
    await opened.log.settled();
    expect(await counted(opened, 'clicks')).toBe(60);
    expect(await metric(opened, 'tallybook_log_restarts_total')).toBeGreaterThan(0);
  });

  test('of several nodes on one ledger one takes; when it is gone, another does', async () => {
    const address = newAddress();
    const opened = await openLogged(address);
    await opened.log.close();
    const { tallybook } = opened;
    const nodes = [
      await openNatsLog({ tallybook, address, shared: true }),
      await openNatsLog({ tallybook, address, shared: true }),
    ];
    onTestFinished(async () => {
      for (const node of nodes) await node.close();
    });
    const taking = () => nodes.filter(({ state }) => state.taking);
    await within(10_000, async () => {
      for (const node of nodes) node.refuseWhenFull();
      expect(taking()).toHaveLength(1);
    });
    const [first] = taking();
    for (let i = 0; i < 20; i++) {
      expect((await opened.send('POST', '/v1/streams/sales/records', sale(`a${i}`))).status).toBe(202);
      expect(taking().length).toBeLessThan(2);
    }
    // It goes, and lets the other have it: the door is the other's already.
    const rest = nodes.filter((node) => node !== first);
    tallybook.putInFront(rest[0]!);
    await first!.close();
    for (let i = 0; i < 20; i++)
      expect((await opened.send('POST', '/v1/streams/sales/records', sale(`b${i}`))).status).toBe(202);
    await within(15_000, () => rest[0]!.settled());
    expect(taking()).toEqual(rest);
    expect(await counted(opened)).toBe(40);
  });

  test('while the log is away nothing is accepted, questions are answered, and it is not ready', async () => {
    const own = await startNats(1);
    onTestFinished(() => own.stop());
    const opened = await openLogged(`${own.address}/away`);
    await opened.send('POST', '/v1/streams/sales/records', sale('a'));
    await opened.log.settled();
    await own.kill(0);
    await within(10_000, async () => expect((await opened.send('GET', '/readyz')).status).toBe(503));
    const refused = await opened.send('POST', '/v1/streams/sales/records', sale('b'));
    expect(refused).toMatchObject({ status: 503, json: { code: 'log_unavailable' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(await metric(opened, 'tallybook_log_connected')).toBe(0);
    expect(await counted(opened)).toBe(1);
    await own.start(0);
    await within(15_000, async () => expect((await opened.send('GET', '/readyz')).status).toBe(200));
    expect((await opened.send('POST', '/v1/streams/sales/records', sale('b'))).status).toBe(202);
    await opened.log.settled();
    expect(await counted(opened)).toBe(2);
  }, 60_000);

  test('a JetStream stream that is none of ours is not touched', async () => {
    const connection = await servers.look();
    onTestFinished(() => connection.close());
    const managing = await jetstreamManager(connection);
    const name = `log${++logs}`;
    await managing.streams.add({ name, subjects: [`${name}.>`] });
    const opened = await openApp('memory');
    const log = await openNatsLog({ ...opened, address: `${servers.address}/${name}`, shared: false });
    await within(5_000, async () => {
      expect(() => log.refuseWhenFull()).toThrow(/retention is limits, not workqueue/);
    });
  });
});
