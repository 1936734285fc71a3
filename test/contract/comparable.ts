/** What two stores tell, in a form in which it must be equal. */
import { rejectsStream } from '../../src/engine/built-in-streams.ts';
import { objectMembers } from '../../src/engine/exact-json.ts';
import type { Answer, Entry } from '../../src/engine/store.ts';
import type { Stream } from '../../src/engine/stream.ts';
import { byName } from './harness.ts';

/** An answer, or the code of the error in its place. */
export async function settled(answer: Promise<Answer>): Promise<Record<string, unknown>> {
  try {
    return { ...byName(await answer) };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || code === 'bad_question') throw error;
    return { code };
  }
}

/** Entries without what is a store's own: seqs become positions, and so do the ids of rejects, which hold one. */
export function comparable(stream: Stream, entries: Entry[]): unknown[] {
  const positions = new Map(entries.map(({ seq }, position) => [seq, position]));
  const values = (entry: Entry) =>
    stream === rejectsStream
      ? ['', ...entry.values.slice(1, 11), originalOf(entry), entry.values[12]]
      : entry.values;
  return entries.map((entry, position) => ({
    ...entry,
    seq: position,
    reverses: entry.reverses === null ? null : (positions.get(entry.reverses) ?? 'elsewhere'),
    id: stream === rejectsStream ? '' : entry.id,
    values: values(entry),
  }));
}

/** The original of a reject. A conflict of a file keeps its content, not its bytes; a missing cell may be a null. */
function originalOf({ values }: Entry): string | null {
  const field = (name: string) => values[rejectsStream.fields.findIndex((one) => one.name === name)]!;
  const original = field('original');
  if (field('import') === null || original === null) return original;
  if (field('code') === 'conflict') return 'content';
  const members = [...(objectMembers(original)?.members ?? [])].filter(([, value]) => value !== 'null');
  return members.length === 0 ? original : JSON.stringify(members.toSorted());
}
