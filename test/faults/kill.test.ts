/**
 * kill -9 at a random moment, again and again, on one data directory, while writers write, correct and repeat, and an
 * import runs. After each restart: every acknowledged record is there, once, with the last content that was
 * acknowledged; nothing is there that was never sent; the import is whole or absent; the books add up.
 *
 * A short run is part of the tests; the long one is `TALLYBOOK_KILL_ROUNDS=200 npx vitest run test/faults/kill`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Served, serve } from './served.ts';

const rounds = Number(process.env['TALLYBOOK_KILL_ROUNDS'] ?? 6);
const importRows = 20_000;
/** A fresh directory every so many rounds: a look at all the books takes longer the more they hold. */
const roundsOfDirectory = 20;
const declaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    round: { type: 'integer', required: true },
    kind: { type: 'text', required: true, one_of: ['sent', 'imported'] },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['round', 'kind'], sum: ['amount'] } },
};

const root = mkdtempSync(join(tmpdir(), 'tallybook-kill-'));
let served: Served | undefined;
afterAll(async () => {
  await served?.kill();
  rmSync(root, { recursive: true, force: true });
});

const directoryOf = (round: number): string => join(root, `data-${Math.ceil(round / roundsOfDirectory)}`);

async function serveAnew(round: number): Promise<Served> {
  const fresh = await serve(directoryOf(round));
  const put = await fetch(`${fresh.url}/v1/streams/facts`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(declaration),
  });
  expect(put.ok, await put.text()).toBe(true);
  return fresh;
}

/** What is known of an id: the amounts it may stand with, and whether it must stand. */
interface Known {
  acknowledged: boolean;
  /** The last acknowledged amount, and those sent after it without an answer. */
  amounts: Set<string>;
}

test(
  `nothing acknowledged is lost or doubled by kill -9 (${rounds} rounds)`,
  async () => {
    let acknowledged = 0;
    let importsWhole = 0;
    for (let round = 1; round <= rounds; round++) {
      if (round % roundsOfDirectory === 1) {
        await served?.kill();
        if (round > 1) rmSync(directoryOf(round - 1), { recursive: true, force: true });
        served = await serveAnew(round);
      }
      const { url } = served!;
      const known = new Map<string, Known>();
      const stop = new AbortController();
      const importing = startImport(url, round);
      const writers = Array.from({ length: 8 }, (_, writer) => write(url, round, writer, known, stop.signal));
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 1400));
      await served!.kill();
      stop.abort();
      await Promise.all([...writers, importing]);
      served = await serve(directoryOf(round));
      const standing = await recordsOf(served.url, round);
      for (const [id, { acknowledged: must, amounts }] of known) {
        const amount = standing.get(id);
        if (must) expect(amount, `round ${round}: ${id} was acknowledged`).toBeDefined();
        if (amount !== undefined) expect([...amounts], `round ${round}: ${id}`).toContain(amount);
        if (must) acknowledged++;
      }
      for (const id of standing.keys())
        expect(known.has(id), `round ${round}: ${id} was never sent`).toBe(true);
      const imported = await count(served.url, `where=kind=imported&where=round=${round}`);
      expect([0, importRows], `round ${round}: the import is whole or absent`).toContain(imported);
      if (imported > 0) importsWhole++;
      if (round % 10 === 0) console.info(`${round} rounds: ${acknowledged} acknowledged records`);
      const checks = (await (await fetch(`${served.url}/v1/admin/verify`, { method: 'POST' })).json()) as {
        checks: { ok: boolean }[];
      };
      expect(checks.checks.length).toBeGreaterThan(0);
      expect(
        checks.checks.filter(({ ok }) => !ok),
        `round ${round}`,
      ).toEqual([]);
    }
    console.info(
      `${rounds} kills: ${acknowledged} acknowledged records, ${importsWhole} imports whole, ${rounds - importsWhole} absent`,
    );
    expect(acknowledged).toBeGreaterThan(0);
  },
  60_000 + rounds * 20_000,
);

async function write(
  url: string,
  round: number,
  writer: number,
  known: Map<string, Known>,
  stop: AbortSignal,
): Promise<void> {
  for (let n = 0; !stop.aborted; n++) {
    const id = (i: number) => `r${round}-w${writer}-${n}-${i}`;
    const many = writer % 2 === 0 ? 40 : 1;
    const amounts = Array.from({ length: many }, () => cents(1 + Math.floor(Math.random() * 9_999)));
    const ids = amounts.map((_, i) => id(i));
    const records = ids.map((each, i) => recordOf(each, round, amounts[i]!));
    ids.forEach((each, i) => {
      known.set(each, { acknowledged: false, amounts: new Set([amounts[i]!]) });
    });
    const body = many === 1 ? records[0]! : records.join('\n');
    const type = many === 1 ? 'application/json' : 'application/x-ndjson';
    if (!(await sent(`${url}/v1/streams/facts/records`, 'POST', type, body))) return;
    for (const each of ids) known.get(each)!.acknowledged = true;
    // The same again changes nothing.
    if (n % 3 === 0 && !(await sent(`${url}/v1/streams/facts/records`, 'POST', type, body))) return;
    if (n % 2 === 0) {
      const corrected = cents(10_000 + Math.floor(Math.random() * 9_999));
      const entry = known.get(ids[0]!)!;
      entry.amounts.add(corrected);
      if (
        !(await sent(
          `${url}/v1/streams/facts/records/${ids[0]}`,
          'PUT',
          'application/json',
          recordOf(ids[0]!, round, corrected),
        ))
      )
        return;
      entry.amounts = new Set([corrected]);
    }
  }
}

const cents = (amount: number): string =>
  `${Math.floor(amount / 100)}.${String(amount % 100).padStart(2, '0')}`.replace(/\.?0+$/, '');
const recordOf = (id: string, round: number, amount: string): string =>
  `{"id":"${id}","at":"2026-10-05T06:00:00Z","round":${round},"kind":"sent","amount":"${amount}"}`;

/** False when the server is gone. Whatever it answers must be a success. */
async function sent(url: string, method: string, type: string, body: string): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(url, { method, headers: { 'content-type': type }, body });
    await response.text();
  } catch {
    return false;
  }
  expect(response.status, `${method} ${url}`).toBeLessThan(300);
  return true;
}

async function startImport(url: string, round: number): Promise<void> {
  const lines = ['id,at,round,kind,amount'];
  for (let i = 0; i < importRows; i++)
    lines.push(`i${round}-${i},2026-10-06T06:00:00Z,${round},imported,1.25`);
  const path = join(root, 'import.csv');
  writeFileSync(path, lines.join('\n'));
  await fetch(`${url}/v1/imports?stream=facts&name=round-${round}.csv&wait=60`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv' },
    body: lines.join('\n'),
  }).then(
    (r) => r.text(),
    () => undefined,
  );
}

async function recordsOf(url: string, round: number): Promise<Map<string, string>> {
  const standing = new Map<string, string>();
  const first = `${url}/v1/streams/facts/records?where=kind=sent&where=round=${round}&page_size=1000`;
  let cursor = '';
  for (;;) {
    const response = await fetch(first + cursor);
    const page = (await response.json()) as {
      records: { id: string; record: { amount: string } }[];
      next?: string;
    };
    expect(response.status, JSON.stringify(page)).toBe(200);
    for (const { id, record } of page.records) {
      expect(standing.has(id), `${id} stands twice`).toBe(false);
      standing.set(id, record.amount);
    }
    if (!page.next) return standing;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}

async function count(url: string, where: string): Promise<number> {
  const response = await fetch(`${url}/v1/streams/facts/query?measures=count&${where}`);
  const answer = (await response.json()) as { rows: { count: number }[] };
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer.rows[0]!.count;
}
