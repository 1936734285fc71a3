/** What keeps a ledger in order (SPEC 1.10): prove it, compact it, copy it. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Tallybook } from '../../engine/tallybook.ts';
import { problems } from '../schemas.ts';
import { closed } from './parameters.ts';

const VerifySchema = Type.Object(
  {
    ok: Type.Boolean(),
    checks: Type.Array(
      Type.Object(
        { check: Type.String(), stream: Type.String(), ok: Type.Boolean(), detail: Type.String() },
        closed,
      ),
    ),
  },
  closed,
);
const CompactSchema = Type.Object(
  { dropped: Type.Integer({ description: 'Records past their retention that went.' }) },
  closed,
);
const BackupSchema = Type.Object(
  {
    directory: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: "A directory of the server's machine that does not exist yet.",
    }),
  },
  closed,
);
const config = { scope: 'admin' } as const;
const tags = ['operations'];

export function adminRoutes(app: FastifyInstance, { tallybook }: { tallybook: Tallybook }): void {
  app.post(
    '/v1/admin/verify',
    {
      config,
      schema: {
        summary: 'Recount everything and compare',
        tags,
        response: { 200: VerifySchema, ...problems },
      },
    },
    async () => {
      const checks = await tallybook.verify();
      return { ok: checks.every((check) => check.ok), checks };
    },
  );

  app.post(
    '/v1/admin/compact',
    {
      config,
      schema: {
        summary: 'Drop what is past retention, compact rollups',
        tags,
        response: { 200: CompactSchema, ...problems },
      },
    },
    async () => ({ dropped: await tallybook.compact() }),
  );

  app.post<{ Body: { directory: string } }>(
    '/v1/admin/backup',
    {
      config,
      schema: {
        summary: 'Take a copy while everything goes on',
        tags,
        body: BackupSchema,
        response: { 200: BackupSchema, ...problems },
      },
    },
    async (request) => {
      await tallybook.backup(request.body.directory);
      return { directory: request.body.directory };
    },
  );
}
