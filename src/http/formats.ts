/**
 * Tables as JSON, NDJSON, CSV or Parquet: answers and records.
 *
 * A column's form depends on its type, never on a value (SPEC 1.4): decimals and 64-bit integers are strings, counts
 * numbers, booleans booleans; json goes out as it was written, every digit of it. In CSV a null is an empty
 * cell and an empty text is `""`; the data is exact, so a text that starts with `=` is not altered: whoever
 * opens the file in a spreadsheet imports such columns as text.
 */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Answer, Column } from '../engine/store.ts';
import { UnacceptableFormat } from './problems.ts';
import type { Cell, Table } from './table.ts';

declare module 'fastify' {
  interface FastifyInstance {
    writeParquet(table: Table): Promise<Buffer>;
  }
}

export const outputFormats = ['json', 'ndjson', 'csv', 'parquet'] as const;
export type OutputFormat = (typeof outputFormats)[number];

const mediaTypes: Record<OutputFormat, string> = {
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  parquet: 'application/vnd.apache.parquet',
};
const formatOfMediaType: Record<string, OutputFormat> = {
  '*/*': 'json',
  'application/*': 'json',
  'application/json': 'json',
  'application/problem+json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/*': 'csv',
  'text/csv': 'csv',
  'application/vnd.apache.parquet': 'parquet',
};

/** By `format=`, else by what the client likes best. Throws 406 when nothing fits. */
export function outputFormat(request: FastifyRequest): OutputFormat {
  const { format } = request.query as { format?: string };
  if (format !== undefined) {
    const wanted = outputFormats.find((known) => known === format);
    if (wanted) return wanted;
    throw new UnacceptableFormat(
      `format is ${format.slice(0, 60)}; expected one of ${outputFormats.join(', ')}`,
    );
  }
  const { accept } = request.headers;
  if (accept === undefined || accept === '*/*') return 'json';
  const liked = accept
    .split(',')
    .map((part) => {
      const [type = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
      const quality = parameters.find((parameter) => parameter.startsWith('q='));
      return {
        format: formatOfMediaType[type],
        quality: quality === undefined ? 1 : Number(quality.slice(2)),
      };
    })
    .filter((choice) => choice.format !== undefined && choice.quality > 0)
    .sort((a, b) => b.quality - a.quality);
  if (liked[0]?.format) return liked[0].format;
  throw new UnacceptableFormat(
    `accept is ${accept.slice(0, 200)}; answers are written as ${Object.values(mediaTypes)
      .map((type) => type.split(';')[0])
      .join(', ')}`,
  );
}

/** Sends a table. In JSON it is the member `name` of an object, `rest` being its other members, without braces. */
export async function sendTable(
  reply: FastifyReply,
  format: OutputFormat,
  table: Table,
  name: string,
  rest: string,
): Promise<FastifyReply> {
  const vary = [reply.getHeader('vary') ?? [], 'accept'].flat().join(', ');
  reply.header('content-type', mediaTypes[format]).header('vary', vary);
  if (format === 'parquet') return reply.send(await reply.server.writeParquet(table));
  const lines = format === 'csv' ? csvLines(table) : jsonRows(table);
  switch (format) {
    case 'json':
      return reply.send(written(jsonDocument(lines, name, rest), table.rows.length));
    case 'ndjson':
      return reply.send(written(withLineEnds(lines, '\n'), table.rows.length));
    case 'csv':
      return reply.send(written(withLineEnds(lines, '\r\n'), table.rows.length));
  }
}

/** Tells in headers where figures come from, and up to when they are complete. */
export function tellOrigin(reply: FastifyReply, { from, as_of }: Pick<Answer, 'from' | 'as_of'>): void {
  reply.header('x-tallybook-from', from).header('x-tallybook-as-of', `${as_of.batch}; ${as_of.recorded_at}`);
}

const rowsAtOnce = 1_000;

/** A small table goes out in one piece, a large one as it is written. */
function written(parts: Iterable<string>, rows: number): string | Readable {
  if (rows <= rowsAtOnce) return [...parts].join('');
  return Readable.from(inLumps(parts), { objectMode: false });
}

function* inLumps(parts: Iterable<string>): Generator<string> {
  let lump = '';
  for (const part of parts) {
    lump += part;
    if (lump.length < 65_536) continue;
    yield lump;
    lump = '';
  }
  if (lump !== '') yield lump;
}

function* withLineEnds(lines: Iterable<string>, end: string): Generator<string> {
  for (const line of lines) yield line + end;
}

function* jsonDocument(rows: Iterable<string>, name: string, rest: string): Generator<string> {
  let before = `{${JSON.stringify(name)}:[`;
  for (const row of rows) {
    yield before + row;
    before = ',';
  }
  yield before === ',' ? '' : before;
  yield rest === '' ? ']}' : `],${rest}}`;
}

export function* jsonRows({ columns, rows }: Table): Generator<string> {
  const writer = rowWriter(columns);
  for (const row of rows) yield writer(row);
}

/** Writes rows as JSON objects. */
export function rowWriter(columns: Column[]): (row: readonly Cell[]) => string {
  const names = columns.map(({ name }) => `${JSON.stringify(name)}:`);
  return (row) => {
    let text = '{';
    for (let i = 0; i < columns.length; i++) {
      text += (i > 0 ? ',' : '') + names[i]! + cellJson(columns[i]!.type, row[i] ?? null);
    }
    return `${text}}`;
  };
}

function cellJson(type: Column['type'], cell: Cell): string {
  if (cell === null) return 'null';
  switch (type) {
    case 'count':
    case 'boolean':
    case 'json':
      return String(cell);
    case 'text':
      return JSON.stringify(cell);
    default:
      return `"${cell}"`; // numbers, times and uuids: nothing in them needs an escape
  }
}

function* csvLines({ columns, rows }: Table): Generator<string> {
  yield columns.map(({ name }) => csvCell(name)).join(',');
  for (const row of rows) yield columns.map((_, index) => csvCell(row[index] ?? null)).join(',');
}

function csvCell(cell: Cell): string {
  if (cell === null) return '';
  const text = String(cell);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
