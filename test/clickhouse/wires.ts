/** Wires between a store and its ClickHouse that do what wires do when a process dies, or stands still. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/**
 * A wire that breaks: it lets some requests through, and then none, as when the process that sends them dies.
 * @param answered whether the last request that reaches ClickHouse is answered
 */
export async function breakingWire(address: string, requests: number, answered: boolean) {
  const url = new URL(address.replace('clickhouse:', 'http:'));
  let through = 0;
  const server: Server = createServer((incoming, outgoing) => {
    through += 1;
    if (through > requests) return void incoming.socket.destroy();
    const { method, headers, url: path } = incoming;
    const forwarded = request({ host: url.hostname, port: url.port, method, headers, path }, (answer) => {
      if (through >= requests && !answered) {
        answer.resume().on('end', () => incoming.socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    address: address.replace(url.host, `127.0.0.1:${port}`),
    /** Lets so many more through. */
    allow(more: number) {
      requests = through + more;
    },
    get broken() {
      return through > requests;
    },
  };
}

/** A holding wire that is closed when the test ends. */
export async function holdingWireOfTest(address: string) {
  const wire = await holdingWire(address);
  onTestFinished(wire.close);
  return wire;
}

interface Holding {
  after: number;
  holds: RegExp;
  caught(): void;
  released: Promise<void>;
  /** Of the requests that are held. */
  sockets: Socket[];
  severed: boolean;
}

/** A wire on which commits, or other requests, can be held, as when the process that sends them stands still. */
export async function holdingWire(address: string) {
  const url = new URL(address.replace('clickhouse:', 'http:'));
  const holdings = new Set<Holding>();
  const server = createServer(async (incoming, outgoing) => {
    const { method, headers, url: path } = incoming;
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const meant = [...holdings].find(({ holds }) => holds.test(`${path}\n${body}`));
    if (meant?.severed) return void incoming.socket.destroy();
    if (meant && meant.after-- <= 0) {
      meant.sockets.push(incoming.socket);
      meant.caught();
      await meant.released;
    }
    const forwarded = request({ host: url.hostname, port: url.port, method, headers, path }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    forwarded.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: address.replace(url.host, `127.0.0.1:${(server.address() as AddressInfo).port}`),
    close: () => void server.close(),
    /**
     * Lets some requests through, then holds the next one, and all that follow until they are released.
     * @param holds matches the address and, behind a line break, the body of those that are meant: commits unless told
     */
    hold(after = 0, holds = /insert_deduplication_token=position/) {
      let caught = (): void => undefined;
      let pass = (): void => undefined;
      const isCaught = new Promise<void>((resolve) => {
        caught = resolve;
      });
      const released = new Promise<void>((resolve) => {
        pass = resolve;
      });
      const release = (): void => {
        holdings.delete(holding);
        pass();
      };
      const holding: Holding = { after, holds, caught, released, sockets: [], severed: false };
      holdings.add(holding);
      // Before the store is closed, which waits for its requests.
      onTestFinished(release);
      return {
        isCaught,
        release,
        /** Breaks the wire for such requests; those that are held arrive all the same once they are released. */
        sever() {
          holding.severed = true;
          for (const socket of holding.sockets) socket.destroy();
        },
      };
    },
  };
}
