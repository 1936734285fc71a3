/** What holds for every view: keys, lost connections, sizes, contrast, labels, small screens, how often it draws. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launch, open, picture, seriousFaults } from './browser.ts';
import { type Served, start } from './served.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

describe('a server with keys', () => {
  let served: Served;
  let key: string;
  beforeAll(async () => {
    served = await start('serve', []);
    key = readFileSync(`${served.directory}/admin.key`, 'utf8').trim();
  });
  afterAll(() => served?.remove());

  const unauthenticated = /status of 401|status of 403/;

  test('asks for a key, refuses one that is none, and keeps it in the tab alone', async () => {
    const { page, end } = await open(browser, served.url, { expected: unauthenticated });
    await page.getByLabel('Key', { exact: true }).fill('tb_none');
    await picture(page, 'key');
    expect(await seriousFaults(page)).toEqual([]);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('does not know this key').waitFor();
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('region', { name: 'Streams' }).waitFor();
    await page.reload();
    await page.getByRole('region', { name: 'Streams' }).waitFor();
    const kept = await page.evaluate(() => [JSON.stringify({ ...localStorage }), document.cookie]);
    expect(kept.join()).not.toContain(key);
    await page.getByRole('button', { name: 'Forget the key' }).click();
    await page.getByLabel('Key', { exact: true }).waitFor();
    await end();
  });

  test('a key behind the # opens it, and leaves the address', async () => {
    const { page, end } = await open(browser, `${served.url}/sources#key=${key}`);
    await page.getByRole('heading', { name: 'Sources' }).waitFor();
    expect(page.url()).toBe(`${served.url}/sources`);
    await end();
  });

  test('what a key may not see says which scope it needs', async () => {
    const made = await fetch(`${served.url}/v1/sources`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'reader', scopes: ['read'] }),
    });
    const { key: reading } = (await made.json()) as { key: string };
    const { page, end } = await open(browser, `${served.url}/sources#key=${reading}`, {
      expected: unauthenticated,
    });
    await page.getByText('This key may not see this').waitFor();
    await page.getByText('this needs the scope admin').waitFor();
    await picture(page, 'no-permission');
    await page.getByRole('link', { name: 'Explore' }).click();
    await page.getByRole('heading', { name: 'Explore' }).waitFor();
    await end();
  });
});

test('a server that goes away is told of, and its return is seen', async () => {
  const served = await start('serve', ['--no-auth']);
  const port = Number(new URL(served.url).port);
  const { page, end } = await open(browser, served.url, { expected: /ERR_|status of 503/ });
  const streams = page.getByRole('region', { name: 'Streams' });
  await streams.waitFor();
  await served.stop();
  await page.getByRole('alert').getByText('The server does not answer').waitFor();
  // What was shown stays.
  expect(await streams.isVisible()).toBe(true);
  await picture(page, 'lost');
  const again = await start('serve', ['--no-auth'], { directory: served.directory, port });
  await expect.poll(() => page.getByRole('alert').count()).toBe(0);
  await end();
  await again.remove();
});

test('the first load is below 350 kB, packed', async () => {
  const served = await start('serve', ['--no-auth']);
  const assets = fileURLToPath(new URL('../../console/dist/assets/', import.meta.url));
  const loaded = new Set<string>();
  const { page, end } = await open(browser, `${served.url}/healthz`);
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (pathname.startsWith('/assets/')) {
      expect(response.headers()['content-encoding'], pathname).toBe('gzip');
      loaded.add(pathname.slice('/assets/'.length));
    }
  });
  await page.goto(served.url);
  await page.getByRole('img', { name: /Records a second by verdict/ }).waitFor();
  const bytes = [...loaded].reduce((sum, name) => sum + statSync(`${assets}${name}.gz`).size, 0);
  console.log(`the first load: ${Math.round(bytes / 1000)} kB in ${loaded.size} files`);
  expect(bytes).toBeLessThan(350_000);
  // The other views are not in it.
  expect(loaded.size).toBeLessThan(readdirSync(assets).length / 2);
  await end();
  await served.remove();
});

describe('every view', () => {
  const paths = [
    '/',
    '/explore/usage',
    '/explore/usage?show=records',
    '/imports?stream=usage',
    '/rejects',
    '/rejects/r1',
    '/usage?limit=10',
    '/usage/1',
    '/usage/1?record=usage/a1',
    '/usage/1?explain=stream%3Dusage',
    '/events',
    '/events?show=errors',
    '/events?show=types',
    '/events/none',
    '/reports',
    '/reports?show=top',
    '/occupancy',
    '/occupancy?show=sensors',
    '/alerts',
    '/alerts?show=alerts',
    '/alerts?show=webhooks',
    '/sources',
  ];
  let served: Served;
  beforeAll(async () => {
    served = await start('serve', ['--no-auth']);
    const day = new Date().toISOString();
    const records = Array.from({ length: 40 }, (_, i) => ({
      id: `a${i}`,
      type: i % 3 ? 'data' : 'voice',
      subscription_id: 1 + (i % 4),
      usage_date: day,
      price: '9.99',
      used: 1000 + i,
    }));
    await served.api('POST', '/v1/streams/usage/records', [
      ...records,
      { ...records[0], id: 'bad', price: '1.005' },
    ]);
    await served.api('POST', '/v1/sources', { name: 'shop', scopes: ['ingest'] });
    await served.api('PUT', '/v1/alerts/spending', {
      stream: 'usage',
      measure: 'sum(price)',
      by: ['subscription_id'],
      period: 'month',
      limit: 50,
    });
  });
  afterAll(() => served?.remove());

  /** Until nothing more is on its way. */
  async function settled(page: Page): Promise<void> {
    await page.locator('h1, h3, [role=dialog]').first().waitFor();
    await expect.poll(() => page.getByRole('status', { name: 'Loading' }).count()).toBe(0);
  }

  for (const scheme of ['light', 'dark'] as const) {
    test(`axe finds nothing serious in ${scheme} colours`, async () => {
      const { page, end } = await open(browser, served.url, { colorScheme: scheme });
      const found: string[] = [];
      for (const path of paths) {
        await page.goto(served.url + path);
        await settled(page);
        found.push(...(await seriousFaults(page)).map((fault) => `${path}: ${fault}`));
      }
      expect(found).toEqual([]);
      await end();
    });
  }

  test('fits a screen that is 380 wide', async () => {
    const { page, end } = await open(browser, served.url, { viewport: { width: 380, height: 800 } });
    const wide: string[] = [];
    for (const path of paths) {
      await page.goto(served.url + path);
      await settled(page);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > 380) wide.push(`${path}: ${width}`);
    }
    expect(wide).toEqual([]);
    await page.goto(`${served.url}/usage?limit=10`);
    await settled(page);
    await picture(page, 'small');
    await page.getByRole('button', { name: 'Navigation' }).click();
    await page.getByRole('link', { name: 'Rejects' }).click();
    await page.getByRole('heading', { name: 'Rejects', level: 1 }).waitFor();
    await end();
  });

  test('is reached and used by the keyboard', async () => {
    const { page, end } = await open(browser, `${served.url}/usage?limit=10`);
    await settled(page);
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the view');
    await page.keyboard.press('Enter');
    const figure = page
      .getByRole('region', { name: 'Subscriptions over the limit' })
      .getByRole('button')
      .first();
    for (let i = 0; i < 20 && !(await figure.evaluate((one) => one === document.activeElement)); i++)
      await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Entries behind the figure' }).waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
    await end();
  });

  test('times are those of the viewer, with UTC on hover', async () => {
    const { page, end } = await open(browser, `${served.url}/explore/usage?show=records`, {
      timezoneId: 'Asia/Kolkata',
    });
    const time = page.getByRole('region', { name: 'Records' }).locator('time').first();
    const [at, shown, told] = await time.evaluate((one) => [
      one.getAttribute('datetime')!,
      one.textContent!,
      one.getAttribute('title')!,
    ]);
    const there = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Kolkata', timeStyle: 'medium' }).format(
      new Date(at!),
    );
    expect(shown).toContain(there);
    expect(told).toContain(at!.slice(0, 19).replace('T', ' '));
    expect(told).toMatch(/UTC$/);
    await end();
  });

  test('a thousand commits between two looks are one look: it asks once a second, whatever happens', async () => {
    const { page, end } = await open(browser, served.url);
    await settled(page);
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/metrics')) asked += 1;
    });
    const started = Date.now();
    const day = new Date().toISOString();
    for (let round = 0; round < 10; round++)
      await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          served.api('POST', '/v1/streams/usage/records', {
            id: `m${round}-${i}`,
            type: 'data',
            subscription_id: 9,
            usage_date: day,
            price: '0.01',
            used: 1,
          }),
        ),
      );
    const seconds = (Date.now() - started) / 1000;
    expect(asked).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'usage', exact: true }) });
    await expect.poll(() => row.locator('td').nth(2).textContent()).toBe('1,040');
    await end();
  });
});
