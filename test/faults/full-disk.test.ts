/**
 * A full disk: what cannot be kept is refused with 507 and leaves nothing; what was acknowledged stays; with room
 * made, everything goes on, without a restart.
 *
 * It needs a small file system of its own, which only root can mount (tmpfs); elsewhere it says that it is skipped.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Journal } from '../../src/stores/duckdb/journal.ts';
import { type Served, serve } from './served.ts';

const mounts = process.getuid?.() === 0 && process.platform === 'linux';
const root = mkdtempSync(join(tmpdir(), 'tallybook-full-'));
const ballast = join(root, 'ballast');
let served: Served | undefined;

describe.skipIf(!mounts)('a full disk (needs root on Linux, to mount a small tmpfs)', () => {
  beforeAll(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', root]);
    served = await serve(join(root, 'data'));
    const declaration = {
      id: 'id',
      fields: {
        id: { type: 'text', required: true },
        note: { type: 'text' },
        amount: { type: 'integer', required: true },
      },
      rollups: { total: { every: 'all', sum: ['amount'] } },
    };
    const put = await fetch(`${served.url}/v1/streams/facts`, {
      method: 'PUT',
      headers: json,
      body: JSON.stringify(declaration),
    });
    expect(put.ok, await put.text()).toBe(true);
  }, 60_000);
  afterAll(async () => {
    await served?.kill();
    execFileSync('umount', [root]);
    rmSync(root, { recursive: true, force: true });
  });

  test('refuses what does not fit, keeps what was acknowledged, and goes on when there is room again', async () => {
    let acknowledged = 0;
    acknowledged += await send(0, 1000);
    writeFileSync(ballast, Buffer.alloc(30 * 1024 * 1024));
    let refused = 0;
    for (let batch = 1; batch <= 60 && refused < 3; batch++) {
      const kept = await send(batch, 1000);
      if (kept === 0) refused++;
      acknowledged += kept;
    }
    expect(refused, 'the disk must fill up').toBe(3);
    const tooMuch = Array.from({ length: 60_000 }, (_, i) => line(`import-${i}`)).join('\n');
    const imported = await fetch(`${served!.url}/v1/imports?stream=facts&wait=60`, {
      method: 'POST',
      headers: ndjson,
      body: tooMuch,
    });
    const state = (await imported.json()) as { status?: string | number };
    expect(['failed', 507], JSON.stringify(state)).toContain(state.status);
    expect(await sums()).toEqual([acknowledged, String(acknowledged)]);

    rmSync(ballast);
    acknowledged += await send(1000, 1000);
    expect(await sums()).toEqual([acknowledged, String(acknowledged)]);
    const verified = await fetch(`${served!.url}/v1/admin/verify`, { method: 'POST' });
    const { checks } = (await verified.json()) as { checks: { ok: boolean }[] };
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);

    await served!.kill();
    served = await serve(join(root, 'data'));
    expect(await sums()).toEqual([acknowledged, String(acknowledged)]);
  }, 180_000);

  test('questions go on, compaction too, and it says that it is not ready until there is room', async () => {
    const [before] = await sums();
    expect(await ready()).toBe(200);
    fill();
    expect(await send(2000, 200)).toBe(0);
    expect(await send(2001, 200)).toBe(0);
    expect(await ready()).toBe(507);
    // A checkpoint that finds no room would be the end of the database.
    const compacted = await fetch(`${served!.url}/v1/admin/compact`, { method: 'POST' });
    expect([200, 507]).toContain(compacted.status);
    expect((await sums())[0]).toBe(before);
    rmSync(ballast);
    expect(await ready()).toBe(200);
    expect(await send(2002, 1)).toBe(1);
    expect((await sums())[0]).toBe(before + 1);
  }, 60_000);

  test('a server starts on a full disk, and answers', async () => {
    const before = await sums();
    fill();
    await served!.kill();
    served = await serve(join(root, 'data'));
    expect(await sums()).toEqual(before);
    // What the process before it had spilled is gone by now.
    fill();
    // Nothing was sent to it yet.
    await expect.poll(ready, { timeout: 5_000 }).toBe(507);
    expect(await send(3000, 200)).toBe(0);
    rmSync(ballast);
    expect(await ready()).toBe(200);
    expect(await send(3001, 1)).toBe(1);
  }, 60_000);

  test('a batch that finds no room in the journal leaves the journal as it was', async () => {
    const directory = join(root, 'journal');
    mkdirSync(directory);
    const journal = new Journal(directory);
    const frame = (batch: number) => ({ run: batch, batch, recordedAt: '1', deliveries: [] });
    fill();
    for (const batch of [1, 2, 3])
      await expect(journal.append(frame(batch))).rejects.toMatchObject({ code: 'storage_full' });
    rmSync(ballast);
    await journal.append(frame(4));
    await journal.close();
    expect(await new Journal(directory).read()).toEqual([[frame(4)]]);
  });
});

const ready = async (): Promise<number> => (await fetch(`${served!.url}/readyz`)).status;

/** To the last byte. */
function fill(): void {
  const { bavail, bsize } = statfsSync(root);
  appendFileSync(ballast, Buffer.alloc(bavail * bsize));
}

const json = { 'content-type': 'application/json' };
const ndjson = { 'content-type': 'application/x-ndjson' };
/** Random notes, since equal ones would take no room. */
const line = (id: string): string =>
  JSON.stringify({
    id,
    note: Array.from({ length: 40 }, () => Math.random().toString(36).slice(2)).join(''),
    amount: 1,
  });

/** Returns how many were acknowledged: all, or none. */
async function send(batch: number, records: number): Promise<number> {
  const body = Array.from({ length: records }, (_, i) => line(`${batch}-${i}`)).join('\n');
  const response = await fetch(`${served!.url}/v1/streams/facts/records`, {
    method: 'POST',
    headers: ndjson,
    body,
  });
  const answer = (await response.json()) as { accepted?: number; code?: string; detail?: string };
  if (response.ok) return answer.accepted!;
  expect([response.status, answer.code], JSON.stringify(answer)).toEqual([507, 'storage_full']);
  expect(answer.detail).toContain('make room');
  return 0;
}

async function sums(): Promise<[number, string]> {
  const response = await fetch(`${served!.url}/v1/streams/facts/query?measures=count,sum(amount)`);
  const answer = (await response.json()) as { rows: { count: number; 'sum(amount)': string }[] };
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return [answer.rows[0]!.count, answer.rows[0]!['sum(amount)']];
}
