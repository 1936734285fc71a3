/**
 * A reject as it is told, its record in the `_rejects` stream, and which of them a filter means.
 */
import { rejectsStream } from './built-in-streams.ts';
import { valuesByName } from './own-books.ts';
import type { AskedQuestion } from './question.ts';
import type { Mode } from './store.ts';

export interface Reject {
  id: string;
  at: string;
  stream: string;
  source: string;
  import: number | null;
  mode: Mode;
  code: string;
  field: string | null;
  message: string;
  record_id: string | null;
  /** Position in what was sent, from 0. */
  index: number;
  original: string;
  encoding: 'utf8' | 'base64';
  /** The form of the stream in which it came; null for the stream's own. */
  form: string | null;
}

export interface RejectFilter {
  stream?: string | undefined;
  source?: string | undefined;
  code?: string | undefined;
  field?: string | undefined;
  import?: number | undefined;
  /** By the time at which they were refused; inclusive. */
  from?: string | undefined;
  /** Exclusive. */
  to?: string | undefined;
  /** Further conditions, as a question about `_rejects` has them: `{"original.category": "web"}`. */
  where?: AskedQuestion['where'];
  /** Only of these streams: what the caller's key may see. */
  among?: readonly string[] | undefined;
}

/** Those with these ids, or all that fit a filter. */
export type RejectChoice =
  | { ids: string[]; among?: readonly string[] | undefined }
  | { filter: RejectFilter };

export const rejectGroupings = ['code', 'field', 'source', 'stream'] as const;
export type RejectGrouping = (typeof rejectGroupings)[number];

export function rejectOfValues(given: (string | null)[]): Reject {
  const values = valuesByName(rejectsStream, given);
  return {
    id: values.id!,
    at: values.at!,
    stream: values.stream!,
    source: values.source!,
    import: values.import == null ? null : Number(values.import),
    mode: values.mode as Mode,
    code: values.code!,
    field: values.field ?? null,
    message: values.message!,
    record_id: values.record_id ?? null,
    index: Number(values.index),
    original: values.original!,
    encoding: values.encoding as Reject['encoding'],
    form: values.form ?? null,
  };
}

/** A filter, and ids beside it if there are some, as the selection of a question. */
export function selectionOf(filter: RejectFilter, ids?: string[]): AskedQuestion {
  const { stream, source, code, field, among, from, to } = filter;
  const where: NonNullable<AskedQuestion['where']> = { ...filter.where };
  const given = { stream, source, code, field, import: filter.import?.toString() };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) where[name] = { eq: value };
  if (among) where.stream = { in: among.filter((name) => stream === undefined || name === stream) };
  if (ids) where.id = { in: ids };
  return { where, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
