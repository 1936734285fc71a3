/**
 * A schema inferred from data that was seen: the types of each property, and which of them were always there. It is a
 * proposal, to be read and set by people: it fits all that it was made from.
 */
import type { JsonSchema } from './schema.ts';

/** What was seen at one place. */
interface Seen {
  types: Set<string>;
  objects: number;
  properties: Map<string, { seen: Seen; count: number }>;
  items: Seen | undefined;
}

/** Properties of one object beyond which it is taken for a map from keys to values. */
const propertiesMost = 100;

export function inferSchema(data: readonly unknown[]): JsonSchema {
  const seen = nothing();
  for (const value of data) look(seen, value);
  return schemaOf(seen);
}

function nothing(): Seen {
  return { types: new Set(), objects: 0, properties: new Map(), items: undefined };
}

function look(seen: Seen, value: unknown): void {
  seen.types.add(typeOf(value));
  if (Array.isArray(value)) {
    seen.items ??= nothing();
    for (const item of value) look(seen.items, item);
  } else if (typeof value === 'object' && value !== null) {
    seen.objects += 1;
    for (const [name, member] of Object.entries(value)) {
      let property = seen.properties.get(name);
      if (!property) {
        property = { seen: nothing(), count: 0 };
        seen.properties.set(name, property);
      }
      property.count += 1;
      look(property.seen, member);
    }
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function schemaOf({ types, objects, properties, items }: Seen): JsonSchema {
  const names = [...types].filter((type) => type !== 'integer' || !types.has('number')).sort();
  const required = [...properties].filter(([, { count }]) => count === objects).map(([name]) => name);
  const listed = properties.size > 0 && properties.size <= propertiesMost;
  return {
    ...(names.length === 0 ? {} : { type: names.length === 1 ? names[0] : names }),
    ...(listed
      ? {
          properties: Object.fromEntries([...properties].map(([name, { seen }]) => [name, schemaOf(seen)])),
        }
      : {}),
    ...(listed && required.length > 0 ? { required: required.sort() } : {}),
    ...(items && items.types.size > 0 ? { items: schemaOf(items) } : {}),
  };
}
