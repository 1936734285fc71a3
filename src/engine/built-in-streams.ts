/**
 * Tallybook keeps its own books in streams of the same ledger: so their history, corrections and `known_at`
 * come for free, and a reject is written in the same commit as the records beside it.
 */
import { limits } from './limits.ts';
import { defineBuiltInStream } from './stream.ts';

/**
 * Records that were refused, each with the reason and its original bytes. The id of a reject is given by the
 * store: `r` and the entry's seq. A reject that is replayed or discarded is taken back, with the reason.
 */
export const rejectsStream = defineBuiltInStream('_rejects', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    stream: { type: 'text', required: true },
    source: { type: 'text', required: true },
    import: { type: 'integer' },
    mode: { type: 'text', required: true },
    code: { type: 'text', required: true },
    field: { type: 'text' },
    message: { type: 'text', required: true },
    record_id: { type: 'text' },
    /** Position in what was sent, from 0. */
    index: { type: 'integer', required: true },
    /** The record as it came; cells of a CSV or Parquet row as a JSON object. */
    original: { type: 'text', required: true, max_length: 2 * limits.record_bytes },
    /** `utf8`, or `base64` where the bytes are no text. */
    encoding: { type: 'text', required: true },
    /** The form in which it came; null for the stream's own. */
    form: { type: 'text' },
  },
});

/** Imports as they were started; how they ended is known from the batches (see imports.ts). */
export const importsStream = defineBuiltInStream('_imports', {
  id: 'id',
  time: 'created_at',
  fields: {
    id: { type: 'integer', required: true },
    created_at: { type: 'timestamp', required: true },
    stream: { type: 'text', required: true },
    name: { type: 'text', required: true },
    mode: { type: 'text', required: true },
    format: { type: 'text', required: true },
    source: { type: 'text', required: true },
    bytes: { type: 'integer' },
    sha256: { type: 'text' },
    status: { type: 'text', required: true },
    error: { type: 'text' },
    finished_at: { type: 'timestamp' },
    counts: { type: 'json' },
  },
});

/** Trusted clients. Of a key only its hash is kept. */
export const sourcesStream = defineBuiltInStream('_sources', {
  id: 'name',
  fields: {
    name: { type: 'text', required: true },
    scopes: { type: 'json', required: true },
    streams: { type: 'json' },
    origins: { type: 'json' },
    rate_limit: { type: 'integer' },
    keys: { type: 'json', required: true },
  },
});

/** Declarations of the users' streams. */
export const streamsStream = defineBuiltInStream('_streams', {
  id: 'name',
  fields: {
    name: { type: 'text', required: true },
    declaration: { type: 'json', required: true },
  },
});

/** What is watched. The revision is part of the ids of the notifications (see alerts.ts). */
export const alertsStream = defineBuiltInStream('_alerts', {
  id: 'name',
  fields: {
    name: { type: 'text', required: true },
    revision: { type: 'integer', required: true },
    definition: { type: 'json', required: true },
  },
});

/** One record: up to which commit the alerts have been evaluated. */
export const alertProgressStream = defineBuiltInStream('_alert_progress', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    evaluated_to: { type: 'timestamp', required: true },
  },
});

/** Thresholds that were reached. The id is made of alert, revision, key, period and threshold: so each is there once. */
export const notificationsStream = defineBuiltInStream('_notifications', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    alert: { type: 'text', required: true },
    revision: { type: 'integer', required: true },
    stream: { type: 'text', required: true },
    measure: { type: 'text', required: true },
    /** The values of the dimensions, joined by commas: to be looked for. */
    key: { type: 'text', required: true },
    dimensions: { type: 'json', required: true },
    period: { type: 'json', required: true },
    threshold: { type: 'text', required: true },
    limit: { type: 'text', required: true },
    value: { type: 'text', required: true },
    percent: { type: 'text' },
  },
});

/** Where notifications are posted to, with the secret that signs them: it must be known to sign. */
export const webhooksStream = defineBuiltInStream('_webhooks', {
  id: 'name',
  fields: {
    name: { type: 'text', required: true },
    url: { type: 'text', required: true },
    secret: { type: 'text', required: true },
    alerts: { type: 'json' },
    enabled: { type: 'boolean', required: true },
    /** Seq of the last notification that it is not concerned with. */
    after_seq: { type: 'integer', required: true },
  },
});

/** Every attempt to post a notification. */
export const deliveriesStream = defineBuiltInStream('_webhook_deliveries', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    webhook: { type: 'text', required: true },
    notification: { type: 'text', required: true },
    notification_seq: { type: 'integer', required: true },
    attempt: { type: 'integer', required: true },
    /** Asked for by somebody, out of turn. */
    redelivery: { type: 'boolean', required: true },
    outcome: { type: 'text', required: true },
    status: { type: 'integer' },
    milliseconds: { type: 'integer', required: true },
    url: { type: 'text', required: true },
    error: { type: 'text' },
  },
});

/**
 * How far a log in front has been taken in: a line in every commit that takes from it. So a message that comes again
 * after a crash is known, whatever it holds. The log is named together with the time at which it was made: another one
 * of the same name counts from 1 again.
 */
export const logMarksStream = defineBuiltInStream('_log_marks', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    log: { type: 'text', required: true },
    /** Of the last message; all before it have been taken in, too. */
    sequence: { type: 'integer', required: true },
    messages: { type: 'integer', required: true },
  },
  retention: { records: '30 days' },
});

export const builtInStreams = [
  rejectsStream,
  importsStream,
  sourcesStream,
  streamsStream,
  alertsStream,
  alertProgressStream,
  notificationsStream,
  webhooksStream,
  deliveriesStream,
  logMarksStream,
];
