/** Whether the server answers. While it does not, it is asked again and again whether it lives. */
import { useSyncExternalStore } from 'react';

const againMilliseconds = 2_000;
const listeners = new Set<() => void>();
let isLost = false;
let asking: ReturnType<typeof setInterval> | undefined;

function become(lost: boolean): void {
  if (lost === isLost) return;
  isLost = lost;
  clearInterval(asking);
  if (lost) asking = setInterval(() => void askAgain(), againMilliseconds);
  for (const listener of listeners) listener();
}

async function askAgain(): Promise<void> {
  const lives = await fetch('/healthz').then(
    ({ ok }) => ok,
    () => false,
  );
  if (lives) become(false);
}

export const connection = {
  lost: () => become(true),
  found: () => become(false),
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  get isLost() {
    return isLost;
  },
};

export function useConnectionLost(): boolean {
  return useSyncExternalStore(connection.subscribe, () => connection.isLost);
}
