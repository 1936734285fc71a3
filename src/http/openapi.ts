/**
 * `/openapi.json` and its reading room `/docs`. The page's program is served from here: no request goes to another
 * host, and the page holds no script of its own, so that a strict content security policy can stand.
 */
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { recordSchema } from '../engine/json-schema.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import type { System } from '../systems/system.ts';
import { sourceIfAny } from './auth.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Media types of a body that is no JSON to be validated: records, files. */
    takes?: { types: string[]; idempotencyKey?: boolean };
    /** The schema of a body that is checked elsewhere, with better words. */
    documentedBody?: TSchema;
  }
}

const idempotencyKey = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        'Records with no id of their own get it from this key and their position, so that a retry is a duplicate.',
    }),
  ),
});

export async function describeRoutes(
  app: FastifyInstance,
  version: string,
  systems: readonly System[],
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tallybook',
        version,
        description:
          'A ledger for high volumes of small facts that keeps the sums exactly right. Errors are application/problem+json.',
      },
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A key of a source.' } },
      },
      tags: [
        ...['streams', 'records', 'questions', 'imports', 'rejects', 'alerts', 'sources'],
        ...systems.map(({ name }) => name),
        'operations',
      ].map((name) => ({ name })),
    },
    transform: ({ schema, url, route }) => {
      const { scope, hidden, takes, documentedBody } = route.config ?? {};
      const shown: Record<string, unknown> = { ...schema };
      if (hidden || !schema) return { schema: { hide: true }, url };
      if (takes) {
        shown.body = { content: Object.fromEntries(takes.types.map((type) => [type, { schema: {} }])) };
        if (takes.idempotencyKey) shown.headers = idempotencyKey;
      }
      if (documentedBody) shown.body = documentedBody;
      if (scope !== 'public') {
        shown.security = [{ key: [] }];
        shown.description = [shown.description, `Scope: ${scope}.`].filter(Boolean).join('\n\n');
      }
      return { schema: shown, url };
    },
  });
}

const standalone = new URL('./js/standalone.js', import.meta.resolve('@scalar/fastify-api-reference'));
const referenceOptions = {
  withDefaultFonts: false,
  hideClientButton: true,
  telemetry: false,
  documentDownloadType: 'json',
};
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tallybook: the API</title>
</head>
<body>
<script id="api-reference" type="application/json" data-url="/openapi.json" data-configuration='${JSON.stringify(referenceOptions)}'></script>
<script src="/docs/reference.js"></script>
</body>
</html>
`;

/** The page runs one script of ours, which writes styles and draws from data addresses. */
export const docsPolicy = {
  defaultSrc: ["'self'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:', 'blob:'],
  fontSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  objectSrc: ["'none'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
  formAction: ["'none'"],
};

export interface DocsOptions {
  tallybook: Tallybook;
  auth: boolean;
}

export function docsRoutes(app: FastifyInstance, { tallybook, auth }: DocsOptions): void {
  const config = { scope: 'public', hidden: true } as const;
  const documented = app.swagger as unknown as () => { components?: { schemas?: Record<string, unknown> } };

  app.get('/openapi.json', { config }, (request, reply) => {
    const document = documented();
    // Which streams there are is told to those who may read them.
    const source = sourceIfAny(tallybook.sources, auth, 'read', request);
    const streams = source
      ? tallybook.streams.list().filter(({ name }) => !source.streams || source.streams.includes(name))
      : [];
    const schemas = Object.fromEntries(
      streams.flatMap((stream) => [
        [`record.${stream.name}`, recordSchema(stream)],
        ...[...stream.forms.values()].map((form) => [
          `record.${stream.name}.${form.form}`,
          recordSchema(form),
        ]),
      ]),
    );
    const components = { ...document.components, schemas: { ...document.components?.schemas, ...schemas } };
    reply.send({ ...document, components });
  });

  const helmet = { contentSecurityPolicy: { useDefaults: false, directives: docsPolicy } };
  app.get('/docs', { config, helmet }, (_request, reply) => {
    reply.header('content-type', 'text/html; charset=utf-8').send(page);
  });
  app.get('/docs/reference.js', { config }, (_request, reply) => {
    reply
      .header('content-type', 'text/javascript; charset=utf-8')
      .header('cache-control', 'public, max-age=3600')
      .send(createReadStream(fileURLToPath(standalone)));
  });
}
