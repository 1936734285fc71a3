-- The tables of a ledger that holds the stream of docs/examples/usage.json, as the ClickHouse store makes them
-- on a cluster. Schema version 2. Written by test/tidy/schema.test.ts, which keeps it true.

create table if not exists `commits` on cluster `main` (
  position UInt64,
  taken_by String,
  kind String,
  batch UInt64,
  recorded_at Int64,
  part UInt64,
  stream String,
  mode String,
  source String,
  import Nullable(Int64),
  reason Nullable(String),
  accepted UInt64,
  duplicates UInt64,
  corrected UInt64,
  conflicts UInt64,
  rejected UInt64,
  retracted UInt64,
  value String
)
engine = ReplicatedMergeTree('/clickhouse/tables/tallybook/commits', '{shard}-{replica}')
order by position
settings replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

create table if not exists `usage.entries.local` on cluster `main` (
  _seq Int64,
  _part UInt64,
  _of_part UInt64 materialized _part,
  _sign Int8,
  _reverses Nullable(Int64),
  _hash UInt64,
  _id String,
  `type` Nullable(String),
  `subscription_id` Nullable(Int64),
  `usage_date` Nullable(Int64),
  `price` Nullable(Decimal(18, 2)),
  `used` Nullable(Int64),
  projection by_hash (select _hash, _id, _seq, _part, _sign, _reverses order by _hash)
)
engine = ReplicatedMergeTree('/clickhouse/tables/tallybook/usage.entries/{shard}', '{replica}')
order by _seq
settings replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, lightweight_mutation_projection_mode = 'rebuild';

create table if not exists `usage.entries` on cluster `main` as `usage.entries.local`
engine = Distributed('main', currentDatabase(), 'usage.entries.local', _hash);

create table if not exists `usage.duplicates.local` on cluster `main` (
  _seq Int64,
  _part UInt64,
  _of_part UInt64 materialized _part
)
engine = ReplicatedMergeTree('/clickhouse/tables/tallybook/usage.duplicates/{shard}', '{replica}')
order by _seq
settings replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

create table if not exists `usage.duplicates` on cluster `main` as `usage.duplicates.local`
engine = Distributed('main', currentDatabase(), 'usage.duplicates.local', _seq);

create table if not exists `usage.rollup.daily.local` on cluster `main` (
  _bucket Int64,
  `subscription_id` Nullable(Int64),
  `type` Nullable(String),
  _part UInt64,
  _of_part UInt64 materialized _part,
  _dropped UInt8,
  `_sum_price` Decimal(38, 2),
  `_sum_used` Int128,
  _count Int64
)
engine = ReplicatedSummingMergeTree('/clickhouse/tables/tallybook/usage.rollup.daily/{shard}', '{replica}', (`_sum_price`, `_sum_used`, _count))
order by (`subscription_id`, `type`, _bucket, _part, _dropped)
settings replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, allow_nullable_key = 1;

create table if not exists `usage.rollup.daily` on cluster `main` as `usage.rollup.daily.local`
engine = Distributed('main', currentDatabase(), 'usage.rollup.daily.local', rand());
