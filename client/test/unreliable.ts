/**
 * What lies between a client and a server: a proxy that passes requests on, keeps what went by, and does what it is
 * told to the next ones. Requests by which a browser asks whether it may are always passed on.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /** Answered here; the server never sees it. */
  | { status: number; headers?: Record<string, string>; body?: string }
  /** The connection breaks: before the body has come, after the server has committed, or in the middle of its answer. */
  | { cut: 'request' | 'after commit' | 'answer' }
  /** Passed on when the promise resolves. */
  | { hold: Promise<unknown> };

export interface Passed {
  /** When it came, by `performance.now()`. */
  at: number;
  headers: IncomingMessage['headers'];
  body: string;
  /** The events in it. */
  events: { id: string; data?: { n: number } }[];
}

/** Headers that a proxy does not pass on. */
const ofTheConnection = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-encoding']);

export class Unreliable {
  /** Taken by the next requests, one each. */
  readonly faults: Fault[] = [];
  readonly requests: Passed[] = [];
  /** What every further request gets. */
  always: Fault | undefined;
  /** A body that is longer is answered 413. */
  bytesMax = Number.POSITIVE_INFINITY;
  readonly #target: string;
  readonly #server: Server;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((request, response) => {
      this.#pass(request, response).catch(() => request.socket.destroy());
    });
  }

  static async before(target: string): Promise<Unreliable> {
    const proxy = new Unreliable(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = performance.now();
    const fault = request.method === 'POST' ? (this.faults.shift() ?? this.always) : undefined;
    if (fault && 'cut' in fault && fault.cut === 'request') {
      request.once('data', () => request.socket.destroy());
      return;
    }
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    if (request.method === 'POST') {
      this.requests.push({ at, headers: request.headers, body, events: JSON.parse(body) });
    }
    if (fault && 'status' in fault) return answer(response, fault);
    if (Buffer.byteLength(body) > this.bytesMax) return answer(response, { status: 413 });
    if (fault && 'hold' in fault) await fault.hold;
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
    const passed = await fetch(this.#target + request.url, {
      method: request.method!,
      headers: headers as Record<string, string>,
      ...(body && { body }),
    });
    const text = await passed.text();
    if (fault && 'cut' in fault) {
      if (fault.cut === 'answer') {
        response.writeHead(passed.status, { 'content-length': text.length });
        response.write(text.slice(0, text.length / 2));
        await new Promise((resolve) => setImmediate(resolve));
      }
      request.socket.destroy();
      return;
    }
    const kept = [...passed.headers].filter(([name]) => !ofTheConnection.has(name));
    response.writeHead(passed.status, Object.fromEntries(kept)).end(text);
  }
}

function answer(
  response: ServerResponse,
  { status, headers, body }: Exclude<Fault, { cut: string } | { hold: unknown }>,
): void {
  response
    .writeHead(status, {
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'retry-after',
      ...headers,
    })
    .end(body);
}
