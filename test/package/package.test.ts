/**
 * The package as users get it: packed, installed from the tarball in an empty folder, and used there by its command,
 * as a library and from TypeScript. npm takes the dependencies from its cache, which `npm ci` has filled, or from the
 * registry; where it reaches neither, the tests are skipped, and say so.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../tidy/source-files.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 600_000 });

const folder = mkdtempSync(join(tmpdir(), 'tallybook-package-'));
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|TALLYBOOK_(?!TEST_))/.test(name)),
);
let packed: { filename: string; size: number; files: { path: string }[] };
let installed = '';
let unreachable = '';

beforeAll(() => {
  // `prepack` would build anew what other tests are using.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  packed = JSON.parse(execFileSync('npm', pack, { cwd: root, env: environment, encoding: 'utf8' }))[0];
  writeFileSync(join(folder, 'package.json'), '{"private": true, "type": "module"}');
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, packed.filename)],
    { cwd: folder, env: environment, encoding: 'utf8' },
  );
  installed = stdout + stderr;
  if (status === 0) return;
  if (!/ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(installed)) throw new Error(installed);
  if (process.env.TALLYBOOK_TEST_NO_SKIP === '1')
    throw new Error(`npm reaches no registry, and no test may be skipped:\n${installed}`);
  unreachable = 'npm reaches no registry, and its cache lacks a dependency';
  console.warn(`skipped: ${unreachable}`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tallybook(...args: string[]): string {
  return execFileSync('npx', ['--no-install', 'tallybook', ...args], {
    cwd: folder,
    env: environment,
    encoding: 'utf8',
  });
}

function bytesIn(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

test('holds what is used, and nothing else', () => {
  const paths = packed.files.map(({ path }) => path);
  for (const path of [
    'bin/tallybook',
    'dist/index.js',
    'dist/index.d.ts',
    'console/dist/index.html',
    'README.md',
  ])
    expect(paths).toContain(path);
  const rooms = new Set(paths.map((path) => path.split('/')[0]));
  expect([...rooms].sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'console',
    'dist',
    'package.json',
  ]);
  expect(paths.filter((path) => /^console\/(?!dist\/|package\.json$)/.test(path))).toEqual([]);
  expect(packed.size).toBeLessThan(4_000_000);
});

test('installs small, without what only developers need, and without a warning', ({ skip }) => {
  skip(unreachable !== '', unreachable);
  const warnings = installed
    .split('\n')
    // What npm says of the settings of this machine is no matter of ours.
    .filter((line) => /^npm warn/i.test(line) && !/Unknown (user|env|cli|project|global) config/.test(line));
  expect(warnings).toEqual([]);
  expect(bytesIn(join(folder, 'node_modules'))).toBeLessThan(250_000_000);
  const names = readdirSync(join(folder, 'node_modules'));
  for (const name of ['typescript', 'vitest', 'vite', 'react', '@mantine', '@biomejs'])
    expect(names).not.toContain(name);
});

test('npx tallybook: demo, import, query', ({ skip }) => {
  skip(unreachable !== '', unreachable);
  expect(tallybook('demo', '--once', '--records', '3000', '--quiet', '--data', 'demo')).toMatch(
    /[\d,]+ records in .* each with its verdict after the commit/,
  );
  cpSync(join(root, 'docs/examples'), folder, { recursive: true });
  tallybook('streams', 'put', 'usage.json');
  tallybook('import', 'usage', 'data-usage.csv', '--form', 'data', '--quiet');
  expect(JSON.parse(tallybook('query', 'usage', '--json'))).toMatchObject({ rows: [{ count: 4 }] });
});

test('serve: the API and the console', async ({ skip }) => {
  skip(unreachable !== '', unreachable);
  const server = spawn(
    join(folder, 'node_modules/.bin/tallybook'),
    ['serve', '--no-auth', '--port', '0', '--json', '--data', 'served'],
    { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  onTestFinished(async () => {
    server.kill();
    if (server.exitCode === null) await once(server, 'exit');
  });
  const [said] = (await once(server.stdout, 'data')) as [Buffer];
  const { url } = JSON.parse(said.toString()) as { url: string };
  expect(await (await fetch(`${url}/v1/streams/usage/query`)).json()).toMatchObject({ rows: [{ count: 0 }] });
  expect(await (await fetch(url)).text()).toContain('<title>Tallybook</title>');
});

const ownStream = `
import { defineStream, openTallybook, type Tallybook } from 'tallybook';

export const visits = defineStream('visits', {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    seconds: { type: 'integer', min: 0, required: true },
  },
  rollups: { daily: { every: 'day', sum: ['seconds'] } },
});

// @ts-expect-error there is no such type of a field
defineStream('wrong', { fields: { amount: { type: 'float' } } });

// @ts-expect-error a decimal says how many digits it has
defineStream('wrong', { fields: { amount: { type: 'decimal' } } });

const fields = { at: { type: 'timestamp', required: true }, page: { type: 'text' } } as const;

// @ts-expect-error a text cannot be summed
defineStream('wrong', { fields, rollups: { daily: { every: 'day', sum: ['page'] } } });

// @ts-expect-error there is no field of that name
defineStream('wrong', { time: 'seen_at', fields });

export async function seconds(directory: string): Promise<unknown> {
  const tallybook: Tallybook = await openTallybook({ directory });
  const { rows } = await tallybook.ask('visits', { measures: ['sum(seconds)'], every: 'day' });
  await tallybook.close();
  return rows;
}
`;

test('a stream in TypeScript: checked by its types, declared by the command', ({ skip }) => {
  skip(unreachable !== '', unreachable);
  writeFileSync(join(folder, 'visits.ts'), ownStream);
  const compilerOptions = {
    strict: true,
    target: 'es2023',
    module: 'nodenext',
    skipLibCheck: true,
    outDir: 'made',
    // What a developer would have installed beside it.
    typeRoots: [join(root, 'node_modules/@types')],
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['visits.ts'] }));
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(status).toBe(0);

  // The lines that must not compile must not run either.
  writeFileSync(
    join(folder, 'streams.js'),
    `import { defineStream } from 'tallybook';
    export const visits = defineStream('visits', { fields: { seconds: { type: 'integer' } } });`,
  );
  expect(tallybook('streams', 'put', 'streams.js')).toBe('visits: declared\n');
});
