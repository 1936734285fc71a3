/**
 * The composition root: which store, which facade, which app. Everything that runs is put together here. They are
 * loaded when they are needed: a command that talks to a server needs none of them, and is there at once.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tracer } from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import type { CopiesLedger } from '../engine/copied-ledger.ts';
import { TallybookError } from '../engine/errors.ts';
import type { Ledger } from '../engine/ledger-copy.ts';
import type { BacksUp, SharesLedger, Store } from '../engine/store.ts';
import type { Log, Tallybook } from '../engine/tallybook.ts';
import type { RouteRequest, System } from '../systems/system.ts';

export interface OpenOptions {
  /** The data directory; made when it is not there. */
  directory: string;
  /** Where the ledger is kept instead of there, `clickhouse://…`; then the directory holds what this process needs alone. */
  storeAddress?: string | undefined;
  /** What the database may use, such as `1GB`; beyond it, it spills to disk. */
  memoryLimit?: string | undefined;
  /** Threads of the database; all cores when not given. */
  threads?: number | undefined;
  /** Names of the systems whose streams are there from the start; all when not given. */
  systems?: readonly string[] | undefined;
  /** Silent when not given. */
  log?: Log | undefined;
  /** Who answers for usage, where its raw records are kept elsewhere: then they are not kept here. */
  usage?: RouteRequest['ask'] | undefined;
  /** Post to webhooks: to public addresses, and to these hosts whatever their address. Without it, to none. */
  webhooks?: { allowedHosts: readonly string[] } | undefined;
}

/**
 * Opens the ledger in a data directory. One process at a time may have it open: throws `directory_in_use` when
 * another one has. Close it to let go.
 */
export async function openTallybook({
  directory,
  storeAddress,
  memoryLimit,
  threads,
  log,
  systems: names,
  usage,
  webhooks,
}: OpenOptions): Promise<Tallybook> {
  const { Tallybook } = await import('../engine/tallybook.ts');
  const { partsOf } = await import('../systems/system.ts');
  const { lockDirectory } = await import('../stores/duckdb/directory-lock.ts');
  const systems = await systemsNamed(names, usage);
  // First of all: what is cleared away at a start is that of a process that has ended.
  const lock = await lockDirectory(directory, lockName);
  let store: Store | undefined;
  try {
    store = await openStore({ directory, storeAddress, memoryLimit, threads });
    const spoolDirectory = join(directory, 'spool');
    const posting = webhooks && { poster: await posterOf(webhooks.allowedHosts) };
    return await Tallybook.open({
      store,
      spoolDirectory,
      log: log ?? silent,
      ...partsOf(systems),
      webhooks: posting,
      whenClosed: () => lock.letGo(),
    });
  } catch (error) {
    await store?.close();
    lock.letGo();
    throw error;
  }
}

/**
 * Puts a log before the doors of an open ledger. Throws `bad_settings`.
 * @param shared whether other processes may serve the same ledger; DuckDB's is open in one only
 */
export async function openLogInFront(tallybook: Tallybook, address: string, shared: boolean): Promise<void> {
  const { openNatsLog } = await import('../nats/index.ts');
  await openNatsLog({ tallybook, address, shared });
}

type StoreOptions = Pick<OpenOptions, 'directory' | 'storeAddress' | 'memoryLimit' | 'threads'>;

async function openStore({
  directory,
  storeAddress,
  memoryLimit,
  threads,
}: StoreOptions): Promise<Store & Partial<BacksUp> & Partial<SharesLedger>> {
  if (storeAddress !== undefined) {
    const { openClickHouseStore } = await import('../stores/clickhouse/index.ts');
    return openClickHouseStore({ address: storeAddress });
  }
  const { openDuckDBStore } = await import('../stores/duckdb/index.ts');
  return openDuckDBStore({
    directory,
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
    ...(threads === undefined ? {} : { threads }),
  });
}

async function posterOf(allowedHosts: readonly string[]) {
  const { webhookPoster } = await import('../http/webhook-post.ts');
  return webhookPoster(allowedHosts);
}

/** Where a ledger is, for `tallybook copy`: `duckdb:DIR`, or the address of a ClickHouse. */
export interface Place {
  address: string;
  memoryLimit?: string | undefined;
  threads?: number | undefined;
  /** Names of the systems with which it is served; all when not given. */
  systems?: readonly string[] | undefined;
}

/** The data directory of a place, if it is one. */
export function directoryOf({ address }: Pick<Place, 'address'>): string | undefined {
  return address.startsWith('duckdb:') ? address.slice('duckdb:'.length) : undefined;
}

/**
 * Opens a place with the streams that it holds, and does nothing else that opening a ledger does.
 * @param toFill for a copy: it need not be a ledger yet
 */
export async function openPlace(place: Place, toFill = false): Promise<Store & CopiesLedger> {
  const { address, memoryLimit, threads } = place;
  const directory = directoryOf(place);
  if (directory === undefined) {
    const { openClickHouseStore } = await import('../stores/clickhouse/index.ts');
    return openClickHouseStore({ address, toFill });
  }
  if (!toFill && !holdsLedger(directory))
    throw new TallybookError(
      'directory_unusable',
      `${directory} holds no ledger; expected ${ledgerFile(directory)}`,
    );
  const { openDuckDBStore } = await import('../stores/duckdb/index.ts');
  return openDuckDBStore({
    directory,
    toFill,
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
    ...(threads === undefined ? {} : { threads }),
  });
}

/** The streams of an open place. */
export async function ledgerIn(
  store: Store & CopiesLedger,
  { systems }: Pick<Place, 'systems'>,
): Promise<Ledger> {
  const { ledgerOf } = await import('../engine/ledger-copy.ts');
  const { partsOf } = await import('../systems/system.ts');
  const { shipped, books } = partsOf(await systemsNamed(systems, undefined));
  return ledgerOf(store, shipped, books);
}

/** All routes over an open ledger. Without `auth` everybody may do everything. */
export async function openApp({
  tallybook,
  auth,
  usage,
  tracer,
}: {
  tallybook: Tallybook;
  auth: boolean;
  /** As it was opened with. */
  usage?: RouteRequest['ask'] | undefined;
  /** Requests are traced when it is given. */
  tracer?: Tracer | undefined;
}): Promise<FastifyInstance> {
  const { buildApp } = await import('../http/app.ts');
  const { parquetBytes: writeParquet } = await import('../stores/duckdb/parquet.ts');
  const opened = (await systemsHere(usage)).filter(({ streams }) =>
    streams.every(({ name }) => tallybook.streams.isShipped(name)),
  );
  return buildApp({
    tallybook,
    auth,
    tracer,
    writeParquet,
    log: tallybook.log,
    version: version(),
    systems: opened,
    console: builtConsole(),
  });
}

/** Where the web console of this package was built, if it was. */
function builtConsole(): string | undefined {
  const directory = fileURLToPath(new URL('../../console/dist', import.meta.url));
  return existsSync(join(directory, 'index.html')) ? directory : undefined;
}

async function systemsHere(usage: RouteRequest['ask'] | undefined): Promise<readonly System[]> {
  const { systems } = await import('../systems/systems.ts');
  if (usage === undefined) return systems;
  const { usageSystem, usageSystemOver } = await import('../systems/usage/index.ts');
  return systems.map((system) => (system === usageSystem ? usageSystemOver(usage) : system));
}

/** Throws `bad_settings` for a name that is none. */
async function systemsNamed(
  names: readonly string[] | undefined,
  usage: RouteRequest['ask'] | undefined,
): Promise<readonly System[]> {
  const systems = await systemsHere(usage);
  if (names === undefined) return systems;
  const known = systems.map(({ name }) => name);
  const unknown = names.filter((name) => name !== 'none' && !known.includes(name));
  if (unknown.length > 0) {
    throw new TallybookError(
      'bad_settings',
      `there is no system ${unknown.join(', ')}; the systems are ${known.join(', ')}, or none`,
    );
  }
  return systems.filter(({ name }) => names.includes(name));
}

/** Whether a directory holds a ledger. */
export function holdsLedger(directory: string): boolean {
  return existsSync(ledgerFile(directory));
}

/** The file that a ledger is kept in; beside it may be its log, which is part of it. */
export function ledgerFile(directory: string): string {
  return join(directory, 'tallybook.duckdb');
}

/** What the process that has a data directory keeps locked there (directory-lock.ts). */
export const lockName = 'lock.duckdb';

/** Where the first start writes the admin key. */
export function adminKeyFile(directory: string): string {
  return join(directory, 'admin.key');
}

const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Of this package. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
