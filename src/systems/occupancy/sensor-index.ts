/**
 * Sensors by number: the ids of a building's sensors, each with its slot, from 0. Figures of all of them stand in plain
 * arrays by slot then. Ids are looked up as pairs of 32-bit words, as they lie in the columns of an answer: a Map with
 * 100,000 bigints takes ten times as long.
 */
export class SensorIndex {
  /** By slot. */
  readonly ids: readonly string[];
  readonly #words: Int32Array;
  /** Slots, from 1; 0 is free. Of two that belong at the same place, the later one stands at the next free one. */
  readonly #places: Int32Array;
  readonly #mask: number;

  constructor(ids: Iterable<string>) {
    this.ids = [...ids];
    this.#words = new Int32Array(BigInt64Array.from(this.ids, BigInt).buffer);
    this.#mask = 2 ** Math.ceil(Math.log2(this.ids.length + 1) + 1) - 1;
    this.#places = new Int32Array(this.#mask + 1);
    for (let slot = 0; slot < this.ids.length; slot++) {
      let place = this.#placeOf(this.#words[2 * slot]!, this.#words[2 * slot + 1]!);
      while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
      this.#places[place] = slot + 1;
    }
  }

  /** The slot of an id, given as its low and its high word; -1 for one that is not there. */
  slotOf(low: number, high: number): number {
    for (let place = this.#placeOf(low, high); ; place = (place + 1) & this.#mask) {
      const slot = this.#places[place]! - 1;
      if (slot < 0 || (this.#words[2 * slot] === low && this.#words[2 * slot + 1] === high)) return slot;
    }
  }

  #placeOf(low: number, high: number): number {
    const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    return (mixed ^ (mixed >>> 15)) & this.#mask;
  }
}
