/**
 * Every block of code in the README, the docs and the examples does what its page says: sessions and commands are run
 * (play.ts), files are used by them, JSON is read, TypeScript is compiled. What is not, says why in a comment before it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { filesIn, read, root } from '../tidy/source-files.ts';
import { blocks, play } from './play.ts';

const pages = ['README.md', ...filesIn('docs'), ...filesIn('examples')].filter((path) =>
  path.endsWith('.md'),
);
const all = pages.flatMap(blocks);

const isRun = ({ language, file, notRun }: (typeof all)[number]): boolean =>
  notRun === undefined && file === undefined && (language === 'console' || language === 'sh');

test.each([...new Set(all.filter(isRun).map(({ page }) => page))])(
  'what %s shows is what comes',
  async (page) => {
    const { shown, came, failed } = await play(page);
    expect(failed).toBe('');
    expect(came).toBe(shown);
  },
  300_000,
);

test('every block is run, read or compiled, is a file that others use, or says why it is not', () => {
  const left = all.filter(
    ({ language, file, notRun }) =>
      file === undefined &&
      notRun === undefined &&
      !['console', 'sh', 'json', 'ts', 'text'].includes(language),
  );
  expect(left.map(({ page, line, language }) => `${page}:${line} ${language}`)).toEqual([]);
  expect(all.filter(({ notRun }) => notRun !== undefined && notRun.length < 10)).toEqual([]);
  // A comment that stands before no block, or says something else, would say nothing.
  const heeded = (page: string): number =>
    all.filter((block) => block.page === page && (block.file ?? block.before ?? block.notRun)).length;
  expect(pages.filter((page) => (read(page).match(/<!--/g) ?? []).length !== heeded(page))).toEqual([]);
});

test('JSON that is shown is JSON', () => {
  for (const { page, line, language, text, notRun } of all) {
    if (language === 'json' && notRun === undefined)
      expect(() => JSON.parse(text), `${page}:${line}`).not.toThrow();
  }
});

test('TypeScript that is shown compiles, as it would for a user', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tallybook-docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/tallybook'));
  symlinkSync(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const typescript = all.filter(({ language, notRun }) => language === 'ts' && notRun === undefined);
  const files = typescript.map(({ page, line, text }) => {
    const name = `${page.replace(/\W/g, '_')}_${line}.ts`;
    writeFileSync(join(folder, name), text);
    return name;
  });
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2023',
    module: 'nodenext',
    skipLibCheck: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});

test('what is run needs curl', () => {
  expect(execFileSync('curl', ['--version'], { encoding: 'utf8' })).toMatch(/^curl /);
});
