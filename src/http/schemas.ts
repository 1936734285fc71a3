/**
 * What answers look like, for `/openapi.json`. The tests hold every answer against these.
 */
import { type TSchema, Type } from 'typebox';
import { periods } from '../engine/alert-definition.ts';
import { errorRegister } from '../engine/errors.ts';
import { verdictNames } from '../engine/verdicts.ts';
import { warningCodes } from '../engine/warnings.ts';

const open = { additionalProperties: true };
const closed = { additionalProperties: false };
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const Time = Type.String({ description: 'In UTC, with microseconds: 2026-10-05T06:43:00.123456Z' });

export const ProblemSchema = Type.Object(
  {
    type: Text,
    title: Text,
    status: Type.Integer(),
    detail: Type.String({ description: 'What was found, what was expected, what to do.' }),
    code: Type.String({
      description: `Stable, for programs: ${Object.keys(errorRegister).join(', ')}; or the code of a verdict.`,
    }),
  },
  { ...open, description: 'application/problem+json' },
);

export const VerdictSchema = Type.Object(
  {
    index: Type.Integer({
      minimum: 0,
      description: 'Position in what was sent, from 0; blank lines do not count.',
    }),
    id: nullable(Text),
    verdict: Type.Enum([...verdictNames]),
    code: Type.Optional(Text),
    field: Type.Optional(Text),
    message: Type.Optional(Text),
  },
  closed,
);

const counts = {
  accepted: Count,
  duplicates: Count,
  corrected: Count,
  conflicts: Count,
  rejected: Count,
  retracted: Count,
};

const warnings = Type.Optional(
  Type.Array(Type.Object({ field: Text, code: Type.Enum([...warningCodes]), count: Count }, closed), {
    description: 'What was taken in and should be known of, by field; only where there is something.',
  }),
);

export const ReceiptSchema = Type.Object(
  {
    batch: Count,
    recorded_at: Time,
    received: Count,
    ...counts,
    warnings,
    verdicts: Type.Optional(
      Type.Array(VerdictSchema, { description: 'With verdicts=all, and for one record sent alone.' }),
    ),
    errors: Type.Optional(Type.Array(VerdictSchema, { description: 'The first that were not accepted.' })),
  },
  closed,
);

/** What is answered where a log in front has taken the records in. */
export const LoggedSchema = Type.Object(
  {
    received: Count,
    log: Type.String({ description: 'Name of the log.' }),
    sequence: Type.String({ description: 'Number of the message that holds the records.' }),
    repeated: Type.Boolean({ description: 'The log had this request already: nothing was added.' }),
  },
  closed,
);

/** A record refused when it was sent alone: the receipt, and the same as a problem. */
export const RefusedSchema = Type.Object(
  { ...ProblemSchema.properties, ...ReceiptSchema.properties },
  closed,
);

const RecordValues = Type.Record(Text, Type.Unknown(), {
  description:
    'By field: decimals, integers and times as strings, booleans as booleans, json as it was sent.',
});

const entryFields = {
  id: Text,
  batch: Count,
  recorded_at: Time,
  source: Text,
  import: nullable(Type.Integer()),
  reason: nullable(Text),
  record: RecordValues,
};

export const StandingSchema = Type.Object(entryFields, closed);
export const EntrySchema = Type.Object(
  {
    seq: Type.String({ description: 'Order of arrival.' }),
    sign: Type.Enum([1, -1]),
    reverses: nullable(Type.String({ description: 'For sign -1: the seq of the entry that is taken back.' })),
    ...entryFields,
  },
  closed,
);

const next = Type.Optional(Type.String({ description: 'The cursor of the next page.' }));
export const RecordsSchema = Type.Object({ records: Type.Array(StandingSchema), next }, closed);
export const ExplainSchema = Type.Object(
  { entries: Type.Array(EntrySchema), next, rejects: Type.Object({ open: Count }, closed) },
  closed,
);
export const FateSchema = Type.Object(
  {
    id: Text,
    standing: nullable(StandingSchema),
    history: Type.Array(
      Type.Object(
        {
          verdict: Type.Enum([...verdictNames]),
          batch: Count,
          recorded_at: Time,
          source: Text,
          import: nullable(Type.Integer()),
          reason: nullable(Text),
          record: nullable(RecordValues),
        },
        closed,
      ),
      { description: 'A line for each time the id was sent, oldest first.' },
    ),
  },
  closed,
);

export const AnswerSchema = Type.Object(
  {
    rows: Type.Array(Type.Record(Text, Type.Unknown()), {
      description: 'Dimensions, the bucket, the measures as they were asked.',
    }),
    from: Type.String({ description: '"ledger", or "rollup NAME".' }),
    as_of: Type.Object({ batch: Count, recorded_at: Time }, closed),
    more: Type.Boolean({ description: 'There are more rows than the limit let through.' }),
  },
  closed,
);

export const ImportSchema = Type.Object(
  {
    id: Type.Integer({ minimum: 1 }),
    stream: Text,
    name: Text,
    mode: Text,
    format: Text,
    source: Text,
    status: Type.Enum(['in_progress', 'done', 'failed', 'undone']),
    created_at: Time,
    finished_at: nullable(Time),
    bytes: nullable(Count),
    sha256: nullable(Text),
    error: nullable(Text),
    counts: nullable(
      Type.Object({ received: Count, ...counts, warnings, batch: Count, recorded_at: Time }, closed),
    ),
    progress: nullable(
      Type.Object(
        {
          step: Type.Enum(['waiting', 'hashing', 'staging', 'comparing', 'publishing']),
          bytes_done: nullable(Count),
          bytes_total: nullable(Count),
          rows: Count,
          started_at: Time,
          seconds: Type.Number(),
        },
        closed,
      ),
    ),
  },
  closed,
);
export const ImportsSchema = Type.Object({ imports: Type.Array(ImportSchema), next }, closed);

const rejectFields = {
  id: Text,
  at: Time,
  stream: Text,
  source: Text,
  import: nullable(Type.Integer()),
  mode: Text,
  code: Text,
  field: nullable(Text),
  message: Text,
  record_id: nullable(Text),
  index: Count,
  original: Type.String({ description: 'The record as it came.' }),
  encoding: Type.Enum(['utf8', 'base64']),
  form: nullable(Text),
};
export const RejectSchema = Type.Object(rejectFields, closed);
export const RejectDetailSchema = Type.Object(
  { ...rejectFields, left: nullable(Type.Object({ at: Time, reason: nullable(Text) }, closed)) },
  closed,
);
export const RejectsSchema = Type.Object(
  {
    rejects: Type.Optional(Type.Array(RejectSchema)),
    groups: Type.Optional(
      Type.Array(
        Type.Object(
          {
            key: Type.Record(Text, nullable(Text)),
            count: Count,
            first_seen: Time,
            last_seen: Time,
            sample: nullable(RejectSchema),
          },
          closed,
        ),
        { description: 'With group_by.' },
      ),
    ),
    next,
  },
  closed,
);
export const ReplaySchema = Type.Object(
  {
    received: Count,
    ...counts,
    verdicts: Type.Array(
      Type.Object(
        {
          reject: Text,
          stream: Text,
          id: nullable(Text),
          verdict: Type.Enum([...verdictNames]),
          code: Type.Optional(Text),
          field: Type.Optional(Text),
          message: Type.Optional(Text),
        },
        closed,
      ),
    ),
    not_open: Type.Array(Text),
    more: Type.Boolean(),
  },
  closed,
);
export const DiscardSchema = Type.Object({ discarded: Count, not_open: Type.Array(Text) }, closed);

const DefinitionSchema = Type.Object(
  {
    description: Type.Optional(Text),
    stream: Text,
    measure: Text,
    where: Type.Record(Text, Type.Unknown()),
    by: Type.Array(Text),
    period: Type.Enum([...periods]),
    tz: Text,
    thresholds: Type.Array(Text, { description: 'In per cent of the limit, ascending.' }),
    limit: Type.Union([Text, Type.Object({ of: Text, path: Type.Array(Text) }, closed)]),
    enabled: Type.Boolean(),
  },
  closed,
);
export const DefinedAlertSchema = Type.Object(
  {
    name: Text,
    revision: Type.Integer({
      minimum: 1,
      description: 'Goes up when another figure is watched: then everything can be told anew.',
    }),
    defined_at: Time,
    definition: DefinitionSchema,
    from: nullable(
      Type.String({
        description:
          'Where its figures come from: "ledger", or "rollup NAME". Null where what it names cannot be found or used any more.',
      }),
    ),
    fault: nullable(
      Type.String({ description: 'Why it cannot be evaluated, or could not be the last time.' }),
    ),
  },
  closed,
);
export const AlertsSchema = Type.Object({ alerts: Type.Array(DefinedAlertSchema) }, closed);
export const NotificationSchema = Type.Object(
  {
    id: Text,
    at: Time,
    alert: Text,
    revision: Type.Integer(),
    stream: Text,
    measure: Text,
    key: Type.String({ description: 'The values of the dimensions, joined by commas.' }),
    dimensions: Type.Record(Text, nullable(Text)),
    period: Type.Object(
      {
        every: Type.Enum([...periods]),
        tz: Text,
        start: nullable(Type.String({ description: 'The first day there.' })),
        from: nullable(Time),
        to: nullable(Time),
      },
      closed,
    ),
    threshold: Text,
    limit: Text,
    value: Text,
    percent: nullable(Text),
  },
  closed,
);
export const NotificationsSchema = Type.Object(
  { notifications: Type.Array(NotificationSchema), next },
  closed,
);

const webhookFields = {
  name: Text,
  url: Text,
  alerts: nullable(Type.Array(Text, { description: 'Of these alerts; null: of all.' })),
  enabled: Type.Boolean(),
};
export const WebhookSchema = Type.Object(webhookFields, closed);
export const PutWebhookSchema = Type.Object(
  {
    ...webhookFields,
    secret: Type.Optional(Type.String({ description: 'One that was made for it; shown this once.' })),
  },
  closed,
);
export const WebhooksSchema = Type.Object({ webhooks: Type.Array(WebhookSchema) }, closed);
export const DeliverySchema = Type.Object(
  {
    id: Text,
    at: Time,
    webhook: Text,
    notification: Text,
    attempt: Type.Integer({ minimum: 1, description: 'The how manieth of this notification.' }),
    redelivery: Type.Boolean({ description: 'Asked for by somebody, out of turn.' }),
    outcome: Type.Enum(['delivered', 'failed', 'given_up']),
    status: nullable(Type.Integer()),
    milliseconds: Count,
    url: Text,
    error: nullable(Text),
  },
  closed,
);
export const DeliveriesSchema = Type.Object({ deliveries: Type.Array(DeliverySchema), next }, closed);

export const SourceSchema = Type.Object(
  {
    name: Text,
    scopes: Type.Array(Text),
    streams: nullable(Type.Array(Text)),
    origins: nullable(Type.Array(Text)),
    rate_limit: nullable(Type.Integer()),
    keys: Type.Array(Type.Object({ id: Text, created_at: Text }, closed)),
  },
  closed,
);
export const NewKeySchema = Type.Object(
  { source: SourceSchema, id: Text, key: Type.String({ description: 'Shown this once.' }) },
  closed,
);

/** An answer that goes on. */
export const EventsSchema = {
  description: 'Events',
  content: { 'text/event-stream': { schema: { type: 'string' } } },
};

/** What any route may answer beside what it is asked for. */
export const problems = {
  '4xx': {
    description: 'What to change',
    content: { 'application/problem+json': { schema: ProblemSchema } },
  },
  '5xx': {
    description: 'When to try again, or an id to quote',
    content: { 'application/problem+json': { schema: ProblemSchema } },
  },
};
