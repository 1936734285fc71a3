-- The three days of October on which most was used, of an export in Parquet.
select
  usage_date::date as day,
  sum(price) as price,
  sum(used) as used,
  count(*) as records
from 'usage.parquet'
group by all
order by used desc
limit 3
