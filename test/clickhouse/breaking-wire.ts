import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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
