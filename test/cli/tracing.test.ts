/** Traces, as a collector gets them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ledger, type Running, run, scratch, start } from './harness.ts';

interface Span {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code?: number };
}

const collectors: Server[] = [];
afterEach(() => {
  for (const collector of collectors.splice(0)) collector.close();
});

async function collector(): Promise<{ url: string; spans: Span[]; resources: string[] }> {
  const spans: Span[] = [];
  const resources: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    expect(request.url).toBe('/v1/traces');
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { resource: unknown; scopeSpans: { spans: Span[] }[] }[];
    };
    for (const { resource, scopeSpans } of resourceSpans) {
      resources.push(JSON.stringify(resource));
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
  collectors.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, resources };
}

/** A server with these variables, and its address. */
async function serveWith(env: Record<string, string>): Promise<{ server: Running; url: string }> {
  const server = start(['serve', '--data', await ledger(scratch()), '--port', '0', '--no-auth', '--json'], {
    env,
  });
  const said = await server.says(/^\{"url".*\}$/m);
  const { url } = JSON.parse(/^\{"url".*\}$/m.exec(said)![0]) as { url: string };
  return { server, url };
}

const attributes = (span: Span): Record<string, unknown> =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

describe('traces', () => {
  test('of requests, answers and commits go to the collector that the standard variables name', async () => {
    const { url: endpoint, spans, resources } = await collector();
    const { server, url } = await serveWith({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_SERVICE_NAME: 'metering',
    });
    const caller = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' };
    const sent = await fetch(`${url}/v1/streams/sales/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: `00-${caller.trace}-${caller.span}-01` },
      body: '{"id":"a","at":"2026-10-05T00:00:00Z","customer":"c","amount":"1"}',
    });
    expect(sent.status).toBe(201);
    expect((await fetch(`${url}/v1/streams/sales/query`)).status).toBe(200);
    expect((await fetch(`${url}/v1/streams/nothing/query`)).status).toBe(404);
    server.kill('SIGTERM');
    await server.ended;

    const named = (name: string) => spans.filter((span) => span.name === name);
    const [write] = named('POST /v1/streams/:stream/records');
    expect(write).toMatchObject({ traceId: caller.trace, parentSpanId: caller.span });
    expect(attributes(write!)).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/streams/:stream/records',
      'url.path': '/v1/streams/sales/records',
      'http.response.status_code': 201,
    });
    const asked = named('GET /v1/streams/:stream/query');
    expect(asked.map((span) => attributes(span)['http.response.status_code'])).toEqual([200, 404]);
    const [ask] = named('ask');
    expect(ask).toMatchObject({ traceId: asked[0]!.traceId, parentSpanId: asked[0]!.spanId });
    expect(attributes(ask!)).toMatchObject({ 'tallybook.stream': 'sales' });
    const commit = named('commit').find((span) => JSON.stringify(span.attributes).includes('"sales"'))!;
    expect(commit.parentSpanId ?? '').toBe('');
    expect(attributes(commit)).toMatchObject({ 'tallybook.records': 1, 'tallybook.deliveries': 1 });
    expect(resources[0]).toContain('metering');
  });

  test('are not sent in a way that does not exist', async () => {
    const ended = await run(['serve', '--data', scratch(), '--port', '0'], {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    });
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected http/protobuf or http/json'),
    });
  });

  test('that nobody takes do not keep a server from stopping', async () => {
    const { server, url } = await serveWith({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' });
    expect((await fetch(`${url}/v1/streams`)).status).toBe(200);
    server.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });
});
