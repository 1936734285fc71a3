/** `tallybook records`: one record with its whole history; correcting it, taking it back. */
import type { Command } from 'commander';
import type { VerdictName } from '../../engine/verdicts.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting } from '../config.ts';
import { connected } from '../connect.ts';
import {
  accepted,
  ask,
  type Connection,
  type Method,
  pathOf,
  type Query,
  type Reply,
} from '../connection.ts';
import { readText } from '../input.ts';
import { exitCodes } from '../outcome.ts';
import { list, type TableCell, table } from '../table.ts';
import { note, print, style, write } from '../terminal.ts';

interface RecordsSettings extends ConnectionSettings {
  json?: boolean;
  reason?: string;
}
type Values = Record<string, TableCell>;
interface ShownFate {
  id: string;
  standing: { record: Values } | null;
  history: {
    verdict: VerdictName;
    batch: number;
    recorded_at: string;
    source: string;
    import: number | null;
    reason: string | null;
    record: Values | null;
  }[];
}

export function recordsCommands(program: Command): void {
  const records = program
    .command('records')
    .description('one record: its history, a correction, a retraction');
  const get = records
    .command('get')
    .description('a record as it stands, and what became of its id each time it was sent')
    .argument('<stream>', 'the stream')
    .argument('<id>', 'id of the record')
    .addHelpText('after', '\nExample:\n  $ tallybook records get usage rec_42')
    .action(getRecord);
  const put = records
    .command('put')
    .description('correct a record, or create it')
    .argument('<stream>', 'the stream')
    .argument('<id>', 'id of the record')
    .argument('<json>', 'the whole record as JSON, or a file that holds it; - is standard input')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook records put usage rec_42 record.json --reason "wrong tariff"

A correction may move any field. Sums follow in the same commit; --known-at gives the figures before it.`,
    )
    .addOption(setting('--reason <text>', 'why; it is kept'))
    .action(putRecord);
  const retract = records
    .command('retract')
    .description('take a record back')
    .argument('<stream>', 'the stream')
    .argument('<id>', 'id of the record')
    .addHelpText('after', '\nExample:\n  $ tallybook records retract usage rec_42 --reason "sent by mistake"')
    .addOption(setting('--reason <text>', 'why; it is kept'))
    .action(retractRecord);
  for (const command of [get, put, retract])
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

async function getRecord(stream: string, id: string, settings: RecordsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const text = await ask(connection, 'GET', pathOf('v1', 'streams', stream, 'records', id));
    if (settings.json) return write(`${text}\n`);
    const { standing, history } = JSON.parse(text) as ShownFate;
    if (standing) print(list(Object.entries(standing.record).map(([name, value]) => [name, cellOf(value)])));
    else print(`${style('bold', id)} does not stand: it was taken back, or never taken in.`);
    print();
    let before: Values | null = null;
    const rows = history.map((line) => {
      const changes = changesOf(before, line.record);
      if (line.record) before = line.verdict === 'retracted' ? null : line.record;
      return [
        line.verdict,
        line.recorded_at.slice(0, 19),
        line.batch,
        line.source,
        line.import,
        line.reason,
        changes,
      ];
    });
    print(table(['verdict', 'recorded at', 'batch', 'source', 'import', 'reason', 'changes'], rows));
  });
}

function cellOf(value: TableCell): TableCell {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

/** What a correction changed: `price 3.14 -> 5.00`. */
function changesOf(before: Values | null, after: Values | null): string | null {
  if (!before || !after) return null;
  const changed = Object.keys(after).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return (
    changed
      .map((name) => `${name} ${JSON.stringify(before[name])} -> ${JSON.stringify(after[name])}`)
      .join(', ') || null
  );
}

async function putRecord(
  stream: string,
  id: string,
  given: string,
  settings: RecordsSettings,
): Promise<void> {
  const text = given.trimStart().startsWith('{') ? given : await readText(given);
  await connected(settings, (connection) => writeOne(connection, 'PUT', stream, id, { text }, settings));
}

async function retractRecord(stream: string, id: string, settings: RecordsSettings): Promise<void> {
  await connected(settings, (connection) => writeOne(connection, 'DELETE', stream, id, {}, settings));
}

async function writeOne(
  connection: Connection,
  method: Method,
  stream: string,
  id: string,
  body: { text?: string },
  { json, reason }: RecordsSettings,
): Promise<void> {
  const query: Query = { reason };
  const reply = await connection.request(method, pathOf('v1', 'streams', stream, 'records', id), {
    query,
    ...body,
  });
  const verdict = refusalOf(reply) ?? accepted(reply);
  if (json) return write(`${verdict.text}\n`);
  const answer = JSON.parse(verdict.text) as {
    verdicts: { verdict: VerdictName; message?: string }[];
    batch: number;
    recorded_at: string;
    log?: string;
    sequence?: string;
  };
  const { verdicts, batch, recorded_at, log, sequence } = answer;
  if (log !== undefined) return print(`${id}: accepted by the log ${log} as message ${sequence}`);
  const [{ verdict: name, message }] = verdicts as [{ verdict: VerdictName; message?: string }];
  print(`${id}: ${name} in batch ${batch} (${recorded_at})`);
  if (message) note(message);
}

/** A record that was refused has a receipt too. */
function refusalOf(reply: Reply): Reply | undefined {
  if (reply.status !== 409 && reply.status !== 422) return undefined;
  if (!Array.isArray((JSON.parse(reply.text) as { verdicts?: unknown }).verdicts)) return undefined;
  process.exitCode = exitCodes.partly;
  return reply;
}
