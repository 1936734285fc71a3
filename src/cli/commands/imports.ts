/** `tallybook imports`: the files that were taken in, and undoing one. */
import type { Command } from 'commander';
import type { ImportState } from '../../engine/import-state.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { ask, askJson, pathOf } from '../connection.ts';
import { wholeFigure } from '../figures.ts';
import { list, table } from '../table.ts';
import { note, print, printJson, write } from '../terminal.ts';

interface ImportsSettings extends ConnectionSettings {
  json?: boolean;
  limit?: number;
}

export function importsCommands(program: Command): void {
  const imports = program.command('imports').description('files that were taken in: list, show, undo');
  const listing = imports
    .command('list')
    .description('newest first')
    .addHelpText('after', '\nExample:\n  $ tallybook imports list --limit 5')
    .addOption(setting('--limit <rows>', 'rows at most', { default: 20, parse: wholeNumber(1, 1_000) }))
    .action(listImports);
  const show = imports
    .command('show')
    .description('one, with what became of its records')
    .argument('<id>', 'its number', wholeNumber(1, 999_999_999_999))
    .addHelpText('after', '\nExample:\n  $ tallybook imports show 12')
    .action(showImport);
  const undo = imports
    .command('undo')
    .description('take back every record that an import brought, in one commit')
    .argument('<id>', 'its number', wholeNumber(1, 999_999_999_999))
    .addHelpText(
      'after',
      '\nExample:\n  $ tallybook imports undo 12\n\nOne that is still in progress is stopped and leaves nothing. What others corrected since stays.',
    )
    .action(undoImport);
  for (const command of [listing, show, undo])
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

async function listImports(settings: ImportsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const text = await ask(connection, 'GET', '/v1/imports', { query: { page_size: settings.limit } });
    if (settings.json) return write(`${text}\n`);
    const { imports } = JSON.parse(text) as { imports: ImportState[] };
    if (imports.length === 0) return note('No file has been imported yet.');
    const rows = imports.map(({ id, created_at, stream, name, status, counts }) => [
      id,
      created_at.slice(0, 19),
      stream,
      name,
      status,
      ...[
        counts?.received,
        counts?.accepted,
        counts?.duplicates,
        counts && counts.rejected + counts.conflicts,
      ].map((count) => (count === undefined || count === null ? null : wholeFigure(count))),
    ]);
    print(
      table(
        ['import', 'started', 'stream', 'file', 'status', 'received', 'accepted', 'duplicates', 'refused'],
        rows,
      ),
    );
  });
}

async function showImport(id: number, settings: ImportsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const state = await askJson<ImportState>(connection, 'GET', pathOf('v1', 'imports', id));
    if (settings.json) return printJson(state);
    const { counts, progress: _, ...rest } = state;
    print(list([...Object.entries(rest), ...Object.entries(counts ?? {})]));
  });
}

async function undoImport(id: number, settings: ImportsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const state = await askJson<ImportState>(connection, 'DELETE', pathOf('v1', 'imports', id));
    if (settings.json) return printJson(state);
    if (state.status === 'undone')
      print(`Import ${id} is undone: ${wholeFigure(state.counts?.retracted ?? 0)} records were taken back.`);
    else print(`Import ${id}: ${state.error ?? state.status}`);
  });
}
