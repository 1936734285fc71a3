/** The demo's streams: the records of four systems; report lines as a plain declaration, the others as they ship. */
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { eventsDeclaration } from '../../systems/events/declarations.ts';
import { passagesDeclaration } from '../../systems/occupancy/declarations.ts';
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
  passages: passagesDeclaration,
} satisfies Record<string, StreamDeclaration>;

export type DemoStream = keyof typeof demoStreams;
