/** A few records of each system a second, as long as the demo serves: so there is something to see. */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Connection } from '../connection.ts';
import { sensors } from './made-up.ts';

const everyMilliseconds = 1_000;
const pages = ['/', '/pricing', '/docs', '/signup'];

/** Returns what ends it, and closes the connection. It ends by itself when nothing is taken in any more. */
export function startTrickle(connection: Connection): () => Promise<void> {
  const stop = new AbortController();
  const running = trickle(connection, stop.signal);
  return async () => {
    stop.abort();
    await running;
    await connection.close();
  };
}

async function trickle(connection: Connection, signal: AbortSignal): Promise<void> {
  const session = randomUUID();
  const send = (path: string, count: number, made: () => object) =>
    ask(connection, 'POST', path, { body: Array.from({ length: count }, made) });
  try {
    while (!signal.aborted) {
      const now = new Date().toISOString();
      await send('/v1/streams/usage/records', randomInt(1, 12), () => ({
        id: `live_${randomUUID()}`,
        type: 'data',
        subscription_id: randomInt(1, 200),
        usage_date: now,
        price: `0.${randomInt(10, 99)}`,
        used: randomInt(1, 900),
      }));
      await send('/v1/events', randomInt(1, 6), () => ({
        session_id: session,
        category: 'page interaction',
        name: 'pageview',
        data: { host: 'www.example.com', path: pages[randomInt(pages.length)] },
        timestamp: now,
      }));
      await send('/v1/passages', randomInt(1, 4), () => ({
        timestamp: now,
        direction: randomInt(5) < 3 ? 1 : -1,
        dpu_id: sensors.first + randomInt(sensors.count),
      }));
      await sleep(everyMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  } catch {
    // The server stops, or the disk is full: whoever looks is told so by everything else.
  }
}
