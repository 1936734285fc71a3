/**
 * The rollup kept by triggers: one call for each statement, whatever the number of its rows, and one upsert for each
 * transaction.
 *
 * PostgreSQL hands a trigger all rows that the statement wrote (a transition table). They are grouped by key and noted
 * as pending: 100,000 rows of 2,000 keys are 2,000 notes. At the end of the transaction a deferred trigger adds its
 * notes up and writes them to the rollup, in the order of the keys.
 *
 * So the locks on rows of the rollup are the last that a transaction takes, are taken in one order by everybody, and
 * are held only while it commits: two transactions that share keys neither deadlock over them nor wait for each other's
 * work. Upserts in the triggers of the statements did: `insert … on conflict do update` and `merge` fire two or three
 * of them, each of which begins with the first key again. Two first rows of a key meet in the unique index, where the
 * second waits and then adds.
 *
 * What is taken out by `truncate` is still there when the trigger runs before it, and nobody else can write then: it
 * is subtracted like a delete of every row.
 */
import {
  columnNames,
  type KeptRollup,
  keyColumns,
  keyList,
  type RawTable,
  sumColumn,
} from './kept-rollup.ts';
import { dollarQuoted, literal, qualified, quote, type Relation, shown } from './names.ts';
import { amounts, indented, keyNumbers, sums } from './recount.ts';

type Named = Pick<KeptRollup, 'relation'>;

export const operations = ['insert', 'update', 'delete', 'truncate'] as const;
export type Operation = (typeof operations)[number];

/** The name of a trigger and of its function. */
export function triggerName(
  { relation }: Named,
  { label }: Pick<RawTable, 'label'>,
  operation: Operation,
): string {
  return [relation.name, ...(label === '' ? [] : [label]), operation].join('_');
}

export function functionName(kept: Named, table: Pick<RawTable, 'label'>, operation: Operation): Relation {
  return { schema: kept.relation.schema, name: triggerName(kept, table, operation) };
}

const beside = ({ relation }: Named, what: string): Relation => ({
  schema: relation.schema,
  name: `${relation.name}_${what}`,
});
/** Notes of transactions that have not ended yet: nobody else sees them, and none outlives its transaction. */
export const pendingTable = (kept: Named): Relation => beside(kept, 'pending');
/** Numbers the commands that left notes. */
export const commandSequence = (kept: Named): Relation => beside(kept, 'command');
export const applyFunction = (kept: Named): Relation => beside(kept, 'apply');

export function createTables(kept: KeptRollup): string[] {
  const keys = keyColumns(kept).map(({ name, type }) => `${quote(name)} ${type}`);
  const figures = [
    '"count" bigint not null',
    ...kept.rollup.sum.map((field) => `${quote(sumColumn(field))} numeric not null`),
  ];
  const [name, pending, sequence] = [kept.relation, pendingTable(kept), commandSequence(kept)].map(qualified);
  return [
    `create table ${name} (
  ${[...keys, ...figures].join(',\n  ')},
  constraint ${quote(`${kept.relation.name}_key`)} unique nulls not distinct (${keyList(kept)})
)`,
    // A publication of all tables refuses updates of a table whose rows it cannot tell apart.
    `alter table ${name} replica identity full`,
    // Empty after every transaction: there is nothing in it that a crash could lose.
    `create unlogged table ${pending} (
  ${['"_command" bigint not null', '"_first" boolean not null', ...keys, ...figures].join(',\n  ')}
)`,
    `create index on ${pending} ("_command")`,
    `create unlogged sequence ${sequence} owned by ${pending}."_command"`,
  ];
}

/** At the end of the transaction, once for each command that left notes; the first of them writes all. */
export function createApply(kept: KeptRollup): string {
  return `create or replace function ${qualified(applyFunction(kept))}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as ${dollarQuoted(applyBody(kept), 'tallybook')}`;
}

function applyBody(kept: KeptRollup): string {
  const pending = qualified(pendingTable(kept));
  return `declare
  _emptied tid[];
begin
  if not exists (select from ${pending} as noted where noted."_command" = new."_command") then
    return null;
  end if;
  with noted as (
    delete from ${pending} as noted where noted."_command" >= new."_command" returning noted.*
  ), changed as (
${indented(upsert(kept), '    ')}
    returning kept.ctid as place, kept."count" as records
  )
  select array_agg(changed.place) filter (where changed.records = 0) into _emptied from changed;
  -- This transaction has just written these rows: nobody else can have moved them.
  delete from ${qualified(kept.relation)} as kept where kept.ctid = any (_emptied);
  return null;
end`;
}

export function createApplyTrigger(kept: KeptRollup): string {
  return `create constraint trigger ${quote(applyFunction(kept).name)}
after insert on ${qualified(pendingTable(kept))} deferrable initially deferred
for each row when (new."_first") execute function ${qualified(applyFunction(kept))}()`;
}

/** The order of keys is the order of locks. */
function upsert(kept: KeptRollup): string {
  const names = columnNames(kept);
  const keys = keyColumns(kept);
  const order = keys.map(({ name, type }) => `${quote(name)}${type === 'text' ? ' collate "C"' : ''}`);
  const added = names.slice(keys.length).map((name) => `${name} = kept.${name} + excluded.${name}`);
  return `insert into ${qualified(kept.relation)} as kept (${names.join(', ')})
select ${sums(kept).join(', ')}
from noted
group by ${keyNumbers(kept)}
having ${changing(kept)}
order by ${order.join(', ')}
on conflict (${keyList(kept)}) do update set
  ${added.join(',\n  ')}`;
}

/** What a key counts for has changed: an update of other columns leaves no note, and what came and went no row. */
function changing(kept: KeptRollup): string {
  const figures = columnNames(kept).slice(keyColumns(kept).length);
  return figures.map((name) => `sum(${name}) <> 0`).join(' or ');
}

/** Functions and triggers; those that are there already are replaced. */
export function createTriggers(kept: KeptRollup): string[] {
  return kept.tables.flatMap((table) =>
    operations.flatMap((operation) => [
      `create or replace function ${qualified(functionName(kept, table, operation))}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as ${dollarQuoted(bodies[operation](kept, table), 'tallybook')}`,
      ...table.watched.map((relation) => createTrigger(kept, table, operation, relation)),
    ]),
  );
}

const rows: Record<Operation, string> = {
  insert: 'after insert',
  update: 'after update',
  delete: 'after delete',
  truncate: 'before truncate',
};
const transitions: Record<Operation, string> = {
  insert: ' referencing new table as new_rows',
  update: ' referencing old table as old_rows new table as new_rows',
  delete: ' referencing old table as old_rows',
  truncate: '',
};

function createTrigger(kept: KeptRollup, table: RawTable, operation: Operation, on: Relation): string {
  return `create or replace trigger ${quote(triggerName(kept, table, operation))}
${rows[operation]} on ${qualified(on)}${transitions[operation]}
for each statement execute function ${qualified(functionName(kept, table, operation))}()`;
}

/** Notes what the rows of `from` count for, by key. */
function note(kept: KeptRollup, from: string, command: string): string {
  const names = columnNames(kept);
  return `insert into ${qualified(pendingTable(kept))} ("_command", "_first", ${names.join(', ')})
select ${command}, row_number() over () = 1, changes.*
from (
  select ${sums(kept).join(', ')}
  from (
${indented(from, '    ')}
  ) as records
  group by ${keyNumbers(kept)}
  having ${changing(kept)}
) as changes`;
}

const nextCommand = (kept: KeptRollup): string => `nextval(${literal(qualified(commandSequence(kept)))})`;

function noting(kept: KeptRollup, table: RawTable, from: string): string {
  return `declare
  _number bigint := ${nextCommand(kept)};
begin
${table.partitioned ? `${refuseMerge}\n` : ''}${indented(note(kept, from, '_number'))};
  return null;
end`;
}

/**
 * PostgreSQL hands over wrong rows of a merge into a partitioned table: with 15.18, a row that it updates comes as the
 * row that it inserted before. Wrong sums would be worse than a refusal. What is seen is the text of the client.
 */
const refuseMerge = `  if left(current_query(), 10000) ~* '\\mmerge\\s+into\\M'
    and exists (select from pg_class as c where c.oid = tg_relid and c.relkind = 'p') then
    raise exception 'merge into the partitioned table % cannot be counted', tg_relid::regclass
      using errcode = 'feature_not_supported',
        hint = 'PostgreSQL gives triggers wrong rows of it. Use insert … on conflict, or merge into a partition.';
  end if;`;

const bodies: Record<Operation, (kept: KeptRollup, table: RawTable) => string> = {
  insert: (kept, table) => noting(kept, table, amounts(kept, table, 'new_rows')),
  update(kept, table) {
    const [before, after] = [amounts(kept, table, 'old_rows', -1), amounts(kept, table, 'new_rows')];
    return noting(kept, table, `${before}\nunion all\n${after}`);
  },
  delete: (kept, table) => noting(kept, table, amounts(kept, table, 'old_rows', -1)),
  truncate(kept, table) {
    // No name holds this character.
    const statement = note(kept, amounts(kept, table, '\0', -1), '$1');
    const format = statement.replaceAll('%', '%%').replace('\0', 'only %1$s');
    const place = shown(kept.relation).replaceAll("'", "''").replaceAll('%', '%%');
    return `declare
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
    raise exception 'the partition % has no triggers that keep ${place}', _unwatched
      using hint = 'Run tallybook postgres install again: it adds them.';
  end if;
  execute format(${dollarQuoted(indented(format, '    '), 'statement')}, tg_relid::regclass) using ${nextCommand(kept)};
  return null;
end`;
  },
};
