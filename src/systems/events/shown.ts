/** Events as they are told: with the application that sent them, and their data digit for digit. */
import { Type } from 'typebox';
import { JsonText } from '../../engine/exact-json.ts';
import { valuesByName } from '../../engine/own-books.ts';
import type { Entry } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';

export const EventSchema = Type.Object(
  {
    id: Type.String(),
    session_id: Type.String(),
    category: Type.String(),
    name: Type.String(),
    data: Type.Object({}, { additionalProperties: true }),
    timestamp: Type.String({ description: 'In UTC, with microseconds.' }),
    application: Type.String({ description: 'The source that sent it.' }),
    recorded_at: Type.String(),
  },
  { additionalProperties: true },
);

export function shownEvent(stream: Stream, { values, source, recorded_at }: Entry) {
  const { data, ...rest } = valuesByName(stream, values);
  return { ...rest, data: new JsonText(data!), application: source, recorded_at };
}
