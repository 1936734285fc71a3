/** The page of the console, as it is sent: to its own addresses, with a strict policy, and to nothing of the API. */
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { views } from '../../console/src/views.ts';
import { consoleViews } from '../../src/http/routes/console.ts';
import { systems } from '../../src/systems/systems.ts';
import { openApp } from './open-app.ts';

const open = () => openApp('memory', { auth: true, systems, console: true });

test('the page is the answer to each of its views, and to what they show one of', async () => {
  const { send } = await open();
  for (const path of ['/', '/usage', '/usage/8047', '/rejects/r1?x=y', '/occupancy/hall%202']) {
    const { status, headers, text } = await send('GET', path);
    expect([path, status, headers['content-type']]).toEqual([path, 200, 'text/html; charset=utf-8']);
    expect(headers['cache-control']).toBe('no-cache');
    expect(text).toContain('<title>console</title>');
  }
  expect(views.map(({ path }) => path)).toEqual(
    expect.arrayContaining(consoleViews.map((view) => `/${view}`)),
  );
  expect(consoleViews.length).toBe(views.length - 1);
});

test('what is no view stays a problem, and nothing of the API is shadowed', async () => {
  const { send } = await open();
  for (const path of [
    '/nothing',
    '/v1',
    '/v1/nothing',
    '/v1/usage/nothing/at/all',
    '/usage/1/2',
    '/assets/none.js',
  ]) {
    const { status, json } = await send('GET', path);
    expect([path, status, json.code]).toEqual([path, 404, 'unknown_route']);
  }
  expect((await send('POST', '/usage')).json.code).toBe('unknown_route');
  for (const path of ['/v1/streams', '/metrics', '/v1/usage/exceeding?limit=1'])
    expect([path, (await send('GET', path)).json.code]).toEqual([path, 'unauthenticated']);
  expect((await send('GET', '/healthz')).json.status).toBe('ok');
  expect((await send('GET', '/docs')).text).toContain('api-reference');
});

test('the policy runs no script but those that were built, asks no other host, and takes styles of this answer alone', async () => {
  const { send } = await open();
  const policies: string[] = [];
  for (const _ of [1, 2]) {
    const { headers, text } = await send('GET', '/explore/usage');
    const policy = String(headers['content-security-policy']);
    const directives = Object.fromEntries(policy.split(';').map((one) => one.split(/ (.*)/s).slice(0, 2)));
    expect(directives['default-src']).toBe("'none'");
    expect(directives['connect-src']).toBe("'self'");
    expect(directives['frame-ancestors']).toBe("'none'");
    expect(directives['script-src']).toMatch(/^'self' 'nonce-[0-9a-f]{32}'$/);
    const nonce = /^'self' 'nonce-([0-9a-f]{32})'$/.exec(directives['style-src']!)![1];
    expect(text).toContain(`content="${nonce}"`);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    policies.push(policy);
  }
  expect(policies[0]).not.toBe(policies[1]);
});

test('files are sent as they were packed, and may be kept for ever', async () => {
  const { send } = await open();
  const plain = await send('GET', '/assets/page-a1.js');
  expect(plain.text).toBe('console.log(1)');
  expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable');
  expect(plain.headers['content-type']).toMatch(/javascript/);
  const { app } = await open();
  const packed = await app.inject({ url: '/assets/page-a1.js', headers: { 'accept-encoding': 'gzip' } });
  expect(packed.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(packed.rawPayload).toString()).toBe('console.log(1)');
});

test('without a console that was built there is none, and everything else is as it was', async () => {
  const { send } = await openApp('memory');
  expect((await send('GET', '/')).json.code).toBe('unknown_route');
  expect((await send('GET', '/usage')).json.code).toBe('unknown_route');
});
