/**
 * Settings: the options of all commands, and the one place that reads the environment.
 *
 * Every option can be given as a variable too: `--memory 2GB` is `TALLYBOOK_MEMORY=2GB`. What is given on the command
 * line wins. A switch takes 1, true, yes or on, and 0, false, no or off; an option that may be repeated takes one
 * value a line. `--help` names the variable of each option.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { usageError } from './outcome.ts';

type Environment = Record<string, string | undefined>;

export interface Shape {
  default?: string | number;
  choices?: readonly string[];
  /** From the text that was given; throws InvalidArgumentError with what was expected. */
  parse?: (text: string) => unknown;
  /** May be given more than once; the value is a list. */
  repeat?: boolean;
}

/** An option of a command: `setting('--port <number>', 'port to listen on', { parse: portNumber })`. */
export function setting(flags: string, description: string, shape: Shape = {}): Option {
  const option = new Option(flags, description);
  if (shape.choices) option.choices(shape.choices);
  if (shape.default !== undefined) option.default(shape.default);
  const { parse = (text: string): unknown => text, repeat } = shape;
  if (repeat)
    option.argParser((text: string, before: unknown[] | undefined) => [...(before ?? []), parse(text)]);
  else if (shape.parse) option.argParser((text: string) => parse(text));
  if (repeat) repeatable.add(option);
  return option;
}

const repeatable = new WeakSet<Option>();

/** The variable that stands for an option; undefined for those that have none. */
export function variableOf(option: Option): string | undefined {
  if (option.long === undefined || option.long === '--version' || option.long === '--help') return undefined;
  return `TALLYBOOK_${option.long.slice(2).replaceAll('-', '_').toUpperCase()}`;
}

/** Makes a command, and those below it, take what the environment says, and name the variables in `--help`. */
export function readEnvironment(program: Command, environment: Environment = process.env): void {
  program.configureHelp({
    optionDescription(option) {
      const variable = variableOf(option);
      const notes = [
        option.argChoices ? option.argChoices.join(', ') : undefined,
        typeof option.defaultValue === 'string' || typeof option.defaultValue === 'number'
          ? `default: ${option.defaultValue}`
          : undefined,
        variable,
      ].filter((text) => text !== undefined);
      return notes.length === 0 ? option.description : `${option.description} (${notes.join('; ')})`;
    },
  });
  program.hook('preAction', (_program, command) => {
    for (const option of command.options) takeFromEnvironment(command, option, environment);
  });
}

function takeFromEnvironment(command: Command, option: Option, environment: Environment): void {
  const variable = variableOf(option);
  const text = variable === undefined ? undefined : environment[variable];
  // Kubernetes gives every container TALLYBOOK_PORT=tcp://… when a service is called tallybook: that is not ours.
  if (variable === undefined || text === undefined || text === '' || text.startsWith('tcp://')) return;
  const name = option.attributeName();
  const source = command.getOptionValueSource(name);
  if (source !== undefined && source !== 'default') return;
  command.setOptionValueWithSource(name, valueFrom(option, variable, text), 'env');
}

function valueFrom(option: Option, variable: string, text: string): unknown {
  if (option.isBoolean()) return switchOf(variable, text) !== option.negate;
  try {
    if (!repeatable.has(option)) return option.parseArg ? option.parseArg(text, undefined) : text;
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.reduce<unknown>((before, line) => option.parseArg!(line, before), undefined);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw usageError(`${variable} is ${text}: ${error.message}`);
  }
}

function switchOf(variable: string, text: string): boolean {
  const word = text.trim().toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(word)) return true;
  if (['0', 'false', 'no', 'off'].includes(word)) return false;
  throw usageError(`${variable} is ${text}; expected 1 or 0`);
}

/** Whether errors are to be written for machines; asked before and outside of any command. */
export function wantsJson(argv: readonly string[], environment: Environment = process.env): boolean {
  if (argv.includes('--json')) return true;
  const text = environment.TALLYBOOK_JSON ?? '';
  return ['1', 'true', 'yes', 'on'].includes(text.trim().toLowerCase());
}

export type TracesProtocol = 'http/protobuf' | 'http/json';

/** How traces are sent, when OpenTelemetry's standard variables ask for them; undefined when they do not. */
export function tracesProtocol(environment: Environment = process.env): TracesProtocol | undefined {
  const given = (...names: string[]) => names.map((name) => environment[name]?.trim()).find((text) => text);
  if (given('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined;
  const endpoint = given('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = given('OTEL_TRACES_EXPORTER') ?? (endpoint ? 'otlp' : 'none');
  if (exporter === 'none') return undefined;
  if (exporter !== 'otlp') throw usageError(`OTEL_TRACES_EXPORTER is ${exporter}; expected otlp or none`);
  const protocol =
    given('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf';
  if (protocol === 'http/protobuf' || protocol === 'http/json') return protocol;
  throw usageError(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}; expected http/protobuf or http/json`);
}

// --- settings that several commands share -----------------------------------------------------------------

/** For commands that bring records. */
export function modeSetting(): Option {
  return setting(
    '--mode <mode>',
    'what a known id with other content is: a conflict (insert) or a correction (upsert)',
    { choices: ['insert', 'upsert'], default: 'insert' },
  );
}

export interface LedgerSettings {
  data: string;
  memory?: string;
  threads?: number;
  systems?: string[];
}

const dataDefault = './tallybook-data';

/** For commands that open a data directory themselves. */
export function ledgerSettings(data: string = dataDefault): Option[] {
  return [
    setting('--data <dir>', 'data directory', { default: data }),
    setting('--memory <size>', 'what the database may use, such as 2GB; beyond it, it spills to disk', {
      parse: memorySize,
    }),
    setting('--threads <number>', 'threads of the database; all cores when not given', {
      parse: wholeNumber(1, 1024),
    }),
    systemsSetting(),
  ];
}

export const systemsSetting = (): Option =>
  setting('--systems <names>', 'systems whose streams and addresses are there, or none; all when not given', {
    parse: (text) => listOf([text])!,
  });

/** For commands that open a ledger wherever it is kept. */
export function storeSetting(): Option {
  return setting(
    '--store <address>',
    'keep the ledger in a ClickHouse, such as clickhouse://user:password@host:8123/database; better given as the variable, where other users do not see it',
    { parse: storeAddress },
  );
}

/** For commands that name a place of a ledger. */
export function placeSetting(flags: string, description: string): Option {
  return setting(flags, description, {
    parse(text) {
      if (/^duckdb:./.test(text)) return text;
      if (text.startsWith('clickhouse')) return storeAddress(text);
      throw new InvalidArgumentError('expected duckdb:DIR or clickhouse://user:password@host:8123/database.');
    },
  });
}

export interface StoreSettings {
  store?: string;
}

export interface ConnectionSettings extends LedgerSettings, StoreSettings {
  url?: string;
  key?: string;
}

/** For commands that work on a ledger, wherever it is. */
export function connectionSettings(): Option[] {
  return [
    ...ledgerSettings(),
    storeSetting(),
    setting('--url <url>', 'work on a server elsewhere, such as https://tallybook.example.com', {
      parse: serverUrl,
    }),
    setting(
      '--key <key>',
      'key for that server; better given as the variable, where other users do not see it',
    ),
  ];
}

/** The options with which another command finds the same ledger, for a hint; empty where it needs none. */
export function whereText({ url, data }: ConnectionSettings): string {
  if (url !== undefined) return ` --url ${url}`;
  return data === dataDefault ? '' : ` --data ${/^[\w./-]+$/.test(data) ? data : JSON.stringify(data)}`;
}

export const jsonSetting = (): Option => setting('--json', 'for machines: JSON instead of text, errors too');
export const quietSetting = (): Option => setting('--quiet', 'no progress');

// --- what a value may be ----------------------------------------------------------------------------------

function storeAddress(text: string): string {
  if (!/^clickhouses?:\/\/[^/]+\/[A-Za-z_]/.test(text))
    throw new InvalidArgumentError('expected clickhouse://user:password@host:8123/database.');
  return text;
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
    if (value < min || value > max)
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

export const portNumber = wholeNumber(0, 65_535);

export function memorySize(text: string): string {
  if (!/^[0-9]+(\.[0-9]+)? ?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/i.test(text)) {
    throw new InvalidArgumentError('expected a size such as 512MB or 2GB.');
  }
  return text;
}

export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new InvalidArgumentError('expected an address such as http://127.0.0.1:8080.');
  }
  return url.href.replace(/\/+$/, '');
}

/** `a,b` or the option repeated: both give a list. */
export function listOf(given: readonly string[] | undefined): string[] | undefined {
  return given
    ?.flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
}
