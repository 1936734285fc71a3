/**
 * The shape of the source: which room may import which, no cycles, nothing that nobody uses, no drawers, one place
 * that reads the environment, nothing that acts when it is imported.
 */
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { filesIn, type Import, importsOf, read, root, withoutComments } from './source-files.ts';

const source = filesIn('src').filter((path) => path.endsWith('.ts'));
const imports = source.flatMap(importsOf);
const ofOurs = imports.filter(({ to }) => to.startsWith('src/'));
const shown = ({ from, to }: Import): string => `${from} imports ${to}`;

/** The rooms, each with those it may import beside itself. */
const rooms: Record<string, string[]> = {
  'src/engine/': [],
  // Files that DuckDB reads whatever the store is: statements, for whoever connects.
  'src/stores/parquet-file.ts': ['src/engine/'],
  'src/stores/duckdb/': ['src/engine/', 'src/stores/parquet-file.ts'],
  'src/stores/memory/': ['src/engine/'],
  'src/stores/clickhouse/': ['src/engine/', 'src/stores/parquet-file.ts'],
  // SQL for the databases of users: it knows the statements, and neither who connects nor what ships with it.
  'src/postgres/': ['src/engine/'],
  // The log in front: it takes what the doors bring, and writes it to the ledger as they would.
  'src/nats/': ['src/engine/'],
  'src/systems/': ['src/engine/'],
  'src/http/': ['src/engine/', 'src/systems/'],
  'src/cli/': [
    'src/engine/',
    'src/stores/duckdb/',
    'src/stores/clickhouse/',
    'src/postgres/',
    'src/nats/',
    'src/systems/',
    'src/http/',
  ],
  // The library: what it exports is put together by the composition root.
  'src/index.ts': ['src/engine/', 'src/cli/'],
};
const roomOf = (path: string): string | undefined => Object.keys(rooms).find((room) => path.startsWith(room));

test('every file stands in a room', () => {
  expect(source.filter((path) => roomOf(path) === undefined)).toEqual([]);
});

test('imports point one way: engine <- stores, systems <- http <- cli', () => {
  const wrong = ofOurs.filter(({ from, to }) => {
    const allowed = [roomOf(from)!, ...rooms[roomOf(from)!]!];
    return !allowed.some((room) => to.startsWith(room));
  });
  expect(wrong.map(shown)).toEqual([]);
});

/** Packages that belong to one room; Node's own modules and those that are not here may be used anywhere. */
const packages: Record<string, string[]> = {
  '@clickhouse/client': ['src/stores/clickhouse/'],
  // The ClickHouse store reads Parquet files with it.
  '@duckdb/node-api': ['src/stores/duckdb/', 'src/stores/clickhouse/'],
  fastify: ['src/http/', 'src/cli/'],
  '@fastify/helmet': ['src/http/'],
  '@fastify/multipart': ['src/http/'],
  '@fastify/static': ['src/http/'],
  '@fastify/swagger': ['src/http/'],
  'prom-client': ['src/http/'],
  commander: ['src/cli/'],
  'cli-progress': ['src/cli/'],
  '@nats-io/jetstream': ['src/nats/'],
  '@nats-io/transport-node': ['src/nats/'],
  pg: ['src/cli/'],
  'pg-copy-streams': ['src/cli/'],
  pino: ['src/cli/'],
  'node:http': ['src/http/', 'src/cli/'],
};

test('packages stay in their room: the engine knows no HTTP and no SQL engine', () => {
  const wrong = imports.filter(({ from, to }) => packages[to] && !packages[to].includes(roomOf(from)!));
  expect(wrong.map(shown)).toEqual([]);
});

test('the client needs nothing but itself', () => {
  const ofTheClient = filesIn('client/src').flatMap(importsOf);
  expect(ofTheClient.filter(({ to }) => !to.startsWith('client/src/')).map(shown)).toEqual([]);
});

test('the console imports nothing from the source: it knows the API alone', () => {
  const files = filesIn('console/src').filter((path) => /\.tsx?$/.test(path));
  expect(files.length).toBeGreaterThan(0);
  const outside = files
    .flatMap(importsOf)
    .filter(({ to }) => /^(src|test|client)\//.test(to) || to.startsWith('..'));
  expect(outside.map(shown)).toEqual([]);
});

test('no cycles', () => {
  // Imports of types alone are left out: nothing of them is there at run time, so no order of loading depends on them.
  const graph = new Map<string, string[]>();
  for (const { from, to, typeOnly } of ofOurs) {
    if (!typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' -> '));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of source) visit(path, []);
  expect(cycles).toEqual([]);
});

/** Files that nothing in src imports, each with who does. */
const entrances: Record<string, string> = {
  'src/cli/main.ts': 'bin/tallybook loads what is built of it',
  'src/index.ts': 'the library: package.json exports what is built of it',
  'src/stores/memory/index.ts': 'the oracle of the tests; nobody keeps a ledger in it',
};

test('every file is imported', () => {
  const used = new Set(ofOurs.filter(({ from, to }) => from !== to).map(({ to }) => to));
  expect(source.filter((path) => !used.has(path))).toEqual(Object.keys(entrances).sort());

  // The configuration of a package in test is read by its runner, and so is what it names.
  const readByRunners = /vitest\.config\.ts$|^test\/clickhouse\/database\.ts$/;
  const tests = filesIn('test').filter((path) => path.endsWith('.ts') && !readByRunners.test(path));
  const usedByTests = new Set(tests.flatMap(importsOf).map(({ to }) => to));
  expect(tests.filter((path) => !path.endsWith('.test.ts') && !usedByTests.has(path))).toEqual([]);
});

test('no drawers', () => {
  const drawer = /^(utils?|helpers?|common|lib|constants?|misc)$/;
  const written = ['src', 'client', 'test', 'bench', 'bin', 'docs'].flatMap(filesIn);
  const found = written.filter((path) =>
    path.split('/').some((part) => drawer.test(part.replace(/\..*$/, ''))),
  );
  expect(found).toEqual([]);
});

test('nothing is left for later in a marker', () => {
  const marker = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
  const written = [
    ...['src', 'client', 'test', 'bench', 'bin', 'docs', '.ci'].flatMap(filesIn),
    'README.md',
    'package.json',
  ];
  const found = written.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) => (marker.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});

test('one place reads the environment', () => {
  expect(source.filter((path) => /\bprocess\.env\b/.test(withoutComments(read(path))))).toEqual([
    'src/cli/config.ts',
  ]);
});

test('at the top of a file stand declarations, and nothing that acts', () => {
  const declaration =
    /^(import|export|const|let|type|interface|class|abstract class|function|async function|declare|enum)\b/;
  // What closes a declaration of several lines, and the lines of a text in backquotes, stand at the margin too.
  const found = source.flatMap((path) =>
    withoutComments(withoutTexts(read(path)))
      .split('\n')
      .filter((line) => /^\S/.test(line) && !/^[)}\]|&?:.]/.test(line) && !declaration.test(line))
      .map((line) => `${path}: ${line}`),
  );
  expect(found).toEqual([]);
  const awaited = source.filter((path) => /^(export )?(const|let) .*= await\b/m.test(read(path)));
  expect(awaited).toEqual([]);
});

function withoutTexts(text: string): string {
  return text.replace(/`(?:[^`\\]|\\.)*`/gs, '``');
}

test('importing every file leaves nothing running, nothing listening, nothing changed', async () => {
  const look = () => ({
    listeners: process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`),
    globals: Object.getOwnPropertyNames(globalThis).sort(),
    prototypes: [BigInt, Date, Object, Array, String].map(({ prototype }) =>
      Object.getOwnPropertyNames(prototype),
    ),
    directory: process.cwd(),
  });
  const before = look();
  // The runner has timers of its own that may end meanwhile: so no more than before, of no kind.
  const running = countsOf(process.getActiveResourcesInfo());
  const asked: string[] = [];
  const environment = process.env;
  process.env = new Proxy(environment, {
    get(target, name: string) {
      if (typeof name === 'string' && name.startsWith('TALLYBOOK_')) asked.push(name);
      return target[name];
    },
  });
  try {
    for (const path of source) await import(`${root}/${path}`);
  } finally {
    process.env = environment;
  }
  expect(asked).toEqual([]);
  expect(look()).toEqual(before);
  const more = Object.entries(countsOf(process.getActiveResourcesInfo())).filter(
    ([kind, count]) => count > (running[kind] ?? 0),
  );
  expect(more).toEqual([]);
});

function countsOf(kinds: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

test('a file is named for its idea, in small letters and dashes', () => {
  expect(
    source.map((path) => basename(path)).filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(name)),
  ).toEqual([]);
});
