/**
 * A connection to a ledger that this process has opened: requests go through the routes of the app without a socket,
 * files are taken in from where they are.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { findForm } from '../engine/forms.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import { adminKeyFile, type OpenOptions, openApp, openTallybook } from './compose.ts';
import {
  type Connection,
  type Method,
  nextOfLink,
  queryText,
  type Reply,
  type RequestOptions,
  uploadHeaders,
} from './connection.ts';
import { note } from './terminal.ts';

/** Who acts at the command line, where no key is asked for. */
const source = 'local';

export interface InProcessOptions extends OpenOptions {
  /** Where there is no source yet, make the one that may do everything first, as a start of the server would. */
  makeAdminKey?: boolean;
}

export async function connectInProcess({ makeAdminKey, ...options }: InProcessOptions): Promise<Connection> {
  const tallybook = await openTallybook(options);
  try {
    const made = makeAdminKey
      ? await tallybook.sources.ensureAdminKey(adminKeyFile(options.directory))
      : undefined;
    if (made) note(`A key that may do everything was written to ${made.path}`);
    const connection = connectTo(tallybook, options.directory);
    return {
      ...connection,
      async close() {
        await connection.close();
        await tallybook.close();
      },
    };
  } catch (error) {
    await tallybook.close();
    throw error;
  }
}

/** A connection to a ledger that is open already, and stays open. */
export function connectTo(tallybook: Tallybook, place: string): Connection {
  // Taking in a file needs no routes: loading them would take 0.5 s.
  let opened: Promise<FastifyInstance> | undefined;
  const app = (): Promise<FastifyInstance> => {
    opened ??= openApp({ tallybook, auth: false });
    return opened;
  };
  return {
    place,
    request: async (method, path, options) => inject(await app(), method, path, options),
    importState: (id) => tallybook.imports.get(id),
    async mustHaveStream(name) {
      tallybook.streams.get(name);
    },
    async sendFile({ form, ...file }) {
      const stream = tallybook.streams.get(file.stream);
      const found = form === undefined ? undefined : findForm(stream, form);
      return tallybook.imports.start({ ...file, stream, form: found, source });
    },
    async upload(method, path, query, file, onSent, signal) {
      const payload = Readable.from(readThrough(file.path, onSent, signal), { objectMode: false });
      const headers = uploadHeaders(file.name);
      const answer = await (await app()).inject({ method, url: path + queryText(query), payload, headers });
      return { status: answer.statusCode, text: answer.payload, next: undefined };
    },
    async close() {
      await (await opened)?.close();
    },
  };
}

/** A listener for data would start the stream before the app takes it. */
async function* readThrough(path: string, onRead: (bytes: number) => void, signal: AbortSignal) {
  const file = createReadStream(path, { highWaterMark: 1 << 18, signal });
  for await (const chunk of file) {
    onRead(file.bytesRead);
    yield chunk as Buffer;
  }
}

async function inject(
  app: FastifyInstance,
  method: Method,
  path: string,
  options: RequestOptions = {},
): Promise<Reply> {
  const payload = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const answer = await app.inject({
    method,
    url: path + queryText(options.query),
    ...(payload === undefined ? {} : { payload, headers: { 'content-type': 'application/json' } }),
  });
  return {
    status: answer.statusCode,
    text: answer.payload,
    next: nextOfLink(answer.headers.link as string | undefined),
  };
}
