/**
 * The key with which this page asks. It is asked for when the server wants one, and kept in this tab alone, for as long
 * as it is open. A link may bring it behind the `#`, which browsers send to nobody; it is taken out of the address at once.
 */
import { useSyncExternalStore } from 'react';

const place = 'tallybook.key';
const listeners = new Set<() => void>();
let needed = false;
let refused = false;

const changed = (): void => {
  for (const listener of listeners) listener();
};

/** Before anything is asked. */
export function takeKeyFromAddress(): void {
  const brought = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (brought === undefined) return;
  sessionStorage.setItem(place, decodeURIComponent(brought));
  history.replaceState(null, '', location.pathname + location.search);
}

export function currentKey(): string | undefined {
  return sessionStorage.getItem(place) ?? undefined;
}

export function takeKey(key: string): void {
  sessionStorage.setItem(place, key);
  [needed, refused] = [false, false];
  changed();
}

export function forgetKey(): void {
  sessionStorage.removeItem(place);
  [needed, refused] = [true, false];
  changed();
}

/** The server wanted a key, or another one than it got. */
export function keyRefused(key: string | undefined): void {
  // An answer to a key that was changed meanwhile says nothing.
  if (key !== currentKey()) return;
  sessionStorage.removeItem(place);
  [needed, refused] = [true, refused || key !== undefined];
  changed();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Whether a key is to be asked for, and whether the last one was none. */
export function useKeyState(): { needed: boolean; refused: boolean; has: boolean } {
  const state = useSyncExternalStore(subscribe, () => `${needed} ${refused} ${currentKey() !== undefined}`);
  const [isNeeded, wasRefused, has] = state.split(' ').map((word) => word === 'true');
  return { needed: isNeeded!, refused: wasRefused!, has: has! };
}
