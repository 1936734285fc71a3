/**
 * Chromium without a window. Every page of a test is held to what holds for all: no error in it, nothing against its
 * content security policy, no request to another host.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const pictures = fileURLToPath(new URL('../../coverage/pictures/', import.meta.url));

export function launch(): Promise<Browser> {
  const executablePath = process.env.TALLYBOOK_TEST_BROWSER ?? places.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('there is no Chromium: apt-get install chromium');
  // Tests run as root in containers, where the sandbox cannot.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Opened {
  page: Page;
  /** What was wrong so far; closes the page. */
  end(): Promise<void>;
}

/** A page in a window of its own. `expected` are errors that the test brings about. */
export async function open(
  browser: Browser,
  url: string,
  { expected = /^$/, ...options }: BrowserContextOptions & { expected?: RegExp } = {},
): Promise<Opened> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    timezoneId: 'Europe/Madrid',
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const wrong: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(error.stack ?? error.message));
  const { origin } = new URL(url);
  page.on('request', (request) => {
    if (/^https?:/.test(request.url()) && new URL(request.url()).origin !== origin)
      wrong.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return {
    page,
    async end() {
      await context.close();
      // That a record is not there is an answer, which Chromium calls an error.
      expect(wrong.filter((text) => !/status of 404/.test(text) && !expected.test(text))).toEqual([]);
    },
  };
}

/** A picture of the page as it is, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: `${pictures}${name}.png` });
}

/** What axe finds that is serious, or worse, in one line each. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(`${axe.source};0`);
  const { violations } = (await page.evaluate('axe.run({resultTypes:["violations"]})')) as axe.AxeResults;
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(
        ({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary?.split('\n')[1] ?? ''}`,
      ),
    );
}
