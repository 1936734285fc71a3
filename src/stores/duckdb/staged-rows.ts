import type { DuckDBResult, DuckDBVector } from '@duckdb/node-api';
import { lookClosely, refusedByCheck } from './casts.ts';

/**
 * What staging tells of its rows. All of it is copied out of the driver's vectors at once: their memory lives only as
 * long as the result.
 */
export class StagedRows {
  /** Refusal numbers of rows that are not well-formed. */
  readonly bad = new Map<number, number>();
  readonly found = new Map<number, string | null>();
  /** Of refused rows; of all when they are asked for. */
  readonly ids = new Map<number, string | null>();
  /** Of well-formed rows: position and hash, as two 32-bit words. */
  readonly #hashes: { n: Int32Array; words: Uint32Array }[] = [];
  /** Rows that were read again, exactly. */
  #replaced: StagedRows | undefined;

  /** Whether `ids` has those of all rows. */
  readonly hasAllIds: boolean;

  constructor(hasAllIds: boolean) {
    this.hasAllIds = hasAllIds;
  }

  static async read(result: DuckDBResult, withIds: boolean): Promise<StagedRows> {
    const rows = new StagedRows(withIds);
    for (const chunk of await result.fetchAllChunks()) {
      const [n, hash, bad, found, id] = [0, 1, 2, 3, 4].map((column) => chunk.getColumnVector(column)) as [
        DuckDBVector & { items: Int32Array },
        DuckDBVector & { items: BigUint64Array },
        DuckDBVector,
        DuckDBVector,
        DuckDBVector,
      ];
      const { buffer, byteOffset, length } = hash.items;
      rows.#hashes.push({
        n: n.items.slice(),
        words: new Uint32Array(buffer, byteOffset, length * 2).slice(),
      });
      for (let i = 0; i < length; i++) {
        const position = n.items[i]!;
        const number = bad.getItem(i) as number | null;
        if (number !== null) {
          rows.bad.set(position, number);
          rows.found.set(position, found.getItem(i) as string | null);
        }
        if (withIds || number !== null) rows.ids.set(position, id.getItem(i) as string | null);
      }
    }
    return rows;
  }

  /** Marks a row that was fine until then. */
  refuse(n: number, id: string, found: string): void {
    this.bad.set(n, refusedByCheck);
    this.found.set(n, found);
    this.ids.set(n, id);
    this.#replaced?.bad.set(n, refusedByCheck);
  }

  replace(rows: StagedRows): void {
    for (const [n, bad] of [...this.bad]) if (bad === lookClosely) this.bad.delete(n);
    for (const [n, bad] of rows.bad) this.bad.set(n, bad);
    for (const [n, found] of rows.found) this.found.set(n, found);
    for (const [n, id] of rows.ids) this.ids.set(n, id);
    this.#replaced = rows;
  }

  eachHash(visit: (n: number, low: number, high: number) => void): void {
    const again = new Set(this.#replaced ? this.#replaced.#hashes.flatMap(({ n }) => [...n]) : []);
    for (const { n, words } of this.#hashes) {
      for (let i = 0; i < n.length; i++) {
        const row = n[i]!;
        if (!this.bad.has(row) && !again.has(row)) visit(row, words[2 * i]!, words[2 * i + 1]!);
      }
    }
    this.#replaced?.eachHash(visit);
  }
}
