/** Whether a kept rollup equals the raw tables, key by key: one statement, in one snapshot, while others write. */
import { columnNames, type KeptRollup, keyColumns, sumColumn } from './kept-rollup.ts';
import { qualified, type Relation, shown } from './names.ts';
import { indented, recount, since } from './recount.ts';
import type { Row, Session } from './session.ts';
import { operations, triggerName } from './triggers.ts';

const differencesShown = 20;

export interface Verification {
  relation: string;
  /** Keys of which the figures differ. */
  differences: number;
  first: Difference[];
  /** Triggers that are missing or do not fire, as `name on table`. */
  missing_triggers: string[];
  ok: boolean;
}

export interface Difference {
  key: Row;
  kept: Row;
  /** From the raw tables. */
  counted: Row;
}

function differenceOf(kept: KeptRollup, row: Row): Difference {
  const keys = keyColumns(kept).map(({ name }) => name);
  const figures = ['count', ...kept.rollup.sum.map(sumColumn)];
  const side = (is: 'kept' | 'counted'): Row =>
    Object.fromEntries(figures.map((name, index) => [name, row[`${is}_${index}`]!]));
  return {
    key: Object.fromEntries(keys.map((name) => [name, row[name]!])),
    kept: side('kept'),
    counted: side('counted'),
  };
}

/**
 * @param session not within a transaction
 * @param from looks only at buckets that begin then or later
 */
export async function verify(session: Session, kept: KeptRollup, from?: string): Promise<Verification> {
  const where = from === undefined ? undefined : since(kept, from);
  await session.query('begin transaction isolation level repeatable read, read only');
  let rows: Row[];
  let missing: string[];
  try {
    // A truncate that ends between the snapshot and the first look at a table would show in one and not in the other.
    if (kept.strategy === 'triggers')
      await session.query(`lock table ${kept.tables.map(qualified).sort().join(', ')} in access share mode`);
    rows = await session.query(differences(kept, where));
    missing = await missingTriggers(session, kept);
  } finally {
    await session.query('rollback');
  }
  const count = Number(rows[0]?._differences ?? 0);
  return {
    relation: shown(kept.relation),
    differences: count,
    first: rows.map((row) => differenceOf(kept, row)),
    missing_triggers: missing,
    ok: count === 0 && missing.length === 0,
  };
}

/**
 * Both sides are added up with different signs: a join would not find keys that hold a null. Figures are numbered in
 * the columns of the answer: `kept_0` is how many records are kept.
 */
function differences(kept: KeptRollup, where?: string): string {
  const names = columnNames(kept);
  const keys = names.slice(0, keyColumns(kept).length);
  const figures = names.slice(keys.length);
  const pairs = figures.map((_, index) => [`kept_${index}`, `counted_${index}`] as const);
  const side = (is: 'kept' | 'counted', from: string): string =>
    `select ${[...keys, ...figures.flatMap((figure) => (is === 'kept' ? [figure, '0'] : ['0', figure]))].join(', ')} from ${from}`;
  const sums = pairs.flat().map((name) => `sum(${name}) as ${name}`);
  const order = keys.length === 0 ? '' : `\norder by ${keys.map((_, index) => index + 1).join(', ')}`;
  return `with both_sides (${[...keys, ...pairs.flat()].join(', ')}) as (
  ${side('kept', qualified(kept.relation))}${where === undefined ? '' : ` where ${where}`}
  union all
  ${side('counted', `(\n${indented(recount(kept, where), '    ')}\n  ) as counted`)}
), differing as (
  select ${[...keys, ...sums].join(', ')}
  from both_sides${keys.length === 0 ? '' : ` group by ${keys.join(', ')}`}
  having ${pairs.map(([one, other]) => `sum(${one}) <> sum(${other})`).join(' or ')}
)
select ${[...keys, ...pairs.flat()].map((name) => `${name}::text`).join(', ')}, (count(*) over ())::text as _differences
from differing${order} limit ${differencesShown}`;
}

async function missingTriggers(session: Session, kept: KeptRollup): Promise<string[]> {
  if (kept.strategy !== 'triggers') return [];
  const rows = await session.query(
    `select t.tgname as name, n.nspname as schema, c.relname as table
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where not t.tgisinternal and t.tgenabled in ('O', 'A')`,
  );
  const named = (name: string, on: Relation): string => `${name} on ${shown(on)}`;
  const found = new Set(
    rows.map(({ name, schema, table }) => named(name!, { schema: schema!, name: table! })),
  );
  return kept.tables
    .flatMap((table) =>
      table.watched.flatMap((on) =>
        operations.map((operation) => named(triggerName(kept, table, operation), on)),
      ),
    )
    .filter((trigger) => !found.has(trigger));
}
