/**
 * Built into static files with hashed names. Each is packed beside itself, once, here: the server sends it as it is.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const packed = (): Plugin => ({
  name: 'packed',
  apply: 'build',
  writeBundle({ dir }) {
    const assets = join(dir!, 'assets');
    for (const name of readdirSync(assets)) {
      writeFileSync(join(assets, `${name}.gz`), gzipSync(readFileSync(join(assets, name)), { level: 9 }));
    }
  },
});

/** Where the server of `npm run dev` finds the API. */
const api = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), packed()],
  build: {
    // The first that know light-dark(); below them it would be unfolded, wrongly.
    target: ['chrome123', 'firefox128', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      [
        '/v1',
        '/dsrs',
        '/resources',
        '/space',
        '/theeye',
        '/metrics',
        '/healthz',
        '/docs',
        '/openapi.json',
      ].map((path) => [path, api]),
    ),
  },
});
