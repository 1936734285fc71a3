/** `tallybook serve`: the HTTP server over a data directory. */
import type { Command } from 'commander';
import type { StreamDeclaration } from '../../engine/declaration.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { openLogInFront, openTallybook } from '../compose.ts';
import {
  jsonSetting,
  type LedgerSettings,
  ledgerSettings,
  listOf,
  portNumber,
  type StoreSettings,
  setting,
  storeSetting,
  tracesProtocol,
} from '../config.ts';
import { type LogFormat, serverLog } from '../log.ts';
import { usageError } from '../outcome.ts';
import { checkNoAuth, startServing } from '../serving.ts';
import { readStreamFile } from '../stream-files.ts';
import { print, printJson, style } from '../terminal.ts';

interface ServeSettings extends LedgerSettings, StoreSettings {
  host: string;
  port: number;
  auth: boolean;
  streams?: string;
  usage?: string;
  allowWebhookHost?: string[];
  log?: string;
  logFormat?: LogFormat;
  json?: boolean;
}

export function serveCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('serve a ledger over HTTP')
    .addHelpText(
      'after',
      `
Examples:
  $ tallybook serve                                    ./tallybook-data on http://127.0.0.1:8080
  $ tallybook serve --data /var/lib/tallybook --host 0.0.0.0 --streams streams.json
  $ tallybook serve --store clickhouse://tallybook@db.internal:8123/tallybook
  $ tallybook serve --no-auth                          no keys, on a loopback address only
  $ tallybook serve --log nats://n1,n2,n3/tallybook    what comes in is safe in a log of NATS first

The first start writes a key that may do everything into DIR/admin.key. While it runs, all other commands with the
same --data go through it. It stops cleanly on SIGTERM and Ctrl-C; a second one does not wait for open requests.
Traces go to an OpenTelemetry collector when OTEL_EXPORTER_OTLP_ENDPOINT says where one is.`,
    );
  for (const option of [...ledgerSettings(), storeSetting()]) command.addOption(option);
  command
    .addOption(setting('--host <address>', 'address to listen on', { default: '127.0.0.1' }))
    .addOption(
      setting('--port <number>', 'port to listen on; 0 takes any that is free', {
        default: 8080,
        parse: portNumber,
      }),
    )
    .addOption(setting('--no-auth', 'ask for no key; on a loopback address only'))
    .addOption(setting('--streams <file>', 'declare the streams of a file first'))
    .addOption(
      setting(
        '--usage <url>',
        'answer for usage from a PostgreSQL in which its rollup is kept (tallybook postgres install)',
      ),
    )
    .addOption(
      setting(
        '--allow-webhook-host <name>',
        'a host whose address is not public, to which webhooks may be posted; may be repeated',
        { repeat: true },
      ),
    )
    .addOption(setting('--log <url>', 'put a log of NATS JetStream in front: nats://HOST,HOST,HOST/NAME'))
    .addOption(
      setting('--log-format <format>', 'what happens, on stderr: as text in a terminal, else as json', {
        choices: ['json', 'text'],
      }),
    )
    .addOption(jsonSetting())
    .action(serve);
}

async function serve({
  data,
  store,
  host,
  port,
  auth,
  streams,
  usage,
  allowWebhookHost,
  memory,
  threads,
  systems,
  log,
  logFormat,
  json,
}: ServeSettings): Promise<void> {
  checkNoAuth(host, auth);
  const protocol = tracesProtocol();
  const declared = streams === undefined ? [] : await readStreamFile(streams);
  const elsewhere = usage === undefined ? undefined : await usageElsewhere(usage, systems);
  const tallybook = await openTallybook({
    directory: data,
    storeAddress: store,
    memoryLimit: memory,
    threads,
    systems,
    usage: elsewhere?.ask,
    log: await serverLog(logFormat),
    webhooks: { allowedHosts: listOf(allowWebhookHost) ?? [] },
  });
  try {
    await declare(tallybook, declared);
    if (log !== undefined) await openLogInFront(tallybook, log, store !== undefined);
  } catch (error) {
    await tallybook.close();
    throw error;
  }
  const { url, newKeyFile, untilStopped } = await startServing({
    tallybook,
    directory: data,
    host,
    port,
    auth,
    usage: elsewhere?.ask,
    tracing: protocol && (await (await import('../tracing.ts')).startTracing(tallybook, protocol)),
  });
  if (json)
    printJson({ url, docs: `${url}/docs`, data, pid: process.pid, auth, admin_key_file: newKeyFile ?? null });
  else {
    print(`Tallybook serves ${style('bold', placeOf(store) ?? data)} at ${style('cyan', url)}`);
    if (newKeyFile) print(`A key that may do everything was written to ${style('bold', newKeyFile)}`);
    if (elsewhere)
      print(`Usage is asked of ${style('bold', elsewhere.relations.join(', '))} in ${elsewhere.place}`);
    if (!auth) print(style('yellow', 'No key is asked for: everybody on this machine may do everything'));
    print(`Open it in a browser:        ${style('cyan', `${url}/`)}`);
    print(`The API, to read and to try: ${style('cyan', `${url}/docs`)}`);
  }
  await untilStopped();
  await elsewhere?.close();
}

/** The host and database of a store, without its password. */
function placeOf(store: string | undefined): string | undefined {
  if (store === undefined) return undefined;
  const { host, pathname } = new URL(store.replace(/^clickhouse/, 'http'));
  return `clickhouse://${host}${pathname}`;
}

/** Loaded when it is asked for, as the driver is. */
async function usageElsewhere(url: string, systems: readonly string[] | undefined) {
  if (systems && !systems.includes('usage'))
    throw usageError('--usage is for the system usage, which --systems leaves out');
  return (await import('../usage-over-postgres.ts')).usageOverPostgres(url);
}

async function declare(tallybook: Tallybook, declared: { name: string; text: string }[]): Promise<void> {
  for (const { name, text } of declared) {
    const { changed } = await tallybook.streams.put(name, JSON.parse(text) as StreamDeclaration);
    if (changed) tallybook.log.info({ stream: name }, 'declared');
  }
}
