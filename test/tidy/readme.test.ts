/**
 * The README's five minutes and the sessions of other pages, command by command, as a reader types them: what is shown must be what comes. Times,
 * rates and widths of columns differ from run to run, and are not compared.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fences } from './markdown.ts';
import { root } from './source-files.ts';

test.each(['README.md', 'docs/usage.md', 'docs/occupancy.md'])(
  'every command says what %s shows',
  (page) => {
    // A checkout of its own, as far as the commands need one: what they make lies beside it.
    const checkout = mkdtempSync(join(tmpdir(), 'tallybook-readme-'));
    onTestFinished(() => rmSync(checkout, { recursive: true, force: true }));
    symlinkSync(join(root, 'bin'), join(checkout, 'bin'));
    cpSync(join(root, 'docs/examples'), join(checkout, 'docs/examples'), { recursive: true });

    const sessions = fences(page).filter(({ language }) => language === 'console');
    expect(sessions.length).toBeGreaterThan(0);
    const shown = sessions.map(({ text }) => text).join('');
    expect(comparable(played(checkout, shown))).toBe(comparable(shown));
  },
  120_000,
);

/** The session again: each command after its `$`, in one shell, followed by what it said. */
function played(checkout: string, session: string): string {
  const lines = session.split('\n').filter((line) => line.startsWith('$ '));
  const script = lines.map((line) => `echo ${quoted(line)}\n${line.slice(2)}`).join('\n');
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TALLYBOOK_'));
  return execFileSync('bash', ['-c', `exec 2>&1\n${script}\ntrue`], {
    cwd: checkout,
    // How much progress is told depends on how long it takes.
    env: { ...Object.fromEntries(inherited), TALLYBOOK_QUIET: '1' },
    encoding: 'utf8',
    timeout: 110_000,
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function comparable(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line
        .replace(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(?=Z\)| |$)/g, 'TIME')
        .replace(/TIMEZ/g, 'TIME')
        .replace(/\b[\d.,]+ (ms|s|min)\b(\s+[\d,]+$)?/g, (_, _unit, rate) =>
          rate === undefined ? 'TIME' : 'TIME RATE',
        )
        .replace(/\s+/g, ' ')
        .trim(),
    );
  return lines.join('\n');
}
