-- The tables of a ledger that holds the stream of docs/examples/usage.json, as the DuckDB store makes them.
-- Schema version 2. Written by test/tidy/schema.test.ts, which keeps it true.

create table if not exists book (key varchar, value varchar);
-- what was published: one row for each part of a batch (what shares stream, form, mode, source, import and reason)
create table if not exists parts (
  part bigint, batch bigint, recorded_at timestamp,
  stream varchar, mode varchar, source varchar, import bigint, reason varchar,
  accepted bigint, duplicates bigint, corrected bigint, conflicts bigint, rejected bigint, retracted bigint
);

create schema if not exists "stream_usage";
-- the ledger: a record with _sign 1, or -1 when it is taken back
create table if not exists "stream_usage".entries (
  _seq bigint, _part bigint, _sign tinyint, _reverses bigint,
  _hash ubigint, _id varchar using compression fsst,
  "type" varchar,
  "subscription_id" bigint,
  "usage_date" timestamp,
  "price" decimal(18, 2),
  "used" bigint
);
-- ids that were sent again with the same content: the entry that stood, and when
create table if not exists "stream_usage".duplicates (_seq bigint, _part bigint);

-- kept sums: partial ones of each batch, merged now and then
create table "stream_usage"."rollup_daily" (
  _bucket date,
  "subscription_id" bigint,
  "type" varchar,
  "_sum_price" decimal(18, 2), "_over_price" decimal(38, 2),
  "_sum_used" bigint, "_over_used" hugeint,
  _count bigint,
  _dropped boolean,
  _merged boolean default false
);
