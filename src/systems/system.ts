/**
 * A system: streams that ship with Tallybook, and the addresses under which they are written and asked. All of it is
 * data, so that a system knows neither the store nor the server: `src/http/routes/systems.ts` mounts it, with the same
 * authentication, errors, limits and pages as everything else.
 */
import type { TObject, TSchema } from 'typebox';
import type { Taken } from '../engine/front-log.ts';
import type { Page } from '../engine/pages.ts';
import type { Scope, Source } from '../engine/sources.ts';
import type { AsOf, Compression, Mode } from '../engine/store.ts';
import type { Stream } from '../engine/stream.ts';
import type { Tallybook, TallybookOptions } from '../engine/tallybook.ts';

export interface System {
  /** Also the tag of its routes in the OpenAPI page. */
  name: string;
  /** Declared by `defineStream`, like those of users. */
  streams: readonly Stream[];
  records: readonly RecordsAddress[];
  routes: readonly Route[];
  /** Streams in which it keeps its own books: written by its routes alone. */
  books?: readonly Stream[];
  /** Reads what it keeps in memory, and registers what records are held against. */
  open?(tallybook: Tallybook): Promise<void>;
  /** What a server does beside answering, from when it listens until it stops. */
  watch?(tallybook: Tallybook): { stop(): Promise<void> };
}

/** What a ledger is opened with so that the systems find in it what they need. */
export function partsOf(
  systems: readonly System[],
): Required<Pick<TallybookOptions, 'shipped' | 'books' | 'whenOpen'>> {
  return {
    shipped: systems.flatMap(({ streams }) => streams),
    books: systems.flatMap(({ books = [] }) => books),
    whenOpen: systems.flatMap(({ open }) => open ?? []),
  };
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
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With parameters as `:id`. One that ends in a slash is answered without it, too. */
  path: string;
  scope: Scope;
  /** The streams that it tells of: a key must be allowed all of them. */
  streams: readonly Stream[];
  summary: string;
  description: string;
  params?: TObject;
  query?: TObject;
  /**
   * What it takes beside its address: JSON of a schema; a file, as the raw body or as multipart; or bytes, unpacked and
   * otherwise as they came, whatever their type is said to be (those that it expects are listed).
   */
  takes?: { json: TSchema } | { file: readonly string[] } | { bytes: readonly string[] };
  /** Finds the key in the bytes, for clients that send it there and in no header. */
  keyIn?(bytes: Buffer): string | undefined;
  /** In pages: it takes `page_size` and `cursor` beside its own parameters. */
  paged: boolean;
  /** The schema of its answer, or of one for each status; `events` for server-sent events. */
  answers: TSchema | Readonly<Record<number, TSchema>> | 'events';
  answer(request: RouteRequest): Promise<RouteAnswer>;
}

export interface RouteRequest {
  tallybook: Tallybook;
  /** Answers a question: from the ledger, but where the figures of a system are kept elsewhere. */
  ask: Tallybook['ask'];
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, string | undefined>>;
  page: Page;
  /** Who asks. */
  source: Source;
  /** Where the route takes JSON: what was sent. A number of more than 15 characters is a string of just those. */
  body: unknown;
  /** The same as it came. */
  bodyText: string;
  /** Where it takes a file. */
  upload: Upload | undefined;
  /** Where it takes bytes; none where there is no body. */
  bytes: Buffer | undefined;
  contentType: string;
  /** The header by which a request is known when it comes again. */
  idempotencyKey: string | undefined;
  /** The header of server-sent events, from which a client goes on. */
  lastEventId: string | undefined;
}

/** A file that was received whole. It is deleted when the route fails; else it is the route's. */
export interface Upload {
  path: string;
  /** As its sender calls it. */
  name: string | undefined;
  compression: Compression;
  bytes: number;
}

export type RouteAnswer =
  | {
      /** 200 when not given. */
      status?: number;
      /** Such as `location`. */
      headers?: Readonly<Record<string, string>>;
      /** JSON; a bigint is written as a number with all of its digits. */
      body: unknown;
      /** The cursor of the next page. */
      next?: string | undefined;
      /** Where the figures come from, and up to when they are complete. */
      origin?: { from: string; as_of: AsOf };
    }
  | {
      /**
       * Of records that were sent; `verdicts` tells that it lists all of them. Where a log has them, the status is 202.
       */
      status: number;
      receipt: Taken;
      list: 'verdicts' | 'errors';
    }
  | {
      /** What is sent as it is made, such as a download of any length. */
      text: AsyncIterable<string>;
      contentType: string;
      /** Where it is to be kept rather than shown. */
      fileName?: string;
    }
  | {
      /** Told from now on, until the client goes. */
      events(events: Events): Promise<void>;
    };

/** An answer that goes on: server-sent events. */
export interface Events {
  /** Sends an event soon; one that comes before it went out takes its place. */
  latest(event: string, data: object): void;
  /** Sends an event with an id, from which a client can go on; resolves when it takes more. */
  each(id: string, event: string, data: object): Promise<void>;
  readonly closed: boolean;
  /** Sends a last event and ends. */
  end(event: string, data: object): void;
  onClose(listener: () => void): void;
}
