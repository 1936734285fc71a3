/** The tables as docs/clickhouse.sql and docs/clickhouse-cluster.sql show them: a ClickHouse takes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { clickHouseHost, dropDatabase, freshDatabase } from '../clickhouse-store.ts';

const statementsIn = (name: string): string[] =>
  readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')
    .split(';\n')
    .filter((statement) => /^\s*create/m.test(statement));

async function run(statement: string, database = 'default'): Promise<string> {
  const answer = await fetch(`http://${clickHouseHost}/?database=${database}`, {
    method: 'POST',
    body: statement,
  });
  return answer.ok ? answer.text() : Promise.reject(new Error(await answer.text()));
}

test('the tables of a single server can be made, twice', async () => {
  const address = await freshDatabase();
  onTestFinished(() => dropDatabase(address));
  const database = new URL(address).pathname.slice(1);
  const statements = statementsIn('clickhouse.sql');
  expect(statements).toHaveLength(4);
  for (const statement of [...statements, ...statements]) await run(statement, database);
  const made = await run(`select name from system.tables where database = '${database}' order by name`);
  expect(made.trim().split('\n')).toEqual([
    'commits',
    'usage.duplicates',
    'usage.entries',
    'usage.rollup.daily',
  ]);
});

test('the tables of a cluster are statements that ClickHouse can read', async () => {
  const statements = statementsIn('clickhouse-cluster.sql');
  expect(statements).toHaveLength(7);
  for (const statement of statements)
    expect(await run(`explain ast ${statement.replace(/^--.*$/gm, '')}`)).toContain('CreateQuery');
  await expect(run('explain ast create table t (a Int8) engine Replicated')).resolves.toBeDefined();
  await expect(run('explain ast create table t (a Int8')).rejects.toThrow('Syntax error');
});
