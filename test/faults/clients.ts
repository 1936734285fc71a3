/**
 * Clients of a server at which things go wrong: each sends random requests about ids of its own and about some that all
 * share, one after the other, and tells what must be there then (expected.ts). And one that sends records without ids
 * under keys, and sends them again until they are answered: they must count once.
 */
import { expect } from 'vitest';
import type { Mode } from '../../src/engine/store.ts';
import type { VerdictName } from '../../src/engine/verdicts.ts';
import type { Random } from '../contract/random-work.ts';
import type { Expected, Sent } from './expected.ts';

export const factsDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    kind: { type: 'text', required: true },
    cents: { type: 'integer', required: true },
    file: { type: 'integer' },
  },
  rollups: { daily: { every: 'day', by: ['kind', 'file'], sum: ['cents'] } },
};
/** No ids of their own. */
export const tapsDeclaration = {
  fields: { at: { type: 'timestamp', required: true }, taps: { type: 'integer', required: true } },
  time: 'at',
  rollups: { total: { every: 'all', sum: ['taps'] } },
};

export const at = (day: number): string => `2026-10-${10 + day}T06:00:00Z`;

export function recordOf({ id, content }: Sent): string {
  if (content === undefined) return JSON.stringify(id);
  if (content === 'wrong') return JSON.stringify({ id, at: 'once', kind: 'a', cents: 1 });
  const [day, kind, cents] = content.split('|');
  return JSON.stringify({ id, at: at(Number(day)), kind, cents: Number(cents) });
}

/** What may be answered beside a success. */
export interface Allowed {
  /** The server may go away at any moment. */
  silence: boolean;
  /** Refusals of a request as a whole. */
  statuses: number[];
  /** Answers after which nobody knows whether it has happened: no better than silence. */
  uncertain: number[];
}
/** Nothing goes wrong. */
export const nothing: Allowed = { silence: false, statuses: [], uncertain: [] };

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  body: any;
}

/** Undefined when no answer came. */
export async function request(
  url: string,
  method = 'GET',
  body?: string,
  headers: Record<string, string> = {},
): Promise<Answer | undefined> {
  try {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const init = body === undefined ? { method } : { method, body };
    const response = await fetch(url, { ...init, headers: { ...type, ...headers } });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
  } catch {
    return undefined;
  }
}

const ndjson = { 'content-type': 'application/x-ndjson' };
const sharedIds = 400;

export class Client {
  readonly #url: string;
  readonly #random: Random;
  readonly #expected: Expected;
  readonly #allowed: Allowed;
  readonly #prefix: string;
  /** Sends a few new records at a time and nothing else: what the journal takes. */
  readonly #onlyNew: boolean;
  readonly #own: string[] = [];
  #made = 0;
  #lastRecorded = '';
  requests = 0;
  acknowledged = 0;
  /** Requests that were refused as a whole, as they may be. */
  refused = 0;

  constructor(
    { url, prefix, onlyNew }: { url: string; prefix: string; onlyNew: boolean },
    random: Random,
    expected: Expected,
    allowed: Allowed,
  ) {
    this.#onlyNew = onlyNew;
    this.#url = `${url}/v1/streams/facts`;
    this.#prefix = prefix;
    this.#random = random;
    this.#expected = expected;
    this.#allowed = allowed;
  }

  async work(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const [mode, records] = this.#some();
      if (!(await this.#send(mode, records))) return;
    }
  }

  #some(): [Mode, Sent[]] {
    const random = this.#random;
    if (this.#onlyNew) return ['insert', Array.from({ length: 1 + random.below(4) }, () => this.#new())];
    const mode = random.pick(['insert', 'insert', 'insert', 'upsert', 'retract'] as const);
    const many = random.pick([1, 1, 1, 2, 5, 30, 100, 400]);
    const count = mode === 'retract' ? Math.min(many, 30) : many;
    const picked = new Map<string, Sent>();
    for (let n = 0; n < count; n++) {
      const sent = this.#one(mode);
      // Twice in one request would be one more order to think of: sequences.ts in test/contract has them all.
      picked.set(sent.id, sent);
    }
    return [mode, [...picked.values()]];
  }

  #one(mode: Mode): Sent {
    const random = this.#random;
    if (mode === 'insert' && random.chance(0.1)) {
      const n = random.below(sharedIds);
      return { id: `shared-${n}`, content: `${n % 10}|s|${n}`, mode, shared: true };
    }
    const known = this.#own.length > 0 && random.chance(mode === 'insert' ? 0.2 : 0.8);
    const fresh = this.#new();
    const id = known ? random.pick(this.#own.slice(-300)) : fresh.id;
    if (mode === 'retract') return { id, content: undefined, mode };
    if (random.chance(0.02)) return { id, content: 'wrong', mode };
    const standing = known ? this.#expected.standing(id) : null;
    return { id, content: standing && random.chance(0.4) ? standing : fresh.content, mode };
  }

  #new(): Sent {
    const random = this.#random;
    const id = `${this.#prefix}-${this.#made++}`;
    this.#own.push(id);
    const content = `${random.below(10)}|${random.pick(['a', 'b'])}|${random.below(100_000)}`;
    return { id, content, mode: 'insert' };
  }

  /** False when the server is gone. */
  async #send(mode: Mode, records: Sent[]): Promise<boolean> {
    const before = this.#expected.before(records);
    this.#expected.sending(records);
    this.requests++;
    const answer = await this.#post(mode, records);
    if (!answer || this.#allowed.uncertain.includes(answer.status)) {
      expect(this.#allowed.silence, 'the server went away').toBe(true);
      this.#expected.unanswered(records, before);
      return false;
    }
    const { status, body } = answer;
    if (this.#allowed.statuses.includes(status)) {
      this.#expected.refused(records, before);
      this.refused++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return true;
    }
    expect([200, 201, 404, 409, 422], JSON.stringify(body)).toContain(status);
    const told = status === 404 ? [{ verdict: 'rejected' }] : body.verdicts;
    const verdicts = (told as { verdict: VerdictName }[]).map(({ verdict }) => verdict);
    this.#expected.answered(records, verdicts, before);
    this.acknowledged += records.length;
    if (status === 404) return true;
    // Whatever the clock does: the time of a commit is later than those of all before.
    expect(body.recorded_at >= this.#lastRecorded, `${body.recorded_at} after ${this.#lastRecorded}`).toBe(
      true,
    );
    this.#lastRecorded = body.recorded_at;
    return true;
  }

  #post(mode: Mode, records: Sent[]): Promise<Answer | undefined> {
    const [first] = records;
    if (records.length === 1 && mode !== 'insert') {
      const url = `${this.#url}/records/${first!.id}`;
      return mode === 'retract' ? request(url, 'DELETE') : request(url, 'PUT', recordOf(first!));
    }
    if (records.length === 1) return request(`${this.#url}/records`, 'POST', recordOf(first!));
    const path = mode === 'retract' ? 'retractions?' : `records?mode=${mode}&`;
    return request(`${this.#url}/${path}verdicts=all`, 'POST', records.map(recordOf).join('\n'), ndjson);
  }
}

/** Records without ids under keys: each key once, however often it is sent. */
export class Taps {
  /** By key, what was sent and not answered yet. */
  readonly #open = new Map<string, number>();
  #sent = 0;
  answered = 0;

  get most(): number {
    return this.answered + [...this.#open.values()].reduce((sum, taps) => sum + taps, 0);
  }

  async work(url: string, random: Random, allowed: Allowed, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const key = [...this.#open.keys()][0] ?? `key-${this.#sent++}`;
      this.#open.set(key, this.#open.get(key) ?? 1 + random.below(20));
      if (!(await this.#send(url, key, allowed))) return;
      await new Promise((resolve) => setTimeout(resolve, random.below(10)));
    }
  }

  /** Sends again what was not answered: it is to be called while nothing goes wrong. */
  async settle(url: string): Promise<void> {
    for (const key of this.#open.keys()) await this.#send(url, key, nothing);
  }

  async #send(url: string, key: string, { silence, statuses, uncertain }: Allowed): Promise<boolean> {
    const taps = this.#open.get(key)!;
    const body = Array.from({ length: taps }, () => `{"at":"${at(1)}","taps":1}`).join('\n');
    const headers = { ...ndjson, 'idempotency-key': key };
    const answer = await request(`${url}/v1/streams/taps/records`, 'POST', body, headers);
    if (!answer || uncertain.includes(answer.status)) {
      expect(silence, 'the server went away').toBe(true);
      return false;
    }
    if (statuses.includes(answer.status)) return true;
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(answer.body.accepted + answer.body.duplicates, JSON.stringify(answer.body)).toBe(taps);
    this.#open.delete(key);
    this.answered += taps;
    return true;
  }
}
