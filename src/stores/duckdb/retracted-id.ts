/** The id that a retraction names: `"a1"`, `7`, `{"id":"a1"}`, or the object with the stream's own name for it. */
import { objectMembers, parseStrictJson } from '../../engine/exact-json.ts';
import { checkValue } from '../../engine/field-types.ts';
import type { Stream } from '../../engine/stream.ts';

export function retractedId(stream: Stream, text: string): string | undefined {
  const members = objectMembers(text)?.members;
  const raw = members
    ? (members.get(stream.id?.name ?? 'id') ?? members.get('id'))
    : parseStrictJson(text) && text.trim();
  if (raw === undefined || !/^["\-0-9]/.test(raw)) return undefined;
  const field = stream.id && stream.id.type !== 'text' ? stream.id : { name: 'id', type: 'text' as const };
  // A text id may be written as a number: what counts is how it reads.
  const checked = checkValue(
    field,
    field.type === 'text' && !raw.startsWith('"') ? { kind: 'cell', text: raw } : { kind: 'json', text: raw },
  );
  return 'value' in checked ? (checked.value ?? undefined) : undefined;
}
