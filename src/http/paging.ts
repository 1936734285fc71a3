/**
 * Lists in pages over HTTP: `page_size` and `cursor`; the next page is named in a `Link` header, and as `next` in the
 * body where the body is an object.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { limits } from '../engine/limits.ts';
import type { Page } from '../engine/pages.ts';

export const pageParameters = {
  page_size: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: limits.page_rows,
      default: limits.page_rows_default,
      description: 'Entries in a page.',
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '"next" of the page before.' })),
  order: Type.Optional(Type.Enum(['oldest', 'newest'], { description: 'By arrival.' })),
};

export function pageOf(request: FastifyRequest): Page {
  const {
    page_size: size,
    cursor,
    order,
  } = request.query as { page_size?: number; cursor?: string; order?: string };
  return { size, cursor, newestFirst: order === undefined ? undefined : order === 'newest' };
}

/** Names the next page in the header. */
export function linkNext(request: FastifyRequest, reply: FastifyReply, next: string | undefined): void {
  if (next === undefined) return;
  const [path, query = ''] = request.url.split('?') as [string, string?];
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', next);
  reply.header('link', `<${path}?${parameters.toString()}>; rel="next"`);
}
