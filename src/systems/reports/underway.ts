/**
 * What goes on with the reports of one ledger. Whoever starts, converts, replaces or deletes reports first reads how they
 * stand, and writes then; so these take turns. Taking in and taking back go on for longer than their turn: meanwhile a
 * conversion leaves their reports alone, for it would put back what is about to go, or what stood before the end. Those
 * that are still there at the end are converted then.
 */
import { TallybookError } from '../../engine/errors.ts';
import { Lock } from '../../engine/lock.ts';
import type { Tallybook } from '../../engine/tallybook.ts';

export interface Underway {
  turns: Lock;
  /** Reports that are being taken in. */
  arriving: Set<number>;
  /** The same until what follows from their end is done. */
  ends: Map<number, Promise<unknown>>;
  /** Reports that are being replaced or deleted. */
  leaving: Set<number>;
  /** Whether a conversion left any of them alone. */
  passedOver: boolean;
}

const ledgers = new WeakMap<Tallybook, Underway>();

export function underwayOf(tallybook: Tallybook): Underway {
  const known = ledgers.get(tallybook);
  if (known) return known;
  const fresh: Underway = {
    turns: new Lock(),
    arriving: new Set(),
    ends: new Map(),
    leaving: new Set(),
    passedOver: false,
  };
  ledgers.set(tallybook, fresh);
  return fresh;
}

/** Keeps others from replacing, deleting or converting the same report; for the turn of the caller. Throws `report_busy`. */
export function leave(tallybook: Tallybook, id: number): () => void {
  const { leaving } = underwayOf(tallybook);
  refuseLeaving(tallybook, id);
  leaving.add(id);
  return () => leaving.delete(id);
}

/** Throws `report_busy`. */
export function refuseLeaving(tallybook: Tallybook, id: number): void {
  if (!underwayOf(tallybook).leaving.has(id)) return;
  throw busy(`report ${id} is being replaced or deleted already`);
}

export function busy(what: string): TallybookError {
  return new TallybookError('report_busy', `${what}; come again when that is done`);
}
