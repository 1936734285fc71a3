/** Chromium, and pages of a host of their own that use the client by `<script type="module">`. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

/** The page of examples/browser-page. */
const example = fileURLToPath(new URL('../../examples/browser-page/index.html', import.meta.url));
const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** Where Debian's package has it. */
export const chromiumPath = findChromium();

function findChromium(): string | undefined {
  const found = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  if (found === undefined && process.env.TALLYBOOK_TEST_NO_SKIP)
    throw new Error('there is no Chromium, and no test may be skipped; install the package chromium');
  return found;
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
}

/** A site whose pages import the client, make one as `options` says, and put it at `window.shop`. */
export class Site {
  /** Of the client of the next page that is loaded, as JSON. */
  options: object = {};
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      if (request.url === '/client.js' || request.url === '/tallybook-client.js')
        response.setHeader('content-type', 'text/javascript').end(readFileSync(built));
      else if (request.url === '/example')
        response.setHeader('content-type', 'text/html').end(this.#example());
      else if (request.url === '/other')
        response.setHeader('content-type', 'text/html').end('<p>another page');
      else response.setHeader('content-type', 'text/html').end(this.#page());
    });
  }

  static async open(): Promise<Site> {
    const site = new Site();
    await new Promise<void>((resolve) => site.#server.listen(0, '127.0.0.1', resolve));
    return site;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** With the address and the key, which its reader puts there. */
  #example(): string {
    const { url, key } = this.options as { url: string; key: string };
    return readFileSync(example, 'utf8').replace('http://127.0.0.1:8080', url).replace('YOUR_KEY', key);
  }

  #page(): string {
    return `<!doctype html><title>a shop</title><script type="module">
      import { TallybookClient } from '/client.js';
      const errors = [];
      const retries = [];
      const client = new TallybookClient({
        ...${JSON.stringify(this.options)},
        onError: (error) => errors.push(error),
        onRetry: (retry) => retries.push(retry),
      });
      const sendSome = (count, from = 0) => Array.from({ length: count }, (_, i) =>
        client.send({ category: 'cart', name: 'item added', data: { n: from + i } }));
      window.shop = { client, errors, retries, sendSome };
    </script>`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
