/** Event types over HTTP: set, shown, taken away; tried before they are set; proposed from what was seen; replayed. */
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { arrayElements, JsonText, minifyJson, objectMembers } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';
import { sourceNamePattern } from '../../engine/sources.ts';
import type { Route, RouteRequest } from '../system.ts';
import { foretellReplay, holdSample, holdSeen, lastSeen, rejectsOfType } from './dry-run.ts';
import { inferSchema } from './infer.ts';
import { DataSchema } from './schema.ts';
import { eventsStream } from './streams.ts';
import { type EventType, idOfType, type TypeMode, typeModes, typesOf } from './types.ts';

const streams = [eventsStream];
const path = '/v1/event-types/:category/:name';
const named = Type.String({ minLength: 1, maxLength: 255 });
const params = Type.Object({ category: named, name: named });
const closed = { additionalProperties: false };
const Schema = Type.Object({}, { additionalProperties: true, description: 'JSON Schema 2020-12 of `data`.' });
const Mode = Type.Enum([...typeModes], {
  description: 'enforce: what does not fit is refused; warn: it is taken in, and noted.',
});

const TypeSchema = Type.Object({
  category: Type.String(),
  name: Type.String(),
  version: Type.Integer(),
  mode: Mode,
  description: Type.Union([Type.String(), Type.Null()]),
  changed_at: Type.String(),
  schema: Schema,
});

const shown = ({ schema, ...type }: EventType) => ({ ...type, schema: new JsonText(schema) });

export const listTypesRoute: Route = {
  method: 'GET',
  path: '/v1/event-types',
  scope: 'read',
  streams,
  summary: 'List event types',
  description: 'Those that have a schema, by category and name.',
  paged: false,
  answers: Type.Object({ types: Type.Array(TypeSchema) }),
  answer: async ({ tallybook }) => ({ body: { types: typesOf(tallybook).list().map(shownKnown) } }),
};

export const typeRoute: Route = {
  method: 'GET',
  path,
  scope: 'read',
  streams,
  summary: 'An event type',
  description: 'As it holds now, with every version there was.',
  params,
  paged: false,
  answers: Type.Object({
    type: Type.Union([TypeSchema, Type.Null()], { description: 'null when it was taken away.' }),
    versions: Type.Array(TypeSchema),
  }),
  async answer({ tallybook, params }) {
    const { category, name } = typeOf(params);
    const types = typesOf(tallybook);
    const versions = (await types.versions(category, name)).map(shown);
    const type = types.find(category, name);
    return { body: { type: type ? shownKnown(type) : null, versions } };
  },
};

export const putTypeRoute: Route = {
  method: 'PUT',
  path,
  scope: 'admin',
  streams,
  summary: 'Set the schema of an event type',
  description:
    'It holds for what comes from then on, whatever the way it comes. Each change is a version; the same once more changes nothing.',
  params,
  takes: {
    json: Type.Object(
      {
        schema: Schema,
        mode: Type.Optional(Mode),
        description: Type.Optional(Type.String({ maxLength: 2_000 })),
      },
      { ...closed, description: 'enforce is meant where no mode is given.' },
    ),
  },
  paged: false,
  answers: { 200: TypeSchema, 201: TypeSchema },
  async answer({ tallybook, params, body, bodyText, source }) {
    const { mode = 'enforce', description = null } = body as { mode?: TypeMode; description?: string };
    const schema = memberText(bodyText, 'schema')!;
    const given = { ...typeOf(params), mode, schema, description };
    const { type, created } = await typesOf(tallybook).put(given, source.name);
    return { status: created ? 201 : 200, body: shownKnown(type) };
  },
};

export const deleteTypeRoute: Route = {
  method: 'DELETE',
  path,
  scope: 'admin',
  streams,
  summary: 'Take the schema of an event type away',
  description: 'Its events are taken as those of any type without one; its versions stay in the history.',
  params,
  paged: false,
  answers: Type.Object({ removed: TypeSchema }),
  async answer({ tallybook, params, source }) {
    const { category, name } = typeOf(params);
    const types = typesOf(tallybook);
    const removed = shownKnown(types.get(category, name));
    await types.remove(category, name, source.name);
    return { body: { removed } };
  },
};

const Held = Type.Object({
  checked: Type.Integer(),
  passed: Type.Integer(),
  failed: Type.Integer(),
  failures: Type.Array(
    Type.Object({ field: Type.String(), message: Type.String() }, { additionalProperties: true }),
  ),
});
const counts = {
  received: Type.Integer(),
  accepted: Type.Integer(),
  duplicates: Type.Integer(),
  corrected: Type.Integer(),
  conflicts: Type.Integer(),
  rejected: Type.Integer(),
};

export const dryRunRoute: Route = {
  method: 'POST',
  path: `${path}/dry-run`,
  scope: 'read',
  streams,
  summary: 'Try a schema',
  description: `Changes nothing. Holds against the schema: a sample of data, the last ${limits.dry_run_events} events of the type, and its rejects; for these it tells what their replay would give.`,
  params,
  takes: {
    json: Type.Object(
      {
        schema: Type.Optional(Schema),
        mode: Type.Optional(Mode),
        sample: Type.Optional(
          Type.Array(Type.Unknown(), { maxItems: limits.dry_run_events, description: 'The data of events.' }),
        ),
      },
      { ...closed, description: 'Without a schema, the one that is set.' },
    ),
  },
  paged: false,
  answers: Type.Object({
    sample: Held,
    seen: Held,
    rejects: Type.Object(
      { ...counts, failures: Type.Array(Type.Unknown()), more: Type.Boolean() },
      { description: 'What replaying those of the type would give.' },
    ),
  }),
  async answer({ tallybook, params, body, bodyText }) {
    const { category, name } = typeOf(params);
    const given = memberText(bodyText, 'schema');
    const set = given === undefined ? typesOf(tallybook).get(category, name) : undefined;
    const schema = new DataSchema(given ?? set!.schema);
    const mode = (body as { mode?: TypeMode }).mode ?? set?.mode ?? 'enforce';
    const sample = arrayElements(memberText(bodyText, 'sample') ?? '[]')!;
    return {
      body: {
        sample: holdSample(schema, sample),
        seen: holdSeen(schema, await lastSeen(tallybook, category, name)),
        rejects: await foretellReplay(tallybook, schema, mode, category, name),
      },
    };
  },
};

export const inferredRoute: Route = {
  method: 'GET',
  path: `${path}/inferred`,
  scope: 'read',
  streams,
  summary: 'A schema, inferred',
  description: `A proposal that fits the last ${limits.dry_run_events} events of the type.`,
  params,
  paged: false,
  answers: Type.Object({ events: Type.Integer({ description: 'From so many.' }), schema: Schema }),
  async answer({ tallybook, params }) {
    const { category, name } = typeOf(params);
    const seen = await lastSeen(tallybook, category, name);
    return { body: { events: seen.length, schema: inferSchema(seen.map(({ data }) => JSON.parse(data))) } };
  },
};

export const replayRoute: Route = {
  method: 'POST',
  path: `${path}/replay`,
  scope: 'ingest',
  streams,
  summary: 'Replay the rejects of an event type',
  description: `Those that its schema refused, or that came before there was one; at most ${limits.replay_rejects} at a time, oldest first. What passes counts once, and leaves the list of errors in the same commit.`,
  params,
  paged: false,
  answers: Type.Object({ ...counts, more: Type.Boolean({ description: 'There are more: replay again.' }) }),
  async answer({ tallybook, params }) {
    const { category, name } = typeOf(params);
    const replay = await tallybook.rejects.replay({ filter: rejectsOfType(category, name) });
    const { verdicts: _, not_open: __, retracted: ___, ...counts } = replay;
    return { body: counts };
  },
};

const SourceSchema = Type.Object({
  source: Type.String(),
  unknown_types: Type.Enum(['accept', 'reject']),
});

export const sourcesRoute: Route = {
  method: 'GET',
  path: '/v1/event-sources',
  scope: 'read',
  streams,
  summary: 'Sources that may send known types alone',
  description: 'Of all others, events of types without a schema are taken in.',
  paged: false,
  answers: Type.Object({ sources: Type.Array(SourceSchema) }),
  async answer({ tallybook }) {
    const sources = typesOf(tallybook).strictSources();
    return { body: { sources: sources.map((source) => ({ source, unknown_types: 'reject' })) } };
  },
};

export const putSourceRoute: Route = {
  method: 'PUT',
  path: '/v1/event-sources/:source',
  scope: 'admin',
  streams,
  summary: 'Say what a source may send',
  description: 'Whether its events of types without a schema are taken in or refused.',
  params: Type.Object({ source: Type.String({ pattern: sourceNamePattern }) }),
  takes: { json: Type.Object({ unknown_types: Type.Enum(['accept', 'reject']) }, closed) },
  paged: false,
  answers: SourceSchema,
  async answer({ tallybook, params, body, source: by }) {
    const { unknown_types } = body as { unknown_types: 'accept' | 'reject' };
    const source = params.source!;
    await typesOf(tallybook).setStrict(source, unknown_types === 'reject', by.name);
    return { body: { source, unknown_types } };
  },
};

function shownKnown({ category, name, version, mode, description, changed_at, schema }: EventType) {
  return shown({ category, name, version, mode, description, changed_at, schema });
}

/** Throws `bad_request` for names that no event can have. */
function typeOf(params: RouteRequest['params']): { category: string; name: string } {
  const { category, name } = params as { category: string; name: string };
  if (idOfType(category, name).length > limits.id_characters)
    throw new TallybookError('bad_request', 'category and name are too long together to name a type');
  return { category, name };
}

function memberText(bodyText: string, name: string): string | undefined {
  const text = objectMembers(bodyText)?.members.get(name);
  return text === undefined ? undefined : minifyJson(text);
}
