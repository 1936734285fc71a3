/** What the API answers, as docs/http.md has it. Decimals and 64-bit integers are strings; counts are numbers. */
export type Scope = 'ingest' | 'read' | 'admin';
export type Value = string | number | boolean | null | object;
export type RecordValues = Record<string, Value>;

export interface Page {
  next?: string;
}

export interface FieldDeclaration {
  type: 'text' | 'integer' | 'decimal' | 'boolean' | 'timestamp' | 'date' | 'uuid' | 'json';
  required?: boolean;
  default?: Value;
  precision?: number;
  scale?: number;
  one_of?: string[];
}
export interface StreamDeclaration {
  description?: string;
  id?: string;
  time?: string;
  fields: Record<string, FieldDeclaration>;
  rollups?: Record<string, { every: string; tz?: string; by?: string[]; sum?: string[] }>;
  retention?: { records: string };
  forms?: Record<string, object>;
}
export interface Stream {
  name: string;
  declaration: StreamDeclaration;
}

export interface AsOf {
  batch: number;
  recorded_at: string;
}
export type Row = Record<string, string | number | boolean | null>;
export interface Answer {
  rows: Row[];
  from: string;
  as_of: AsOf;
  more: boolean;
}

export type Verdict =
  | 'accepted'
  | 'duplicate'
  | 'corrected'
  | 'conflict'
  | 'rejected'
  | 'retracted'
  | 'not_open';

interface Written {
  batch: number;
  recorded_at: string;
  source: string;
  import: number | null;
  reason: string | null;
}
export interface Standing extends Written {
  id: string;
  record: RecordValues;
}
export interface Entry extends Standing {
  seq: string;
  sign: 1 | -1;
  reverses: string | null;
}
export interface Explained extends Page {
  entries: Entry[];
  rejects: { open: number };
}
export interface Fate {
  id: string;
  standing: Standing | null;
  history: (Written & { verdict: Verdict; record: RecordValues | null })[];
}

export interface Counts {
  received: number;
  accepted: number;
  duplicates: number;
  corrected: number;
  conflicts: number;
  rejected: number;
  retracted: number;
}
export interface Receipt extends Counts, AsOf {
  verdicts?: { index: number; id: string | null; verdict: Verdict; message?: string }[];
}

export interface Import {
  id: number;
  stream: string;
  name: string;
  mode: string;
  format: string;
  source: string;
  status: 'in_progress' | 'done' | 'failed' | 'undone';
  created_at: string;
  finished_at: string | null;
  bytes: number | null;
  sha256: string | null;
  error: string | null;
  counts: (Counts & AsOf) | null;
  progress: {
    step: 'waiting' | 'hashing' | 'staging' | 'comparing' | 'publishing';
    bytes_done: number | null;
    bytes_total: number | null;
    rows: number;
    started_at: string;
    seconds: number;
  } | null;
}

export interface Reject {
  id: string;
  at: string;
  stream: string;
  source: string;
  import: number | null;
  mode: string;
  code: string;
  field: string | null;
  message: string;
  record_id: string | null;
  index: number;
  original: string;
  encoding: 'utf8' | 'base64';
  form: string | null;
}
export interface RejectDetail extends Reject {
  left: { at: string; reason: string | null } | null;
}
export interface RejectGroup {
  key: { stream: string; code: string; field: string | null; source: string };
  count: number;
  first_seen: string;
  last_seen: string;
  sample: Reject | null;
}
export interface Replay extends Counts {
  verdicts: { reject: string; verdict: Verdict; message?: string }[];
  not_open: string[];
  more: boolean;
}

export interface Source {
  name: string;
  scopes: Scope[];
  streams: string[] | null;
  origins: string[] | null;
  rate_limit: number | null;
  keys: { id: string; created_at: string }[];
}

export interface Alert {
  name: string;
  revision: number;
  defined_at: string;
  from: string | null;
  fault: string | null;
  definition: {
    description?: string;
    stream: string;
    measure: string;
    where: Record<string, unknown>;
    by: string[];
    period: 'day' | 'week' | 'month' | 'all';
    tz: string;
    thresholds: string[];
    limit: string | { of: string; path: string[] };
    enabled: boolean;
  };
}
export interface Notification {
  id: string;
  at: string;
  alert: string;
  stream: string;
  measure: string;
  key: string;
  dimensions: Record<string, string | null>;
  period: { every: string; tz: string; start: string | null; from: string | null; to: string | null };
  threshold: string;
  limit: string;
  value: string;
  percent: string | null;
}
export interface Webhook {
  name: string;
  url: string;
  alerts: string[] | null;
  enabled: boolean;
}
export interface Delivery {
  id: string;
  at: string;
  notification: string;
  attempt: number;
  redelivery: boolean;
  outcome: 'delivered' | 'failed' | 'given_up';
  status: number | null;
  milliseconds: number;
  url: string;
  error: string | null;
}

export type UsageType = 'data' | 'voice';
export interface Exceeding {
  subscription_id: string;
  exceeded: { type: UsageType; total_price: string; exceeded_by: string }[];
}
export interface SubscriptionUsage {
  subscription_id: string;
  usage: { type: UsageType; total_price: string; total_used: string; records: number }[];
}
export interface Allowance {
  subscription_id: string;
  month: string;
  plan: string | null;
  used: string;
  data_available: string | null;
  used_percent: string | null;
}

export interface Event {
  id: string;
  session_id: string;
  category: string;
  name: string;
  data: object;
  timestamp: string;
  application: string;
  recorded_at: string;
}
export interface Session {
  session_id: string;
  count: number;
  first: string;
  last: string;
  duration_seconds: string;
  applications: string[];
  events: Event[];
}
export interface EventErrorGroup {
  code: string;
  field: string | null;
  category: string | null;
  name: string | null;
  application: string;
  count: number;
  first_seen: string;
  last_seen: string;
  sample: { id: string; message: string } | null;
}
export interface EventWarningGroup {
  category: string;
  name: string;
  version: number;
  field: string;
  application: string;
  count: number;
  first_seen: string;
  last_seen: string;
  sample: string;
}
export interface EventType {
  category: string;
  name: string;
  version: number;
  mode: 'enforce' | 'warn';
  description: string | null;
  changed_at: string;
  schema: object;
}
interface Held {
  checked: number;
  passed: number;
  failed: number;
  failures: { field: string; message: string; id?: string; index?: number }[];
}
export interface DryRun {
  sample: Held;
  seen: Held;
  rejects: Counts & { failures: { reject: string; field: string; message: string }[]; more: boolean };
}

export interface Report {
  id: number;
  path: string;
  period_start: string;
  period_end: string;
  status: 'in_progress' | 'ingested' | 'failed';
  territory: { name: string; code_2: string };
  currency: { name: string; code: string };
  service: string;
  rows: number | null;
  rejected: number | null;
  usages: string;
  revenue: string;
  warnings: string[];
  checksum: string;
  created_at: string;
  finished_at: string | null;
  error: string | null;
  supersedes: number | null;
  euro: { rate: string; euro_rate: string; policy: string; source: string; date: string } | null;
  log?: { at: string; message: string }[];
}
export interface Resource {
  dsp_id: string;
  title: string | null;
  artists: string | null;
  isrc: string | null;
  usages: number | string;
  revenue_exact: string;
  dsrs: number[];
}
export interface Statistics {
  currency: string;
  reports: number;
  rows: { key: string | null; lines: number; usages: string; revenue: string }[];
}
export interface ExchangeRates {
  policy: string;
  fixed: Record<string, string>;
  currencies: { currency: string; first: string; last: string; days: number }[];
}

export interface SpaceCount {
  space_id: string;
  name: string | null;
  count: number | null;
  capacity: number | null;
  utilisation: number | null;
  fault?: string;
}
export interface SpaceSeries {
  space_id: string;
  interval: string;
  tz: string;
  capacity: number | null;
  counts: {
    start: string;
    end: string;
    count: number;
    entrances: number;
    exits: number;
    min: number;
    max: number;
    utilisation: number | null;
  }[];
}
export interface Reset {
  id: string;
  space_id: string;
  ts: string;
  count: number;
  reason: string | null;
}
export interface SensorHealth {
  dpu_id: string;
  name: string | null;
  doorway_id: string | null;
  assigned: boolean;
  last_seen: string | null;
  expected_seconds: number;
  silent: boolean;
  /** What cannot be of where its assignments hang it. */
  fault?: string;
}
export interface Unassigned {
  dpu_id: string;
  unassigned: number;
  stretches: { from: string | null; to: string | null; passages: number }[];
}
