import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Delivery, Store } from '../../src/engine/store.ts';
import { csv, lines, ndjson, openApp, replaceVerbs, sale, storeKinds } from './open-app.ts';

const three = 'id,at,amount\na,2026-10-05 00:00:00,1\nb,2026-10-05 00:00:00,2\nbad,2026-10-05 00:00:00,x\n';
const noIds = 'at,page,n\n2026-10-05 00:00:00,/,1\n2026-10-05 00:00:00,/,1\n';

/** A store whose files wait until they are let go. */
function holdingFiles() {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const wrapStore = (store: Store): Store =>
    replaceVerbs(store, {
      async publish(deliveries: Delivery[]) {
        const { content } = deliveries[0]!;
        if (content.kind === 'file') {
          content.onProgress({ step: 'staging', bytes_done: 1, bytes_total: 2, rows: 1 });
          await Promise.race([
            held,
            new Promise((_, reject) =>
              content.signal?.addEventListener('abort', () => reject(content.signal?.reason)),
            ),
          ]);
        }
        return store.publish(deliveries);
      },
    });
  return { letGo: () => letGo(), wrapStore };
}

describe.each(storeKinds)('imports over HTTP, %s', (kind) => {
  test('a file is one unit; the same file twice counts once', async () => {
    const { send, directory } = await openApp(kind);
    const first = await send('POST', '/v1/imports?stream=sales&name=october.csv', three, csv);
    expect(first).toMatchObject({
      status: 200,
      headers: { location: '/v1/imports/1' },
      json: {
        id: 1,
        stream: 'sales',
        name: 'october.csv',
        format: 'csv',
        mode: 'insert',
        status: 'done',
        error: null,
        sha256: null,
        progress: null,
        counts: { received: 3, accepted: 2, rejected: 1 },
      },
    });
    expect(
      (
        await send('POST', '/v1/imports?stream=sales', gzipSync(three), {
          ...csv,
          'content-encoding': 'gzip',
        })
      ).json,
    ).toMatchObject({ id: 2, counts: { accepted: 0, duplicates: 2, rejected: 1 } });
    expect((await send('GET', '/v1/imports')).json.imports.map((state: { id: number }) => state.id)).toEqual([
      2, 1,
    ]);
    expect((await send('GET', '/v1/rejects?import=1')).json.rejects).toMatchObject([
      { import: 1, code: 'invalid_value' },
    ]);
    expect(readdirSync(join(directory, 'spool'))).toEqual([]);
  });

  test('rows with no id get one from the content: equal rows count each, the same file again is duplicates, packed or not', async () => {
    const { send } = await openApp(kind);
    expect((await send('POST', '/v1/imports?stream=clicks', noIds, csv)).json).toMatchObject({
      counts: { accepted: 2 },
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect((await send('POST', '/v1/imports?stream=clicks', noIds, csv)).json).toMatchObject({
      counts: { duplicates: 2 },
    });
    expect(
      (
        await send('POST', '/v1/imports?stream=clicks&name=x.csv.gz', gzipSync(noIds), {
          'content-type': 'application/gzip',
        })
      ).json,
    ).toMatchObject({ counts: { duplicates: 2 } });
    expect(
      (await send('POST', '/v1/imports?stream=clicks', `${noIds}2026-10-05 00:00:00,/,1\n`, csv)).json,
    ).toMatchObject({ counts: { accepted: 3 } });
  });

  test('multipart: the name of the part tells the format', async () => {
    const { send } = await openApp(kind);
    const body = `--x\r\ncontent-disposition: form-data; name="file"; filename="a.ndjson"\r\ncontent-type: application/octet-stream\r\n\r\n${lines([sale('m1'), sale('m2')])}\r\n--x--\r\n`;
    const { status, json } = await send('POST', '/v1/imports?stream=sales', body, {
      'content-type': 'multipart/form-data; boundary=x',
    });
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { name: 'a.ndjson', format: 'ndjson', counts: { accepted: 2 } },
    });
    const empty = await send('POST', '/v1/imports?stream=sales', '--x--\r\n', {
      'content-type': 'multipart/form-data; boundary=x',
    });
    expect(empty.status).toBe(400);
  });

  test('undo takes its records back, and only those', async () => {
    const { send } = await openApp(kind);
    await send('POST', '/v1/streams/sales/records', [
      sale('mine'),
      sale('b', { at: '2026-10-05T00:00:00Z', customer: null, amount: 2 }),
    ]);
    await send('POST', '/v1/imports?stream=sales', three, csv);
    expect(await send('DELETE', '/v1/imports/1')).toMatchObject({
      status: 200,
      json: { status: 'undone', counts: { accepted: 1, duplicates: 1, retracted: 1 } },
    });
    expect(
      (await send('GET', '/v1/streams/sales/records')).json.records.map((r: { id: string }) => r.id).sort(),
    ).toEqual(['b', 'mine']);
    expect((await send('GET', '/v1/imports/1')).json).toMatchObject({ status: 'undone' });
    expect(await send('DELETE', '/v1/imports/1')).toMatchObject({
      status: 409,
      json: { code: 'import_not_undoable' },
    });
    expect((await send('GET', '/v1/streams/sales/records/a')).json.history).toMatchObject([
      { import: 1 },
      { verdict: 'retracted', reason: 'import 1 undone' },
    ]);
  });

  test('a file that cannot be read fails with the reason, and leaves nothing', async () => {
    const { send, tallybook } = await openApp(kind);
    const failed = await send('POST', '/v1/imports?stream=sales&format=parquet', 'PAR1 and nothing more', {
      'content-type': 'application/octet-stream',
    });
    expect(failed).toMatchObject({ status: 400, json: { code: 'import_failed' } });
    expect((await send('GET', '/v1/imports/1')).json).toMatchObject({
      status: 'failed',
      error: expect.any(String),
      counts: null,
    });
    expect((await tallybook.records('sales', {}, {})).records).toEqual([]);
    expect(await send('DELETE', '/v1/imports/1')).toMatchObject({ status: 409 });
  });

  test('wait=0 answers 202; progress by asking and as events, to the end', async () => {
    const { letGo, wrapStore } = holdingFiles();
    const opened = await openApp(kind, { wrapStore });
    const base = await opened.listen();
    const started = await opened.send('POST', '/v1/imports?stream=sales&wait=0', lines([sale('a')]), ndjson);
    expect(started).toMatchObject({
      status: 202,
      headers: { location: '/v1/imports/1' },
      json: { status: 'in_progress', progress: { step: expect.any(String) } },
    });
    const events = await fetch(`${base}/v1/imports/1/events`);
    expect(events.headers.get('content-type')).toContain('text/event-stream');
    const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('event: progress')) text += (await reader.read()).value;
    expect(text).toContain('"status":"in_progress"');
    letGo();
    for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
    expect(text).toMatch(/event: end\ndata: \{.*"status":"done".*\}\n\n$/);
    expect((await opened.send('GET', '/v1/imports/1')).json).toMatchObject({
      status: 'done',
      counts: { accepted: 1 },
    });
    const after = await (await fetch(`${base}/v1/imports/1/events`)).text();
    expect(after).toMatch(/^event: end\n/);
  });

  test('an import in progress is cancelled by DELETE and leaves nothing', async () => {
    const { wrapStore } = holdingFiles();
    const { send, directory } = await openApp(kind, { wrapStore });
    await send('POST', '/v1/imports?stream=sales&wait=0', three, csv);
    await send('POST', '/v1/imports?stream=sales&wait=0', three, csv);
    await send('POST', '/v1/imports?stream=sales&wait=0', three, csv);
    // The third waits behind the two that run.
    expect(await send('DELETE', '/v1/imports/3')).toMatchObject({
      status: 200,
      json: { status: 'failed', error: 'cancelled; nothing of it was kept' },
    });
    expect(await send('DELETE', '/v1/imports/1')).toMatchObject({ status: 200, json: { status: 'failed' } });
    expect(await send('DELETE', '/v1/imports/2')).toMatchObject({ status: 200, json: { status: 'failed' } });
    expect((await send('GET', '/v1/streams/sales/records')).json.records).toEqual([]);
    expect(readdirSync(join(directory, 'spool'))).toEqual([]);
  });

  test('others are served while an import runs', async () => {
    const { letGo, wrapStore } = holdingFiles();
    const { send, tallybook } = await openApp(kind, { wrapStore });
    await send('POST', '/v1/imports?stream=sales&wait=0', three, csv);
    expect(await send('POST', '/v1/streams/sales/records', sale('quick'))).toMatchObject({ status: 201 });
    letGo();
    expect(await tallybook.imports.wait(1)).toMatchObject({ status: 'done' });
  });
});
