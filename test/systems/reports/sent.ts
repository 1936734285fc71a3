/** The reports system over HTTP, with the short way to make files and to send them. */
import { gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { systems } from '../../../src/systems/systems.ts';
import {
  type Answered,
  type OpenOptions,
  openApp,
  replaceVerbs,
  type StoreKind,
} from '../../http/open-app.ts';

export const header = ['dsp_id', 'title', 'artists', 'isrc', 'usages', 'revenue'];
export type Line = [
  dspId: string,
  title: string,
  artists: string,
  isrc: string,
  usages: string,
  revenue: string,
];

export const tsv = (lines: readonly (readonly string[])[], columns: readonly string[] = header): string =>
  `${[columns, ...lines].map((cells) => cells.join('\t')).join('\n')}\n`;

export const line = (dspId: string, revenue: string, usages = '1', title = `title of ${dspId}`): Line => [
  dspId,
  title,
  'An Artist|Another',
  'SEABC1234567',
  usages,
  revenue,
];

/** A gzip that keeps the name of what was packed. */
export function gzipNamed(name: string, text: string): Buffer {
  const packed = gzipSync(text);
  packed[3] = 8;
  return Buffer.concat([packed.subarray(0, 10), Buffer.from(`${name}\0`, 'latin1'), packed.subarray(10)]);
}

/** A zstd with one block of at most 255 bytes, as they are. */
export function zstdStored(text: string): Buffer {
  const bytes = Buffer.from(text);
  const block = (bytes.length << 3) | 1;
  return Buffer.concat([
    Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, bytes.length, block & 0xff, block >> 8, 0),
    bytes,
  ]);
}

export function multipart(
  name: string,
  content: Buffer | string,
): { body: Buffer; headers: Record<string, string> } {
  const head = `--xx\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n--xx--\r\n')]);
  return { body, headers: { 'content-type': 'multipart/form-data; boundary=xx' } };
}

export const spain = 'Service_Product_ES_EUR_20200101-20200131.tsv';

export async function openReports(kind: StoreKind, options: OpenOptions = {}) {
  const opened = await openApp(kind, { systems, streams: {}, ...options });
  const { send } = opened;
  const raw = { 'content-type': 'application/octet-stream' };
  /** Sends a file with its name as a parameter. */
  const post = (
    name: string,
    content: Buffer | string,
    query: Record<string, string> = {},
  ): Promise<Answered> =>
    send('POST', `/dsrs/import/?${new URLSearchParams({ name, ...query })}`, content, raw);
  return {
    ...opened,
    async get(url: string) {
      const { status, text, json } = await send('GET', url);
      if (status !== 200) expect.fail(`GET ${url} answers ${status}: ${text}`);
      return json;
    },
    post,
    /** The same, and it must be ingested. */
    async take(name: string, content: Buffer | string, query: Record<string, string> = {}) {
      const { status, json, text } = await post(name, content, query);
      if (status !== 200) expect.fail(`${name} answers ${status}: ${text}`);
      return json;
    },
    putRates(content: string, query = '') {
      return send('PUT', `/v1/rates${query}`, content, raw);
    },
    /** What the ledger holds of lines: their number and the sum of their revenue. */
    async lines(): Promise<unknown[]> {
      const { rows } = (await send('GET', '/v1/streams/report_lines/query?measures=count,sum(revenue)')).json;
      return [rows[0].count, rows[0]['sum(revenue)']];
    },
  };
}
export type OpenReports = Awaited<ReturnType<typeof openReports>>;

/** Reports whose files wait before they are published, from `hold` until `release`. */
export async function openHeld(kind: StoreKind) {
  let gate = Promise.resolve();
  let release = () => {};
  const opened = await openReports(kind, {
    wrapStore: (store) =>
      replaceVerbs(store, {
        async publish(deliveries) {
          if (deliveries[0]!.stream.name === 'report_lines') await gate;
          return store.publish(deliveries);
        },
      }),
  });
  return {
    ...opened,
    hold() {
      gate = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
  };
}
