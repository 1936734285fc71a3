/**
 * Which ids are surely new?
 *
 * Every record's id is compared with all that the stream still holds. A scan of the hash column costs 50 ms at
 * 20 million entries, far more than the commit itself. So this filter in memory answers for nearly every new
 * id that it is surely new, and the scan runs only for the rest; it may say 'perhaps' for an id it has never
 * seen, never the other way round. Exactness does not depend on it.
 *
 * It is a chain of blocked Bloom filters: a segment covers a run of entries, knows the range of their seqs, and
 * holds up to 2^20 hashes (the first ones fewer, so that a small stream stays small) with 32 bits for each. All bits of a
 * hash lie in one block of 64 bytes, so a look-up is one cache miss a segment. At 12 bits a hash, a full segment says
 * 'perhaps' wrongly 6 times in a million, at 8 bits 16 times, at 18 no less than at 12: it is the blocks that got more than
 * their share. A new hash meets a bit that is not set after one or two in any case. A 'perhaps' names the seqs to look at, so that the scan reads one segment's entries instead of all.
 *
 * Entries that are not in it yet (after a start or an import) are listed as uncovered ranges, which are always
 * scanned; `cover` works them off in the background.
 */
const segmentHashesMin = 1 << 14;
const segmentHashesMax = 1 << 20;
const blockWords = 16;
const bitsPerHash = 12;
/** For how long `cover` keeps others waiting. */
const turnMilliseconds = 2;

export interface Segment {
  words: Uint32Array;
  blocks: number;
  hashes: number;
  capacity: number;
  from: bigint;
  to: bigint;
}

/** A range of seqs, both ends included. */
export interface SeqRange {
  from: bigint;
  to: bigint;
}

export class IdFilter {
  #segments: Segment[] = [];
  #uncovered: SeqRange[] = [];
  /** Segments being filled from uncovered ranges, apart from the one that takes new entries. */
  #open: Segment | undefined;

  /**
   * Adds the hash of a record as `add`, and returns the ranges in which the id may stand; undefined: it is surely new.
   */
  addAndFind(low: number, high: number, seq: bigint): SeqRange[] | undefined {
    let found: SeqRange[] | undefined;
    for (const segment of this.#segments) {
      if (!holdsHash(segment, low, high)) continue;
      found ??= [];
      found.push({ from: segment.from, to: segment.to });
    }
    this.#add(low, high, seq);
    return found;
  }

  /** Adds the hash of a record, whose entries may have the seqs `seq` and `seq` + 1. */
  add(hash: bigint, seq: bigint): void {
    this.#add(...wordsOf(hash), seq);
  }

  #add(low: number, high: number, seq: bigint): void {
    if (!this.#open || this.#open.hashes >= this.#open.capacity) {
      this.#open = newSegment(seq, (this.#open?.capacity ?? 0) * 4);
      this.#segments.push(this.#open);
    }
    add(this.#open, low, high, seq);
  }

  /** Whether the id of a hash may stand anywhere, beside the ranges that are not covered. */
  mayHold(hash: bigint): boolean {
    const [low, high] = wordsOf(hash);
    return this.#segments.some((segment) => holdsHash(segment, low, high));
  }

  /** Where entries of the id of a hash may stand: ranges one after the other. */
  rangesOf(hash: bigint): SeqRange[] {
    const [low, high] = wordsOf(hash);
    const holding = this.#segments.filter((segment) => holdsHash(segment, low, high));
    return mergeRanges([...holding.map(({ from, to }) => ({ from, to })), ...this.#uncovered]);
  }

  /** Ranges that must be scanned for every id. */
  get uncovered(): readonly SeqRange[] {
    return this.#uncovered;
  }

  leaveUncovered(range: SeqRange): void {
    this.#uncovered.push(range);
  }

  /** How many hashes it holds. */
  get hashes(): number {
    return this.#segments.reduce((sum, { hashes }) => sum + hashes, 0);
  }

  /** What it holds at this moment, and what it does not. */
  get state(): { segments: Segment[]; uncovered: SeqRange[] } {
    return { segments: [...this.#segments], uncovered: this.#uncovered.map((range) => ({ ...range })) };
  }

  /** Takes over segments, instead of learning a range of which they hold all but some ranges. */
  takeOver(range: SeqRange, segments: readonly Segment[], uncovered: readonly SeqRange[]): void {
    this.#segments.push(...segments);
    this.#uncovered = [...uncovered, ...this.#uncovered.filter((other) => other !== range)];
  }

  /** Every entry before a seq has been dropped. */
  forgetBefore(seq: bigint): void {
    this.#segments = this.#segments.filter((segment) => segment.to >= seq || segment === this.#open);
    this.#uncovered = this.#uncovered.filter(({ to }) => to >= seq);
  }

  /**
   * Adds the hashes of uncovered ranges, a chunk at a time, letting others run in between. `read` gives the
   * hashes of a range in pairs of 32-bit words (low, high). Ends when nothing is uncovered, or `stopped` says so.
   */
  async cover(read: (range: SeqRange) => AsyncIterable<Uint32Array>, stopped: () => boolean): Promise<void> {
    for (let range = this.#uncovered[0]; range && !stopped(); range = this.#uncovered[0]) {
      const end = range.from + BigInt(segmentHashesMax) * 2n - 1n;
      const part = { from: range.from, to: end < range.to ? end : range.to };
      const segments: Segment[] = [];
      let segment: Segment | undefined;
      let resumed = performance.now();
      for await (const pairs of read(part)) {
        for (let i = 0; i < pairs.length; i += 2) {
          if (!segment || segment.hashes >= segment.capacity) {
            segment = newSegment(part.from, pairs.length < 4096 ? 0 : segmentHashesMax);
            segment.to = part.to;
            segments.push(segment);
          }
          addHash(segment, pairs[i]!, pairs[i + 1]!);
        }
        // Not after every chunk: under load a turn of the loop takes a millisecond, and there are 500 chunks in a million.
        if (performance.now() - resumed < turnMilliseconds) continue;
        await new Promise((resolve) => setImmediate(resolve));
        if (stopped()) return;
        resumed = performance.now();
      }
      // Only now: until a part is covered whole, it is scanned.
      this.#segments.push(...segments);
      if (part.to === range.to) this.#uncovered = this.#uncovered.filter((other) => other !== range);
      else range.from = part.to + 1n;
    }
  }
}

/**
 * At most so many ranges: each costs a statement. Asked about many thousands of ids, a hundred segments say 'perhaps' in some
 * places that are wrong; when more than eight ranges became one around all of them, 10,000 corrections among 100 million
 * entries took 0.5 to 4.7 s, not 0.6 to 1.2.
 */
export const rangesMax = 32;

/**
 * Ranges one after the other. Where there are too many, those with the least between them become one.
 * @param near ranges that lie no further apart become one
 */
export function mergeRanges(ranges: SeqRange[], near = 1n, most = rangesMax): SeqRange[] {
  const sorted = ranges
    .map((range) => ({ ...range }))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const merged: SeqRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last && range.from <= last.to + near) {
      if (range.to > last.to) last.to = range.to;
    } else merged.push(range);
  }
  if (merged.length <= most) return merged;
  const gap = (index: number): number => Number(merged[index]!.from - merged[index - 1]!.to);
  const indices = [...merged.keys()].slice(1).sort((a, b) => gap(b) - gap(a));
  const beginning = new Set([0, ...indices.slice(0, most - 1)]);
  const few: SeqRange[] = [];
  for (const [index, range] of merged.entries())
    if (beginning.has(index)) few.push(range);
    else few.at(-1)!.to = range.to;
  return few;
}

/** @param wanted how many hashes it should hold; it has room for a power of two, so that a block is found by its bits */
export function newSegment(seq: bigint, wanted: number): Segment {
  const least = Math.min(Math.max(wanted, segmentHashesMin), segmentHashesMax);
  const capacity = 2 ** Math.ceil(Math.log2(least));
  const blocks = capacity / blockWords; // 16 hashes with 32 bits each fill a block of 512 bits
  return { words: new Uint32Array(blocks * blockWords), blocks, hashes: 0, capacity, from: seq, to: seq };
}

/** The low word and the high one. */
export const wordsOf = (hash: bigint): [number, number] => [Number(hash & 0xffffffffn), Number(hash >> 32n)];

function add(segment: Segment, low: number, high: number, seq: bigint): void {
  addHash(segment, low, high);
  if (seq < segment.from) segment.from = seq;
  if (seq + 1n > segment.to) segment.to = seq + 1n;
}

/** The low word chooses the block, the high word the bits: each next bit by a multiplicative step. */
export function addHash(segment: Segment, low: number, high: number): void {
  const { words, blocks } = segment;
  const block = (low & (blocks - 1)) * blockWords;
  let bits = high | 0;
  for (let i = 0; i < bitsPerHash; i++) {
    const bit = bits >>> 23;
    words[block + (bit >>> 5)]! |= 1 << (bit & 31);
    bits = (Math.imul(bits, 0x9e3779b1) + 0x7f4a7c15) | 0;
  }
  segment.hashes++;
}

export function holdsHash({ words, blocks }: Segment, low: number, high: number): boolean {
  const block = (low & (blocks - 1)) * blockWords;
  let bits = high | 0;
  for (let i = 0; i < bitsPerHash; i++) {
    const bit = bits >>> 23;
    if ((words[block + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false;
    bits = (Math.imul(bits, 0x9e3779b1) + 0x7f4a7c15) | 0;
  }
  return true;
}
