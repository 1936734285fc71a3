/**
 * Traces by OpenTelemetry, when its standard variables ask for them: a span for every request (http/tracing.ts), for
 * every answer within it, and for every commit. Its packages are loaded only then.
 *
 * A commit takes in many requests, so its span has no parent. Figures are at /metrics, where a collector reads them.
 */
import { type Attributes, ROOT_CONTEXT, type Tracer } from '@opentelemetry/api';
import type { Tallybook } from '../engine/tallybook.ts';
import { version } from './compose.ts';
import type { TracesProtocol } from './config.ts';

export interface Tracing {
  tracer: Tracer;
  /** Sends what has not been sent yet, for a few seconds at most. */
  stop(): Promise<void>;
}

const stopSeconds = 5;

/** Endpoint, headers, sampler and the like are read from the standard variables by the packages themselves. */
export async function startTracing(tallybook: Tallybook, protocol: TracesProtocol): Promise<Tracing> {
  const { context, propagation } = await import('@opentelemetry/api');
  const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks');
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const {
    defaultResource,
    detectResources,
    envDetector,
    hostDetector,
    processDetector,
    resourceFromAttributes,
  } = await import('@opentelemetry/resources');
  const { BasicTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const provider = new BasicTracerProvider({
    // What the variables say comes last, and holds.
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'tallybook', 'service.version': version() }))
      .merge(detectResources({ detectors: [hostDetector, processDetector, envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('tallybook', version());

  const ended = (name: string, seconds: number, attributes: Attributes, parent = context.active()): void => {
    const now = Date.now();
    tracer.startSpan(name, { startTime: now - seconds * 1000, attributes }, parent).end(now);
  };
  tallybook.events.on('question', ({ stream, seconds, from }) => {
    ended('ask', seconds, { 'tallybook.stream': stream, 'tallybook.from': from });
  });
  tallybook.events.on('batch', ({ deliveries, records, seconds, counts }) => {
    const streams = [...counts.keys()];
    const attributes = {
      'tallybook.streams': streams,
      'tallybook.deliveries': deliveries,
      'tallybook.records': records,
    };
    ended('commit', seconds, attributes, ROOT_CONTEXT);
  });
  return {
    tracer,
    async stop() {
      const given = new Promise<void>((resolve) => setTimeout(resolve, stopSeconds * 1000).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), given]);
    },
  };
}
