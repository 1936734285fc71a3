/** The streams of random work: every field type, ids of several kinds, rollups of several buckets and time zones. */
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { defineStream, type Stream } from '../../src/engine/stream.ts';

const saleFields: StreamDeclaration['fields'] = {
  id: { type: 'text', required: true },
  at: { type: 'timestamp', required: true },
  customer: { type: 'text' },
  kind: { type: 'text', one_of: ['data', 'voice', 'Ünï'], default: 'data' },
  amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  wide: { type: 'decimal', precision: 38, scale: 10 },
  used: { type: 'integer' },
  flag: { type: 'boolean' },
  due: { type: 'date' },
  ref: { type: 'uuid' },
  data: { type: 'json' },
};

const saleRollups: StreamDeclaration['rollups'] = {
  daily: { every: 'day', by: ['customer', 'kind'], sum: ['amount', 'used', 'wide'] },
  madrid: { every: 'day', tz: 'Europe/Madrid', by: ['kind', 'due'], sum: ['amount'] },
  hourly: { every: 'hour', by: ['flag'], sum: ['used', 'amount'] },
  weekly: { every: 'week', by: ['used'], sum: ['wide'] },
  total: { every: 'all', by: ['kind', 'ref', 'used'], sum: ['amount', 'wide'] },
};

const sales = defineStream('sales', {
  id: 'id',
  time: 'at',
  fields: saleFields,
  rollups: saleRollups,
  future_tolerance: '30 days',
});
const laterFields: StreamDeclaration['fields'] = { extra: { type: 'integer' }, ...saleFields };
/** The same later: with a new field, and new rollups over what is there. */
export const laterSales = defineStream('sales', {
  ...sales.declaration,
  fields: laterFields,
  rollups: {
    ...saleRollups,
    monthly: { every: 'month', by: ['extra', 'customer'], sum: ['amount'] },
    minutes: { every: 'minute', tz: 'Asia/Kathmandu', sum: ['used'] },
  },
});
/** Records with no id of their own, by date, kept for a while. */
const clicks = defineStream('clicks', {
  time: 'seen',
  fields: {
    seen: { type: 'date', required: true },
    page: { type: 'text' },
    hits: { type: 'integer', required: true, min: 0 },
  },
  rollups: { pages: { every: 'month', by: ['page'], sum: ['hits'] } },
  retention: { records: '60 days' },
});
/** Reference data with no time. */
const places = defineStream('places', {
  id: 'key',
  fields: {
    key: { type: 'uuid', required: true },
    name: { type: 'text', min_length: 1, max_length: 6 },
    size: { type: 'decimal', precision: 10, scale: 9 },
  },
  rollups: { names: { every: 'all', by: ['name'], sum: ['size'] } },
});
export const randomStreams: Stream[] = [sales, clicks, places];
