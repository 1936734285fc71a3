/** What is published: its size, that it needs nothing, that it installs and is typed, and that its README says all. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { defaults } from '../src/options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('the library has less than 4 kB gzipped', () => {
  expect(gzipSync(read('dist/index.js'), { level: 9 }).length).toBeLessThan(4_000);
});

test('it is one file, and needs no other package', () => {
  expect(read('dist/index.js')).not.toMatch(/\bimport\b|\brequire\(/);
  expect(JSON.parse(read('package.json'))).not.toHaveProperty('dependencies');
});

test('installed from its tarball, it runs and is typed, also where a program knows no browser', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-client-package-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
  // `prepack` would build anew what other tests are using.
  const packed = run('npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', directory, root);
  const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  const outside = files.filter(({ path }) => !path.startsWith('dist/')).map(({ path }) => path);
  expect(outside.filter((path) => path !== 'LICENSE').sort()).toEqual([
    'CHANGELOG.md',
    'README.md',
    'package.json',
  ]);

  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', join(directory, filename));
  const says = run(
    process.execPath,
    '--input-type=module',
    '-e',
    `import { TallybookClient, UndeliveredError } from '@tallybook/client';
    const client = new TallybookClient({ url: 'http://127.0.0.1:1' });
    await client.close();
    console.log(typeof client.send, new UndeliveredError([]) instanceof Error);`,
  );
  expect(says).toBe('function true\n');

  writeFileSync(
    join(directory, 'program.ts'),
    `import { TallybookClient, type Undelivered, UndeliveredError } from '@tallybook/client';
    const errors: Undelivered[] = [];
    const client = new TallybookClient({ url: 'https://example.com', key: 'k', onError: (error) => errors.push(error) });
    const id: string | undefined = client.send({ category: 'a', name: 'b', data: { n: 1 }, timestamp: new Date() });
    client.sessionId = id ?? 'none';
    client.flush({ timeoutMilliseconds: 5 }).catch((error: unknown) => {
      if (error instanceof UndeliveredError) console.log(error.undelivered[0]?.event.name);
    });
    const closed: Promise<void> = client.close();
    // @ts-expect-error no such option
    new TallybookClient({ batchSize: 5 });
    // @ts-expect-error data is an object
    client.send({ category: 'a', name: 'b', data: 5 });
    export { closed };`,
  );
  const typescript = join(root, 'node_modules/.bin/tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022'];
  run(
    typescript,
    ...flags,
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules/@types'),
    'program.ts',
  );
});

test('the README names every option, with what it is when it is not given', () => {
  const declared = /export interface ClientOptions \{(.*?)\n\}/s.exec(read('src/options.ts'))![1]!;
  const options = [...declared.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name!);
  const rows = [...read('README.md').matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].filter(([, name]) =>
    options.includes(name!),
  );
  expect(rows.map(([, name]) => name)).toEqual(options);
  const [here, inBrowsers] = [defaults(false), defaults(true)].map(
    (values) => new Map(Object.entries(values)),
  );
  for (const [, name = '', shown = ''] of rows) {
    if (!here!.has(name)) continue;
    const values = [...new Set([here!.get(name), inBrowsers!.get(name)])];
    const written = values.map((value) =>
      typeof value === 'number' ? value.toLocaleString('en') : `\`${value}\``,
    );
    for (const text of written) expect(shown, name).toContain(text);
  }
});
