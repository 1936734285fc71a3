/**
 * Streams that systems ship with. Users may add to them (nullable fields, rollups, forms) and set their retention and
 * tolerance; what the system itself declares stays as it is.
 */
import type { StreamDeclaration } from './declaration.ts';
import { TallybookError } from './errors.ts';
import { checkEvolution, defineStream, type Stream } from './stream.ts';

/**
 * A system's stream in a ledger that may have a stream of that name already. Throws `stream_taken` when that one holds
 * something else.
 */
export function adopted(existing: Stream | undefined, shipped: Stream): Stream {
  if (!existing) return shipped;
  try {
    const both = merged(existing.declaration, shipped);
    checkEvolution(existing, both);
    return both;
  } catch (error) {
    const why = error instanceof TallybookError ? error.message : String(error);
    throw new TallybookError(
      'stream_taken',
      `the ledger has a stream ${shipped.name} that is none of the system that needs this name (${why}); start without that system (--systems), export the stream, and import it under another name`,
      { cause: error },
    );
  }
}

/**
 * What a user declares of a system's stream, with the rollups and forms that the system has. Throws
 * `incompatible_declaration` when a part that the system relies on is missing or differs.
 */
export function withShipped(given: Stream, shipped: Stream): Stream {
  const refusals: string[] = [];
  if (given.id?.name !== shipped.id?.name) refusals.push(`"id" must be ${shipped.id?.name}`);
  if (given.time?.name !== shipped.time?.name) refusals.push(`"time" must be ${shipped.time?.name}`);
  for (const part of ['fields', 'rollups', 'forms'] as const) {
    const declared: Record<string, unknown> = given.declaration[part] ?? {};
    for (const [name, wanted] of Object.entries(shipped.declaration[part] ?? {})) {
      if (part !== 'fields' && !Object.hasOwn(declared, name)) continue;
      if (!sameJson(declared[name], wanted))
        refusals.push(`${part.slice(0, -1)} ${name} must be ${JSON.stringify(wanted)}`);
    }
  }
  if (refusals.length > 0) {
    throw new TallybookError(
      'incompatible_declaration',
      `the stream ${shipped.name} belongs to a system, which can be added to and not changed: ${refusals.join('; ')}; declare other records under another name`,
    );
  }
  return merged(given.declaration, shipped);
}

function merged(given: StreamDeclaration, shipped: Stream): Stream {
  const { declaration } = shipped;
  const { id, time } = declaration;
  return defineStream(shipped.name, {
    ...declaration,
    ...given,
    ...(id === undefined ? {} : { id }),
    ...(time === undefined ? {} : { time }),
    fields: { ...declaration.fields, ...without(given.fields, declaration.fields) },
    rollups: { ...given.rollups, ...declaration.rollups },
    forms: { ...given.forms, ...declaration.forms },
    ...(given.lookups || declaration.lookups
      ? { lookups: [...new Set([...(declaration.lookups ?? []), ...(given.lookups ?? [])])] }
      : {}),
  });
}

function without<T>(given: Record<string, T>, known: Record<string, unknown>): Record<string, T> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !Object.hasOwn(known, name)));
}

/** Whatever the order of their members. */
function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  return (
    left.length === Object.keys(right).length && left.every(([name, value]) => sameJson(value, right[name]))
  );
}
