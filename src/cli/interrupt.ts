/**
 * Ctrl-C (SIGINT) and SIGTERM. What must leave nothing behind when it is stopped runs as `interruptible`: the first
 * signal aborts it, so that it can tidy up; a second one ends the process at once. Where nothing needs tidying
 * up, a signal ends the process as it does any other: a ledger survives that by design.
 */
import { exitCodes, Interrupted } from './outcome.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Runs work that watches `signal`. When it was aborted, the work's end is thrown as `Interrupted`. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    stop.abort(new Interrupted('interrupted'));
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (stop.signal.aborted && !(error instanceof Interrupted))
      throw new Interrupted('interrupted', { cause: error });
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Resolves at the first signal; `again` is called at every further one. */
export function untilSignalled(again: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signalled = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (signalled) again();
      signalled = true;
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}
