/** A limit on everything, in one place; the unit is the last word of the name. */
export const limits = {
  /** Fields of one stream. */
  stream_fields_max: 200,
  /** Rollups of one stream. */
  stream_rollups_max: 20,
  /** Fields of one stream by which records are looked for. */
  stream_lookups_max: 5,
  /** Forms of one stream. */
  stream_forms_max: 20,
  /** Streams of one ledger. */
  streams_max: 1_000,
  /** Length of an identifier of a stream, field or rollup (SPEC 1.1). */
  identifier_characters: 63,
  /** Length of a record's id. */
  id_characters: 512,
  /** Length of a text field that declares no `max_length`. */
  text_characters: 65_536,
  /** Length of a json field. */
  json_characters: 1_048_576,
  /** Matching the text of a declaration, such as a default, with the pattern of its field. */
  pattern_milliseconds: 100,
  /** Values in a text field's `one_of`. */
  one_of_values: 1_000,
  /** Length of the value quoted in a reject. */
  found_characters: 100,
  /** One record as it came in; a longer line is rejected. */
  record_bytes: 2_097_152,
  /** A body of `POST records`, unpacked. Larger ones go through imports. */
  body_bytes: 268_435_456,
  /** What a body or file may unpack to, as a multiple of its packed size (checked beyond `bomb_free_bytes`). */
  unpack_ratio: 1_000,
  bomb_free_bytes: 67_108_864,
  /** The window of a zstd: as much as the zstd command takes unless it is told to take more. */
  zstd_window_bytes: 134_217_728,
  /** A body up to this size is published from memory, beside others; a larger one by way of a file. */
  memory_body_bytes: 8_388_608,
  /** A body that brings its key with it: it is read before anybody knows from whom it comes. */
  keyed_body_bytes: 1_048_576,
  /** All such bodies that are being read, and how soon each must be whole: they cannot keep others from being read. */
  keyed_reading_bytes: 16_777_216,
  keyed_body_seconds: 10,
  /** The waiting room of the writer: what is taken in but not committed yet. */
  waiting_records: 200_000,
  waiting_bytes: 134_217_728,
  waiting_deliveries: 20_000,
  /** How long what waits may take, by the pace of recent large batches; but a batch may always wait. */
  waiting_seconds: 5,
  /** What one commit takes from the waiting room. */
  batch_records: 50_000,
  batch_bytes: 33_554_432,
  /** Files that are published at the same time, imports and bodies alike; further ones wait. */
  files_at_once: 4,
  files_waiting: 200,
  /** Imports that are staged and published at the same time; further ones wait. */
  imports_at_once: 2,
  imports_waiting: 100,
  /** Verdicts listed in a receipt unless all are asked for. */
  receipt_verdicts: 100,
  /** Verdicts listed in a receipt when all are asked for. */
  receipt_verdicts_all: 100_000,
  /** Rows of an answer; more are paged or refused. */
  answer_rows: 1_000_000,
  answer_rows_default: 10_000,
  /** Buckets that `fill=zero` may make, over all keys. */
  fill_rows: 200_000,
  question_measures: 50,
  question_dimensions: 20,
  question_conditions: 50,
  question_condition_values: 10_000,
  like_characters: 1_000,
  page_rows_default: 100,
  page_rows: 1_000,
  /** Of a space over time: the intervals, and the passages that are read for them. */
  series_intervals: 10_000,
  series_passages: 5_000_000,
  /** What a list without pages holds at most, of paths whose clients know none. */
  unpaged_rows: 100_000,
  /** Notes that a check may make on the records of one file; what is beyond is not noted. */
  file_notes: 10_000,
  /** Rejects replayed by one call. */
  replay_rejects: 10_000,
  /** Length of an Idempotency-Key. */
  idempotency_key_characters: 255,
  reason_characters: 1_000,
  source_keys: 10,
  /** Event types with a schema; a schema's length and depth; how long the data of one event may take to check. */
  event_types_max: 2_000,
  schema_characters: 65_536,
  schema_levels: 30,
  schema_check_milliseconds: 100,
  /** What the checks of events that come together may take, beside 0.1 ms for each: nothing else is done meanwhile. */
  schema_checks_milliseconds: 1_000,
  /** Events that a dry run looks at, or from which a schema is inferred. */
  dry_run_events: 1_000,
  /** Events of a session that are put in order. */
  session_events: 10_000,
  /** How far a list by offset reaches. */
  offset_rows: 10_000,
  /** Alerts of one ledger, thresholds of one alert, streams that the way to its limit walks through. */
  alerts_max: 500,
  alert_thresholds: 20,
  alert_hops: 5,
  /** Keys of one commit that an alert looks up one by one; of more it asks for all that reach a threshold. */
  alert_keys: 10_000,
  /** How far evaluation has come is written down this often, and at a clean stop. */
  alert_progress_seconds: 60,
  webhooks_max: 100,
  webhook_url_characters: 2_048,
  /** An attempt to post a notification, and what is read of its answer. */
  webhook_timeout_seconds: 10,
  webhook_response_bytes: 4_096,
  /** Between two attempts at most; and the age at which a notification that cannot be posted is given up. */
  webhook_delay_seconds: 3_600,
  webhook_give_up_seconds: 259_200,
  /** A JSON body of any other request: a question, a declaration, a choice of rejects; and how deep it may be. */
  control_body_bytes: 16_777_216,
  control_body_levels: 100,
  /** Headers of a request, its address included. */
  header_bytes: 32_768,
  /** A request's headers must have come after this long, and so must a body that is read into memory. */
  header_seconds: 15,
  body_seconds: 300,
  /** A body of which nothing comes for this long is given up. */
  body_idle_seconds: 30,
  /** So is a stream of events of which a client takes nothing for this long. */
  events_idle_seconds: 60,
  /** A connection without a request is kept for this long. */
  keep_alive_seconds: 72,
  /** How long a request may wait for an import to end, and how long it does unless it says. */
  import_wait_seconds: 300,
  import_wait_default_seconds: 10,
  /** What a log in front may hold, where its address does not say. */
  log_bytes: 1_073_741_824,
  /** For how long the log knows the id of a message; the ids of records are known for ever. */
  log_duplicate_seconds: 120,
  /** What is on its way to the log; and for how long it is tried to write a message. */
  log_publishing_bytes: 67_108_864,
  log_publishing_seconds: 10,
  /** What is on its way from the log to the ledger. */
  log_taking_bytes: 33_554_432,
  log_taking_messages: 2_000,
  /** How often it is tried to commit a message that cannot be committed before it goes to the rejects. */
  log_attempts: 3,
  /** How long a request that bypasses the log waits for what came before it. */
  log_settling_seconds: 10,
  /** For how long a node that takes from the log may be silent until another takes its place. */
  log_turn_seconds: 10,
  /** In a store that several processes write to: what was written and not committed for so long never will be. */
  abandoned_seconds: 86_400,
} as const;
