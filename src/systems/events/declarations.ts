/** What users of web applications do, as the applications tell it. */
import type { StreamDeclaration } from '../../engine/declaration.ts';

const named = { type: 'text', min_length: 1, max_length: 255, required: true } as const;

/**
 * One stream for the events of all applications: the source of an entry is the application. Ids are texts, since
 * those of other clients (Segment's `messageId`) are no uuids; an event without one gets one.
 */
export const eventsDeclaration: StreamDeclaration = {
  description: 'What users of web applications did',
  id: 'id',
  time: 'timestamp',
  fields: {
    id: { type: 'text', min_length: 1 },
    session_id: named,
    category: named,
    name: named,
    data: { type: 'json', object: true, max_levels: 100, required: true },
    timestamp: { type: 'timestamp', required: true },
  },
  rollups: { hourly: { every: 'hour', by: ['category', 'name'] } },
  lookups: ['session_id'],
  future_tolerance: '5 minutes',
};
