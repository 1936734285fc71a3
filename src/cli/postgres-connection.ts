/**
 * A connection to a PostgreSQL, everything as text. The password comes from the address, PGPASSWORD or ~/.pgpass, as
 * everywhere; it is never told. The driver is loaded here, when it is used.
 */
import type { Option } from 'commander';
import type { Client } from 'pg';
import { TallybookError } from '../engine/errors.ts';
import type { Row, Session } from '../postgres/session.ts';
import { setting } from './config.ts';
import { Unreachable, usageError } from './outcome.ts';
import { reasonOf } from './over-http.ts';

const connectMilliseconds = 15_000;
const poolConnectMilliseconds = 5_000;
const statementMilliseconds = 30_000;
const poolConnections = 10;
const retrySeconds = 5;

export interface Postgres extends Session {
  readonly client: Client;
  /** `postgres://host:5432/database`. */
  readonly place: string;
  /** Says what an error of the driver means. */
  explained(error: unknown): unknown;
  close(): Promise<void>;
}

/**
 * Throws `bad_settings` for what the server refuses, `Unreachable` where there is none.
 *
 * @param option the one that gave the address
 */
export async function connectPostgres(url: string, option = '--postgres'): Promise<Postgres> {
  const { default: pg } = await import('pg');
  const client = clientOf(pg.Client, url, option);
  const place = placeOf(client);
  const explained = (error: unknown): unknown => explain(error, place);
  // That the connection is lost is told by the query that finds out.
  client.on('error', () => undefined);
  const query: Postgres['query'] = async (sql, values) => {
    try {
      return (await client.query<Row>({ text: sql, values: values as unknown[], types: asTexts })).rows;
    } catch (error) {
      throw explained(error);
    }
  };
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw explained(error);
  }
  return { client, place, query, explained, close: () => client.end().catch(() => undefined) };
}

/** Connections that are opened as they are needed, for questions that come side by side. */
export async function postgresPool(url: string): Promise<Session & { end(): Promise<void> }> {
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'tallybook',
    connectionTimeoutMillis: poolConnectMilliseconds,
    statement_timeout: statementMilliseconds,
    max: poolConnections,
  });
  // A connection that breaks while nobody uses it is replaced by the next one who does.
  pool.on('error', () => undefined);
  return {
    async query(sql, values) {
      try {
        return (await pool.query<Row>({ text: sql, values: values as unknown[], types: asTexts })).rows;
      } catch (error) {
        const { message } = error as Error;
        throw new TallybookError('database_unavailable', `the PostgreSQL with the figures: ${message}`, {
          cause: error,
          retryAfter: retrySeconds,
        });
      }
    },
    end: () => pool.end(),
  };
}

const asTexts = { getTypeParser: () => (value: unknown) => value };

/** Connects and closes again. Throws a usage error when no database is named. */
export async function withPostgres(
  url: string | undefined,
  work: (postgres: Postgres) => Promise<void>,
): Promise<void> {
  if (url === undefined) throw usageError('name a database with --postgres');
  const postgres = await connectPostgres(url);
  try {
    await work(postgres);
  } finally {
    await postgres.close();
  }
}

export const postgresSetting = (): Option =>
  setting('--postgres <url>', 'a PostgreSQL database, such as postgres://user@host:5432/database');

/** One snapshot, read only, until the connection is closed. */
export async function beginSnapshot(postgres: Pick<Postgres, 'query'>): Promise<void> {
  await postgres.query('begin transaction isolation level repeatable read, read only');
  // Numbers with all their digits, times in UTC and in ISO 8601, and as much time as it takes.
  for (const setting of [
    "timezone = 'UTC'",
    "datestyle = 'ISO, YMD'",
    'extra_float_digits = 3',
    'statement_timeout = 0',
    'idle_in_transaction_session_timeout = 0',
  ])
    await postgres.query(`set local ${setting}`);
}

const placeOf = ({ host, port, database }: Pick<Client, 'host' | 'port' | 'database'>): string =>
  `postgres://${host}:${port}/${database ?? ''}`;

function clientOf(Constructor: typeof Client, url: string, option: string): Client {
  // The address may hold a password: no message quotes it.
  const wrong = new TallybookError(
    'bad_settings',
    `${option} is no address of a database; expected one such as postgres://user@host:5432/database`,
  );
  if (!/^postgres(ql)?:\/\//.test(url)) throw wrong;
  try {
    return new Constructor({
      connectionString: url,
      application_name: 'tallybook',
      connectionTimeoutMillis: connectMilliseconds,
    });
  } catch {
    throw wrong;
  }
}

function explain(error: unknown, place: string): unknown {
  if (!(error instanceof Error) || error instanceof TallybookError || error instanceof Unreachable)
    return error;
  const { code, message, severity } = error as NodeJS.ErrnoException & { severity?: string };
  if (/client password must be a string/.test(message)) {
    const detail = `${place} asks for a password; give it in PGPASSWORD, in ~/.pgpass or in the address`;
    return new TallybookError('bad_settings', detail, { cause: error });
  }
  // Who one is (28), which database (3D) and schema (3F), what one may and what is there (42), what depends on it (2B),
  // what others hold (55): to be changed by the user.
  if (severity !== undefined && /^(28|2B|3D|3F|42|55)/.test(code ?? ''))
    return new TallybookError('bad_settings', `${place}: ${message}`, { cause: error });
  const detail = severity === undefined ? `${place} ${reasonOf(error)}` : `${place} broke it off: ${message}`;
  return new Unreachable(detail, { cause: error });
}
