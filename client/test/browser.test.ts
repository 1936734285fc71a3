/** The client in a real browser, on pages of another host than Tallybook's. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Retry, TallybookClient, Undelivered } from '../src/index.ts';
import { chromiumPath, launch, Site } from './browser.ts';
import { path, Served, until } from './served.ts';
import { Unreliable } from './unreliable.ts';

interface Shop {
  client: TallybookClient;
  errors: Undelivered[];
  retries: Retry[];
  sendSome(count: number, from?: number): (string | undefined)[];
}
/** What a page of the site has in its `window`; functions that are evaluated there use it. */
declare const shop: Shop;

let served: Served;
let key: string;
let site: Site;
let browser: Browser;
let way: Unreliable;
let context: BrowserContext;

describe.skipIf(chromiumPath === undefined)('in Chromium', () => {
  beforeAll(async () => {
    served = await Served.start();
    site = await Site.open();
    key = await served.source('shop', { origins: [site.origin] });
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await served?.stop();
  });
  beforeEach(async () => {
    // A context is a browser of its own: nothing is stored yet.
    context = await browser.newContext();
    way = await Unreliable.before(served.url);
    onTestFinished(async () => {
      await context.close();
      await way.close();
    });
  });

  async function open(options: object = {}): Promise<Page> {
    site.options = { url: way.url, key, delayMilliseconds: 10, retryMilliseconds: 10, ...options };
    const page = await context.newPage();
    await page.goto(site.origin);
    await page.waitForFunction(() => typeof shop !== 'undefined');
    return page;
  }

  const sendSome = (page: Page, count: number, from = 0): Promise<unknown> =>
    page.evaluate(([count, from]) => shop.sendSome(count!, from), [count, from]);
  const flush = (page: Page): Promise<void> => page.evaluate(() => shop.client.flush());
  const sessionOf = (page: Page): Promise<string> => page.evaluate(() => shop.client.sessionId!);
  const arrived = async (session: string): Promise<number[]> =>
    (await served.events(session)).map(({ data }) => data.n);
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const sorted = (found: number[]): number[] => found.sort((a, b) => a - b);
  /** How many items of the offline queue there are. */
  const stored = (page: Page): Promise<number> =>
    page.evaluate(() => Object.keys(localStorage).filter((key) => key.split(' ').length === 4).length);
  /** Resolves when a page has sent what others have left: the browser may take a moment to see that they are gone. */
  const takenOver = (page: Page): Promise<void> => {
    const leftAfterFlush = async () => {
      await flush(page);
      return stored(page);
    };
    return expect.poll(leftAfterFlush, { timeout: 10_000 }).toBe(0);
  };

  test('the page of the examples sends what it says', async () => {
    site.options = { url: way.url, key };
    const page = await context.newPage();
    await page.goto(`${site.origin}/example`);
    await page.click('#buy');
    await page.waitForFunction(() => document.querySelector('#state')!.textContent === 'counted');
    const session = await page.evaluate(() => Object.values(sessionStorage).join());
    expect(session).not.toBe('');
    expect((await served.events(session)).map(({ name }) => name).sort()).toEqual(['bought', 'view']);
  });

  test('a page of another host sends, with the session of its tab', async () => {
    const page = await open();
    const session = await sessionOf(page);
    await sendSome(page, 250);
    await flush(page);
    expect(await arrived(session)).toEqual(numbers(250));
    expect(await stored(page)).toBe(0);
    expect(way.requests[0]!.headers.origin).toBe(site.origin);
    expect(way.requests.every(({ headers }) => headers.authorization === `Bearer ${key}`)).toBe(true);

    await page.reload();
    expect(await sessionOf(page)).toBe(session);
    const other = await open();
    expect(await sessionOf(other)).not.toBe(session);
    await other.evaluate(() => {
      shop.client.sessionId = 'another';
    });
    await other.reload();
    expect(await sessionOf(other)).toBe('another');
  });

  test('what the ledger refuses is told to the page', async () => {
    const page = await open();
    const told = await page.evaluate(async () => {
      shop.client.send({ category: 'cart' });
      const message = await shop.client.flush().catch((error: Error) => error.message);
      return { message, errors: shop.errors };
    });
    expect(told.message).toContain('missing_field');
    expect(told.errors).toEqual([expect.objectContaining({ code: 'missing_field', field: 'name' })]);
    expect(await stored(page)).toBe(0);
  });

  test.each([
    { status: 503 },
    { status: 429, headers: { 'retry-after': '1' } },
    { cut: 'request' },
    { cut: 'after commit' },
    { cut: 'answer' },
  ] as const)('%o on the way: every event arrives once, in its order', async (fault) => {
    way.faults.push(fault, fault);
    const page = await open();
    await sendSome(page, 50);
    await flush(page);
    expect(await arrived(await sessionOf(page))).toEqual(numbers(50));
    // Chromium itself sends once more what it lost on a connection that it had used before.
    expect(way.faults).toEqual([]);
    expect(await page.evaluate(() => shop.retries.length)).toBeGreaterThan(0);
    if ('headers' in fault) {
      const [first, second] = way.requests;
      expect(second!.at - first!.at).toBeGreaterThan(990);
    }
  });

  test('a server that is killed and started again has every event once', async () => {
    const page = await open({ batchEvents: 20, retryMaxMilliseconds: 200 });
    await sendSome(page, 300);
    await until(() => way.requests.length > 3);
    await served.kill();
    await sendSome(page, 300, 300);
    await served.again();
    await flush(page);
    expect(await arrived(await sessionOf(page))).toEqual(numbers(600));
  });

  test.each([
    ['closed', (page: Page) => page.close()],
    ['left', (page: Page) => page.goto(`${site.origin}/other`)],
  ])('a page that is %s delivers what still waits', async (_, leave) => {
    const page = await open({ delayMilliseconds: 600_000 });
    const session = await sessionOf(page);
    await sendSome(page, 80);
    expect(way.requests).toEqual([]);
    await leave(page);
    await until(async () => (await arrived(session)).length === 80);
    expect(await arrived(session)).toEqual(numbers(80));
  });

  test('a page that is hidden delivers at once, and goes on when it is seen again', async () => {
    const page = await open({ delayMilliseconds: 600_000 });
    const session = await sessionOf(page);
    await sendSome(page, 5);
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await until(async () => (await arrived(session)).length === 5);
    await sendSome(page, 5, 5);
    await flush(page);
    expect(await arrived(session)).toEqual(numbers(10));
    expect(await stored(page)).toBe(0);
  });

  test('a page that is closed while a request is under way delivers that, and what waits behind it', async () => {
    let release = (): void => undefined;
    way.faults.push({ hold: new Promise<void>((resolve) => (release = resolve)) });
    const page = await open({ batchEvents: 20 });
    const session = await sessionOf(page);
    await sendSome(page, 50);
    await until(() => way.requests.length === 1);
    await page.close();
    await until(() => way.requests.length === 3);
    release();
    await until(async () => (await arrived(session)).length === 50);
    expect(sorted(await arrived(session))).toEqual(numbers(50));
  });

  test('what a page could not send when it was closed, the next one sends, once', async () => {
    way.always = { status: 503 };
    const page = await open({ batchEvents: 20 });
    const session = await sessionOf(page);
    // Three times what requests that outlive a page may carry.
    await page.evaluate(() => {
      for (let n = 0; n < 300; n++)
        shop.client.send({ category: 'cart', name: 'item added', data: { n, text: 'x'.repeat(500) } });
    });
    await until(() => way.requests.length > 1);
    await page.close();
    way.always = undefined;
    expect((await arrived(session)).length).toBeLessThan(150);

    const next = await open();
    await flush(next);
    expect(sorted(await arrived(session))).toEqual(numbers(300));
    expect(await stored(next)).toBe(0);
    // They keep the session in which they happened.
    expect(await arrived(await sessionOf(next))).toEqual([]);
  });

  test('offline, then online: everything arrives, and soon', async () => {
    const page = await open({ retryMilliseconds: 600_000, retryMaxMilliseconds: 600_000 });
    const session = await sessionOf(page);
    await sendSome(page, 10);
    await flush(page);
    await context.setOffline(true);
    await sendSome(page, 100, 10);
    await page.waitForFunction(() => shop.retries.length > 0);
    expect(await stored(page)).toBe(100);
    await context.setOffline(false);
    // Being online again ends the wait, which is one of minutes.
    await until(async () => (await arrived(session)).length === 110);
    expect(await arrived(session)).toEqual(numbers(110));
    expect(way.requests.length).toBe(2);
  });

  test('offline, closed, opened again online: everything arrives, once', async () => {
    const page = await open();
    const session = await sessionOf(page);
    await context.setOffline(true);
    await sendSome(page, 100);
    await page.waitForFunction(() => shop.retries.length > 0);
    await page.close();
    await context.setOffline(false);
    await takenOver(await open());
    expect(await arrived(session)).toEqual(numbers(100));
  });

  test('a tab leaves alone what another tab that lives will send', async () => {
    way.always = { status: 503, headers: { 'retry-after': '600' } };
    const first = await open();
    const session = await sessionOf(first);
    await sendSome(first, 30);
    await first.waitForFunction(() => shop.retries.length > 0);
    way.always = undefined;

    const second = await open();
    await sendSome(second, 3);
    await flush(second);
    expect(await arrived(session)).toEqual([]);
    expect(await stored(second)).toBe(30);

    // The first was told to wait, and does so when it is closed, too: the second takes over as soon as it looks.
    await first.close();
    await second.reload();
    await second.waitForFunction(() => typeof shop !== 'undefined');
    await flush(second);
    expect(await arrived(session)).toEqual(numbers(30));
    expect(await stored(second)).toBe(0);
    // Its own three, the other's thirty.
    expect(way.requests.slice(1).map(({ events }) => events.length)).toEqual([3, 30]);
  });

  test('what another program left in the storage spoils nothing', async () => {
    way.always = { status: 503 };
    const page = await open();
    const session = await sessionOf(page);
    await sendSome(page, 5);
    await page.evaluate(
      (address) => localStorage.setItem(`tallybook ${address} 0 1`, 'no event'),
      way.url + path,
    );
    await page.close();
    way.always = undefined;
    await takenOver(await open());
    expect(await arrived(session)).toEqual(numbers(5));
  });

  test('a storage that is full keeps nothing from being sent', async () => {
    const page = await open();
    await page.evaluate(() => {
      for (let size = 5_000_000; size >= 1; size = Math.floor(size / 2)) {
        try {
          for (;;) localStorage.setItem(`filled ${Math.random()}`, 'x'.repeat(size));
        } catch {}
      }
    });
    await sendSome(page, 30);
    expect(await stored(page)).toBe(0);
    await flush(page);
    expect(await arrived(await sessionOf(page))).toEqual(numbers(30));
  });

  test('an event that is larger than what may outlive a page goes all the same', async () => {
    const page = await open();
    await page.evaluate(() =>
      shop.client.send({ category: 'a', name: 'b', data: { n: 0, text: 'x'.repeat(200_000) } }),
    );
    await flush(page);
    expect(await arrived(await sessionOf(page))).toEqual([0]);
  });

  test('close leaves to the next page what it could not send', async () => {
    way.always = { status: 503 };
    const page = await open();
    const session = await sessionOf(page);
    await sendSome(page, 2);
    const left = await page.evaluate(() =>
      shop.client.close({ timeoutMilliseconds: 100 }).catch((error) => error.undelivered.length as number),
    );
    expect(left).toBe(2);
    way.always = undefined;
    await page.reload();
    await page.waitForFunction(() => typeof shop !== 'undefined');
    await flush(page);
    expect(await arrived(session)).toEqual([0, 1]);
  });
});
