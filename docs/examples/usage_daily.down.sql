-- takes away public.usage_daily

begin;

set local lock_timeout = '5s';

drop trigger "usage_daily_insert" on "public"."usage_records";

drop trigger "usage_daily_update" on "public"."usage_records";

drop trigger "usage_daily_delete" on "public"."usage_records";

drop trigger "usage_daily_truncate" on "public"."usage_records";

drop table "public"."usage_daily_pending";

drop function "public"."usage_daily_insert"();

drop function "public"."usage_daily_update"();

drop function "public"."usage_daily_delete"();

drop function "public"."usage_daily_truncate"();

drop function "public"."usage_daily_apply"();

drop table "public"."usage_daily";

commit;
