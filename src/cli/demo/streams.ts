/** The demo's streams: the records of four systems, those of usage and events as they ship, the others as plain declarations. */
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { eventsDeclaration } from '../../systems/events/declarations.ts';
import { usageDeclaration } from '../../systems/usage/declarations.ts';

export const demoStreams = {
  usage: usageDeclaration,
  events: eventsDeclaration,
  report_lines: {
    description: 'Lines of the sales reports of music services',
    time: 'period_start',
    fields: {
      dsp_id: { type: 'text', required: true },
      title: { type: 'text' },
      artists: { type: 'text' },
      isrc: { type: 'text' },
      usages: { type: 'integer', default: 0 },
      revenue: { type: 'decimal', precision: 38, scale: 18, default: 0 },
      territory: { type: 'text', required: true },
      currency: { type: 'text', required: true },
      period_start: { type: 'date', required: true },
      period_end: { type: 'date', required: true },
    },
    rollups: { monthly: { every: 'month', by: ['territory', 'currency'], sum: ['usages', 'revenue'] } },
  },
  passages: {
    description: 'People who crossed a doorway; direction 1 is in, -1 is out',
    time: 'timestamp',
    fields: {
      timestamp: { type: 'timestamp', required: true },
      direction: { type: 'integer', min: -1, max: 1, required: true },
      dpu_id: { type: 'integer', required: true },
    },
    rollups: { hourly: { every: 'hour', by: ['dpu_id'], sum: ['direction'] } },
  },
} satisfies Record<string, StreamDeclaration>;

export type DemoStream = keyof typeof demoStreams;
