-- public.usage_daily: the rollup daily of usage, kept from public.usage_records

begin;

set local lock_timeout = '5s';

lock table "public"."usage_records" in share row exclusive mode;

create table "public"."usage_daily" (
  "subscription_id" bigint,
  "type" text,
  "day" date,
  "count" bigint not null,
  "sum_price" numeric not null,
  "sum_used" numeric not null,
  constraint "usage_daily_key" unique nulls not distinct ("subscription_id", "type", "day")
);

alter table "public"."usage_daily" replica identity full;

create unlogged table "public"."usage_daily_pending" (
  "_command" bigint not null,
  "_first" boolean not null,
  "subscription_id" bigint,
  "type" text,
  "day" date,
  "count" bigint not null,
  "sum_price" numeric not null,
  "sum_used" numeric not null
);

create index on "public"."usage_daily_pending" ("_command");

create unlogged sequence "public"."usage_daily_command" owned by "public"."usage_daily_pending"."_command";

comment on table "public"."usage_daily" is 'Kept by Tallybook. {"format":1,"strategy":"triggers","stream":"usage","declaration":{"time":"usage_date","fields":{"subscription_id":{"type":"integer","required":true},"type":{"type":"text","one_of":["data","voice"],"required":true},"usage_date":{"type":"timestamp","required":true},"price":{"type":"decimal","precision":18,"scale":2,"required":true},"used":{"type":"integer","min":0,"required":true}},"rollups":{"daily":{"every":"day","by":["subscription_id","type"],"sum":["price","used"]}}},"tables":[{"schema":"public","name":"usage_records","label":"","columns":{"subscription_id":"subscription_id","type":"type","usage_date":"usage_date","price":"price","used":"used"},"fixed":{}}]}';

create or replace function "public"."usage_daily_apply"() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $tallybook$
declare
  _emptied tid[];
begin
  if not exists (select from "public"."usage_daily_pending" as noted where noted."_command" = new."_command") then
    return null;
  end if;
  with noted as (
    delete from "public"."usage_daily_pending" as noted where noted."_command" >= new."_command" returning noted.*
  ), changed as (
    insert into "public"."usage_daily" as kept ("subscription_id", "type", "day", "count", "sum_price", "sum_used")
    select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
    from noted
    group by 1, 2, 3
    having sum("count") <> 0 or sum("sum_price") <> 0 or sum("sum_used") <> 0
    order by "subscription_id", "type" collate "C", "day"
    on conflict ("subscription_id", "type", "day") do update set
      "count" = kept."count" + excluded."count",
      "sum_price" = kept."sum_price" + excluded."sum_price",
      "sum_used" = kept."sum_used" + excluded."sum_used"
    returning kept.ctid as place, kept."count" as records
  )
  select array_agg(changed.place) filter (where changed.records = 0) into _emptied from changed;
  -- This transaction has just written these rows: nobody else can have moved them.
  delete from "public"."usage_daily" as kept where kept.ctid = any (_emptied);
  return null;
end
$tallybook$;

create constraint trigger "usage_daily_apply"
after insert on "public"."usage_daily_pending" deferrable initially deferred
for each row when (new."_first") execute function "public"."usage_daily_apply"();

create or replace function "public"."usage_daily_insert"() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $tallybook$
declare
  _number bigint := nextval('"public"."usage_daily_command"');
begin
  insert into "public"."usage_daily_pending" ("_command", "_first", "subscription_id", "type", "day", "count", "sum_price", "sum_used")
  select _number, row_number() over () = 1, changes.*
  from (
    select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
    from (
      select raw."subscription_id" as "subscription_id",
        raw."type" as "type",
        (raw."usage_date" at time zone 'UTC')::date as "day",
        1 as "count",
        coalesce(nullif(raw."price", 'NaN'), 0) as "sum_price",
        coalesce(raw."used", 0)::numeric as "sum_used"
      from new_rows as raw
    ) as records
    group by 1, 2, 3
    having sum("count") <> 0 or sum("sum_price") <> 0 or sum("sum_used") <> 0
  ) as changes;
  return null;
end
$tallybook$;

create or replace trigger "usage_daily_insert"
after insert on "public"."usage_records" referencing new table as new_rows
for each statement execute function "public"."usage_daily_insert"();

create or replace function "public"."usage_daily_update"() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $tallybook$
declare
  _number bigint := nextval('"public"."usage_daily_command"');
begin
  insert into "public"."usage_daily_pending" ("_command", "_first", "subscription_id", "type", "day", "count", "sum_price", "sum_used")
  select _number, row_number() over () = 1, changes.*
  from (
    select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
    from (
      select raw."subscription_id" as "subscription_id",
        raw."type" as "type",
        (raw."usage_date" at time zone 'UTC')::date as "day",
        -1 as "count",
        -(coalesce(nullif(raw."price", 'NaN'), 0)) as "sum_price",
        -(coalesce(raw."used", 0)::numeric) as "sum_used"
      from old_rows as raw
      union all
      select raw."subscription_id" as "subscription_id",
        raw."type" as "type",
        (raw."usage_date" at time zone 'UTC')::date as "day",
        1 as "count",
        coalesce(nullif(raw."price", 'NaN'), 0) as "sum_price",
        coalesce(raw."used", 0)::numeric as "sum_used"
      from new_rows as raw
    ) as records
    group by 1, 2, 3
    having sum("count") <> 0 or sum("sum_price") <> 0 or sum("sum_used") <> 0
  ) as changes;
  return null;
end
$tallybook$;

create or replace trigger "usage_daily_update"
after update on "public"."usage_records" referencing old table as old_rows new table as new_rows
for each statement execute function "public"."usage_daily_update"();

create or replace function "public"."usage_daily_delete"() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $tallybook$
declare
  _number bigint := nextval('"public"."usage_daily_command"');
begin
  insert into "public"."usage_daily_pending" ("_command", "_first", "subscription_id", "type", "day", "count", "sum_price", "sum_used")
  select _number, row_number() over () = 1, changes.*
  from (
    select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
    from (
      select raw."subscription_id" as "subscription_id",
        raw."type" as "type",
        (raw."usage_date" at time zone 'UTC')::date as "day",
        -1 as "count",
        -(coalesce(nullif(raw."price", 'NaN'), 0)) as "sum_price",
        -(coalesce(raw."used", 0)::numeric) as "sum_used"
      from old_rows as raw
    ) as records
    group by 1, 2, 3
    having sum("count") <> 0 or sum("sum_price") <> 0 or sum("sum_used") <> 0
  ) as changes;
  return null;
end
$tallybook$;

create or replace trigger "usage_daily_delete"
after delete on "public"."usage_records" referencing old table as old_rows
for each statement execute function "public"."usage_daily_delete"();

create or replace function "public"."usage_daily_truncate"() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $tallybook$
declare
  _unwatched regclass;
begin
  -- An older snapshot might not see all that is taken out.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'truncate of % needs the isolation level read committed', tg_relid::regclass
      using errcode = 'feature_not_supported',
        hint = 'Begin the transaction with that level, or delete the rows instead.';
  end if;
  select part.relid into _unwatched from pg_partition_tree(tg_relid) as part
  where not exists (select from pg_trigger as t where t.tgrelid = part.relid and t.tgname = tg_name) limit 1;
  if _unwatched is not null then
    raise exception 'the partition % has no triggers that keep public.usage_daily', _unwatched
      using hint = 'Run tallybook postgres install again: it adds them.';
  end if;
  execute format($statement$
    insert into "public"."usage_daily_pending" ("_command", "_first", "subscription_id", "type", "day", "count", "sum_price", "sum_used")
    select $1, row_number() over () = 1, changes.*
    from (
      select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
      from (
        select raw."subscription_id" as "subscription_id",
          raw."type" as "type",
          (raw."usage_date" at time zone 'UTC')::date as "day",
          -1 as "count",
          -(coalesce(nullif(raw."price", 'NaN'), 0)) as "sum_price",
          -(coalesce(raw."used", 0)::numeric) as "sum_used"
        from only %1$s as raw
      ) as records
      group by 1, 2, 3
      having sum("count") <> 0 or sum("sum_price") <> 0 or sum("sum_used") <> 0
    ) as changes
$statement$, tg_relid::regclass) using nextval('"public"."usage_daily_command"');
  return null;
end
$tallybook$;

create or replace trigger "usage_daily_truncate"
before truncate on "public"."usage_records"
for each statement execute function "public"."usage_daily_truncate"();

insert into "public"."usage_daily" ("subscription_id", "type", "day", "count", "sum_price", "sum_used")
select "subscription_id", "type", "day", sum("count")::bigint as "count", sum("sum_price")::numeric as "sum_price", sum("sum_used")::numeric as "sum_used"
from (
  select raw."subscription_id" as "subscription_id",
    raw."type" as "type",
    (raw."usage_date" at time zone 'UTC')::date as "day",
    1 as "count",
    coalesce(nullif(raw."price", 'NaN'), 0) as "sum_price",
    coalesce(raw."used", 0)::numeric as "sum_used"
  from "public"."usage_records" as raw
) as records
group by 1, 2, 3;

analyze "public"."usage_daily";

commit;
