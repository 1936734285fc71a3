/**
 * A connection to a ledger that a server has open. `node:http` instead of `fetch`: an answer may take as long as it
 * takes (`verify` recounts everything), where `fetch` gives up after five minutes.
 */
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type { ImportState } from '../engine/import-state.ts';
import {
  accepted,
  type Connection,
  type FileToImport,
  nextOfLink,
  pathOf,
  queryText,
  type Reply,
  uploadHeaders,
} from './connection.ts';
import { Unreachable } from './outcome.ts';

export interface Server {
  url: string;
  key: string | undefined;
}

export function connectOverHttp(server: Server): Connection {
  const agent = server.url.startsWith('https:')
    ? new TlsAgent({ keepAlive: true })
    : new Agent({ keepAlive: true });
  const send = (call: Omit<Call, 'agent' | 'server'>): Promise<Reply> => exchange({ ...call, agent, server });
  const get = (path: string) => send({ method: 'GET', path, headers: {}, payload: undefined });
  return {
    place: server.url,
    request(method, path, { query, body, text } = {}) {
      const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const headers: Record<string, string> =
        payload === undefined ? {} : { 'content-type': 'application/json' };
      return send({ method, path: path + queryText(query), headers, payload });
    },
    async sendFile(file, onSent, signal) {
      try {
        return await upload(send, file, onSent, signal);
      } finally {
        if (file.deleteFile) await rm(file.path, { force: true });
      }
    },
    async upload(method, path, query, file, onSent, signal) {
      const { size } = await stat(file.path);
      const payload = createReadStream(file.path, { highWaterMark: 1 << 18 });
      payload.on('data', () => onSent(payload.bytesRead));
      const headers = { ...uploadHeaders(file.name), 'content-length': String(size) };
      return send({ method, path: path + queryText(query), headers, payload, signal });
    },
    async importState(id) {
      const reply = await get(pathOf('v1', 'imports', id));
      return JSON.parse(accepted(reply).text) as ImportState;
    },
    async mustHaveStream(name) {
      accepted(await get(pathOf('v1', 'streams', name)));
    },
    async close() {
      agent.destroy();
    },
  };
}

async function upload(
  send: (call: Omit<Call, 'agent' | 'server'>) => Promise<Reply>,
  { stream, form, path, name, format, mode }: FileToImport,
  onSent: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ImportState> {
  const { size } = await stat(path);
  const payload = createReadStream(path, { highWaterMark: 1 << 18 });
  payload.on('data', () => onSent(payload.bytesRead));
  const reply = await send({
    method: 'POST',
    path: `/v1/imports${queryText({ stream, form, name, format, mode, wait: 0 })}`,
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
    payload,
    signal,
  });
  return JSON.parse(accepted(reply).text) as ImportState;
}

interface Call {
  server: Server;
  agent: Agent | TlsAgent;
  method: string;
  path: string;
  headers: Record<string, string>;
  payload: string | Readable | undefined;
  signal?: AbortSignal;
}

function exchange({ server, agent, method, path, headers, payload, signal }: Call): Promise<Reply> {
  const request = server.url.startsWith('https:') ? httpsRequest : httpRequest;
  const authorization = server.key === undefined ? {} : { authorization: `Bearer ${server.key}` };
  const unreachable = (error: NodeJS.ErrnoException): Error =>
    signal?.aborted
      ? (signal.reason as Error)
      : new Unreachable(`${server.url} ${reasonOf(error)}`, { cause: error });
  return new Promise<Reply>((resolve, reject) => {
    let answered = false;
    const sent = request(
      `${server.url}${path}`,
      { method, agent, headers: { ...headers, ...authorization }, ...(signal ? { signal } : {}) },
      (answer) => {
        answered = true;
        textOf(answer).then(
          (text) => {
            resolve({
              status: answer.statusCode ?? 0,
              text,
              next: nextOfLink([answer.headers.link].flat()[0]),
            });
            // An answer may come before all is sent: a refusal. Then nothing more needs to be sent.
            if (typeof payload === 'object') payload.destroy();
          },
          (error: NodeJS.ErrnoException) => reject(unreachable(error)),
        );
      },
    );
    sent.on('error', (error) => {
      if (!answered) reject(unreachable(error));
      if (typeof payload === 'object') payload.destroy();
    });
    if (typeof payload !== 'object') {
      sent.end(payload);
      return;
    }
    payload.on('error', (error) => {
      reject(error);
      sent.destroy();
    });
    payload.pipe(sent);
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Why a host could not be reached, as the end of a sentence. */
export function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'does not answer; is the server running there?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'cannot be found; is the name right?';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'broke the connection off; look into its log';
    default:
      return `cannot be reached: ${message}`;
  }
}
