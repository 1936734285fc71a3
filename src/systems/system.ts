/**
 * A system: streams that ship with Tallybook, and the addresses under which they are written and asked. All of it is
 * data, so that a system knows neither the store nor the server: `src/http/routes/systems.ts` mounts it, with the same
 * authentication, errors, limits and pages as everything else.
 */
import type { TObject, TSchema } from 'typebox';
import type { Page } from '../engine/pages.ts';
import type { Scope } from '../engine/sources.ts';
import type { AsOf, Mode } from '../engine/store.ts';
import type { Stream } from '../engine/stream.ts';
import type { Tallybook } from '../engine/tallybook.ts';

export interface System {
  /** Also the tag of its routes in the OpenAPI page. */
  name: string;
  /** Declared by `defineStream`, like those of users. */
  streams: readonly Stream[];
  records: readonly RecordsAddress[];
  routes: readonly Route[];
}

/** An address under which records of a stream are sent, listed, read, corrected and taken back, all at once. */
export interface RecordsAddress {
  /** Such as `/v1/usage/data`. */
  path: string;
  stream: Stream;
  /** The form in which they come and are shown; the stream's own when not given. */
  form?: string;
  /** What several of them are called: `data records`. */
  plural: string;
  /** What a known id with other content is when many are sent, unless the request says. */
  mode: Exclude<Mode, 'retract'>;
}

/** A route of a system's own. */
export interface Route {
  method: 'GET';
  /** With parameters as `:id`. One that ends in a slash is answered without it, too. */
  path: string;
  scope: Scope;
  /** The streams that it tells of: a key must be allowed all of them. */
  streams: readonly Stream[];
  summary: string;
  description: string;
  params?: TObject;
  query?: TObject;
  /** In pages: it takes `page_size` and `cursor` beside its own parameters. */
  paged: boolean;
  /** The schema of its answer. */
  answers: TSchema;
  answer(request: RouteRequest): Promise<RouteAnswer>;
}

export interface RouteRequest {
  tallybook: Tallybook;
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, string | undefined>>;
  page: Page;
}

export interface RouteAnswer {
  /** JSON; a bigint is written as a number with all of its digits. */
  body: unknown;
  /** The cursor of the next page. */
  next?: string | undefined;
  /** Where the figures come from, and up to when they are complete. */
  origin?: { from: string; as_of: AsOf };
}
