import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { variableOf } from '../../src/cli/config.ts';
import { program } from '../../src/cli/main.ts';
import { done, failure, file, ledger, rows, run, scratch } from './harness.ts';

function commandsOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(commandsOf);
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}`.trim() : '';
}

describe('the command line', () => {
  test('tells its version and its commands', async () => {
    expect(await done(['--version'])).toMatch(/^\d+\.\d+\.\d+/);
    const help = await done(['--help']);
    for (const name of [
      'serve',
      'import',
      'export',
      'query',
      'verify',
      'compact',
      'backup',
      'restore',
      'copy',
      'keys',
      'streams',
      'demo',
    ]) {
      expect(help).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
    expect(help).toContain('Exit codes: 0 done, 1 failed, 2 not understood');
  });

  test.each(commandsOf(program()).map((command) => [nameOf(command), command] as const))(
    '%s has help with an example, and names the variable of every option',
    async (name, command) => {
      const help = command.helpInformation().replaceAll(/\s+/g, ' ');
      for (const option of command.options) {
        const variable = `TALLYBOOK_${option.long!.slice(2).replaceAll('-', '_').toUpperCase()}`;
        expect(variableOf(option)).toBe(variable);
        expect(help).toContain(variable);
      }
      let written = '';
      command.configureOutput({
        writeOut: (text) => {
          written += text;
        },
      });
      command.outputHelp();
      expect(written).toMatch(new RegExp(`^  \\$ (.*\\| )?tallybook ${name.replaceAll(' ', ' ')}`, 'm'));
      expect(command.options.map((option) => option.long)).toEqual(
        expect.arrayContaining([
          ...(name.startsWith('postgres')
            ? ['--postgres']
            : name === 'copy'
              ? ['--from', '--to']
              : ['--data']),
          ...(['demo', 'restore'].includes(name) ? [] : ['--json']),
        ]),
      );
    },
  );

  test.each([
    ['an unknown command', ['qery']],
    ['an unknown option', ['query', 'sales', '--mesures', 'count']],
    ['a missing argument', ['query']],
    ['an argument too many', ['verify', 'now']],
    ['a missing subcommand', ['streams']],
    ['a value that is none', ['serve', '--port', 'eighty']],
    ['a format that is none', ['import', 'sales', 'a.csv', '--format', 'xml']],
    ['a file whose name tells no format', ['import', 'sales', 'a.dat']],
    ['a question as JSON and as CSV', ['query', 'sales', '--json', '--csv']],
  ])('ends with 2 for %s', async (_name, args) => {
    const { code, stderr, stdout } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
  });

  test('tells what was not understood as JSON too, and nothing else', async () => {
    const { code, stderr } = await run(['qery', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'usage',
        title: 'The command was not understood',
        detail: expect.stringContaining("unknown command 'qery'"),
      },
    });
  });

  test('ends with 1 for what cannot be done, with what to change', async () => {
    const data = await ledger(scratch());
    expect(await failure(['query', 'orders_of_nobody', '--data', data])).toEqual({
      exit: 1,
      code: 'unknown_stream',
      title: 'There is no such stream',
      detail: expect.stringMatching(/the streams are assignments, .*, sales, .*, usage/),
    });
    expect(await failure(['query', 'sales', '--measures', 'sum(customer)', '--data', data])).toMatchObject({
      exit: 1,
      code: 'bad_question',
    });
  });

  test('makes no directory by asking', async () => {
    const data = `${scratch()}/data`;
    expect(await failure(['query', 'sales', '--data', data])).toMatchObject({
      exit: 1,
      code: 'directory_unusable',
      detail: expect.stringContaining(`there is no ledger in ${data}`),
    });
  });
});

describe('variables', () => {
  test('stand for options; the command line wins', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const path = file(directory, 'a.csv', rows(3));
    const env = { TALLYBOOK_DATA: data, TALLYBOOK_JSON: '1' };
    expect(JSON.parse(await done(['import', 'sales', path], { env }))).toMatchObject({
      receipt: { accepted: 3 },
    });
    expect(JSON.parse(await done(['query', 'sales', '--where', 'id=r1'], { env }))).toMatchObject({
      rows: [{ count: 1 }],
    });
    const several = { ...env, TALLYBOOK_WHERE: 'customer=c1\nid=r1', TALLYBOOK_MEASURES: 'sum(amount)' };
    expect(JSON.parse(await done(['query', 'sales'], { env: several }))).toMatchObject({
      rows: [{ 'sum(amount)': '1.5' }],
    });
    expect(JSON.parse(await done(['query', 'sales', '--measures', 'count'], { env: several }))).toMatchObject(
      { rows: [{ count: 1 }] },
    );
  });

  test('that are switches take 1 and 0', async () => {
    const data = await ledger(scratch());
    const env = { TALLYBOOK_DATA: data };
    expect(await done(['query', 'sales'], { env: { ...env, TALLYBOOK_JSON: '0' } })).toMatch(/^count\n/);
    const { code, stderr } = await run(['query', 'sales'], { env: { ...env, TALLYBOOK_CSV: 'maybe' } });
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'error: TALLYBOOK_CSV is maybe; expected 1 or 0\n' });
  });

  test('that hold nonsense are named', async () => {
    const { code, stderr } = await run(['serve'], { env: { TALLYBOOK_PORT: 'eighty' }, cwd: scratch() });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'error: TALLYBOOK_PORT is eighty: expected a whole number from 0 to 65535.\n',
    });
  });
});
