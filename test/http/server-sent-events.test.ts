/** How a stream of events ends. */
import { connect } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { sendEvents } from '../../src/http/server-sent-events.ts';
import type { Events } from '../../src/systems/system.ts';
import { follow } from './follow-events.ts';
import { openApp } from './open-app.ts';

test.each([
  ['its key is revoked', (of: Owner) => of.send('DELETE', `/v1/sources/${of.name}/keys/${of.keyId}`)],
  ['its source is removed', (of: Owner) => of.send('DELETE', `/v1/sources/${of.name}`)],
])('a stream of events ends when %s', async (_how, end) => {
  const { send, listen, tallybook } = await openApp('memory', { auth: true });
  const make = async (name: string, scopes: ('read' | 'admin')[]) =>
    tallybook.sources.create(name, { scopes, streams: undefined, origins: undefined, rateLimit: undefined });
  const admin = await make('admin', ['admin']);
  const { source, key } = await make('screen', ['read']);
  const url = `${await listen()}/v1/notifications/events`;
  const followed = await follow(url, { authorization: `Bearer ${key}` });
  await tallybook.sources.addKey(source.name);
  expect(followed.ended()).toBe(false);
  const as = { authorization: `Bearer ${admin.key}` };
  const { status } = await end({
    send: (method, path) => send(method, path, undefined, as),
    name: source.name,
    keyId: source.keys[0]!.id,
  });
  expect(status).toBeLessThan(300);
  await expect.poll(() => followed.ended(), { timeout: 5_000 }).toBe(true);
});

interface Owner {
  send(method: string, path: string): Promise<{ status: number }>;
  name: string;
  keyId: string;
}

test('who takes nothing is let go, who is only quiet is not', async () => {
  const { app, listen, tallybook } = await openApp('memory', {});
  const streams: Events[] = [];
  app.get('/test/events', { config: { scope: 'read' } }, (request, reply) => {
    streams.push(sendEvents(request, reply, tallybook.sources));
  });
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const base = await listen();
  const quiet = await follow(`${base}/test/events`);
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  socket.write('GET /test/events HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await expect.poll(() => streams.length).toBe(2);
  socket.pause();
  const [heard, stuck] = streams as [Events, Events];
  const pad = 'x'.repeat(1_000_000);
  let taken = 0;
  void (async () => {
    while (!stuck.closed) {
      await stuck.each(String(taken), 'pad', { pad });
      taken++;
    }
  })();
  let before = -1;
  while (before !== taken) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  vi.advanceTimersByTime((limits.events_idle_seconds - 15) * 1000);
  expect([heard.closed, stuck.closed]).toEqual([false, false]);
  vi.advanceTimersByTime(45_000);
  await expect.poll(() => stuck.closed).toBe(true);
  expect(heard.closed).toBe(false);
  quiet.stop();
});
