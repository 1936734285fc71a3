/**
 * Sensors by number: the ids of a building's sensors, each with its slot, from 0. Figures of all of them stand in plain
 * arrays by slot then. Ids are looked up as pairs of 32-bit words, as they lie in the columns of an answer: a Map with
 * 100,000 bigints takes ten times as long. Those that are numbered one after the other, or nearly so, have a table; a place
 * found by a hash takes four times as long.
 */
export class SensorIndex {
  /** By slot. */
  readonly ids: readonly string[];
  readonly #words: Int32Array;
  /** The id to which the first place belongs; undefined where places are found by a hash. */
  readonly #first: number | undefined;
  /** Slots, from 1; 0 is free. By hash: of two that belong at the same place, the later one stands at the next free one. */
  readonly #places: Int32Array;

  constructor(ids: Iterable<string>) {
    this.ids = [...ids];
    this.#words = new Int32Array(BigInt64Array.from(this.ids, BigInt).buffer);
    const places = 2 ** Math.ceil(Math.log2(this.ids.length + 1) + 1);
    this.#first = firstOfRange(this.ids, places);
    this.#places = new Int32Array(places);
    for (let slot = 0; slot < this.ids.length; slot++) {
      let place = this.#placeOf(this.#words[2 * slot]!, this.#words[2 * slot + 1]!);
      while (this.#places[place] !== 0) place = (place + 1) & (places - 1);
      this.#places[place] = slot + 1;
    }
  }

  /** The slot of an id, given as its low and its high word; -1 for one that is not there. */
  slotOf(low: number, high: number): number {
    if (this.#first !== undefined) {
      const place = low - this.#first;
      return high === 0 && place >= 0 && place < this.#places.length ? this.#places[place]! - 1 : -1;
    }
    for (let place = this.#placeOf(low, high); ; place = (place + 1) & (this.#places.length - 1)) {
      const slot = this.#places[place]! - 1;
      if (slot < 0 || (this.#words[2 * slot] === low && this.#words[2 * slot + 1] === high)) return slot;
    }
  }

  #placeOf(low: number, high: number): number {
    if (this.#first !== undefined) return low - this.#first;
    const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & (this.#places.length - 1);
  }
}

/** The least of ids that lie within so many places, and within what one word holds; undefined where they do not. */
function firstOfRange(ids: readonly string[], places: number): number | undefined {
  let [least, most] = [Infinity, -Infinity];
  for (const id of ids) {
    least = Math.min(least, Number(id));
    most = Math.max(most, Number(id));
  }
  const isRange = least <= most && most - least < places;
  return isRange && least >= 0 && most < 2 ** 31 ? least : undefined;
}
