/** The log in front, over HTTP: one JetStream server, a real ledger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openNatsLog } from '../../src/nats/index.ts';
import { eventsSystem } from '../../src/systems/events/index.ts';
import { lines, ndjson, type OpenApp, openApp, sale } from '../http/open-app.ts';
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
    return Number(text.split('\n').find((line: string) => line.startsWith(`${name} `))?.split(' ')[1]);
  };

  test('records are answered by their message, and committed after', async () => {
    const opened = await openLogged();
    const one = await opened.send('POST', '/v1/streams/sales/records', sale('a'));
    expect(one.status).toBe(202);
    expect(one.json).toEqual({ received: 1, log: opened.name, sequence: '1', repeated: false });
    const many = await opened.send('POST', '/v1/streams/sales/records', lines([sale('b'), sale('c')]), ndjson);
    expect(many.json).toMatchObject({ received: 2, sequence: '2' });
    await opened.log.settled();
    expect(await counted(opened)).toBe(3);
    const { json } = await opened.send('GET', '/v1/streams/sales/records/a');
    expect(json.history).toMatchObject([{ verdict: 'accepted' }]);
  });
});
