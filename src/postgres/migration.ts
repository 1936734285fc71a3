/**
 * What installs a rollup, and what takes it away: lists of statements, each to be run in one transaction, in order.
 *
 * While the rollup is filled, writers of the raw tables wait: the lock is taken first, so that all that was written
 * before is committed and counted here, and all that comes after is counted by the triggers. Nothing is missed and
 * nothing counted twice. Readers do not wait. The lock itself is waited for a few seconds only, because whoever comes
 * after waits behind it.
 */
import { TallybookError } from '../engine/errors.ts';
import { commentOf, type Installed } from './installation.ts';
import { columnNames, type KeptRollup, keyList, type Strategy } from './kept-rollup.ts';
import { literal, qualified, quote, type Relation, shown } from './names.ts';
import { recount, since } from './recount.ts';
import type { Session } from './session.ts';
import {
  applyFunction,
  createApply,
  createApplyTrigger,
  createTables,
  createTriggers,
  functionName,
  operations,
  pendingTable,
  triggerName,
} from './triggers.ts';

const lockSeconds = 5;

export interface Migration {
  /** What it does, for people. */
  title: string;
  statements: string[];
}

/**
 * @param from counts only buckets anew that begin then or later, and leaves the others as they are
 * @param before what is there already under that name
 */
export function installation(kept: KeptRollup, before?: Installed, from?: string): Migration {
  const { relation, strategy, stream, rollup } = kept;
  const of = `the rollup ${rollup.name} of ${stream.name}, kept from ${kept.tables.map(shown).join(', ')}`;
  const title = `${shown(relation)}: ${of}`;
  if (from !== undefined && (!before || strategy !== 'triggers'))
    throw new TallybookError(
      'bad_settings',
      '--from is for a rollup that triggers keep already: it says which buckets are counted anew',
    );
  if (before && before.comment !== commentOf(kept))
    throw new TallybookError(
      'bad_settings',
      `${shown(relation)} is there already and keeps something else; take it away first: tallybook postgres remove ${shown(relation)}`,
    );
  return { title, statements: [...strategySteps[strategy](kept, before !== undefined, from)] };
}

const comment = (kept: KeptRollup, kind: string): string =>
  `comment on ${kind} ${qualified(kept.relation)} is ${literal(commentOf(kept))}`;

type Steps = (kept: KeptRollup, again: boolean, from?: string) => string[];

const strategySteps: Record<Strategy, Steps> = {
  triggers(kept, again, from) {
    const name = qualified(kept.relation);
    const where = from === undefined ? undefined : since(kept, from);
    return [
      `set local lock_timeout = '${lockSeconds}s'`,
      lockWriters(kept.tables),
      ...(again ? [] : [...createTables(kept), comment(kept, 'table')]),
      createApply(kept),
      ...(again ? [] : [createApplyTrigger(kept)]),
      ...createTriggers(kept),
      ...(again ? [`delete from ${name}${where === undefined ? '' : ` where ${where}`}`] : []),
      `insert into ${name} (${columnNames(kept).join(', ')})\n${recount(kept, where)}`,
      `analyze ${name}`,
    ];
  },
  view: (kept, again) =>
    again ? [] : [`create view ${qualified(kept.relation)} as\n${recount(kept)}`, comment(kept, 'view')],
  materialized: (kept, again) =>
    again
      ? [`refresh materialized view ${qualified(kept.relation)}`]
      : [
          `create materialized view ${qualified(kept.relation)} as\n${recount(kept)}`,
          comment(kept, 'materialized view'),
          // `concurrently`, so that those who read do not wait, needs a unique index.
          `create unique index ${quote(`${kept.relation.name}_key`)} on ${qualified(kept.relation)} (${keyList(kept)}) nulls not distinct`,
          `analyze ${qualified(kept.relation)}`,
        ],
};

/** All of them in one statement, in the order of their names: two such statements never wait in a circle. */
function lockWriters(tables: readonly Relation[]): string {
  const names = tables.map(qualified).sort();
  return `lock table ${names.join(', ')} in share row exclusive mode`;
}

/** What brings a materialised view up to date while others read. */
export function refresh({ relation }: Pick<KeptRollup, 'relation'>): string {
  return `refresh materialized view concurrently ${qualified(relation)}`;
}

/** Takes away what an installation makes. */
export function reverse(kept: KeptRollup): Migration {
  const triggers = kept.tables.flatMap((table) =>
    operations.flatMap((operation) =>
      table.watched.map((on) => ({ name: triggerName(kept, table, operation), on })),
    ),
  );
  const kind = { triggers: 'r', view: 'v', materialized: 'm' }[kept.strategy];
  return removal(kept, kind, kept.tables, triggers);
}

/** Takes away what is there, wherever partitions came from and whatever became of the raw tables. */
export async function removalOf(session: Session, installed: Installed): Promise<Migration> {
  const { relation, kind, labels } = installed;
  const functions = labels.flatMap((label) =>
    operations.map((operation) => functionName({ relation }, { label }, operation).name),
  );
  const triggers = await session.query(
    `select t.tgname as name, tn.nspname as schema, c.relname as table
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace tn on tn.oid = c.relnamespace
     join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = $1 and p.proname = any ($2::text[]) and not t.tgisinternal
     order by tn.nspname, c.relname, array_position($2::text[], t.tgname::text)`,
    [relation.schema, functions],
  );
  return removal(
    installed,
    kind,
    labels.map((label) => ({ label })),
    triggers.map(({ name, schema, table }) => ({ name: name!, on: { schema: schema!, name: table! } })),
  );
}

const kinds: Record<string, string> = { r: 'table', v: 'view', m: 'materialized view' };

function removal(
  kept: { relation: Relation },
  kind: string,
  tables: readonly { label: string }[],
  triggers: readonly { name: string; on: Relation }[],
): Migration {
  const parts = tables.flatMap((table) =>
    operations.map((operation) => functionName(kept, table, operation)),
  );
  const byTriggers = [
    `set local lock_timeout = '${lockSeconds}s'`,
    ...triggers.map(({ name, on }) => `drop trigger ${quote(name)} on ${qualified(on)}`),
    `drop table ${qualified(pendingTable(kept))}`,
    ...[...parts, applyFunction(kept)].map((name) => `drop function ${qualified(name)}()`),
  ];
  return {
    title: `takes away ${shown(kept.relation)}`,
    statements: [...(kind === 'r' ? byTriggers : []), `drop ${kinds[kind]} ${qualified(kept.relation)}`],
  };
}

/** A migration as a file. */
export function script({ title, statements }: Migration): string {
  const steps = statements.map((statement) => `${statement};\n`);
  return `-- ${title.replaceAll(/[\r\n]/g, ' ')}\n\nbegin;\n\n${steps.join('\n')}\ncommit;\n`;
}
