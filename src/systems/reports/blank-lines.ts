/**
 * Where a file has blank lines. They count for nothing, and the ledger counts rows: a rejected row is found in the file by
 * the blank lines before it. Rows are counted from 0, which is the header. With a blank line before the header and one
 * before each of the rows 7 and 8, the places are [[0, 1, 1], [7, 2, 1]].
 */

/** From this row on, so many rows have so many blank lines before each of them. */
export type BlankPlace = [row: number, rows: number, blank: number];

export interface BlankLines {
  places: BlankPlace[];
  /** From this row on nothing is known: there are more places than are kept. */
  unknown_from: number | null;
}

const placesMax = 1_000;
const [lineFeed, carriageReturn] = [10, 13];
const byteOrderMark = Buffer.from('\ufeff');
/** What is held of a line that goes on in the next piece: no blank line is as long. */
const heldBytes = byteOrderMark.length + 2;

/** Finds them in a text that comes in pieces, in which a row is a line, as in TSV. */
export class BlankLinesFinder {
  readonly found: BlankLines = { places: [], unknown_from: null };
  #row = 0;
  #blank = 0;
  #first = true;
  #held = Buffer.alloc(0);

  push(piece: Buffer): void {
    if (this.found.unknown_from !== null) return;
    let at = 0;
    for (let end = piece.indexOf(lineFeed); end >= 0; end = piece.indexOf(lineFeed, at)) {
      const long = end - at > heldBytes;
      this.#line(long ? undefined : Buffer.concat([this.#held, piece.subarray(at, end)]));
      if (this.#held.length > 0) this.#held = Buffer.alloc(0);
      at = end + 1;
    }
    if (this.#held.length < heldBytes)
      this.#held = Buffer.concat([this.#held, piece.subarray(at, at + heldBytes)]);
  }

  /** The last line may have no end. */
  end(): void {
    if (this.#held.length > 0) this.#line(this.#held);
  }

  /** @param line undefined where it is too long to be blank */
  #line(line: Buffer | undefined): void {
    const first = this.#first;
    this.#first = false;
    if (line && isBlank(first && line.indexOf(byteOrderMark) === 0 ? line.subarray(3) : line)) {
      this.#blank += 1;
      return;
    }
    if (this.#blank > 0) this.#note(this.#row, this.#blank);
    this.#blank = 0;
    this.#row += 1;
  }

  #note(row: number, blank: number): void {
    const { places } = this.found;
    const last = places.at(-1);
    if (last && last[0] + last[1] === row && last[2] === blank) last[1] += 1;
    else if (places.length < placesMax) places.push([row, 1, blank]);
    else this.found.unknown_from ??= row;
  }
}

function isBlank(line: Buffer): boolean {
  return line.length === 0 || (line.length === 1 && line[0] === carriageReturn);
}

/** The line in which a row stands, from 1; undefined where that is not known. */
export function lineFinder({ places, unknown_from }: BlankLines): (row: number) => number | undefined {
  let before = 0;
  const known = places.map(([row, rows, blank]) => {
    const place = { row, rows, blank, before };
    before += rows * blank;
    return place;
  });
  return (row) => {
    if (unknown_from !== null && row >= unknown_from) return undefined;
    let [from, to] = [0, known.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (known[middle]!.row <= row) from = middle + 1;
      else to = middle;
    }
    const place = known[from - 1];
    if (!place) return row + 1;
    return row + 1 + place.before + place.blank * Math.min(place.rows, row - place.row + 1);
  };
}
