/** What a phone company keeps: what subscriptions used, and beside it the subscriptions and their plans. */
import type { StreamDeclaration } from '../../engine/declaration.ts';

export const usageTypes = ['data', 'voice'] as const;
export type UsageType = (typeof usageTypes)[number];

/**
 * Data sessions and calls in one stream: so a correction can make one of the other in one commit, and one rollup says
 * who exceeds a limit on either. Three rollups by the same fields: days for any dates, months and all time so that
 * questions about those read a row for each subscription and not one for each of its days.
 */
export const usageDeclaration: StreamDeclaration = {
  description: 'What subscriptions of a phone company used: kilobytes of data, seconds of voice',
  id: 'id',
  time: 'usage_date',
  fields: {
    id: { type: 'text', required: true },
    type: { type: 'text', one_of: [...usageTypes], required: true },
    subscription_id: { type: 'integer', required: true },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true },
    used: { type: 'integer', min: 0, required: true },
  },
  rollups: {
    daily: { every: 'day', by: ['subscription_id', 'type'], sum: ['price', 'used'] },
    monthly: { every: 'month', by: ['subscription_id', 'type'], sum: ['price', 'used'] },
    total: { every: 'all', by: ['subscription_id', 'type'], sum: ['price', 'used'] },
  },
  forms: {
    data: { names: { used: 'kilobytes_used' }, fixed: { type: 'data' } },
    voice: { names: { used: 'seconds_used' }, fixed: { type: 'voice' } },
  },
};

export const plansDeclaration: StreamDeclaration = {
  description: 'What a subscription may use a month',
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    name: { type: 'text', required: true },
    price: { type: 'decimal', precision: 18, scale: 2, required: true, min: 0 },
    /** Kilobytes a month. */
    data_available: { type: 'integer', min: 0, required: true },
  },
};

export const subscriptionsDeclaration: StreamDeclaration = {
  description: 'Who uses it, and on which plan',
  id: 'id',
  fields: {
    id: { type: 'integer', required: true },
    carrier: { type: 'text', one_of: ['att', 'sprint'], required: true },
    plan: { type: 'text' },
    status: { type: 'text', one_of: ['new', 'active', 'suspended', 'expired'], default: 'new' },
    device_id: { type: 'text' },
    phone_number: { type: 'text' },
    phone_model: { type: 'text' },
    network_type: { type: 'text' },
    effective_date: { type: 'date' },
  },
};
