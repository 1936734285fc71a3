/** Webhooks: signed, in order, tried again, and never to an address that was not meant. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Notification, notificationId } from '../../src/engine/notifications.ts';
import type { Store } from '../../src/engine/store.ts';
import { type Log, Tallybook } from '../../src/engine/tallybook.ts';
import type { WebhookSettings } from '../../src/engine/webhooks.ts';
import { isPublicAddress } from '../../src/http/webhook-address.ts';
import { webhookPoster } from '../../src/http/webhook-post.ts';
import { makeDirectory, openStore, replaceVerbs, sale, sales, storeKinds } from '../http/open-app.ts';

const log: Log = { info() {}, warn() {}, error() {} };
const timing = { firstDelayMilliseconds: 5, longestDelayMilliseconds: 20, timeoutMilliseconds: 5_000 };
const allowed: WebhookSettings = { poster: webhookPoster(['127.0.0.1', 'LOCALHOST.']), timing };

/** In the end, however busy the machine is. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 10_000, interval: 20 });

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}
type Answering = (answer: ServerResponse, count: number) => void;

/** A receiver: it answers as it is told to, and keeps what it took with a status of 200. */
async function receiver(port = 0) {
  const received: Received[] = [];
  const taken: Received[] = [];
  let answering: Answering = (answer) => void answer.writeHead(200).end();
  const server = createServer((request, answer) => {
    let body = '';
    request.setEncoding('utf8').on('data', (some: string) => {
      body += some;
    });
    request.on('end', () => {
      const one = { headers: request.headers, body };
      received.push(one);
      answer.on('finish', () => answer.statusCode === 200 && taken.push(one));
      answering(answer, received.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(close);
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}/hooks?a=1`,
    received,
    taken,
    close,
    answer: (how: Answering) => {
      answering = how;
    },
    keys: () => taken.map(({ body }) => (JSON.parse(body) as { data: Notification }).data.key),
  };
}

let made = 0;
/** Notifications as an alert makes them. */
function told(...keys: string[]): Notification[] {
  return keys.map((key) => ({
    id: notificationId({ alert: 'spent', revision: 1, threshold: '80' }, [key, ++made]),
    at: new Date().toISOString(),
    alert: key.split(':')[0]!,
    revision: 1,
    stream: 'sales',
    measure: 'count',
    key,
    dimensions: { customer: key },
    period: { every: 'all', tz: 'UTC', start: null, from: null, to: null },
    threshold: '80',
    limit: '10',
    value: '8',
    percent: '80',
  }));
}

/** Of every attempt, oldest first. */
const outcomesOf = async ({ webhooks }: Tallybook) => {
  const { attempts } = await webhooks.attempts('hook', { newestFirst: false, size: 1_000 });
  return attempts.map(({ outcome }) => outcome);
};

describe.each(storeKinds)('webhooks, %s', (kind) => {
  async function books() {
    const directory = makeDirectory();
    let store: Store | undefined;
    const open = async (webhooks: WebhookSettings | 'none' = allowed) => {
      // The memory store would die with the Tallybook on it.
      if (kind !== 'memory' || !store) store = await openStore(kind, directory);
      const kept = kind === 'memory' ? replaceVerbs(store, { close: async () => undefined }) : store;
      const options = { store: kept, spoolDirectory: join(directory, 'spool'), log };
      const tallybook = await Tallybook.open(webhooks === 'none' ? options : { ...options, webhooks });
      onTestFinished(() => tallybook.close());
      return tallybook;
    };
    const tallybook = await open();
    return { open, tallybook };
  }

  test('an alert is posted, signed as Standard Webhooks has it', async () => {
    const { tallybook } = await books();
    const { url, taken } = await receiver();
    const { created, newSecret } = await tallybook.webhooks.put('hook', { url });
    expect(created).toBe(true);
    expect(newSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    await tallybook.streams.put('sales', sales);
    await tallybook.alerts.put('spent', {
      stream: 'sales',
      measure: 'sum(amount)',
      period: 'all',
      limit: 10,
    });
    const content = {
      kind: 'texts' as const,
      texts: [JSON.stringify(sale('1', { amount: '8.50' }))],
      fallbackIds: [''],
    };
    const stream = tallybook.streams.get('sales');
    await tallybook.write({
      stream,
      mode: 'insert',
      source: 't',
      reason: undefined,
      content,
      allVerdicts: false,
    });
    await eventually(() => taken.length).toBe(1);

    const { headers, body } = taken[0]!;
    const { notifications } = await tallybook.notifications.list({}, {});
    const { seq: _, ...notification } = notifications[0]!;
    expect(notification).toMatchObject({ alert: 'spent', value: '8.5', percent: '85' });
    expect(JSON.parse(body)).toEqual({
      type: 'alert.threshold_reached',
      timestamp: notification.at,
      data: notification,
    });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'webhook-id': notification.id,
    });
    const timestamp = String(headers['webhook-timestamp']);
    expect(Math.abs(Date.now() / 1000 - Number(timestamp))).toBeLessThan(60);
    const key = Buffer.from(newSecret!.slice('whsec_'.length), 'base64');
    const signed = createHmac('sha256', key)
      .update(`${notification.id}.${timestamp}.${body}`)
      .digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signed}`);
  });

  test('a receiver that is down gets everything later, in order, also after a restart', async () => {
    const { open, tallybook } = await books();
    const first = await receiver();
    await tallybook.notifications.add(told('before'));
    await tallybook.webhooks.put('hook', { url: first.url });
    await tallybook.notifications.add(told('a'));
    await eventually(first.keys).toEqual(['a']);
    await first.close();
    await tallybook.notifications.add(told('b', 'c'));
    await eventually(async () => (await outcomesOf(tallybook)).length).toBeGreaterThan(2);
    await tallybook.close();

    const again = await open();
    const second = await receiver(first.port);
    second.answer((answer, count) => void answer.writeHead(count === 2 ? 500 : 200).end('not now\u0000'));
    await again.notifications.add(told('d'));
    await eventually(second.keys).toEqual(['b', 'c', 'd']);
    const { attempts } = await again.webhooks.attempts('hook', { newestFirst: false });
    expect(attempts[0]).toEqual({
      id: expect.stringMatching(/^d_/),
      at: expect.any(String),
      webhook: 'hook',
      notification: expect.stringMatching(/^n_/),
      attempt: 1,
      redelivery: false,
      outcome: 'delivered',
      status: 200,
      milliseconds: expect.any(Number),
      url: first.url,
      error: null,
    });
    expect(attempts[1]).toMatchObject({
      attempt: 1,
      outcome: 'failed',
      status: null,
      error: expect.stringContaining('ECONNREFUSED'),
    });
    expect(attempts.find(({ status }) => status === 500)).toMatchObject({
      outcome: 'failed',
      error: 'the answer was 500: not now',
    });
    const ofB = attempts.filter(({ notification }) => notification === attempts[1]!.notification);
    expect(ofB.map(({ attempt }) => attempt)).toEqual(ofB.map((_, index) => index + 1));
    expect(second.received[1]!.headers['webhook-id']).toBe(second.received[2]!.headers['webhook-id']);
  });

  test('what was posted and what was given up is not posted again after a restart', async () => {
    const { open, tallybook } = await books();
    const hook = await receiver();
    hook.answer((answer, count) => void answer.writeHead(count <= 2 ? 503 : 200).end());
    await tallybook.close();
    const impatient = await open({ ...allowed, timing: { ...timing, giveUpMilliseconds: 0 } });
    await impatient.webhooks.put('hook', { url: hook.url });
    await impatient.notifications.add(told('a', 'b', 'c'));
    await eventually(hook.keys).toEqual(['c']);
    await eventually(async () => (await impatient.webhooks.attempts('hook', {})).attempts.length).toBe(3);
    await impatient.close();
    const again = await open();
    await again.notifications.add(told('d'));
    await eventually(hook.keys).toEqual(['c', 'd']);
    await eventually(() => outcomesOf(again)).toEqual(['given_up', 'given_up', 'delivered', 'delivered']);
  });

  test('redirects are not followed, answers that do not come are not waited for, and endless ones not read', async () => {
    const { open, tallybook } = await books();
    await tallybook.close();
    const quick = await open({
      ...allowed,
      timing: { ...timing, timeoutMilliseconds: 1_500, giveUpMilliseconds: 0 },
    });
    const other = await receiver();
    const hook = await receiver();
    await quick.webhooks.put('hook', { url: hook.url });
    hook.answer((answer, count) => {
      if (count === 1) answer.writeHead(307, { location: other.url }).end();
      else if (count === 2)
        return; // never
      else if (count === 3)
        answer.writeHead(200).write('x'); // and no end
      else answer.writeHead(400).end('x'.repeat(10_000_000));
    });
    await quick.notifications.add(told('redirect', 'slow', 'half', 'large'));
    await eventually(async () => (await quick.webhooks.attempts('hook', {})).attempts.length).toBe(4);
    const { attempts } = await quick.webhooks.attempts('hook', { newestFirst: false });
    expect(attempts.map(({ status, error }) => [status, error])).toEqual([
      [307, 'the answer was 307: redirects are not followed, give the address itself'],
      [null, 'there was no answer within 1.5 s'],
      [null, 'there was no answer within 1.5 s'],
      [400, `the answer was 400: ${'x'.repeat(300)}`],
    ]);
    expect(other.received).toEqual([]);
  });

  test('a receiver that says when to come again is not asked before', async () => {
    const { tallybook } = await books();
    const hook = await receiver();
    const at: number[] = [];
    hook.answer((answer, count) => {
      at.push(Date.now());
      answer.writeHead(count === 1 ? 429 : 200, { 'retry-after': '1' }).end();
    });
    await tallybook.webhooks.put('hook', { url: hook.url });
    await tallybook.notifications.add(told('a'));
    await eventually(hook.keys).toEqual(['a']);
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(950);
  });

  test('addresses that are not public are refused, also those of names, unless they are allowed by name', async () => {
    const { open, tallybook } = await books();
    await tallybook.close();
    const strict = await open({
      poster: webhookPoster(['hooks.internal']),
      timing: { ...timing, giveUpMilliseconds: 0 },
    });
    const hook = await receiver();
    for (const host of [
      '127.0.0.1',
      '0x7f.1',
      '2130706433',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '169.254.169.254',
      '10.0.0.1',
    ])
      await expect
        .soft(strict.webhooks.put('hook', { url: `http://${host}:${hook.port}/` }), host)
        .rejects.toMatchObject({
          code: 'webhook_refused',
          message: expect.stringContaining('serve --allow-webhook-host'),
        });
    await strict.webhooks.put('hook', { url: `http://localhost:${hook.port}/` });
    await strict.notifications.add(told('a'));
    await eventually(async () => (await strict.webhooks.attempts('hook', {})).attempts.length).toBe(1);
    const { attempts } = await strict.webhooks.attempts('hook', {});
    expect(attempts[0]).toMatchObject({
      outcome: 'given_up',
      status: null,
      error: expect.stringMatching(/^localhost is (127\.0\.0\.1|::1), which is no public address/),
    });
    await strict.close();
    const lenient = await open();
    await lenient.webhooks.put('hook', { url: `http://LocalHost:${hook.port}/` });
    await lenient.notifications.add(told('b'));
    await eventually(hook.keys).toEqual(['b']);
    expect(hook.received).toHaveLength(1);
  });

  test('only of some alerts, not while it is off, elsewhere from now on; posted once more when somebody asks', async () => {
    const { tallybook } = await books();
    await tallybook.streams.put('sales', sales);
    await tallybook.alerts.put('mine', { stream: 'sales', measure: 'count', period: 'all', limit: 1 });
    const hook = await receiver();
    const { webhooks, notifications } = tallybook;
    await webhooks.put('hook', { url: hook.url, alerts: ['mine'] });
    await notifications.add(told('mine:1', 'other:1', 'mine:2'));
    await eventually(hook.keys).toEqual(['mine:1', 'mine:2']);
    // Before it is changed: what is broken off is posted again.
    const attempts = async (count: number) =>
      eventually(async () => (await outcomesOf(tallybook)).length).toBe(count);
    await attempts(2);
    expect((await webhooks.put('hook', { url: hook.url, enabled: false })).newSecret).toBeUndefined();
    await notifications.add(told('mine:3'));
    await webhooks.put('hook', { url: hook.url });
    await notifications.add(told('mine:4'));
    await eventually(hook.keys).toEqual(['mine:1', 'mine:2', 'mine:4']);
    await attempts(3);

    // Of all alerts from now on: what was told of others before is not posted.
    await webhooks.put('hook', { url: hook.url, alerts: ['mine'] });
    await notifications.add(told('other:2'));
    await webhooks.put('hook', { url: hook.url });
    await notifications.add(told('other:3'));
    await eventually(hook.keys).toEqual(['mine:1', 'mine:2', 'mine:4', 'other:3']);
    await attempts(4);

    // What the old address did not take goes to the new one.
    await webhooks.put('hook', { url: 'http://127.0.0.1:1/' });
    await notifications.add(told('mine:5'));
    await eventually(async () => (await webhooks.attempts('hook', {})).attempts[0]?.outcome).toBe('failed');
    await webhooks.put('hook', { url: hook.url });
    await eventually(() => hook.keys().at(-1)).toBe('mine:5');

    const [first] = (await webhooks.attempts('hook', { newestFirst: false })).attempts;
    const once = await webhooks.redeliver('hook', first!.id);
    expect(once).toMatchObject({
      attempt: 2,
      redelivery: true,
      outcome: 'delivered',
      notification: first!.notification,
    });
    expect(hook.keys().at(-1)).toBe('mine:1');
    await expect(webhooks.redeliver('hook', 'd_none')).rejects.toMatchObject({ code: 'unknown_delivery' });
    await webhooks.remove('hook');
    await notifications.add(told('mine:6'));
    expect(() => webhooks.get('hook')).toThrow('there is no webhook hook');
    expect(hook.keys()).not.toContain('mine:6');
  });

  test('a process that serves nothing posts nothing, and leaves it to the next one that does', async () => {
    const { open, tallybook } = await books();
    const hook = await receiver();
    await tallybook.webhooks.put('hook', { url: hook.url });
    await tallybook.notifications.add(told('a'));
    await eventually(hook.keys).toEqual(['a']);
    await eventually(async () => (await tallybook.webhooks.attempts('hook', {})).attempts.length).toBe(1);
    await tallybook.close();
    const idle = await open('none');
    await idle.notifications.add(told('b'));
    const { attempts } = await idle.webhooks.attempts('hook', {});
    await expect(idle.webhooks.redeliver('hook', attempts[0]!.id)).rejects.toMatchObject({
      code: 'webhooks_idle',
    });
    await idle.close();
    expect(hook.keys()).toEqual(['a']);
    await open();
    await eventually(hook.keys).toEqual(['a', 'b']);
  });

  test('what cannot be used is refused, with what to change', async () => {
    const { tallybook } = await books();
    const url = 'https://example.com/';
    const wrong: [asked: object, message: string, code?: string][] = [
      [{ url: 'ftp://example.com' }, 'expected an address such as https://example.com/hooks'],
      [{ url: 'example.com' }, 'expected an address'],
      [{ url: 'https://me:secret@example.com/' }, 'holds a user name or password'],
      [{ url: 'https://example.com/#a' }, 'ends in #a'],
      [{ url: `https://example.com/${'a'.repeat(2_048)}` }, 'at most 2048 are allowed'],
      [{ url, secret: 'mine' }, 'secret must be whsec_'],
      [{ url, secret: 'whsec_c2hvcnQ=' }, 'secret must be whsec_'],
      [{ url, alerts: ['none'] }, 'there is no alert none', 'unknown_alert'],
    ];
    for (const [asked, message, code = 'bad_webhook'] of wrong)
      await expect
        .soft(tallybook.webhooks.put('hook', asked as { url: string }), JSON.stringify(asked).slice(0, 80))
        .rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(tallybook.webhooks.put('A!', { url })).rejects.toMatchObject({ code: 'bad_webhook' });
    expect(tallybook.webhooks.list()).toEqual([]);
  });
});

test('which addresses are public', () => {
  const known: [address: string, isPublic: boolean][] = [
    ['8.8.8.8', true],
    ['172.15.255.255', true],
    ['172.16.0.0', false],
    ['172.31.255.255', false],
    ['172.32.0.0', true],
    ['100.63.255.255', true],
    ['100.100.100.200', false],
    ['168.63.129.16', false],
    ['0.0.0.0', false],
    ['192.168.1.1', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['2606:4700:4700::1111', true],
    ['::', false],
    ['::1', false],
    ['::ffff:8.8.8.8', false],
    ['::ffff:10.0.0.1', false],
    ['::ffff:7f00:1', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['2001:0:4136:e378::', false],
    ['2001:db8::1', false],
    ['fd00:ec2::254', false],
    ['fe80::1', false],
    ['fe80::1%eth0', false],
    ['fec0::1', false],
    ['ff02::1', false],
    ['example.com', false],
  ];
  expect(known.map(([address]) => [address, isPublicAddress(address)])).toEqual(known);
});
