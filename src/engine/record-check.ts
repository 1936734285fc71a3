/**
 * A check of records that goes beyond their declaration: of the data of an event, against the schema of its type. A
 * system registers it for a stream (Tallybook.holdAgainst), and the writer gives it to the store with every delivery
 * to that stream: so it holds on every path, requests, files and replays alike, and only there; retractions pass.
 *
 * A store asks it when a record is otherwise fine, before it looks at its id. Nothing is told of records that it is not
 * concerned with: a stream without a schema costs nothing.
 */
import type { Stream } from './stream.ts';
import type { Verdict } from './verdicts.ts';

export interface RecordCheck {
  /** The fields that make the kind of a record; required texts of the stream. */
  kind: readonly string[];
  /** What it is told of a record beside that: fields of the stream. */
  fields: readonly string[];
  /** Which kinds from a source it is concerned with; undefined: of all. */
  concernedWith(source: string): readonly (readonly string[])[] | undefined;
  /** Judges records of one source, one judgement each. It must not throw. */
  judge(records: readonly RecordToJudge[], source: string): Judgement[];
  /** Where its notes are kept, in the same commit as the records: a stream with an id, without a check. */
  notes: Stream;
}

export interface RecordToJudge {
  id: string;
  kind: string[];
  /** Canonical texts; null where there is none. */
  values: (string | null)[];
}

export type Refused = Required<Pick<Verdict, 'code' | 'message'>> & Pick<Verdict, 'field'>;

/** Undefined: fine. A note is a record of the stream of notes, as JSON; the record that it is about is taken in. */
export type Judgement = { refused: Refused } | { note: string } | undefined;

/** Whether there is anything to judge of what comes from a source. */
export function isConcerned(check: RecordCheck | undefined, source: string): check is RecordCheck {
  return check !== undefined && check.concernedWith(source)?.length !== 0;
}
