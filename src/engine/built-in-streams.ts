/**
 * Tallybook keeps its own books in streams of the same ledger: so their history, corrections and `known_at`
 * come for free, and a reject is written in the same commit as the records beside it.
 */
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
    original: { type: 'text', required: true },
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

export const builtInStreams = [rejectsStream, importsStream, sourcesStream, streamsStream];
