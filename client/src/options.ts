import type { Undelivered } from './event.ts';

/** Times are in milliseconds, sizes in bytes of UTF-8. */
export interface ClientOptions {
  /** Where Tallybook is, such as `https://tallybook.example.com`; the host of the page when not given. */
  url?: string;
  /** Where events go there; `/v1/events` when not given. */
  path?: string;
  /** A key with the scope `ingest`. */
  key?: string;
  /** The session of events that name none. In a browser one is made for the tab when not given. */
  sessionId?: string;
  /** Events in one request, at most. */
  batchEvents?: number;
  /** Bytes of one request, at most; an event that is larger goes alone. */
  batchBytes?: number;
  /** How long an event waits for others to go with. */
  delayMilliseconds?: number;
  /** Events that wait, at most. What comes when it is full is refused. */
  queueEvents?: number;
  /** Their bytes, at most. */
  queueBytes?: number;
  /** An attempt that has no answer after this long has failed. */
  timeoutMilliseconds?: number;
  /** The longest wait after the first failed attempt. It doubles with each further one. */
  retryMilliseconds?: number;
  /** What it doubles to, at most. */
  retryMaxMilliseconds?: number;
  /** Keeps what waits in the browser's `localStorage`, so that it outlives the page. */
  offline?: boolean;
  /** Told of every event that will not be committed. Writes a warning to the console when not given. */
  onError?: (undelivered: Undelivered) => void;
  /** Told of every attempt that failed and will be made again. */
  onRetry?: (retry: Retry) => void;
  /** Used instead of the global `fetch`. */
  fetch?: typeof fetch;
}

export interface Retry {
  /** Failed attempts in a row. */
  attempt: number;
  waitMilliseconds: number;
  /** Why it failed. */
  message: string;
}

/** A page can send 64 kB by requests that outlive it, all together: so half of that at a time in a browser. */
export const defaults = (browser: boolean) => ({
  path: '/v1/events',
  batchEvents: 100,
  batchBytes: browser ? 32_000 : 1_000_000,
  delayMilliseconds: 1_000,
  queueEvents: 10_000,
  queueBytes: 2_000_000,
  timeoutMilliseconds: 30_000,
  retryMilliseconds: 1_000,
  retryMaxMilliseconds: 60_000,
  offline: true,
});
