/**
 * Whose turn it is to take from the log. Records of a stream must reach the ledger in the order of the log, so one node
 * takes and the others stand by. The turn is a message in a little stream of its own, which the servers forget after a
 * while: it is made only where there is none, and renewed only by who made it. A node that cannot renew it stops well
 * before the servers forget it.
 *
 * Where the ledger itself can be open in one process only (DuckDB), nobody has to wait: that process has the turn.
 */
import { JetStreamApiError, StorageType } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { limits } from '../engine/limits.ts';
import { isMissing, type JetStream } from './jetstream.ts';

const turnMilliseconds = limits.log_turn_seconds * 1000;
/** Of the time that the servers keep it, what a node makes use of. */
const share = 0.6;

export class Turn {
  readonly #jetStream: JetStream;
  readonly #name: string;
  readonly #replicas: number;
  #sequence = 0;
  #until = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(jetStream: JetStream, log: string, replicas: number) {
    this.#jetStream = jetStream;
    this.#name = `${log}-turn`;
    this.#replicas = replicas;
  }

  get held(): boolean {
    return performance.now() < this.#until;
  }

  /** Takes it, if nobody has it. */
  async take(): Promise<boolean> {
    await this.#prepare();
    this.#sequence = 0;
    if (!(await this.#say())) return false;
    const renew = () => {
      this.#timer = setTimeout(() => {
        this.#say().then(
          (renewed) => {
            if (renewed) renew();
            else this.#until = 0;
          },
          () => {
            if (this.held) renew();
          },
        );
      }, turnMilliseconds / 5);
    };
    renew();
    return true;
  }

  /** Lets another have it at once. */
  async release(): Promise<void> {
    clearTimeout(this.#timer);
    const held = this.held;
    this.#until = 0;
    if (held)
      await this.#jetStream.managing.streams.deleteMessage(this.#name, this.#sequence).catch(() => false);
  }

  /** False when another has it. Throws when the servers do not answer. */
  async #say(): Promise<boolean> {
    const started = performance.now();
    try {
      const { seq } = await this.#jetStream.publishing.publish(this.#name, '', {
        expect: { lastSubjectSequence: this.#sequence },
        timeout: turnMilliseconds / 5,
      });
      this.#sequence = seq;
      this.#until = started + share * turnMilliseconds;
      return true;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.status === 400) return false;
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    const { streams } = this.#jetStream.managing;
    try {
      await streams.info(this.#name);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await streams.add({
        name: this.#name,
        subjects: [this.#name],
        storage: StorageType.Memory,
        num_replicas: this.#replicas,
        max_msgs_per_subject: 1,
        max_age: nanos(turnMilliseconds),
      });
    }
  }
}

/** Of a ledger that only this process can have open. */
export const alwaysOurs = { held: true, take: async () => true, release: async () => undefined };
