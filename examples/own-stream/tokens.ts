/** The stream of the tutorial (docs/tutorials/own-stream.md), checked by the compiler. */
import { defineStream } from 'tallybook';

export const tokens = defineStream('tokens', {
  description: 'Tokens that customers used',
  id: 'id',
  time: 'answered_at',
  fields: {
    id: { type: 'text', required: true },
    answered_at: { type: 'timestamp', required: true },
    customer: { type: 'text', required: true, max_length: 100 },
    model: { type: 'text', one_of: ['small', 'large'], required: true },
    tokens: { type: 'integer', min: 0, required: true },
    price: { type: 'decimal', precision: 18, scale: 6, required: true },
  },
  rollups: {
    daily: { every: 'day', by: ['customer', 'model'], sum: ['tokens', 'price'] },
  },
});
