/**
 * A connection to a PostgreSQL, everything as text. The password comes from the address, PGPASSWORD or ~/.pgpass, as
 * everywhere; it is never told. The driver is loaded here, when it is used.
 */
import type { Client } from 'pg';
import { TallybookError } from '../engine/errors.ts';
import type { Row, Session } from '../postgres/session.ts';
import { Unreachable } from './outcome.ts';
import { reasonOf } from './over-http.ts';

const connectMilliseconds = 15_000;

export interface Postgres extends Session {
  readonly client: Client;
  /** `postgres://host:5432/database`. */
  readonly place: string;
  /** Says what an error of the driver means. */
  explained(error: unknown): unknown;
  close(): Promise<void>;
}

/** Throws `bad_settings` for what the server refuses, `Unreachable` where there is none. */
export async function connectPostgres(url: string): Promise<Postgres> {
  const { default: pg } = await import('pg');
  const client = clientOf(pg.Client, url);
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

const asTexts = { getTypeParser: () => (value: unknown) => value };

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

function clientOf(Constructor: typeof Client, url: string): Client {
  // The address may hold a password: no message quotes it.
  const wrong = new TallybookError(
    'bad_settings',
    '--postgres is no address of a database; expected one such as postgres://user@host:5432/database',
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
  // Who one is (28), which database (3D), what one may and what is there (42): to be changed by the user.
  if (severity !== undefined && /^(28|3D|42)/.test(code ?? ''))
    return new TallybookError('bad_settings', `${place}: ${message}`, { cause: error });
  const detail = severity === undefined ? `${place} ${reasonOf(error)}` : `${place} broke it off: ${message}`;
  return new Unreachable(detail, { cause: error });
}
