/** What a society of rights holders gets from music services: reports, their lines, and what currencies were worth. */
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { weightScale } from '../../engine/weights.ts';

export const policies = ['period_average', 'period_end', 'fixed'] as const;
export type Policy = (typeof policies)[number];

export const statuses = ['in_progress', 'ingested', 'failed'] as const;
export type Status = (typeof statuses)[number];

/** Digits after the point of a rate: what one euro is worth in a currency. */
export const rateScale = 10;

/**
 * The lines of all reports. They have no ids of their own: one is `REPORT:LINE`. A report's lines are those of its import,
 * so that they come and go in one commit.
 *
 * The rollup by report says what each of them holds. The one by recording and report answers for any choice of reports,
 * whatever their currencies are worth: it reads two sums a recording and report, and after a compaction in the order of
 * the recordings.
 */
export const linesDeclaration: StreamDeclaration = {
  description: 'Lines of the sales reports of music services: what a recording was used, and earned',
  fields: {
    report: { type: 'integer', required: true },
    dsp_id: { type: 'text', required: true, max_length: 200, varied: true },
    title: { type: 'text', max_length: 2_000, varied: true, warn: { missing: true } },
    /** Separated by |. */
    artists: { type: 'text', max_length: 4_000, varied: true, warn: { missing: true } },
    isrc: {
      type: 'text',
      normalize: 'code',
      max_length: 100,
      varied: true,
      warn: { missing: true, pattern: '[A-Z]{2}[A-Z0-9]{3}[0-9]{7}' },
    },
    usages: { type: 'integer', warn: { missing: true } },
    /** In the currency of the report. */
    revenue: { type: 'decimal', precision: 38, scale: 20, warn: { missing: true } },
  },
  rollups: {
    reports: { every: 'all', by: ['report'], sum: ['usages', 'revenue'] },
    recordings: { every: 'all', by: ['dsp_id', 'report'], sum: ['usages', 'revenue'] },
  },
};

/** The id of a report is that of its import. */
export const reportsDeclaration: StreamDeclaration = {
  description: 'Sales reports of music services, as they were named and taken in',
  id: 'id',
  time: 'created_at',
  fields: {
    id: { type: 'integer', required: true },
    path: { type: 'text', required: true },
    service: { type: 'text', required: true },
    territory: { type: 'text', required: true },
    currency: { type: 'text', required: true },
    period_start: { type: 'date', required: true },
    period_end: { type: 'date', required: true },
    status: { type: 'text', one_of: [...statuses], required: true },
    /** SHA-256 of the content, unpacked. */
    checksum: { type: 'text', required: true },
    created_at: { type: 'timestamp', required: true },
    finished_at: { type: 'timestamp' },
    rows: { type: 'integer' },
    rejected: { type: 'integer' },
    /** Where the file has some, as blank-lines.ts has it; null where there are none. */
    blank_lines: { type: 'json' },
    /** A list of texts. */
    warnings: { type: 'json' },
    /** A list of what happened: at, message. */
    log: { type: 'json' },
    error: { type: 'text' },
    supersedes: { type: 'integer' },
    /** Null: that of the deployment. */
    policy: { type: 'text', one_of: [...policies] },
    /** What was given with the policy `fixed`. */
    fixed_rate: { type: 'decimal', precision: 38, scale: rateScale },
    /** What one euro is worth in the currency; null where it is not known. */
    rate: { type: 'decimal', precision: 38, scale: rateScale },
    /** What one unit of the currency is worth in euro: 1 / rate, rounded half up. */
    euro_rate: { type: 'decimal', precision: 18, scale: weightScale },
    rate_policy: { type: 'text', one_of: [...policies] },
    rate_source: { type: 'text' },
    /** A date, or the first and the last of an average with a slash between. */
    rate_date: { type: 'text' },
  },
};

/** What one euro was worth on a date. */
export const ratesDeclaration: StreamDeclaration = {
  description: 'What one euro was worth in other currencies, by day',
  id: 'id',
  fields: {
    /** `2020-01-31 NOK`. */
    id: { type: 'text', required: true },
    date: { type: 'date', required: true },
    currency: { type: 'text', pattern: '[A-Z]{3}', required: true },
    rate: { type: 'decimal', precision: 38, scale: rateScale, required: true, min: '0.0000000001' },
    source: { type: 'text', required: true },
  },
};

/** One record, `deployment`: how reports are converted that do not say it themselves. */
export const euroSettingsDeclaration: StreamDeclaration = {
  description: 'How revenue is converted to euro unless a report says it',
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    policy: { type: 'text', one_of: [...policies], required: true },
    /** For the policy `fixed`: rates by currency. */
    fixed: { type: 'json' },
  },
};
