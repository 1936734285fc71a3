/**
 * What waits, kept in the browser so that it outlives the page: each event is an item of `localStorage`, written when
 * it is queued and removed when it has its verdict. (IndexedDB holds more, but writes later than a page may live.)
 *
 * Several tabs share that storage. A tab sends its own events only, and says by a lease that it lives: what belongs
 * to a tab without one (closed, crashed, frozen for minutes) is taken over by the next that looks. When two send the
 * same event all the same, its id makes the second a duplicate.
 *
 *     tallybook https://example.com/v1/events m3k2f0x7q1    the time until which the tab m3k2f0x7q1 is known to live
 *     tallybook https://example.com/v1/events m3k2f0x7q1 7  its seventh event
 *
 * Storage that is full or forbidden is no failure: the events are in memory, too.
 */

/** Longer than a background tab, whose timers fire once a minute, takes from one attempt to the next. */
const leaseMilliseconds = 180_000;
const renewMilliseconds = 30_000;

export class OfflineQueue {
  readonly #storage: Storage;
  readonly #prefix: string;
  /** Begins with the time, so that what older tabs left goes first. */
  readonly #tab = Date.now().toString(36).padStart(9, '0') + Math.random().toString(36).slice(2, 8);
  #leasedUntil = 0;

  constructor(storage: Storage, url: string) {
    this.#storage = storage;
    this.#prefix = `tallybook ${url} `;
  }

  put(number: number, text: string): void {
    this.renew();
    this.#set(`${this.#prefix}${this.#tab} ${number}`, text);
  }

  drop(number: number): void {
    this.#storage.removeItem(`${this.#prefix}${this.#tab} ${number}`);
  }

  /** Says that this tab lives and sends. */
  renew(): void {
    const until = Date.now() + leaseMilliseconds;
    if (until - this.#leasedUntil < renewMilliseconds) return;
    this.#leasedUntil = until;
    this.#set(this.#prefix + this.#tab, String(until));
  }

  /** The page goes: what it leaves is anybody's. */
  release(): void {
    this.#leasedUntil = 0;
    this.#storage.removeItem(this.#prefix + this.#tab);
  }

  /** Hands over what belongs to no tab that lives, oldest first, until `take` says false. */
  adopt(take: (text: string) => boolean): void {
    const left: [tab: string, number: number, key: string][] = [];
    for (const key of Object.keys(this.#storage)) {
      if (!key.startsWith(this.#prefix)) continue;
      const [tab = '', number] = key.slice(this.#prefix.length).split(' ');
      if (tab === this.#tab || Number(this.#storage.getItem(this.#prefix + tab)) > Date.now()) continue;
      if (number !== undefined) left.push([tab, Number(number), key]);
      else this.#storage.removeItem(key);
    }
    left.sort(([a, m], [b, n]) => (a === b ? m - n : a < b ? -1 : 1));
    for (const [, , key] of left) {
      const text = this.#storage.getItem(key);
      if (text === null) continue;
      // First away, so that there is room for it under this tab's name.
      this.#storage.removeItem(key);
      if (take(text)) continue;
      this.#set(key, text);
      return;
    }
  }

  #set(key: string, value: string): void {
    try {
      this.#storage.setItem(key, value);
    } catch {}
  }
}
