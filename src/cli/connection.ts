/**
 * A connection to a ledger, wherever it is: commands send the requests of the public API over it, and cannot tell
 * whether a server answers or this very process (connect.ts decides, in-process.ts and over-http.ts are the two
 * ways). So a command works the same whether a server is running or not.
 */
import { type ErrorCode, errorRegister, TallybookError } from '../engine/errors.ts';
import type { ImportState } from '../engine/import-state.ts';
import type { FileFormat } from '../engine/store.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH';
export type Query = Record<string, string | number | readonly string[] | undefined>;

export interface RequestOptions {
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, as application/json: for documents of which every digit counts. */
  text?: string;
}

export interface Reply {
  status: number;
  text: string;
  /** The cursor of the next page, of the `Link` header. */
  next: string | undefined;
}

export interface FileToImport {
  stream: string;
  /** The form in which its records come; the stream's own when not given. */
  form?: string | undefined;
  path: string;
  /** As it is remembered. */
  name: string;
  format: FileFormat;
  mode: 'insert' | 'upsert';
  /** A copy of what came from standard input: deleted when the import has ended, or could not start. */
  deleteFile: boolean;
}

export interface Connection {
  /** For people: `./tallybook-data`, or the server's address. */
  readonly place: string;
  request(method: Method, path: string, options?: RequestOptions): Promise<Reply>;
  /**
   * Starts an import. Over HTTP the file is sent first, and `onSent` told how much of it has gone; in this process it
   * is read where it is. Aborting leaves nothing.
   */
  sendFile(file: FileToImport, onSent: (bytes: number) => void, signal: AbortSignal): Promise<ImportState>;
  /** Sends a file as the body of a request; `onSent` as above. */
  upload(
    method: Method,
    path: string,
    query: Query,
    file: { path: string; name: string },
    onSent: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<Reply>;
  /** How an import stands. */
  importState(id: number): Promise<ImportState>;
  /** Throws `unknown_stream`: before a file is sent in vain. */
  mustHaveStream(name: string): Promise<void>;
  close(): Promise<void>;
}

/** The path of a resource: `pathOf('v1', 'streams', name)`; every part is encoded. */
export function pathOf(...parts: (string | number)[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join('');
}

export function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (Array.isArray(value)) for (const one of value as readonly string[]) parameters.append(name, one);
    else if (value !== undefined) parameters.append(name, String(value));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** Of a file that is the body; its name may hold any letter, so it is encoded (RFC 6266). */
export function uploadHeaders(name: string): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name)}`,
  };
}

/** Sends a request and gives the answer's text. Throws the coded error that the answer tells. */
export async function ask(
  connection: Pick<Connection, 'request'>,
  method: Method,
  path: string,
  options?: RequestOptions,
): Promise<string> {
  return accepted(await connection.request(method, path, options)).text;
}

/** As `ask`, for answers in JSON. */
export async function askJson<T>(
  connection: Connection,
  method: Method,
  path: string,
  options?: RequestOptions,
): Promise<T> {
  return JSON.parse(await ask(connection, method, path, options)) as T;
}

/** Every page of a list, one after the other. */
export async function* pages(connection: Connection, path: string, query: Query): AsyncGenerator<Reply> {
  let cursor: string | undefined;
  do {
    const reply = accepted(await connection.request('GET', path, { query: { ...query, cursor } }));
    yield reply;
    cursor = reply.next;
  } while (cursor !== undefined);
}

/** The reply, if it tells no error. */
export function accepted(reply: Reply): Reply {
  if (reply.status < 400) return reply;
  throw problemError(reply);
}

/** The same error as the server had: code and words are taken from the problem it sent. */
function problemError({ status, text }: Reply): Error {
  let problem: { code?: string; detail?: string };
  try {
    problem = JSON.parse(text) as typeof problem;
  } catch {
    problem = {};
  }
  const detail = problem.detail ?? `the server answered with status ${status}: ${text.slice(0, 200)}`;
  const code = Object.hasOwn(errorRegister, problem.code ?? '') ? (problem.code as ErrorCode) : 'bad_request';
  return new TallybookError(code, detail);
}

export function nextOfLink(link: string | undefined): string | undefined {
  const address = /<([^>]*)>; *rel="next"/.exec(link ?? '')?.[1];
  return address === undefined
    ? undefined
    : (new URL(address, 'http://localhost').searchParams.get('cursor') ?? undefined);
}
