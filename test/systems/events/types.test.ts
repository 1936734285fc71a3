/** Event types: schemas that are enforced or only warn, tried before they are set, and replay after they were mended. */
import { describe, expect, test } from 'vitest';
import { eventsDeclaration } from '../../../src/systems/events/declarations.ts';
import { EventTypes, typesOf } from '../../../src/systems/events/types.ts';
import { csv, lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { event, json, type OpenEvents, openEvents } from './sent.ts';

const address = '/v1/event-types/form%20interaction/submit';
const strict = {
  type: 'object',
  required: ['form'],
  properties: {
    form: {
      type: 'object',
      required: ['email'],
      properties: { email: { type: 'string', minLength: 3 }, age: { type: 'integer', minimum: 0 } },
      additionalProperties: false,
    },
  },
};
const relaxed = { type: 'object', required: ['form'] };
const submit = (id: string, data: unknown, more: object = {}) =>
  event({ id, category: 'form interaction', name: 'submit', data, ...more });

interface Violation {
  data: object;
  field: string;
  message: string;
}
// biome-ignore format: one line a case
const violations: Violation[] = [
  { data: {}, field: 'data.form', message: 'data.form is missing' },
  { data: { form: 'x' }, field: 'data.form', message: 'data.form must be object' },
  { data: { form: {} }, field: 'data.form.email', message: 'data.form.email is missing' },
  { data: { form: { email: 5 } }, field: 'data.form.email', message: 'data.form.email must be string' },
  { data: { form: { email: 'a' } }, field: 'data.form.email', message: 'data.form.email must NOT have fewer than 3 characters' },
  { data: { form: { email: 'a@b', age: -1 } }, field: 'data.form.age', message: 'data.form.age must be >= 0' },
  { data: { form: { email: 'a@b', phone: '1' } }, field: 'data.form.phone', message: 'data.form.phone is not among the properties of the schema' },
];

const replay = async ({ done }: OpenEvents) => {
  const { failures: _, ...counts } = await done('POST', `${address}/replay`);
  return counts;
};

/** What a dry run says of a schema, which is then set, and what the replay gives. */
async function foretoldAndReplayed(opened: OpenEvents, schema: object) {
  const { rejects } = await opened.done('POST', `${address}/dry-run`, { schema });
  await opened.done('PUT', address, { schema });
  const { failures, ...foretold } = rejects;
  return { failures, foretold, replayed: await replay(opened) };
}

describe.each(storeKinds)('event types, %s', (kind) => {
  test('under enforce a violation is a reject with its place in the data; other types are not concerned', async () => {
    const { send, done } = await openEvents(kind);
    expect(await send('PUT', address, { schema: strict })).toMatchObject({
      status: 201,
      json: { category: 'form interaction', name: 'submit', version: 1, mode: 'enforce', schema: strict },
    });
    const sent = violations.map(({ data }, i) => submit(`v${i}`, data));
    const receipt = await done('POST', '/v1/events', [
      ...sent,
      submit('ok', { form: { email: 'a@b' } }),
      event(),
    ]);
    expect(receipt).toMatchObject({ accepted: 2, rejected: violations.length });
    expect(receipt.errors).toMatchObject(
      violations.map(({ field, message }, index) => ({
        index,
        id: `v${index}`,
        verdict: 'rejected',
        code: 'schema_violation',
        field,
        message: `${message} (form interaction / submit, version 1)`,
      })),
    );
    const { results } = await done('GET', '/theeye/errors');
    expect(results.map(({ original }: { original: string }) => original)).toEqual(
      sent.toReversed().map((one) => JSON.stringify(one)),
    );
  });

  test('it holds on every path into the stream', async () => {
    const opened = await openEvents(kind);
    const { done, tallybook } = opened;
    await done('PUT', address, { schema: strict });
    const bad = (id: string) => submit(id, { form: {} });
    expect(await done('POST', '/theeye/events', bad('a'))).toMatchObject({ rejected: 1 });
    expect(await done('POST', '/v1/streams/events/records', [bad('b')])).toMatchObject({ rejected: 1 });
    expect((await opened.send('PUT', '/v1/streams/events/records/c', bad('c'))).status).toBe(422);
    expect(
      await done(
        'POST',
        '/v1/streams/events/records',
        'id,session_id,category,name,data,timestamp\nd,s,form interaction,submit,{},2026-01-01T00:00:00Z\n',
        csv,
      ),
    ).toMatchObject({ rejected: 1, errors: [{ code: 'schema_violation', field: 'data.form' }] });
    const track = {
      event: 'submit',
      category: 'form interaction',
      anonymousId: 's',
      messageId: 'e',
      properties: {},
    };
    expect(await done('POST', '/v1/track', track)).toEqual({ success: true });
    const started = await done(
      'POST',
      '/v1/imports?stream=events&name=events.ndjson&wait=10',
      lines([bad('f'), event({ id: 'g' })]),
      ndjson,
    );
    expect(started.counts ?? (await done('GET', `/v1/imports/${started.id}`)).counts).toMatchObject({
      accepted: 1,
      rejected: 1,
    });
    expect(await replay(opened)).toMatchObject({ received: 6, accepted: 0, rejected: 6 });
    expect(await tallybook.rejects.count({ code: 'schema_violation' })).toBe(6);
  });

  test('the dry run foretells the replay: relaxed, they count once, and the list of errors is empty', async () => {
    const opened = await openEvents(kind);
    const { done } = opened;
    await done('PUT', address, { schema: strict });
    await done('POST', '/v1/events', submit('stands', { form: { email: 'a@b' } }));
    const sent = [
      submit('a', { form: { email: 'a' } }),
      submit('b', { form: {} }),
      submit('a', { form: { email: 'a' } }),
      submit('b', { form: { email: 7 } }),
      submit('stands', { form: { email: 'a' } }),
      submit('c', {}),
    ];
    // Without ids they are different ones, however alike they are.
    const nameless = [submit('x', { form: {} }), submit('x', { form: {} })].map(({ id: _, ...rest }) => rest);
    expect(await done('POST', '/v1/events', [...sent, ...nameless])).toMatchObject({ rejected: 8 });

    const tried = await done('POST', `${address}/dry-run`, { schema: relaxed, sample: [{}, { form: 1 }] });
    expect(tried).toMatchObject({
      sample: { checked: 2, passed: 1, failed: 1, failures: [{ index: 0, field: 'data.form' }] },
      seen: { checked: 1, passed: 1, failed: 0 },
      rejects: { received: 8, accepted: 4, duplicates: 1, conflicts: 2, rejected: 1, more: false },
    });
    const same = await done('POST', `${address}/dry-run`, {});
    expect(same.rejects).toMatchObject({ received: 8, accepted: 0, rejected: 8 });
    expect(await replay(opened)).toEqual({
      received: 8,
      accepted: 0,
      duplicates: 0,
      corrected: 0,
      conflicts: 0,
      rejected: 8,
      more: false,
    });

    expect(await done('PUT', address, { schema: relaxed })).toMatchObject({ version: 2 });
    const { failures: _, ...foretold } = tried.rejects;
    expect(await replay(opened)).toEqual(foretold);
    expect((await done('GET', '/theeye/errors')).count).toBe(3);
    expect((await done('GET', '/theeye/events?category=form%20interaction')).count).toBe(5);

    await done('PUT', address, { schema: { type: 'object' } });
    const last = await done('POST', `${address}/dry-run`, {});
    expect(last.rejects).toMatchObject({ received: 3, accepted: 1, conflicts: 2 });
    expect(await replay(opened)).toMatchObject({ received: 3, accepted: 1, conflicts: 2 });
  });

  test('relaxed and replayed without conflicts, the list of errors is empty and each event counts once', async () => {
    const opened = await openEvents(kind);
    const { done } = opened;
    await done('PUT', address, { schema: strict });
    const sent = ['a', 'b', 'c'].map((id) => submit(id, { form: {} }));
    await done('POST', '/theeye/events', sent);
    await done('POST', '/theeye/events', sent);
    await done('PUT', address, { schema: relaxed });
    const { rejects } = await done('POST', `${address}/dry-run`, {});
    expect(rejects).toMatchObject({ received: 6, accepted: 3, duplicates: 3, rejected: 0 });
    expect(await replay(opened)).toMatchObject({ received: 6, accepted: 3, duplicates: 3, rejected: 0 });
    expect(await done('GET', '/theeye/errors')).toMatchObject({ count: 0, results: [] });
    expect((await done('GET', '/theeye/events')).count).toBe(3);
    expect(await replay(opened)).toMatchObject({ received: 0, accepted: 0 });
  });

  test('the dry run foretells what lies beyond retention by now', async () => {
    const opened = await openEvents(kind);
    const { done, tallybook } = opened;
    await done('PUT', address, { schema: strict });
    const ago = (days: number) => ({ timestamp: new Date(Date.now() - days * 86_400_000).toISOString() });
    const sent = [1, 40, 100].map((days) => submit(`${days} days`, { form: {} }, ago(days)));
    expect(await done('POST', '/v1/events', sent)).toMatchObject({ rejected: 3 });
    const retain = (records: string) =>
      done('PUT', '/v1/streams/events', { ...eventsDeclaration, retention: { records } });
    await retain('30 days');
    const tried = await done('POST', `${address}/dry-run`, { schema: relaxed });
    expect(tried.rejects).toMatchObject({
      accepted: 1,
      rejected: 2,
      failures: [{ field: 'timestamp', message: expect.stringContaining('lies before') }, {}],
    });
    // What was dropped once is not taken in again, also when more is kept from now on.
    await tallybook.compact();
    await retain('90 days');
    const { foretold, replayed } = await foretoldAndReplayed(opened, relaxed);
    expect(foretold).toMatchObject({ received: 3, accepted: 1, rejected: 2 });
    expect(replayed).toEqual(foretold);
  });

  test('the dry run foretells the order of those that were to insert and to correct', async () => {
    const opened = await openEvents(kind);
    const { done } = opened;
    await done('PUT', address, { schema: strict });
    const path = '/v1/streams/events/records';
    await done('POST', path, [submit('a', { form: { n: 1 } })]);
    await done('POST', `${path}?mode=upsert`, [submit('a', { form: { n: 2 } })]);
    await done('POST', path, [submit('a', { form: { n: 2 } })]);
    const { foretold, replayed } = await foretoldAndReplayed(opened, relaxed);
    expect(foretold).toMatchObject({ accepted: 1, corrected: 1, conflicts: 1, duplicates: 0 });
    expect(replayed).toEqual(foretold);
  });

  test('under warn an event is taken in, and the warning is counted once', async () => {
    const { done } = await openEvents(kind);
    await done('PUT', address, { schema: strict, mode: 'warn' });
    const sent = [
      submit('a', {}),
      submit('b', { form: {} }),
      submit('c', { form: {} }),
      submit('d', { form: { email: 'a@b' } }),
    ];
    expect(await done('POST', '/v1/events', sent)).toMatchObject({ accepted: 4 });
    expect(await done('POST', '/v1/events', sent)).toMatchObject({ duplicates: 4 });
    const { groups } = await done('GET', '/v1/events/warnings?category=form%20interaction');
    expect(groups).toMatchObject([
      {
        category: 'form interaction',
        name: 'submit',
        version: 1,
        field: 'data.form.email',
        application: 'local',
        count: 2,
        sample: 'c',
      },
      { field: 'data.form', count: 1, sample: 'a' },
    ]);
    expect((await done('GET', '/v1/events/warnings?name=other')).groups).toEqual([]);
    expect((await done('GET', '/theeye/errors')).count).toBe(0);
  });

  test('each change is a version with a history; the same once more is none; what is taken away holds no more', async () => {
    const { send, done } = await openEvents(kind);
    await done('PUT', address, { schema: strict });
    expect(await send('PUT', address, { schema: strict })).toMatchObject({
      status: 200,
      json: { version: 1 },
    });
    await done('PUT', address, { schema: strict, mode: 'warn', description: 'for now' });
    await done('PUT', address, { schema: relaxed });
    const { type, versions } = await done('GET', address);
    expect(type).toMatchObject({ version: 3, mode: 'enforce', schema: relaxed });
    expect(versions).toMatchObject([
      { version: 1, mode: 'enforce', schema: strict },
      { version: 2, mode: 'warn', description: 'for now' },
      { version: 3, schema: relaxed },
    ]);
    expect((await done('GET', '/v1/event-types')).types).toEqual([type]);
    expect(await done('DELETE', address)).toMatchObject({ removed: { version: 3 } });
    expect((await done('GET', '/v1/event-types')).types).toEqual([]);
    expect(await done('GET', address)).toMatchObject({ type: null, versions: { length: 3 } });
    expect(await done('POST', '/v1/events', submit('a', {}))).toMatchObject({ accepted: 1 });
    expect(await done('PUT', address, { schema: strict })).toMatchObject({ version: 4 });
    expect((await send('GET', '/v1/event-types/a/b')).json).toMatchObject({
      status: 404,
      code: 'unknown_event_type',
    });
    expect((await send('DELETE', '/v1/event-types/a/b')).status).toBe(404);
    expect((await send('POST', '/v1/event-types/a/b/dry-run', {})).status).toBe(404);
  });

  test('a source may be held to known types alone', async () => {
    const opened = await openEvents(kind);
    const { done } = opened;
    await done('PUT', '/v1/event-sources/local', { unknown_types: 'reject' });
    expect((await done('GET', '/v1/event-sources')).sources).toEqual([
      { source: 'local', unknown_types: 'reject' },
    ]);
    expect(await done('POST', '/v1/events', submit('a', { form: 1 }))).toMatchObject({
      verdicts: [{ verdict: 'rejected', code: 'unknown_type', field: 'name' }],
    });
    const { rejects } = await done('POST', `${address}/dry-run`, { schema: relaxed });
    expect(rejects).toMatchObject({ received: 1, accepted: 1 });
    await done('PUT', address, { schema: relaxed });
    expect(await replay(opened)).toMatchObject({ accepted: 1 });
    expect(await done('POST', '/v1/events', event())).toMatchObject({ rejected: 1 });
    await done('PUT', '/v1/event-sources/local', { unknown_types: 'accept' });
    expect(await done('POST', '/v1/events', event())).toMatchObject({ accepted: 1 });
  });

  test('a schema is inferred from what was seen, and fits it', async () => {
    const { done } = await openEvents(kind);
    const seen = [
      { plan: 'a', seats: 3, tags: ['x'], address: { city: 'Oslo' } },
      { plan: 'b', seats: 2.5, tags: [], address: { city: 'Bergen', zip: null } },
      { plan: null, seats: 1, tags: [1], address: {} },
    ];
    await done(
      'POST',
      '/v1/events',
      seen.map((data, i) => submit(`s${i}`, data)),
    );
    const { events, schema } = await done('GET', `${address}/inferred`);
    expect(events).toBe(3);
    expect(schema).toEqual({
      type: 'object',
      required: ['address', 'plan', 'seats', 'tags'],
      properties: {
        plan: { type: ['null', 'string'] },
        seats: { type: 'number' },
        tags: { type: 'array', items: { type: ['integer', 'string'] } },
        address: { type: 'object', properties: { city: { type: 'string' }, zip: { type: 'null' } } },
      },
    });
    const tried = await done('POST', `${address}/dry-run`, { schema, sample: [{ plan: 1 }] });
    expect(tried).toMatchObject({ seen: { checked: 3, failed: 0 }, sample: { failed: 1 } });
  });
});

const deep = `{"items":${'{"items":'.repeat(40)}{}${'}'.repeat(41)}`;
// biome-ignore format: one line a case
test.each([
  ['no object', '[]', /must be object/],
  ['an unknown type', '{"type":"text"}', /schema\/type must be/],
  ['a pattern that is none', '{"properties":{"a":{"pattern":"("}}}', /regular expression/],
  ['a reference to another host', '{"$ref":"https://example.com/schema.json"}', /expected one within the schema/],
  ['a reference to nothing', '{"$ref":"#/$defs/none"}', /can't resolve/],
  ['a reference to itself without an end', '{"$ref":"#"}', /data cannot be held against the schema/],
  ['an older dialect', '{"$schema":"http://json-schema.org/draft-07/schema#"}', /2020-12/],
  ['an id', '{"$id":"https://example.com/a"}', /leave it out/],
  ['too many levels', deep, /42 levels/],
  ['too many characters', JSON.stringify({ description: 'x'.repeat(70_000) }), /characters/],
])('a schema that cannot be used is refused: %s', async (_title, schema, detail) => {
  const { send } = await openEvents('memory');
  const { status, json: problem } = await send('PUT', address, `{"schema":${schema}}`, json);
  expect(status).toBe(400);
  expect(problem.detail).toMatch(detail);
});

test('the dry run foretells as many as one replay takes, by their bytes', async () => {
  const opened = await openEvents('memory');
  await opened.done('PUT', address, { schema: strict });
  const pad = 'x'.repeat(1_000_000);
  for (let i = 0; i < 35; i += 7) {
    const some = Array.from({ length: 7 }, (_, n) => submit(`${i + n}`, { form: { pad } }));
    expect(await opened.done('POST', '/v1/events', some)).toMatchObject({ rejected: 7 });
  }
  const { foretold, replayed } = await foretoldAndReplayed(opened, relaxed);
  expect(foretold).toMatchObject({ received: 33, accepted: 33, more: true });
  expect(replayed).toEqual(foretold);
}, 60_000);

test('a pattern that would take for ever refuses the event that it meets, and no other', async () => {
  const { done } = await openEvents('duckdb');
  await done('PUT', address, { schema: { properties: { a: { pattern: '^(a+)+$' } } } });
  const trap = `${'a'.repeat(60)}!`;
  const sent = [submit('1', { a: 'aaa' }), submit('2', { a: trap }), submit('3', { a: 'aa' })];
  expect(await done('POST', '/v1/events', sent)).toMatchObject({
    accepted: 2,
    errors: [{ index: 1, code: 'schema_violation', field: 'data' }],
  });
});

test('many that would take for ever together take a second, and others come through', async () => {
  const { done } = await openEvents('duckdb');
  await done('PUT', address, { schema: { properties: { a: { pattern: '^(a+)+$' } } } });
  const trap = `${'a'.repeat(60)}!`;
  const sent = Array.from({ length: 5_000 }, (_, i) => submit(`${i}`, { a: i < 10 ? 'aaa' : trap }));
  const { accepted, rejected } = await done('POST', '/v1/events', sent);
  expect([accepted, rejected]).toEqual([10, 4_990]);
  expect(await done('POST', '/v1/events', [submit('next', { a: 'aa' })])).toMatchObject({ accepted: 1 });
});

test('types are read from the ledger when it is opened', async () => {
  const { tallybook, done } = await openEvents('duckdb');
  await done('PUT', address, { schema: strict });
  await done('PUT', '/v1/event-sources/shop', { unknown_types: 'reject' });
  await EventTypes.open(tallybook);
  expect(typesOf(tallybook).list()).toMatchObject([{ name: 'submit', version: 1 }]);
  expect(await done('POST', '/v1/events', submit('a', {}))).toMatchObject({ rejected: 1 });
  expect(typesOf(tallybook).strictSources()).toEqual(['shop']);
});
