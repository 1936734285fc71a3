/** Senders that begin a request and never end it, over a real socket, with the clock put forward. */
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { systems } from '../../src/systems/systems.ts';
import { openApp } from '../http/open-app.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

// biome-ignore format: a table, one line a case
const begun: [what: string, head: string, body: string][] = [
  ['a record, nothing of it', 'POST /v1/streams/sales/records HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100', ''],
  ['a record, half of it', 'POST /v1/streams/sales/records HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100', '{"id":'],
  ['records in pieces', 'POST /v1/streams/sales/records HTTP/1.1\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked', '1\r\n{\r\n'],
  ['an event', 'POST /v1/events HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100', '{'],
  ['a question', 'POST /v1/streams/sales/query HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100', '{'],
  ['a declaration, nothing of it', 'PUT /v1/streams/other HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100', ''],
  ['a question in pieces', 'POST /v1/streams/sales/query HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked', '1\r\n{\r\n'],
  ['a file', 'POST /v1/imports?stream=sales HTTP/1.1\r\ncontent-type: text/csv\r\ncontent-length: 100', 'id,at'],
  ['a form, nothing of it', 'POST /v1/imports?stream=sales HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=xx\r\ncontent-length: 100', ''],
  ['a form, before its file', 'POST /dsrs/import/ HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=xx\r\ncontent-length: 1000', '--xx\r\ncontent-disp'],
  ['a form, within its file', 'POST /v1/imports?stream=sales HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=xx\r\ncontent-length: 1000', '--xx\r\ncontent-disposition: form-data; name="f"; filename="a.csv"\r\n\r\nid,'],
];

test('a body that never ends is given up, and its connection closed, at every kind of door', async () => {
  const { listen } = await openApp('memory', { systems });
  const { hostname, port } = new URL(await listen());
  const answers = Promise.all(
    begun.map(async ([what, head, body]) => {
      const socket = connect(Number(port), hostname);
      let answer = '';
      const closed = new Promise<void>(
        (resolve, reject) => void socket.on('close', () => resolve()).on('error', reject),
      );
      socket.setEncoding('utf8').on('data', (text) => {
        answer += text;
        // It may be told why; then nothing more is waited for.
        if (answer.includes('\r\n\r\n')) socket.end();
      });
      socket.write(`${head}\r\nhost: localhost\r\n\r\n${body}`);
      await closed;
      return [
        what,
        answer === '' || /^HTTP\/1\.1 400 .*"unreadable_body"/s.test(answer) ? 'given up' : answer,
      ];
    }),
  );
  // However long it takes until the server has seen all requests.
  let found: string[][] | undefined;
  while (found === undefined) {
    vi.advanceTimersByTime((limits.body_idle_seconds + 10) * 1_000);
    found = await Promise.race([
      answers,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100)),
    ]);
  }
  expect(found).toEqual(begun.map(([what]) => [what, 'given up']));
});

test('headers that never end have a bound, and so has a connection without a request', async () => {
  const { app, listen } = await openApp('memory');
  await listen();
  expect(app.server.headersTimeout).toBe(limits.header_seconds * 1_000);
  expect(app.server.keepAliveTimeout).toBe(limits.keep_alive_seconds * 1_000);
});
