/** `tallybook streams`: what is declared, and declaring it. */
import type { Command } from 'commander';
import type { StreamDeclaration } from '../../engine/declaration.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting } from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, askJson, pathOf } from '../connection.ts';
import { readStreamFile } from '../stream-files.ts';
import { list, table } from '../table.ts';
import { note, print, printJson, write } from '../terminal.ts';

interface StreamsSettings extends ConnectionSettings {
  json?: boolean;
}
interface ShownStream {
  name: string;
  declaration: StreamDeclaration;
}

export function streamsCommands(program: Command): void {
  const streams = program.command('streams').description('list, show and declare streams');
  const listing = streams
    .command('list')
    .description('the streams that are declared')
    .addHelpText('after', '\nExample:\n  $ tallybook streams list')
    .action(listStreams);
  const show = streams
    .command('show')
    .description('the declaration of a stream')
    .argument('<name>', 'the stream')
    .addHelpText('after', '\nExample:\n  $ tallybook streams show usage --json > usage.json')
    .action(showStream);
  const put = streams
    .command('put')
    .description('declare a stream, or change it')
    .argument('<file>', 'one declaration, or several as {"name": {…}}; - is standard input')
    .argument('[name]', 'name of the stream; the name of the file when not given')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook streams put usage.json
  $ tallybook streams put declaration.json usage

A declaration:
  {"id": "id", "time": "at",
   "fields": {"id": {"type": "text", "required": true}, "at": {"type": "timestamp", "required": true},
              "customer": {"type": "text"}, "amount": {"type": "decimal", "precision": 18, "scale": 2}},
   "rollups": {"daily": {"every": "day", "by": ["customer"], "sum": ["amount"]}}}

A stream may get new nullable fields and new rollups while it runs; a new rollup counts what came before it.`,
    )
    .addOption(setting('--name <name>', 'the same as the second argument'))
    .action(putStreams);
  for (const command of [listing, show, put]) {
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
  }
}

async function listStreams(settings: StreamsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { streams } = await askJson<{ streams: ShownStream[] }>(connection, 'GET', '/v1/streams');
    if (settings.json)
      return printJson({ streams: streams.map(({ name, declaration }) => ({ name, declaration })) });
    if (streams.length === 0)
      return note('No stream is declared yet; "tallybook streams put FILE" declares one.');
    const rows = streams.map(({ name, declaration: { id, time, fields, rollups, retention } }) => [
      name,
      id,
      time,
      Object.keys(fields).length,
      Object.keys(rollups ?? {}).join(', ') || null,
      retention?.records,
    ]);
    print(table(['stream', 'id', 'time', 'fields', 'rollups', 'keeps'], rows));
  });
}

async function showStream(name: string, settings: StreamsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { declaration } = await askJson<ShownStream>(connection, 'GET', pathOf('v1', 'streams', name));
    if (settings.json) return write(`${JSON.stringify(declaration, undefined, 2)}\n`);
    const { id, time, fields, rollups, retention, future_tolerance: tolerance } = declaration;
    print(
      list([
        ['stream', name],
        ['id', id],
        ['time', time],
        ['keeps records', retention?.records ?? 'for ever'],
        ['ahead of the clock', tolerance ?? 'any time'],
      ]),
    );
    print();
    print(
      table(
        ['field', 'type', 'more'],
        Object.entries(fields).map(([field, { type, ...rest }]) => [field, type, moreOf(rest)]),
      ),
    );
    if (!rollups) return;
    print();
    const rows = Object.entries(rollups).map(([rollup, { every, tz, by, sum }]) => [
      rollup,
      every,
      tz,
      by?.join(', '),
      sum?.join(', '),
    ]);
    print(table(['rollup', 'every', 'time zone', 'by', 'sums'], rows));
  });
}

function moreOf(rest: object): string | null {
  const parts = Object.entries(rest).map(([name, value]) =>
    value === true ? name : `${name} ${JSON.stringify(value)}`,
  );
  return parts.join(', ') || null;
}

async function putStreams(
  file: string,
  argument: string | undefined,
  settings: StreamsSettings & { name?: string },
): Promise<void> {
  const declarations = await readStreamFile(file, argument ?? settings.name);
  await connected(
    settings,
    async (connection) => {
      for (const { name, text } of declarations) {
        const reply = accepted(await connection.request('PUT', pathOf('v1', 'streams', name), { text }));
        const created = reply.status === 201;
        if (settings.json) printJson({ stream: name, created });
        else print(`${name}: ${created ? 'declared' : 'declared as it is in the file'}`);
      }
    },
    { create: true },
  );
}
