/**
 * The public API, and nothing else. Numbers that a double cannot hold stay as they were written (lossless-json); a
 * refusal is a `Problem` with its words; no answer at all is `Lost`.
 */
import { QueryClient, type UseQueryResult, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { isSafeNumber, LosslessNumber, parse } from 'lossless-json';
import { connection } from './connection.ts';
import { currentKey, keyRefused } from './key.ts';

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  constructor(status: number, { code, title, detail }: { code?: string; title?: string; detail?: string }) {
    super(detail ?? title ?? `the server answered ${status}`);
    this.status = status;
    this.code = code ?? '';
    this.title = title ?? `Status ${status}`;
  }
}

/** The server was not reached. */
export class Lost extends Error {}

export type Parameters = Record<string, string | number | boolean | readonly string[] | null | undefined>;

interface Asked {
  query?: Parameters;
  /** JSON, or text that is JSON already. */
  body?: object | string;
  /** A file, sent as it is. */
  file?: Blob;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export function address(path: string, query: Parameters = {}): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue;
    for (const one of Array.isArray(value) ? (value as string[]) : [value]) given.append(name, String(one));
  }
  return given.size === 0 ? path : `${path}?${given}`;
}

export const segment = (text: string | number): string => encodeURIComponent(text);

/** Answers with any status below 400; throws `Problem` or `Lost`. */
export async function send(
  method: string,
  path: string,
  { query, body, file, headers, signal }: Asked = {},
): Promise<Response> {
  const key = currentKey();
  const init: RequestInit = {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(file === undefined ? {} : { body: file }),
    ...(signal === undefined ? {} : { signal }),
  };
  let response: Response;
  try {
    response = await fetch(address(path, query), init);
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.lost();
    throw new Lost('The server does not answer.', { cause: error });
  }
  connection.found();
  if (response.ok) return response;
  const problem = await response.json().then(
    (json) => json as object,
    () => ({}),
  );
  if (response.status === 401) keyRefused(key);
  throw new Problem(response.status, problem);
}

const parseNumber = (text: string): number | LosslessNumber =>
  isSafeNumber(text, { approx: false }) ? Number(text) : new LosslessNumber(text);

/** JSON with every digit of its numbers. */
export const parseExact = (text: string): unknown => parse(text, undefined, parseNumber);

export async function ask<T>(method: string, path: string, asked?: Asked): Promise<T> {
  const response = await send(method, path, asked);
  const text = await response.text();
  return (text === '' ? undefined : parseExact(text)) as T;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays one; what is only busy or lost may pass.
      retry: (times, error) => error instanceof Problem && error.status >= 500 && times < 2,
    },
  },
});

interface Options {
  enabled?: boolean;
  /** Milliseconds between two; none when not given. */
  every?: number | false;
  /** What was shown before stays until the answer is there. */
  keep?: boolean;
}

/** What an address answers, kept, shared, and asked again when something was written. */
export function useAnswer<T>(
  path: string,
  query: Parameters = {},
  { enabled = true, every = false, keep = true }: Options = {},
): UseQueryResult<T> {
  return useQuery<T>({
    queryKey: [path, query],
    queryFn: ({ signal }) => ask<T>('GET', path, { query, signal }),
    enabled,
    refetchInterval: every,
    ...(keep ? { placeholderData: (before) => before as never } : {}),
  });
}

/** A list in pages. Where the body is a plain array, the next page is in the `Link` header. */
export function usePages<T>(
  path: string,
  query: Parameters,
  rowsOf: (body: never) => T[],
  { enabled = true, every = false }: Options = {},
) {
  const pages = useInfiniteQuery({
    queryKey: [path, 'pages', query],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const response = await send('GET', path, { query: { ...query, cursor: pageParam }, signal });
      const body = parseExact(await response.text()) as never;
      const next = /[?&]cursor=([^&>]+)[^>]*>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
      return { rows: rowsOf(body), next: next === undefined ? undefined : decodeURIComponent(next) };
    },
    getNextPageParam: ({ next }) => next,
    enabled,
    refetchInterval: every,
    placeholderData: (before) => before,
  });
  return { ...pages, rows: pages.data?.pages.flatMap(({ rows }) => rows) };
}

/** Something was written: whatever is shown is asked again. */
export function refresh(): Promise<void> {
  return queryClient.invalidateQueries();
}

/** Takes an answer as a file. */
export async function download(path: string, query: Parameters, name: string): Promise<void> {
  const blob = await (await send('GET', path, { query })).blob();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
