/** The usage system over HTTP, with the short way to send records and to ask. */
import { expect } from 'vitest';
import { systems } from '../../../src/systems/systems.ts';
import type { StoreKind } from '../../http/open-app.ts';
import { openApp } from '../../http/open-app.ts';

export async function openUsage(kind: StoreKind, auth = false) {
  const { send, ...opened } = await openApp(kind, { systems, streams: {}, auth });
  return {
    ...opened,
    send,
    /** A request that must go well; its answer. */
    async done(method: string, url: string, body?: unknown, headers?: Record<string, string>) {
      const { status, text, json } = await send(method, url, body, headers);
      if (status >= 300) expect.fail(`${method} ${url} answers ${status}: ${text}`);
      return json;
    },
    /** Every page of a list, put together. */
    async all(url: string): Promise<unknown[]> {
      const found: unknown[] = [];
      for (let next: string | undefined = url; next !== undefined; ) {
        const { status, json, text, headers } = await send('GET', next);
        if (status !== 200) expect.fail(`GET ${next} answers ${status}: ${text}`);
        found.push(...json);
        next = /<([^>]*)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
      }
      return found;
    },
  };
}
export type OpenUsage = Awaited<ReturnType<typeof openUsage>>;

/** A data record: `data('d1', 8047, '4.20', '2026-10-05T06:43:00Z', 51200)`. */
export const data = (
  id: string,
  subscription_id: number | string,
  price: unknown,
  usage_date: string,
  used = 1,
) => ({
  id,
  subscription_id,
  price,
  usage_date,
  kilobytes_used: used,
});

export const voice = (
  id: string,
  subscription_id: number | string,
  price: unknown,
  usage_date: string,
  used = 1,
) => ({ id, subscription_id, price, usage_date, seconds_used: used });
