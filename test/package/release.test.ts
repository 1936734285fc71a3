/** The release script, in a repository of its own with the files that it reads. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../tidy/source-files.ts';

vi.setConfig({ testTimeout: 60_000 });

const manifest = (name: string) => ({ name, version: '0.1.0-dev' });
const changelog = '# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\n- The first line.\n';
const bindings = Object.fromEntries(
  ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'].map((system) => [
    `node_modules/@duckdb/node-bindings-${system}`,
    { version: '1.5.6', optional: true },
  ]),
);
const lock = {
  version: '0.1.0-dev',
  lockfileVersion: 3,
  packages: { '': manifest('tallybook'), console: manifest('console'), ...bindings },
};

const used = { name: 'used', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': { version: '1.2.3' } } };
/** What the registry knows against packages, by name; undefined: it takes no such question. */
let advisories: Record<string, object[]> | undefined;
const registry = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.statusCode = advisories ? 200 : 405;
    response.end(advisories && JSON.stringify(request.method === 'POST' ? advisories : used));
  });
});
beforeAll(() => new Promise<void>((resolve) => void registry.listen(0, '127.0.0.1', resolve)));
afterAll(() => void registry.close());

/** A repository that could be released as 0.1.0; `changed` are files of it that are otherwise. */
function repository(changed: Record<string, string | object> = {}) {
  advisories = {};
  const directory = mkdtempSync(join(tmpdir(), 'tallybook-release-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const files: Record<string, string | object> = {
    'package.json': { ...manifest('tallybook'), type: 'module' },
    'console/package.json': manifest('console'),
    'client/package.json': manifest('client'),
    'package-lock.json': lock,
    'client/package-lock.json': {
      version: '0.1.0-dev',
      lockfileVersion: 3,
      packages: { '': manifest('client') },
    },
    'CHANGELOG.md': changelog,
    'client/CHANGELOG.md': changelog,
    '.gitignore': 'coverage/\n',
    ...changed,
  };
  for (const path of ['console', 'client', 'scripts', 'coverage']) mkdirSync(join(directory, path));
  const write = (path: string, content: string | object): void =>
    writeFileSync(join(directory, path), typeof content === 'string' ? content : JSON.stringify(content));
  for (const [path, content] of Object.entries(files)) write(path, content);
  cpSync(join(root, 'scripts/release.js'), join(directory, 'scripts/release.js'));
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.com', ...args], {
      cwd: directory,
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet');
  git('config', 'user.name', 'T');
  git('config', 'user.email', 't@example.com');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'All');
  write('coverage/passed', git('rev-parse', 'HEAD'));
  return {
    git,
    write,
    read: (path: string): string => readFileSync(join(directory, path), 'utf8'),
    release: (...args: string[]) =>
      new Promise<{ status: number; said: string }>((resolve) => {
        const address = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
        const env = { ...process.env, npm_config_registry: address, npm_config_fetch_retries: '0' };
        execFile('node', ['scripts/release.js', ...args], { cwd: directory, env }, (error, stdout, stderr) =>
          resolve({ status: Number(error?.code ?? 0), said: stdout + stderr }),
        );
      }),
  };
}

describe('a release', () => {
  test('raises every version, dates the changelogs, commits and tags', async () => {
    const { release, read, git } = repository();
    expect(await release('0.1.0')).toEqual({ status: 0, said: expect.stringContaining('tagged') });
    for (const path of ['package.json', 'console/package.json', 'client/package.json', 'package-lock.json']) {
      expect(JSON.parse(read(path)), path).toMatchObject({ version: '0.1.0' });
    }
    expect(JSON.parse(read('package-lock.json')).packages.console.version).toBe('0.1.0');
    expect(read('CHANGELOG.md')).toMatch(/^## \[0\.1\.0\] - \d{4}-\d\d-\d\d$/m);
    expect(git('tag')).toBe('v0.1.0');
    expect(git('status', '--porcelain')).toBe('');
  });

  test('--check changes nothing', async () => {
    const { release, git } = repository();
    expect(await release('0.1.0', '--check')).toEqual({ status: 0, said: '0.1.0 can be released.\n' });
    expect(git('tag')).toBe('');
  });

  test.each([
    ['a version that is none', '1.0', {}, 'A version is three numbers'],
    ['a version that is not above', '0.0.9', {}, '0.0.9 is not above 0.1.0-dev'],
    ['a changelog without the version', '0.2.0', {}, 'CHANGELOG.md has no section "## [0.2.0]"'],
    [
      'lines that are not released',
      '0.1.0',
      { 'CHANGELOG.md': changelog.replace('[Unreleased]\n', '[Unreleased]\n\n- Another.\n') },
      'CHANGELOG.md has lines under Unreleased; move them to 0.1.0.',
    ],
    [
      'a lock file with addresses',
      '0.1.0',
      {
        'package-lock.json': {
          ...lock,
          packages: { ...lock.packages, a: { resolved: 'https://registry.example.com/a.tgz' } },
        },
      },
      'package-lock.json names 1 addresses of a registry',
    ],
    [
      'a lock file of one system alone',
      '0.1.0',
      { 'package-lock.json': { lockfileVersion: 3, packages: { '': manifest('tallybook') } } },
      'package-lock.json lacks the database for linux-x64, linux-arm64, darwin-arm64, win32-x64.',
    ],
  ])('is refused: %s', async (_, version, changed, sentence) => {
    const { release, git } = repository(changed);
    const { status, said } = await release(version);
    expect(said).toContain(sentence);
    expect(status).toBe(1);
    expect(git('tag')).toBe('');
  });

  test('is refused: changes that are not committed, tests that did not pass on this commit', async () => {
    const { release, write, git } = repository();
    write('console/new.txt', 'new');
    expect((await release('0.1.0')).said).toContain(
      'The tree has changes that are not committed:\n?? console/new.txt',
    );
    git('add', '--all');
    git('commit', '--quiet', '--message', 'More');
    expect((await release('0.1.0')).said).toMatch(
      /^error: The tests have not passed on this commit \(\w{9}\); run \.ci\/run\.\n$/,
    );
  });

  test('is refused: a dependency that something is known against, or a registry that does not say', async () => {
    const tallybook = { ...manifest('tallybook'), dependencies: { used: '^1.0.0' } };
    const { release } = repository({
      'package.json': { ...tallybook, type: 'module' },
      'package-lock.json': {
        ...lock,
        packages: { ...lock.packages, '': tallybook, 'node_modules/used': { version: '1.2.3' } },
      },
    });
    expect(await release('0.1.0', '--check')).toMatchObject({ status: 0 });
    advisories = {
      used: [
        { id: 1, url: 'https://example.com/1', title: 'Bad', severity: 'high', vulnerable_versions: '<2' },
      ],
    };
    expect(await release('0.1.0')).toEqual({
      status: 1,
      said: 'error: npm audit of package-lock.json finds something in used; upgrade or replace it.\n',
    });
    advisories = undefined;
    expect((await release('0.1.0')).said).toMatch(
      /^error: npm audit of package-lock\.json got no answer \(405 .*\); run it where a registry answers\.\n/,
    );
  });
});
