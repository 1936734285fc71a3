/**
 * Server-sent events, asked for with the key (the browser's own `EventSource` cannot send one). It comes again after a
 * break, from the last id. What comes faster than people see is handed on in one go.
 */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { useEffect, useRef } from 'react';
import { address, type Parameters, Problem, send } from './api.ts';

const againMilliseconds = 2_000;
const mergeMilliseconds = 200;

export interface ServerEvent {
  event: string;
  data: string;
}

interface Listening {
  path: string;
  query?: Parameters;
  enabled?: boolean;
  /** After this event the server has nothing more to say. */
  last?: string;
  /** What came since the last time, oldest first. */
  take(events: ServerEvent[]): void;
  refused?(problem: Problem): void;
}

export function useServerEvents({ path, query, enabled = true, last, take, refused }: Listening): void {
  const heard = useRef({ take, refused });
  heard.current = { take, refused };
  const url = address(path, query);
  useEffect(() => {
    if (!enabled) return undefined;
    const abort = new AbortController();
    let lastId: string | undefined;
    let waiting: ServerEvent[] = [];
    const merge = setInterval(() => {
      if (waiting.length === 0) return;
      const events = waiting;
      waiting = [];
      heard.current.take(events);
    }, mergeMilliseconds);
    const listen = async (): Promise<boolean> => {
      const headers = {
        accept: 'text/event-stream',
        ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
      };
      const { body } = await send('GET', url, { headers, signal: abort.signal });
      const events = body!
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream())
        .getReader();
      for (;;) {
        const { done, value } = await events.read();
        if (done) return false;
        if (value.id !== undefined) lastId = value.id;
        waiting.push({ event: value.event ?? 'message', data: value.data });
        if (value.event === last) return true;
      }
    };
    const keepListening = async (): Promise<void> => {
      while (!abort.signal.aborted) {
        try {
          if (await listen()) return;
        } catch (error) {
          if (error instanceof Problem && error.status < 500) return heard.current.refused?.(error);
        }
        await new Promise((resolve) => setTimeout(resolve, againMilliseconds));
      }
    };
    void keepListening();
    return () => {
      abort.abort();
      clearInterval(merge);
      if (waiting.length > 0) heard.current.take(waiting);
    };
  }, [url, enabled, last]);
}
