/** Databases of a real PostgreSQL with raw tables of usage, and rollups installed in them. */
import pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { findInstalled, planInstallation, type Request } from '../../src/postgres/installation.ts';
import type { KeptRollup } from '../../src/postgres/kept-rollup.ts';
import { installation, type Migration } from '../../src/postgres/migration.ts';
import type { Row, Session } from '../../src/postgres/session.ts';
import { verify } from '../../src/postgres/verify.ts';
import { type PostgresServer, startPostgres } from '../cli/postgres.ts';

export const declaration: StreamDeclaration = {
  id: 'id',
  time: 'usage_date',
  fields: {
    id: { type: 'integer', required: true },
    type: { type: 'text' },
    subscription_id: { type: 'integer' },
    usage_date: { type: 'timestamp', required: true },
    price: { type: 'decimal', precision: 30, scale: 10 },
    used: { type: 'integer' },
  },
  rollups: {
    daily: { every: 'day', tz: 'Europe/Madrid', by: ['subscription_id', 'type'], sum: ['price', 'used'] },
  },
  forms: {
    data: { names: { used: 'kilobytes_used' }, fixed: { type: 'data' } },
    voice: { names: { used: 'seconds_used' }, fixed: { type: 'voice' } },
  },
};
export const usage = defineStream('usage', declaration);

export class Database implements Session {
  readonly client: pg.Client;
  readonly url: string;

  private constructor(client: pg.Client, url: string) {
    this.client = client;
    this.url = url;
  }

  static async connect(url: string): Promise<Database> {
    const client = new pg.Client({
      connectionString: url,
      types: { getTypeParser: () => (value: unknown) => value } as never,
    });
    await client.connect();
    return new Database(client, url);
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.client.query<Row>(sql, values as unknown[])).rows;
  }

  /** Statements in one transaction. */
  async apply({ statements }: Migration): Promise<void> {
    await this.query('begin');
    try {
      for (const statement of statements) await this.query(statement);
      await this.query('commit');
    } catch (error) {
      await this.query('rollback');
      throw error;
    }
  }

  /** Plans and applies; a rollup that is there already is installed again. */
  async install(request: Partial<Request> = {}, from?: string): Promise<KeptRollup> {
    const kept = await this.plan(request);
    const before = (await findInstalled(this)).find(({ relation }) => relation.name === kept.relation.name);
    await this.apply(installation(kept, before, from));
    return kept;
  }

  plan(request: Partial<Request> = {}): Promise<KeptRollup> {
    return planInstallation(this, {
      stream: usage,
      rollup: undefined,
      strategy: 'triggers',
      into: undefined,
      tables: [{ form: undefined, name: 'raw' }],
      columns: [],
      ...request,
    });
  }

  async expectRight(kept: KeptRollup): Promise<void> {
    expect(await verify(this, kept)).toMatchObject({
      differences: 0,
      first: [],
      missing_triggers: [],
      ok: true,
    });
  }

  end(): Promise<void> {
    return this.client.end();
  }
}

/** A server for the tests of a file; each database is made and left behind, and goes with the server. */
export function postgresForTests() {
  let server: PostgresServer;
  let databases = 0;
  const open: Database[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(async () => {
    for (const database of open) await database.end();
    await server?.stop();
  });
  return {
    /** A connection to a new database in which statements were run. */
    async database(...statements: string[]): Promise<Database> {
      const url = await server.database(`test_${++databases}`, ...statements);
      return this.again(url);
    },
    /** A further connection. */
    async again(url: string): Promise<Database> {
      const database = await Database.connect(url);
      open.push(database);
      return database;
    },
    get server(): PostgresServer {
      return server;
    },
  };
}

/** Columns of a raw table; all that can be null may be. */
export const rawColumns = `subscription_id integer, type text, usage_date timestamptz, price numeric(30, 10), used bigint,
  account integer, note text`;
