/** The occupancy system over HTTP, with the short way to send and to ask. */
import { expect } from 'vitest';
import { occupancySystem } from '../../../src/systems/occupancy/index.ts';
import { openApp, type StoreKind } from '../../http/open-app.ts';

export async function openOccupancy(kind: StoreKind, auth = false) {
  const { send, ...opened } = await openApp(kind, { systems: [occupancySystem], streams: {}, auth });
  const done = async (method: string, url: string, body?: unknown, headers?: Record<string, string>) => {
    const { status, text, json } = await send(method, url, body, headers);
    if (status >= 300) expect.fail(`${method} ${url} answers ${status}: ${text}`);
    return json;
  };
  return {
    ...opened,
    send,
    /** A request that must go well; its answer. */
    done,
    /** Of a space at a time. */
    async count(space: string, ts: string, more = ''): Promise<number> {
      const answer = await done('GET', `/space/${space}/count?ts=${encodeURIComponent(ts)}${more}`);
      expect(answer.space_id).toBe(space);
      return answer.count;
    },
  };
}
export type OpenOccupancy = Awaited<ReturnType<typeof openOccupancy>>;

/** A passage: `passage(283, 1, '2026-10-05T06:43:00Z')`. */
export const passage = (dpu_id: number, direction: number, timestamp: string, id?: string) => ({
  timestamp,
  direction,
  dpu_id,
  ...(id === undefined ? {} : { id }),
});
