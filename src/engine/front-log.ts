/**
 * The log in front: a place, beside the ledger, in which what a door takes in is safe before the ledger has it.
 *
 * Without one, a record is answered after its commit, with its verdict. With one, it is answered when the log has it,
 * with the number of its message and no verdict; a node takes it from there to the ledger, in the order of the log, and
 * what becomes of it is found under its id or among the rejects. So records are accepted while the store is away, and
 * the loss of a node that has accepted them loses none.
 *
 * What does not fit a message (a file, an import) goes to the ledger itself, after what the log held before it.
 */
import type { TextDelivery } from './store.ts';
import type { Receipt } from './verdicts.ts';

/** What was accepted for later. */
export interface Logged {
  received: number;
  /** Name of the log. */
  log: string;
  /** Number of the message that holds it. */
  sequence: string;
  /** The log had it already: the same request, with the same idempotency key. */
  repeated: boolean;
}

export type Taken = Receipt | Logged;

export function isLogged(taken: Taken): taken is Logged {
  return 'sequence' in taken;
}

export interface FrontLog {
  /** Throws `log_unavailable` or `overloaded` when nothing is accepted now: a door asks before it reads a body. */
  refuseWhenFull(): void;
  /**
   * Writes a delivery to the log. Undefined when it does not fit a message. Throws `log_unavailable` or `overloaded`.
   */
  append(delivery: TextDelivery, idempotencyKey: string | undefined): Promise<Logged | undefined>;
  /** Resolves when all that the log holds now has been committed. Throws `log_unavailable` or `overloaded`. */
  settled(): Promise<void>;
  readonly state: FrontLogState;
  /** Finishes what was begun, takes nothing more, lets go. */
  close(): Promise<void>;
}

export interface FrontLogState {
  connected: boolean;
  /** Whether this node is the one that takes from it. */
  taking: boolean;
  /** Messages that are not committed yet. */
  waitingMessages: number;
  waitingBytes: number;
  /** Age of the oldest of them. */
  lagSeconds: number;
}

/** For whoever counts: a message was written, or could not be. */
export interface AppendedEvent {
  outcome: 'stored' | 'repeated' | 'refused';
  seconds: number;
}

/** For whoever counts: messages were taken from the log. */
export interface TakenEvent {
  committed: number;
  /** Came again, and were not needed. */
  redelivered: number;
  /** Went to the rejects. */
  dead: number;
  /** Taking begins again after what is committed, because something did not arrive. */
  restarted: boolean;
}
