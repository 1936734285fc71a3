/**
 * Every error a user can meet, in one register.
 *
 * An error has a code (stable, for programs), a kind (what sort of trouble it is; `http/problems.ts` maps
 * the kind to a status, `cli/main.ts` to an exit code) and a detail (for people: what was found, what was
 * expected, what to do). Anything that is thrown and is not a TallybookError is a defect of ours.
 *
 * Errors here concern a request as a whole. What became of a single record is a verdict, never an exception:
 * see `verdicts.ts`.
 */
export const errorRegister = {
  bad_declaration: { kind: 'invalid', title: 'The stream declaration cannot be used' },
  incompatible_declaration: { kind: 'conflict', title: 'The change would alter what is already stored' },
  stream_taken: { kind: 'conflict', title: 'A system needs the name of a stream' },
  unknown_stream: { kind: 'missing', title: 'There is no such stream' },
  unknown_record: { kind: 'missing', title: 'There is no such record' },
  unknown_reject: { kind: 'missing', title: 'There is no such reject' },
  unknown_import: { kind: 'missing', title: 'There is no such import' },
  unknown_source: { kind: 'missing', title: 'There is no such source' },
  unknown_key: { kind: 'missing', title: 'There is no such key' },
  unknown_alert: { kind: 'missing', title: 'There is no such alert' },
  unknown_webhook: { kind: 'missing', title: 'There is no such webhook' },
  unknown_delivery: { kind: 'missing', title: 'There is no such delivery' },
  unknown_session: { kind: 'missing', title: 'There is no such session' },
  unknown_event_type: { kind: 'missing', title: 'There is no such event type' },
  unknown_route: { kind: 'missing', title: 'There is nothing at this address' },
  bad_request: { kind: 'invalid', title: 'The request cannot be understood' },
  bad_question: { kind: 'invalid', title: 'The question cannot be answered as it is asked' },
  bad_alert: { kind: 'invalid', title: 'The alert cannot be used as it is defined' },
  missing_rates: { kind: 'conflict', title: 'Reports cannot be converted to euro' },
  report_busy: { kind: 'conflict', title: 'The report is being taken in, replaced or deleted' },
  bad_webhook: { kind: 'invalid', title: 'The webhook cannot be used as it is given' },
  webhook_refused: { kind: 'invalid', title: 'The address of the webhook is a private one' },
  webhooks_idle: { kind: 'conflict', title: 'This process posts to no webhooks' },
  bad_schema: { kind: 'invalid', title: 'The schema cannot be used' },
  sum_out_of_range: { kind: 'invalid', title: 'A sum is too large' },
  beyond_retention: { kind: 'conflict', title: 'The records this needs have been dropped by retention' },
  unreadable_body: { kind: 'invalid', title: 'The body cannot be read' },
  unsupported_format: { kind: 'unsupported', title: 'The format is not supported' },
  too_large: { kind: 'too_large', title: 'The body is too large' },
  import_failed: { kind: 'invalid', title: 'The import failed and left nothing behind' },
  import_not_undoable: { kind: 'conflict', title: 'The import cannot be undone' },
  source_exists: { kind: 'conflict', title: 'A source of this name exists already' },
  last_admin: { kind: 'conflict', title: 'Nobody could administer the ledger any more' },
  unauthenticated: { kind: 'unauthenticated', title: 'A valid key is needed' },
  forbidden: { kind: 'forbidden', title: 'The key does not allow this' },
  rate_limited: { kind: 'rate_limited', title: 'The rate limit of this source is reached' },
  overloaded: { kind: 'overloaded', title: 'The server takes nothing more in at the moment' },
  closing: { kind: 'overloaded', title: 'The server is stopping' },
  database_unavailable: { kind: 'overloaded', title: 'The database with the figures cannot be asked' },
  log_unavailable: { kind: 'overloaded', title: 'The log in front cannot be written to' },
  storage_full: { kind: 'storage_full', title: 'There is no room left on the disk' },
  out_of_memory: { kind: 'overloaded', title: 'The database may not use as much memory as this needs' },
  store_failed: { kind: 'overloaded', title: 'The database has given up' },
  directory_in_use: { kind: 'conflict', title: 'The data directory is in use' },
  directory_unusable: { kind: 'invalid', title: 'The data directory cannot be used' },
  newer_database: { kind: 'conflict', title: 'The database was written by a newer Tallybook' },
  superseded: { kind: 'conflict', title: 'Another process has done this already' },
  copy_refused: { kind: 'conflict', title: 'The ledger cannot be copied there' },
  unfinished_copy: { kind: 'conflict', title: 'The copy of a ledger was not finished' },
  bad_settings: { kind: 'invalid', title: 'The settings cannot be used' },
  internal: { kind: 'internal', title: 'Something went wrong on our side' },
} as const satisfies Record<string, { kind: ErrorKind; title: string }>;

export type ErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'missing'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'rate_limited'
  | 'overloaded'
  | 'storage_full'
  | 'internal';

export type ErrorCode = keyof typeof errorRegister;

export class TallybookError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly title: string;
  /** Whole seconds after which trying again makes sense; set for `rate_limited` and `overloaded`. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, detail: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TallybookError';
    this.code = code;
    this.kind = errorRegister[code].kind;
    this.title = errorRegister[code].title;
    this.retryAfter = options.retryAfter;
  }
}
