/** `tallybook rejects`: what was refused, with the reason; fixed and sent again, or discarded. */
import type { Command } from 'commander';
import type { Reject, RejectGroup, Replay } from '../../engine/rejects.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, askJson, pathOf } from '../connection.ts';
import { wholeFigure } from '../figures.ts';
import { exitCodes, usageError } from '../outcome.ts';
import { list, table } from '../table.ts';
import { note, print, printJson, write } from '../terminal.ts';

interface Filter {
  stream?: string;
  source?: string;
  code?: string;
  field?: string;
  import?: number;
  from?: string;
  to?: string;
}
interface RejectsSettings extends ConnectionSettings, Filter {
  json?: boolean;
  limit?: number;
  groupBy?: string;
  all?: boolean;
  patch?: string;
  mode?: 'insert' | 'upsert';
  reason?: string;
}

const filterSettings = () => [
  setting('--stream <name>', 'of this stream'),
  setting('--source <name>', 'sent by this source'),
  setting('--code <code>', 'refused with this code'),
  setting('--field <name>', 'refused for this field'),
  setting('--import <id>', 'brought by this import', { parse: wholeNumber(1, 999_999_999_999) }),
  setting('--from <time>', 'refused at this time or later'),
  setting('--to <time>', 'refused before this time'),
];

export function rejectsCommands(program: Command): void {
  const rejects = program
    .command('rejects')
    .description('records that were refused: look, fix and send again, discard');
  const listing = rejects
    .command('list')
    .description('those that are open, newest first')
    .addHelpText(
      'after',
      '\nExamples:\n  $ tallybook rejects list --stream usage --limit 50\n  $ tallybook rejects list --group-by code,field',
    )
    .addOption(setting('--group-by <names>', 'count them by code, field, source, stream'))
    .addOption(setting('--limit <rows>', 'rows at most', { default: 20, parse: wholeNumber(1, 1_000) }))
    .action(listRejects);
  const show = rejects
    .command('show')
    .description('one, with what was sent')
    .argument('<id>', 'its id, as "rejects list" shows it')
    .addHelpText('after', '\nExample:\n  $ tallybook rejects show r17')
    .action(showReject);
  const replay = rejects
    .command('replay')
    .description('send them again; what passes counts once and leaves the list')
    .argument('[id...]', 'ids; else a filter, or --all')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook rejects replay r17 --patch '{"price": "12.34"}'
  $ tallybook rejects replay --stream usage --code conflict --mode upsert`,
    )
    .addOption(setting('--patch <json>', 'change each of them first, by a JSON merge patch'))
    .addOption(setting('--mode <mode>', 'else as it was sent first', { choices: ['insert', 'upsert'] }))
    .action(replayRejects);
  const discard = rejects
    .command('discard')
    .description('take them off the list; the reason is kept')
    .argument('[id...]', 'ids; else a filter, or --all')
    .addHelpText('after', '\nExample:\n  $ tallybook rejects discard --import 12 --reason "a test file"')
    .addOption(setting('--reason <text>', 'why; it is kept'))
    .action(discardRejects);
  for (const command of [replay, discard]) command.addOption(setting('--all', 'all that are open'));
  for (const command of [listing, replay, discard])
    for (const option of filterSettings()) command.addOption(option);
  for (const command of [listing, show, replay, discard])
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

function filterOf({ stream, source, code, field, import: id, from, to }: Filter): Filter {
  const filter = { stream, source, code, field, import: id, from, to };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

async function listRejects(settings: RejectsSettings): Promise<void> {
  const query = {
    ...filterOf(settings),
    ...(settings.groupBy === undefined ? { page_size: settings.limit } : { group_by: settings.groupBy }),
  };
  await connected(settings, async (connection) => {
    const reply = accepted(await connection.request('GET', '/v1/rejects', { query }));
    if (settings.json) return write(`${reply.text}\n`);
    const { rejects = [], groups } = JSON.parse(reply.text) as { rejects?: Reject[]; groups?: RejectGroup[] };
    if ((groups ?? rejects).length === 0) return note('There are none.');
    if (groups) return printGroups(groups);
    const rows = rejects.map(({ id, at, stream, import: number, code, field, message, original }) => [
      id,
      at.slice(0, 19),
      stream,
      number,
      code,
      field,
      message,
      original,
    ]);
    print(table(['id', 'refused at', 'stream', 'import', 'code', 'field', 'message', 'what came'], rows));
    if (reply.next) note('There are more; --limit shows more, --group-by code,field counts them.');
  });
}

function printGroups(groups: RejectGroup[]): void {
  const names = Object.keys(groups[0]!.key) as (keyof RejectGroup['key'])[];
  const rows = groups.map(({ key, count, first_seen, last_seen, sample }) => [
    ...names.map((name) => key[name]),
    count,
    first_seen.slice(0, 19),
    last_seen.slice(0, 19),
    sample?.message,
  ]);
  print(table([...names, 'count', 'first', 'last', 'such as'], rows));
}

async function showReject(id: string, settings: RejectsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const reject = await askJson<Reject & { left: { at: string; reason: string | null } | null }>(
      connection,
      'GET',
      pathOf('v1', 'rejects', id),
    );
    if (settings.json) return printJson(reject);
    const {
      at,
      stream,
      source,
      import: number,
      mode,
      code,
      field,
      message,
      record_id: record,
      index,
      left,
    } = reject;
    print(
      list([
        ['reject', id],
        ['refused at', at],
        ['stream', stream],
        ['source', source],
        ['import', number],
        ['mode', mode],
        ['record', record],
        ['position', index + 1],
        ['code', code],
        ['field', field],
        ['message', message],
        ['left the list', left ? `${left.at}: ${left.reason ?? ''}` : null],
      ]),
    );
    print();
    print(reject.original);
  });
}

/** Ids, or a filter; everything only when it is said. */
function choiceOf(ids: string[], settings: RejectsSettings): { ids: string[] } | { filter: Filter } {
  const filter = filterOf(settings);
  const filtered = Object.keys(filter).length > 0;
  if (ids.length > 0 && (filtered || settings.all))
    throw usageError('give ids, or a filter, or --all; not two of them');
  if (ids.length > 0) return { ids };
  if (filtered || settings.all) return { filter };
  throw usageError('say which: ids, a filter such as --stream usage, or --all');
}

async function replayRejects(ids: string[], settings: RejectsSettings): Promise<void> {
  const choice = choiceOf(ids, settings);
  const members = Object.entries({ ...choice, mode: settings.mode })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  // The patch goes as it was written: every digit of it counts.
  if (settings.patch !== undefined) members.push(`"patch":${settings.patch}`);
  await connected(settings, async (connection) => {
    const replay = await askJson<Replay>(connection, 'POST', '/v1/rejects/replay', {
      text: `{${members.join(',')}}`,
    });
    if (replay.rejected + replay.conflicts > 0) process.exitCode = exitCodes.partly;
    if (settings.json) return printJson(replay);
    const names = ['received', 'accepted', 'duplicates', 'corrected', 'conflicts', 'rejected'] as const;
    print(table(names, [names.map((name) => wholeFigure(replay[name]))]));
    for (const { reject, code, message } of replay.verdicts
      .filter(({ code }) => code !== undefined)
      .slice(0, 10))
      note(`${reject}: ${message ?? code}`);
    if (replay.not_open.length > 0)
      note(`Not in the list any more: ${replay.not_open.slice(0, 10).join(', ')}`);
    if (replay.more) note('There are more; replay again.');
  });
}

async function discardRejects(ids: string[], settings: RejectsSettings): Promise<void> {
  const choice = choiceOf(ids, settings);
  if (!settings.reason) throw usageError('say why: --reason "…"; it is kept');
  await connected(settings, async (connection) => {
    const done = await askJson<{ discarded: number; not_open: string[] }>(
      connection,
      'DELETE',
      '/v1/rejects',
      { body: { ...choice, reason: settings.reason } },
    );
    if (settings.json) return printJson(done);
    print(`${wholeFigure(done.discarded)} rejects were discarded.`);
    if (done.not_open.length > 0) note(`Not in the list any more: ${done.not_open.slice(0, 10).join(', ')}`);
  });
}
