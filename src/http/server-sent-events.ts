/**
 * Server-sent events: an answer that goes on. Of what changes often only the latest is sent, a few times a second; where
 * each one counts, the next waits until the client has taken the one before; one that takes nothing for a minute is let
 * go. A comment now and then keeps the connection from being taken for dead. All end when the server stops, and each
 * when its key is revoked.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { jsonOf } from '../engine/exact-json.ts';
import { limits } from '../engine/limits.ts';
import type { Sources } from '../engine/sources.ts';
import type { Events } from '../systems/system.ts';
import { watchKey } from './auth.ts';

const latestMilliseconds = 250;
const aliveMilliseconds = 15_000;

const open = new Set<() => void>();

/** Ends all that are open: the server stops. */
export function endAllEvents(): void {
  for (const end of open) end();
}

export function sendEvents(request: FastifyRequest, reply: FastifyReply, sources: Sources): Events {
  const headers = {
    ...reply.getHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  };
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, headers as Record<string, string>);
  // The client is to know that it is heard, even when the first event is an hour away.
  raw.flushHeaders();
  const listeners: (() => void)[] = [];
  let waiting: string | undefined;
  let closed = false;
  const write = (text: string): void => {
    if (!closed) raw.write(text);
  };
  const flush = (): void => {
    if (waiting !== undefined) write(waiting);
    waiting = undefined;
  };
  const flushing = setInterval(flush, latestMilliseconds);
  let takenAt = performance.now();
  const alive = setInterval(() => {
    if (!raw.writableNeedDrain) {
      takenAt = performance.now();
      write(': still there\n\n');
    } else if (performance.now() - takenAt > limits.events_idle_seconds * 1000) raw.destroy();
  }, aliveMilliseconds);
  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(flushing);
    clearInterval(alive);
    open.delete(close);
    for (const listener of listeners) listener();
    raw.end();
  };
  open.add(close);
  let resume = (): void => undefined;
  listeners.push(() => resume());
  raw.on('drain', () => {
    takenAt = performance.now();
    resume();
  });
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      resume = resolve;
    });
  request.raw.on('close', close);
  const onClose = (listener: () => void): void => {
    if (closed) listener();
    else listeners.push(listener);
  };
  onClose(watchKey(sources, request, close));
  return {
    latest(event, data) {
      waiting = eventText(event, data);
    },
    async each(id, event, data) {
      if (!closed && !raw.write(`id: ${id}\n${eventText(event, data)}`)) await drained();
    },
    get closed() {
      return closed;
    },
    end(event, data) {
      waiting = undefined;
      write(eventText(event, data));
      close();
    },
    onClose,
  };
}

function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${jsonOf(data)}\n\n`;
}
