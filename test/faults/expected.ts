/**
 * What must be there, beside a server at which things go wrong.
 *
 * Of every id, the contents that it may stand with: one, as long as every request about it was answered. A request that
 * was not may have happened or not, so each content that was possible before is possible still, beside what the request
 * makes of it. What is found at the next look decides: it must be one of them, and is the only one from then on. A
 * request with many records is one commit: all of them have happened, or none.
 */
import { expect } from 'vitest';
import type { Mode } from '../../src/engine/store.ts';
import type { VerdictName } from '../../src/engine/verdicts.ts';

/** What a record says, in one text: `day|kind|cents`; none where no record stands. */
export type Content = string | undefined;

export interface Sent {
  id: string;
  /** None: it is taken back. `wrong` is refused for what it says. */
  content: Content | 'wrong';
  mode: Mode;
  /** Several clients send it at the same time; it always says the same, and is never taken back. */
  shared?: boolean;
}

export interface Known {
  may: Set<Content>;
  /** Whether a record stood at any time; undefined where nobody can know. */
  seen: boolean | undefined;
}

const fresh: Known = { may: new Set([undefined]), seen: false };

export class Expected {
  readonly #known = new Map<string, Known>();
  /** Requests without an answer: what each id was before, and would be after. */
  #unanswered: { id: string; before: Content; after: Content }[][] = [];
  /** How many were refused and kept: at least, at most. */
  rejects: [least: number, most: number] = [0, 0];
  /** Contents that were possible at some time since a watch began, by id. */
  readonly #watches = new Set<Map<string, Set<Content>>>();

  get ids(): string[] {
    return [...this.#known.keys()];
  }

  /** The content, where only one is possible; null where there are several. */
  standing(id: string): Content | null {
    const { may } = this.#known.get(id) ?? fresh;
    return may.size === 1 ? [...may][0] : null;
  }

  /** To be called before it is sent: from now on it may have happened. */
  sending(records: readonly Sent[]): void {
    for (const { id, content, mode } of records) {
      if (content === 'wrong') continue;
      const known = this.#known.get(id) ?? fresh;
      const may = new Set(known.may);
      for (const before of known.may) may.add(resolve(before, content, mode));
      this.#set(id, { may, seen: known.seen ? true : undefined });
    }
  }

  /** @param before what stood before `sending` */
  answered(
    records: readonly Sent[],
    verdicts: readonly VerdictName[],
    before: ReadonlyMap<string, Known>,
  ): void {
    const now = new Map(before);
    expect(verdicts.length).toBe(records.length);
    records.forEach(({ id, content, mode, shared }, i) => {
      const verdict = verdicts[i]!;
      const about = `${mode} ${id} ${content}: ${verdict}, expected by ${JSON.stringify([...(now.get(id)?.may ?? [])])}`;
      if (content === 'wrong') {
        expect(verdict, about).toBe('rejected');
        this.#refused();
        return;
      }
      if (shared) {
        expect(['accepted', 'duplicate'], about).toContain(verdict);
        now.set(id, { may: new Set([content as Content]), seen: true });
        return;
      }
      const known = now.get(id) ?? fresh;
      const fitting = [...known.may].filter((one) => fits(verdict, one, content, mode, known.seen));
      expect(fitting.length, about).toBeGreaterThan(0);
      if (verdict === 'conflict' || verdict === 'rejected') this.#refused();
      const may = new Set(fitting.map((one) => resolve(one, content, mode)));
      now.set(id, { may, seen: verdict !== 'rejected' });
    });
    for (const { id } of records) {
      const known = now.get(id);
      if (known) this.#set(id, known);
    }
  }

  unanswered(records: readonly Sent[], before: ReadonlyMap<string, Known>): void {
    this.rejects[1] += records.length;
    const now = new Map<string, Content>();
    const together: { id: string; before: Content; after: Content }[] = [];
    for (const { id, content, mode, shared } of records) {
      const known = before.get(id) ?? fresh;
      if (content === 'wrong' || shared || known.may.size > 1) continue;
      const stood = now.has(id) ? now.get(id) : [...known.may][0];
      now.set(id, resolve(stood, content, mode));
    }
    for (const [id, after] of now) {
      const [stood] = (before.get(id) ?? fresh).may;
      if (stood !== after) together.push({ id, before: stood, after });
    }
    this.#unanswered.push(together);
  }

  /** It was refused as a whole: nothing of it has happened. */
  refused(records: readonly Sent[], before: ReadonlyMap<string, Known>): void {
    for (const { id, shared } of records) {
      const known = before.get(id);
      if (shared) continue;
      if (known) this.#known.set(id, known);
      else this.#known.delete(id);
    }
  }

  before(records: readonly Sent[]): Map<string, Known> {
    return new Map(
      records.flatMap(({ id }) => {
        const known = this.#known.get(id);
        return known ? [[id, known] as const] : [];
      }),
    );
  }

  /** Compares with what stands, while nothing is under way; from then on that is what is expected. */
  found(standing: ReadonlyMap<string, Content>, about: string): void {
    for (const id of standing.keys())
      expect(this.#known.has(id), `${about}: ${id} stands and was never sent`).toBe(true);
    for (const [id, { may }] of this.#known)
      expect([...may], `${about}: ${id} stands with ${standing.get(id)}`).toContain(standing.get(id));
    for (const together of this.#unanswered) {
      const done = together.map(({ id, after }) => standing.get(id) === after);
      expect(
        new Set(done).size,
        `${about}: of one request, some and not all: ${JSON.stringify(together)}`,
      ).toBeLessThan(2);
    }
    this.#unanswered = [];
    for (const [id, { seen }] of this.#known)
      this.#known.set(id, {
        may: new Set([standing.get(id)]),
        seen: standing.get(id) === undefined ? seen : true,
      });
  }

  /** Remembers what is possible from now on, until it ends: what a copy taken meanwhile may hold. */
  watch(): { may: Map<string, Set<Content>>; end: () => void } {
    const may = new Map([...this.#known].map(([id, known]) => [id, new Set(known.may)]));
    this.#watches.add(may);
    return { may, end: () => this.#watches.delete(may) };
  }

  #set(id: string, known: Known): void {
    this.#known.set(id, known);
    for (const may of this.#watches) may.set(id, new Set([...(may.get(id) ?? [undefined]), ...known.may]));
  }

  #refused(): void {
    this.rejects[0]++;
    this.rejects[1]++;
  }
}

function resolve(before: Content, content: Content, mode: Mode): Content {
  return mode === 'insert' ? (before ?? content) : mode === 'upsert' ? content : undefined;
}

function fits(
  verdict: VerdictName,
  before: Content,
  content: Content,
  mode: Mode,
  seen: boolean | undefined,
): boolean {
  if (mode === 'retract') {
    if (before !== undefined) return verdict === 'retracted';
    return verdict === 'duplicate' ? seen !== false : verdict === 'rejected' && seen !== true;
  }
  if (before === undefined) return verdict === 'accepted';
  if (before === content) return verdict === 'duplicate';
  return verdict === (mode === 'insert' ? 'conflict' : 'corrected');
}
