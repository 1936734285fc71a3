/**
 * An app over a real store, for one test: opened, used through `inject` or over a real socket, and closed when the
 * test ends.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { expect, onTestFinished } from 'vitest';
import type { StreamDeclaration } from '../../src/engine/declaration.ts';
import type { BacksUp, Store } from '../../src/engine/store.ts';
import { type Log, Tallybook } from '../../src/engine/tallybook.ts';
import { buildApp } from '../../src/http/app.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { parquetBytes } from '../../src/stores/duckdb/parquet.ts';
import { openMemoryStore } from '../../src/stores/memory/index.ts';
import { partsOf, type System } from '../../src/systems/system.ts';
import { clickHouseHost, openStoreOf } from '../clickhouse-store.ts';

export type StoreKind = 'memory' | 'duckdb' | 'clickhouse';
/** Where a ClickHouse is there to be tested (test/clickhouse), it alone is. */
export const storeKinds: readonly StoreKind[] = clickHouseHost ? ['clickhouse'] : ['memory', 'duckdb'];

export const sales: StreamDeclaration = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'text' },
    amount: { type: 'decimal', precision: 38, scale: 10, required: true },
    paid: { type: 'boolean' },
    data: { type: 'json' },
  },
  rollups: { daily: { every: 'day', by: ['customer'], sum: ['amount'] } },
};
/** Records of this stream may come with no id. */
export const clicks: StreamDeclaration = {
  time: 'at',
  fields: { at: { type: 'timestamp', required: true }, page: { type: 'text' }, n: { type: 'integer' } },
};

export interface OpenApp {
  app: FastifyInstance;
  tallybook: Tallybook;
  store: Store;
  /** What was logged as an error. */
  errors: { fields: object; message: string }[];
  /** Every line of the log. */
  logged: string[];
  directory: string;
  /** Sends a request without a key; fails the test on a 500. */
  send(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>;
  listen(): Promise<string>;
}

export interface Answered {
  status: number;
  headers: LightMyRequestResponse['headers'];
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  json: any;
}

export interface OpenOptions {
  auth?: boolean;
  wrapStore?: (store: Store & Partial<BacksUp>) => Store & Partial<BacksUp>;
  /** Streams to declare; sales and clicks when not given. */
  streams?: Record<string, StreamDeclaration>;
  /** Systems whose streams and addresses are there; none when not given. */
  systems?: readonly System[];
  /** Whether a web console is there: a page that was made for the test. */
  console?: boolean;
}

export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** As `console/` is built: a page with a place for its nonce, and a file with its packed forms beside it. */
function makeConsole(directory: string): string {
  mkdirSync(join(directory, 'assets'), { recursive: true });
  writeFileSync(join(directory, 'index.html'), '<meta name="style-nonce" content=""><title>console</title>');
  writeFileSync(join(directory, 'assets/page-a1.js'), 'console.log(1)');
  writeFileSync(join(directory, 'assets/page-a1.js.gz'), gzipSync('console.log(1)'));
  return directory;
}

export async function openStore(kind: StoreKind, directory: string): Promise<Store & Partial<BacksUp>> {
  switch (kind) {
    case 'memory':
      return openMemoryStore();
    case 'duckdb':
      return openDuckDBStore({ directory: join(directory, 'data'), memoryLimit: '512MB', threads: 2 });
    case 'clickhouse':
      return openStoreOf(directory);
  }
}

/** The same store with some verbs replaced: for what a real store does too rarely to be waited for. */
export function replaceVerbs(store: Store & Partial<BacksUp>, verbs: Partial<Store>): Store {
  return {
    prepare: (streams) => store.prepare(streams),
    publish: (deliveries) => store.publish(deliveries),
    ask: (plan) => store.ask(plan),
    sums: (plans) => store.sums(plans),
    entries: (request) => store.entries(request),
    fate: (stream, id) => store.fate(stream, id),
    tend: (work) => store.tend(work),
    verify: () => store.verify(),
    close: () => store.close(),
    ...verbs,
  };
}

export async function openApp(kind: StoreKind, options: OpenOptions = {}): Promise<OpenApp> {
  const directory = makeDirectory();
  const opened = await openStore(kind, directory);
  const store = options.wrapStore ? options.wrapStore(opened) : opened;
  const errors: OpenApp['errors'] = [];
  const logged: string[] = [];
  const line = (fields: object, message: string): void => void logged.push(inspect({ ...fields, message }));
  const log: Log = {
    info: line,
    warn: line,
    error(fields, message) {
      line(fields, message);
      errors.push({ fields, message });
    },
  };
  const { auth = false, systems = [] } = options;
  const tallybook = await Tallybook.open({
    store,
    spoolDirectory: join(directory, 'spool'),
    log,
    ...partsOf(systems),
  });
  const app = await buildApp({
    tallybook,
    auth,
    log,
    version: '0.0.0-test',
    systems,
    writeParquet: parquetBytes,
    console: options.console ? makeConsole(join(directory, 'console')) : undefined,
  });
  onTestFinished(async () => {
    await app.close();
    await tallybook.close();
  });
  for (const [name, declaration] of Object.entries(options.streams ?? { sales, clicks }))
    await tallybook.streams.put(name, declaration);
  return {
    app,
    tallybook,
    store,
    errors,
    logged,
    directory,
    async send(method, url, body, headers = {}) {
      const request = { method, url, headers } as InjectOptions;
      if (body !== undefined) request.payload = body as NonNullable<InjectOptions['payload']>;
      const answer = await app.inject(request);
      if (answer.statusCode === 500)
        expect.fail(
          `${method} ${url}: ${answer.body} ${JSON.stringify(errors.map(String))} ${errors.map((e) => (e.fields as { err?: Error }).err?.stack)}`,
        );
      const type = String(answer.headers['content-type'] ?? '');
      return {
        status: answer.statusCode,
        headers: answer.headers,
        text: answer.body,
        json: type.includes('json') && !type.includes('ndjson') ? JSON.parse(answer.body) : undefined,
      };
    },
    async listen() {
      await app.listen({ host: '127.0.0.1', port: 0 });
      return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    },
  };
}

/** A record of sales. */
export function sale(id: string, more: object = {}): object {
  return { id, at: '2026-10-05T06:43:00Z', customer: 'a', amount: '1.50', ...more };
}

export const ndjson = { 'content-type': 'application/x-ndjson' };
export const csv = { 'content-type': 'text/csv' };
export const lines = (records: object[]): string =>
  records.map((record) => JSON.stringify(record)).join('\n');
