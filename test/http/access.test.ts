import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openApp, sale, storeKinds } from './open-app.ts';

const records = '/v1/streams/sales/records';
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe.each(storeKinds)('keys and sources, %s', (kind) => {
  async function withAdmin() {
    const opened = await openApp(kind, { auth: true });
    const path = join(opened.directory, 'admin.key');
    expect(await opened.tallybook.sources.ensureAdminKey(path)).toEqual({ path });
    const admin = bearer((await readFile(path, 'utf8')).trim());
    const create = async (more: object) => {
      const { status, json } = await opened.send(
        'POST',
        '/v1/sources',
        { name: 'shop', scopes: ['ingest'], ...more },
        admin,
      );
      expect(status).toBe(201);
      return bearer(json.key as string);
    };
    return { ...opened, admin, create, path };
  }

  test('the first start writes a key that may do everything, for its owner alone', async () => {
    const { send, admin, path, tallybook } = await withAdmin();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await send('GET', '/v1/sources', undefined, admin)).json.sources).toMatchObject([
      { name: 'admin', scopes: ['ingest', 'read', 'admin'] },
    ]);
    expect(await tallybook.sources.ensureAdminKey(path)).toBeUndefined();
  });

  test('no key, an unknown one, a key as the user name of Basic', async () => {
    const { send, create } = await withAdmin();
    const key = (await create({ scopes: ['read'] })).authorization.slice(7);
    expect(await send('GET', records)).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="tallybook"' },
      json: { code: 'unauthenticated', detail: expect.stringContaining('no key came') },
    });
    expect(await send('GET', records, undefined, bearer('tb_guess'))).toMatchObject({
      status: 401,
      json: { detail: expect.stringContaining('not known') },
    });
    const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
    expect((await send('GET', records, undefined, basic(`${key}:`))).status).toBe(200);
    expect((await send('GET', records, undefined, basic(key))).status).toBe(200);
    expect((await send('GET', records, undefined, basic(`:${key}`))).status).toBe(401);
    expect((await send('GET', records, undefined, { authorization: `bearer ${key}` })).status).toBe(200);
  });

  test('a key is shown once, kept as a hash, added and revoked', async () => {
    const { send, admin, create, tallybook } = await withAdmin();
    const first = await create({});
    expect((await send('POST', records, sale('a'), first)).status).toBe(201);
    const shown = await send('GET', '/v1/sources/shop', undefined, admin);
    expect(shown.text).not.toContain(first.authorization.slice(7));
    const added = (await send('POST', '/v1/sources/shop/keys', undefined, admin)).json;
    expect(added.source.keys).toHaveLength(2);
    const [old] = added.source.keys;
    expect(
      (await send('DELETE', `/v1/sources/shop/keys/${old.id}`, undefined, admin)).json.keys,
    ).toHaveLength(1);
    expect((await send('POST', records, sale('b'), first)).status).toBe(401);
    expect((await send('POST', records, sale('b'), bearer(added.key))).status).toBe(201);
    expect(await send('DELETE', `/v1/sources/shop/keys/${old.id}`, undefined, admin)).toMatchObject({
      status: 404,
      json: { code: 'unknown_key' },
    });
    expect(await send('POST', '/v1/sources', { name: 'shop', scopes: ['read'] }, admin)).toMatchObject({
      status: 409,
      json: { code: 'source_exists' },
    });
    expect((await send('DELETE', '/v1/sources/shop', undefined, admin)).status).toBe(204);
    expect((await send('POST', records, sale('c'), bearer(added.key))).status).toBe(401);
    expect((await tallybook.records('sales', {}, {})).records.map((entry) => entry.source)).toEqual([
      'shop',
      'shop',
    ]);
  });

  test('a source bound to streams sees and writes only those', async () => {
    const { send, admin, create } = await withAdmin();
    const bound = await create({ scopes: ['ingest', 'read'], streams: ['clicks'] });
    await send('POST', records, sale('a', { amount: 'x' }), admin);
    await send('POST', '/v1/imports?stream=sales', 'id,at,amount\nq,2026-10-05 00:00:00,1\n', {
      ...admin,
      'content-type': 'text/csv',
    });
    const [reject] = (await send('GET', '/v1/rejects', undefined, admin)).json.rejects;
    for (const [method, url, body] of [
      ['POST', records, sale('a')],
      ['GET', records],
      ['GET', '/v1/streams/sales'],
      ['GET', '/v1/streams/sales/query'],
      ['GET', '/v1/imports/1'],
      ['DELETE', '/v1/imports/1'],
      ['GET', `/v1/rejects/${reject.id}`],
      ['DELETE', `/v1/rejects/${reject.id}?reason=r`],
    ] as const) {
      expect
        .soft(await send(method, url, body, bound), `${method} ${url}`)
        .toMatchObject({ status: 403, json: { code: 'forbidden' } });
    }
    expect(
      (await send('POST', '/v1/imports?stream=sales', 'x', { ...bound, 'content-type': 'text/csv' })).status,
    ).toBe(403);
    expect(
      (await send('GET', '/v1/streams', undefined, bound)).json.streams.map((s: { name: string }) => s.name),
    ).toEqual(['clicks']);
    expect((await send('GET', '/v1/rejects', undefined, bound)).json.rejects).toEqual([]);
    expect((await send('GET', '/v1/rejects?stream=sales', undefined, bound)).json.rejects).toEqual([]);
    expect((await send('GET', '/v1/rejects?group_by=code', undefined, bound)).json.groups).toEqual([]);
    expect((await send('GET', '/v1/imports', undefined, bound)).json.imports).toEqual([]);
    expect((await send('POST', '/v1/rejects/replay', { ids: [reject.id] }, bound)).json).toMatchObject({
      received: 0,
      not_open: [reject.id],
    });
    expect((await send('DELETE', '/v1/rejects', { filter: {}, reason: 'r' }, bound)).json).toMatchObject({
      discarded: 0,
    });
    expect(
      (await send('GET', '/openapi.json', undefined, bound)).json.components.schemas['record.sales'],
    ).toBeUndefined();
    expect(
      (await send('GET', '/openapi.json', undefined, bound)).json.components.schemas['record.clicks'],
    ).toBeDefined();
    expect((await send('GET', '/openapi.json')).json.components.schemas['record.clicks']).toBeUndefined();
  });

  test('the rate limit: 429 with whole seconds, before the body is read; other sources go on', async () => {
    const { send, admin, create } = await withAdmin();
    const limited = await create({ rate_limit: 2 });
    expect((await send('POST', records, sale('1'), limited)).status).toBe(201);
    expect((await send('POST', records, sale('2'), limited)).status).toBe(201);
    const refused = await send('POST', records, sale('3'), limited);
    expect(refused).toMatchObject({ status: 429, json: { code: 'rate_limited' } });
    expect(refused.headers['retry-after']).toMatch(/^[1-9][0-9]?$/);
    expect((await send('POST', records, sale('4'), admin)).status).toBe(201);
    await send('PATCH', '/v1/sources/shop', { rate_limit: null }, admin);
    expect((await send('POST', records, sale('3'), limited)).status).toBe(201);
  });

  test('web pages: the origins of a source, and no others', async () => {
    const { app, send, create, admin } = await withAdmin();
    const page = await create({ origins: ['https://app.example'] });
    const preflight = (origin: string) =>
      app.inject({
        method: 'OPTIONS',
        url: records,
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight('https://app.example');
    expect(allowed.statusCode).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-headers': expect.stringContaining('authorization'),
    });
    expect((await preflight('https://evil.example')).headers['access-control-allow-origin']).toBeUndefined();
    const from = (origin: string, key: object) =>
      send('POST', records, sale('o'), { ...key, origin } as Record<string, string>);
    expect(await from('https://app.example', page)).toMatchObject({
      status: 201,
      headers: { 'access-control-allow-origin': 'https://app.example', vary: 'origin' },
    });
    expect((await from('https://evil.example', page)).status).toBe(403);
    // The page that this server serves itself.
    expect((await from('http://localhost:80', page)).status).toBe(200);
    expect(
      (await from('https://evil.example', admin)).headers['access-control-allow-origin'],
    ).toBeUndefined();
    // A page must be able to read why it was refused.
    expect(
      (await send('POST', records, sale('o'), { origin: 'https://app.example' })).headers[
        'access-control-allow-origin'
      ],
    ).toBe('https://app.example');
  });

  test('the last key that may administer stays', async () => {
    const { send, admin } = await withAdmin();
    const [key] = (await send('GET', '/v1/sources/admin', undefined, admin)).json.keys;
    for (const [method, url, body] of [
      ['DELETE', '/v1/sources/admin'],
      ['DELETE', `/v1/sources/admin/keys/${key.id}`],
      ['PATCH', '/v1/sources/admin', { scopes: ['read'] }],
    ] as const) {
      expect
        .soft(await send(method, url, body, admin))
        .toMatchObject({ status: 409, json: { code: 'last_admin' } });
    }
    await send('POST', '/v1/sources', { name: 'second', scopes: ['admin'] }, admin);
    expect((await send('DELETE', '/v1/sources/admin', undefined, admin)).status).toBe(204);
  });
});

test('without keys: only as this machine, and not for pages of others', async () => {
  const { send } = await openApp('memory');
  const status = async (headers: Record<string, string>) =>
    (await send('GET', '/v1/streams', undefined, headers)).status;
  expect(await status({ host: 'localhost:8080' })).toBe(200);
  expect(await status({ host: '127.0.0.1:8080', origin: 'http://127.0.0.1:8080' })).toBe(200);
  expect(await status({ host: '[::1]:8080' })).toBe(200);
  expect(await status({ host: 'localhost:8080', origin: 'https://evil.example' })).toBe(403);
  // A name of theirs that points to this machine.
  expect(await status({ host: 'evil.example:8080', origin: 'http://evil.example:8080' })).toBe(403);
});
