/** `tallybook keys`: sources (trusted clients) and their keys. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { writeKeyFile } from '../../engine/keys.ts';
import type { Scope } from '../../engine/sources.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  listOf,
  setting,
  wholeNumber,
} from '../config.ts';
import { connected } from '../connect.ts';
import { ask, askJson, pathOf } from '../connection.ts';
import { usageError } from '../outcome.ts';
import { table } from '../table.ts';
import { note, print, printJson } from '../terminal.ts';

interface KeysSettings extends ConnectionSettings {
  json?: boolean;
  save?: string;
}
interface CreateSettings extends KeysSettings {
  scope?: string[];
  stream?: string[];
  origin?: string[];
  rateLimit?: number;
}
interface ShownSource {
  name: string;
  scopes: Scope[];
  streams: string[] | null;
  origins: string[] | null;
  rate_limit: number | null;
  keys: { id: string; created_at: string }[];
}
interface NewKey {
  source: ShownSource;
  id: string;
  key: string;
}

const scopes: readonly Scope[] = ['ingest', 'read', 'admin'];
const sourcesPath = pathOf('v1', 'sources');

export function keysCommands(program: Command): void {
  const keys = program.command('keys').description('sources (trusted clients) and their keys');
  const commands = [
    keys
      .command('list')
      .description('all sources, with the ids of their keys')
      .addHelpText('after', '\nExample:\n  $ tallybook keys list')
      .action(listKeys),
    keys
      .command('create')
      .description('make a source, with one key')
      .argument('<name>', 'name of the source')
      .addHelpText(
        'after',
        `
Examples:
  $ tallybook keys create web-shop --scope ingest --stream events
  $ tallybook keys create reports --scope read --save /etc/reports/tallybook.key

The key is shown this once; only its hash is kept. Scopes: ingest brings records in, read asks and lists, admin does
everything.`,
      )
      .addOption(
        setting('--scope <scope>', `what it may do: ${scopes.join(', ')}; may be repeated`, { repeat: true }),
      )
      .addOption(setting('--stream <name>', 'only this stream; may be repeated', { repeat: true }))
      .addOption(
        setting(
          '--origin <origin>',
          'a web page that may use its keys, such as https://app.example.com; may be repeated',
          { repeat: true },
        ),
      )
      .addOption(
        setting('--rate-limit <number>', 'requests a minute', { parse: wholeNumber(1, 1_000_000_000) }),
      )
      .addOption(saveSetting())
      .action(createSource),
    keys
      .command('add')
      .description('give a source another key')
      .argument('<name>', 'name of the source')
      .addHelpText(
        'after',
        '\nExample, when the admin key was lost:\n  $ tallybook keys add admin --save ./tallybook-data/admin.key',
      )
      .addOption(saveSetting())
      .action(addKey),
    keys
      .command('revoke')
      .description('make a key open nothing any more, at once')
      .argument('<name>', 'name of the source')
      .argument('<id>', 'id of the key, as "keys list" shows it')
      .addHelpText('after', '\nExample:\n  $ tallybook keys revoke web-shop 1f2e3d4c')
      .action(revokeKey),
    keys
      .command('remove')
      .description('remove a source and its keys; its records stay')
      .argument('<name>', 'name of the source')
      .addHelpText('after', '\nExample:\n  $ tallybook keys remove web-shop')
      .action(removeSource),
  ];
  for (const command of commands)
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

const saveSetting = () =>
  setting('--save <file>', 'write the key to a file that only this user can read, instead of showing it');

async function listKeys(settings: KeysSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { sources } = await askJson<{ sources: ShownSource[] }>(connection, 'GET', sourcesPath);
    if (settings.json) return printJson({ sources });
    if (sources.length === 0)
      return note('There is no source yet; the first "tallybook serve" makes one that may do everything.');
    const rows = sources.map(({ name, scopes, streams, origins, rate_limit: rate, keys }) => [
      name,
      scopes.join(', '),
      streams?.join(', ') ?? 'all',
      origins?.join(', '),
      rate,
      keys.map(({ id, created_at }) => `${id} (${created_at.slice(0, 10)})`).join(', ') || null,
    ]);
    print(table(['source', 'scopes', 'streams', 'origins', 'requests/min', 'keys'], rows));
  });
}

async function createSource(name: string, settings: CreateSettings): Promise<void> {
  const wanted = listOf(settings.scope);
  if (!wanted?.length) throw usageError(`say what ${name} may do: --scope ${scopes.join('|')}`);
  const unknown = wanted.find((scope) => !(scopes as readonly string[]).includes(scope));
  if (unknown !== undefined) throw usageError(`--scope is ${unknown}; expected one of ${scopes.join(', ')}`);
  const body = {
    name,
    scopes: [...new Set(wanted)],
    ...(settings.stream && { streams: listOf(settings.stream) }),
    ...(settings.origin && { origins: listOf(settings.origin) }),
    ...(settings.rateLimit !== undefined && { rate_limit: settings.rateLimit }),
  };
  await connected(
    settings,
    async (connection) => giveKey(await askJson<NewKey>(connection, 'POST', sourcesPath, { body }), settings),
    { create: true, makeAdminKey: true },
  );
}

async function addKey(name: string, settings: KeysSettings): Promise<void> {
  await connected(settings, async (connection) =>
    giveKey(await askJson<NewKey>(connection, 'POST', `${sourcesPath}${pathOf(name, 'keys')}`), settings),
  );
}

async function giveKey({ source, id, key }: NewKey, { json, save }: KeysSettings): Promise<void> {
  if (save !== undefined) await writeKeyFile(resolve(save), key);
  if (json)
    return printJson({
      source: source.name,
      scopes: source.scopes,
      id,
      ...(save === undefined ? { key } : { file: save }),
    });
  if (save !== undefined) return print(`Key ${id} of ${source.name} was written to ${save}`);
  print(key);
  note(
    `Key ${id} of ${source.name} (${source.scopes.join(', ')}). It is shown this once; send it as "Authorization: Bearer KEY".`,
  );
}

async function revokeKey(name: string, id: string, settings: KeysSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const source = await askJson<ShownSource>(
      connection,
      'DELETE',
      `${sourcesPath}${pathOf(name, 'keys', id)}`,
    );
    if (settings.json) printJson({ source: source.name, revoked: id, keys: source.keys });
    else
      print(
        `Key ${id} of ${source.name} opens nothing any more; ${source.keys.length} of its keys are left.`,
      );
  });
}

async function removeSource(name: string, settings: KeysSettings): Promise<void> {
  await connected(settings, async (connection) => {
    await ask(connection, 'DELETE', `${sourcesPath}${pathOf(name)}`);
    if (settings.json) printJson({ removed: name });
    else print(`${name} and its keys are removed; its records stay.`);
  });
}
