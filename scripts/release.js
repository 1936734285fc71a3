/**
 * Makes a release: `npm run release -- 0.1.0`. It refuses, with a sentence for each thing, while anything is pending;
 * else it writes the version into every package, dates the changelogs, commits and tags. Nothing is sent anywhere: what
 * to do next is told at the end. With `--check` it only looks.
 *
 * Plain JavaScript, because it must run on every Node.js that the product runs on, before anything is built.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = ['package.json', 'console/package.json', 'client/package.json'];
const locks = ['package-lock.json', 'client/package-lock.json'];
const changelogs = ['CHANGELOG.md', 'client/CHANGELOG.md'];

/** @param {string} path */
const read = (path) => readFileSync(join(root, path), 'utf8');
/** @param {string} path */
const json = (path) => JSON.parse(read(path));
/** @param {string[]} args */
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

const [version = '', ...options] = process.argv.slice(2);
const pending = /^\d+\.\d+\.\d+$/.test(version)
  ? [
      ...faultsOfTree(),
      ...faultsOfVersion(),
      ...faultsOfChangelogs(),
      ...faultsOfLocks(),
      ...faultsOfTests(),
      ...faultsOfDependencies(),
    ]
  : [`A version is three numbers, such as 0.1.0; found ${version === '' ? 'none' : version}.`];

if (pending.length > 0) {
  for (const fault of pending) console.error(`error: ${fault}`);
  process.exitCode = 1;
} else if (options.includes('--check')) {
  console.log(`${version} can be released.`);
} else {
  release();
}

function faultsOfTree() {
  const changed = git('status', '--porcelain');
  return changed === '' ? [] : [`The tree has changes that are not committed:\n${changed}`];
}

function faultsOfVersion() {
  const current = json('package.json').version;
  return [
    ...(isAbove(version, current)
      ? []
      : [`${version} is not above ${current}, the version of package.json.`]),
    ...(git('tag', '--list', `v${version}`) === '' ? [] : [`There is a tag v${version} already.`]),
  ];
}

function faultsOfChangelogs() {
  return changelogs.flatMap((path) => {
    const sections = sectionsOf(read(path));
    const text = sections.get(version);
    return [
      ...(text === undefined ? [`${path} has no section "## [${version}]".`] : []),
      ...(text === '' ? [`The section ${version} of ${path} is empty.`] : []),
      ...(sections.get('Unreleased') === ''
        ? []
        : [`${path} has lines under Unreleased; move them to ${version}.`]),
    ];
  });
}

function faultsOfLocks() {
  return locks.flatMap((path) => {
    const { packages: locked } = json(path);
    const addresses = Object.values(locked).filter(({ resolved }) => /^https?:/.test(resolved ?? ''));
    // npm on one system alone leaves those of the others out.
    const systems = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'];
    const missing = systems.filter((name) => !(`node_modules/@duckdb/node-bindings-${name}` in locked));
    return [
      ...(addresses.length === 0
        ? []
        : [`${path} names ${addresses.length} addresses of a registry as "resolved".`]),
      ...(path !== 'package-lock.json' || missing.length === 0
        ? []
        : [`${path} lacks the database for ${missing.join(', ')}.`]),
    ];
  });
}

/** `.ci/run` writes down on which commit everything passed. */
function faultsOfTests() {
  const head = git('rev-parse', 'HEAD');
  const passed = existsSync(join(root, 'coverage/passed')) ? read('coverage/passed').trim() : '';
  return passed === head
    ? []
    : [`The tests have not passed on this commit (${head.slice(0, 9)}); run .ci/run.`];
}

/** What a registry knows against what is installed with the packages. Without its answer nobody knows. */
function faultsOfDependencies() {
  return locks.flatMap((path) => {
    const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
      cwd: dirname(join(root, path)),
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    const { vulnerabilities, message } = JSON.parse(stdout || '{}');
    if (vulnerabilities === undefined)
      return [
        `npm audit of ${path} got no answer (${message ?? 'npm said nothing'}); run it where a registry answers.`,
      ];
    const found = Object.keys(vulnerabilities);
    return found.length === 0
      ? []
      : [`npm audit of ${path} finds something in ${found.join(', ')}; upgrade or replace it.`];
  });
}

/**
 * What stands under each version of a changelog.
 * @param {string} text
 */
function sectionsOf(text) {
  const parts = text.split(/^## \[([^\]]+)\].*$/m).slice(1);
  return new Map(parts.flatMap((part, i) => (i % 2 === 0 ? [[part, (parts[i + 1] ?? '').trim()]] : [])));
}

/**
 * Whether a version comes after another, which may be a pre-release (0.1.0-dev).
 * @param {string} next
 * @param {string} current
 */
function isAbove(next, current) {
  const [numbers = '', preRelease] = current.split('-');
  const before = numbers.split('.').map(Number);
  const after = next.split('.').map(Number);
  const differing = after.findIndex((number, i) => number !== before[i]);
  return differing === -1 ? preRelease !== undefined : after[differing] > before[differing];
}

function release() {
  const today = new Date().toISOString().slice(0, 10);
  for (const path of packages) write(path, { ...json(path), version });
  for (const path of locks) {
    const lock = json(path);
    lock.version = version;
    for (const name of ['', 'console']) if (lock.packages[name]) lock.packages[name].version = version;
    write(path, lock);
  }
  for (const path of changelogs) {
    const dated = read(path).replace(
      new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\].*$`, 'm'),
      `## [${version}] - ${today}`,
    );
    writeFileSync(join(root, path), dated);
  }
  git('commit', '--all', '--message', `Release ${version}`);
  git('tag', '--annotate', `v${version}`, '--message', `Tallybook ${version}`);
  console.log(`${version} is committed and tagged. Next:
  git push --follow-tags
  npm publish
  npm publish ./client --access public`);
}

/**
 * @param {string} path
 * @param {object} content
 */
function write(path, content) {
  writeFileSync(join(root, path), `${JSON.stringify(content, null, 2)}\n`);
}
