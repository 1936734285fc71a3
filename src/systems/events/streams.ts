/** The stream of events, and the books of the system beside it: what is written by its routes alone. */
import { defineBuiltInStream, defineStream } from '../../engine/stream.ts';
import { eventsDeclaration } from './declarations.ts';

export const eventsStream = defineStream('events', eventsDeclaration);

/** Schemas of event types, each change a version. The id is made of category and name. */
export const typesBook = defineBuiltInStream('_event_types', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    category: { type: 'text', required: true },
    name: { type: 'text', required: true },
    version: { type: 'integer', required: true },
    mode: { type: 'text', required: true },
    schema: { type: 'json', required: true },
    description: { type: 'text' },
    changed_at: { type: 'timestamp', required: true },
  },
});

/** What each source may send. */
export const sourcesBook = defineBuiltInStream('_event_sources', {
  id: 'source',
  fields: { source: { type: 'text', required: true }, unknown_types: { type: 'text', required: true } },
});

/** Events that were taken in although they do not fit the schema of their type, which only warns. */
export const warningsBook = defineBuiltInStream('_event_warnings', {
  id: 'event',
  time: 'at',
  fields: {
    /** The id of the event. */
    event: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    category: { type: 'text', required: true },
    name: { type: 'text', required: true },
    version: { type: 'integer', required: true },
    source: { type: 'text', required: true },
    field: { type: 'text', required: true },
    message: { type: 'text', required: true },
  },
});
