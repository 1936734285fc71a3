/** The events system over HTTP, with the short way to send events and to ask. */
import { expect } from 'vitest';
import { systems } from '../../../src/systems/systems.ts';
import { openApp, type StoreKind } from '../../http/open-app.ts';

export async function openEvents(kind: StoreKind, auth = false) {
  const opened = await openApp(kind, { systems, streams: {}, auth });
  return {
    ...opened,
    /** A request that must go well; its answer. */
    async done(method: string, url: string, body?: unknown, headers?: Record<string, string>) {
      const { status, text, json } = await opened.send(method, url, body, headers);
      if (status >= 300) expect.fail(`${method} ${url} answers ${status}: ${text}`);
      return json;
    },
  };
}
export type OpenEvents = Awaited<ReturnType<typeof openEvents>>;

export const session = '7d1c62f0-0a54-4f0e-9a3f-51c1a5b3f0aa';
export const at = '2026-03-09 18:04:59.120034';

/** An event as an application sends it. */
export function event(more: object = {}): Record<string, unknown> {
  return {
    session_id: session,
    category: 'page interaction',
    name: 'pageview',
    data: { host: 'shop.example.com', path: '/' },
    timestamp: at,
    ...more,
  };
}

export const json = { 'content-type': 'application/json' };
