/** What comes slowly, or only announces itself, takes nothing from others: over real sockets. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { systems } from '../../src/systems/systems.ts';
import { openApp, sale } from './open-app.ts';

/** Connections that send a request as far as it is given, and then nothing more. */
async function open(base: string, count: number, text: string) {
  const { hostname, port } = new URL(base);
  const sockets = await Promise.all(
    Array.from({ length: count }, async (): Promise<{ socket: Socket; answer: () => string }> => {
      const socket = connect(Number(port), hostname);
      let answer = '';
      socket.setEncoding('utf8').on('data', (some: string) => {
        answer += some;
      });
      socket.on('error', () => undefined);
      await new Promise<void>((resolve) => socket.write(text, () => resolve()));
      return { socket, answer: () => answer };
    }),
  );
  onTestFinished(() => {
    for (const { socket } of sockets) socket.destroy();
  });
  return sockets;
}

const head = (path: string, length: number, type: string) =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`;

test('bodies that are announced and do not come keep nobody from sending', async () => {
  const { send, listen } = await openApp('memory', {});
  const base = await listen();
  const announced = limits.memory_body_bytes;
  const count = Math.ceil(limits.waiting_bytes / announced) + 1;
  const path = '/v1/streams/sales/records';
  await open(base, count, `${head(path, announced, 'application/x-ndjson')}${'x'.repeat(1000)}`);
  // Nothing tells when the server has seen what came of them.
  await sleep(300);
  expect((await send('POST', path, sale('a'))).status).toBe(201);
});

test('who may be anybody has little room, and none of what is there for others', async () => {
  const { send, listen, tallybook } = await openApp('memory', { systems, streams: {}, auth: true });
  const { key } = await tallybook.sources.create('shop', {
    scopes: ['ingest'],
    streams: undefined,
    origins: undefined,
    rateLimit: undefined,
  });
  const base = await listen();
  const length = limits.keyed_body_bytes;
  const count = Math.floor(limits.keyed_reading_bytes / length);
  const message = { type: 'track', event: 'x', anonymousId: 'a', writeKey: key };
  const bytes = `${JSON.stringify({ ...message, pad: 'x'.repeat(length - 200) })}`;
  const strangers = await open(base, count + 2, head('/v1/t', bytes.length, 'text/plain'));
  for (const { socket } of strangers) socket.write(bytes.slice(0, -1));
  await expect
    .poll(() => strangers.filter(({ answer }) => answer().startsWith('HTTP/1.1 503')).length, {
      timeout: 10_000,
    })
    .toBeGreaterThan(0);
  // A body in one piece takes no room.
  const whole = `${JSON.stringify(message)}`;
  expect((await send('POST', '/v1/t', whole, { 'content-type': 'text/plain' })).status).toBe(200);
  const bearer = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const [one] = await open(
    base,
    1,
    `${head('/v1/t', whole.length, 'text/plain').replace('host: localhost', `host: localhost\r\nauthorization: ${bearer.authorization}`)}${whole.slice(0, 10)}`,
  );
  one!.socket.write(whole.slice(10));
  await expect.poll(() => one!.answer(), { timeout: 10_000 }).toMatch(/^HTTP\/1.1 200/);
  // Those that are not whole in time are given up.
  await expect
    .poll(() => strangers.filter(({ answer }) => answer() !== '').length, {
      timeout: (limits.keyed_body_seconds + 10) * 1000,
    })
    .toBe(strangers.length);
}, 40_000);

test('an address that is none is told so before its body comes', async () => {
  const { listen } = await openApp('memory', { auth: true });
  const [one] = await open(await listen(), 1, head('/v1/nothing', 1_000_000, 'application/json'));
  await expect.poll(() => one!.answer(), { timeout: 10_000 }).toMatch(/^HTTP\/1.1 404/);
});
