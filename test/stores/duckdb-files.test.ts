/** Files that DuckDB's reader alone would not take as they must be taken. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTallybook } from '../../src/cli/compose.ts';
import { builtInStreams } from '../../src/engine/built-in-streams.ts';
import { limits } from '../../src/engine/limits.ts';
import type { FileFormat, Store } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import type { Receipt } from '../../src/engine/verdicts.ts';
import { openDuckDBStore } from '../../src/stores/duckdb/index.ts';
import { fileContent } from '../contract/harness.ts';

const root = mkdtempSync(join(tmpdir(), 'tallybook-files-'));
const notes = defineStream('notes', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, note: { type: 'text' } },
});
let store: Store;
beforeAll(async () => {
  store = await openDuckDBStore({ directory: join(root, 'data'), memoryLimit: '512MB' });
  await store.prepare([...builtInStreams, notes]);
});
afterAll(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

async function take(name: string, format: FileFormat, content: string | Buffer): Promise<Receipt> {
  const path = join(root, name);
  writeFileSync(path, content);
  const [receipt] = await store.publish([
    {
      stream: notes,
      mode: 'insert',
      source: 'test',
      reason: undefined,
      allVerdicts: true,
      content: fileContent(path, { format, idPrefix: name }),
    },
  ]);
  return receipt!;
}

const json = (id: string, note: string): string => JSON.stringify({ id, note });

// Lengths around the limit, and far beyond what the reader buffers.
test.each([limits.record_bytes + 1, 3_000_000, 100_000_000])(
  'a line of %d bytes is a reject, and the lines around it count',
  async (length) => {
    const lines = [
      json(`a${length}`, 'x'),
      `{"id":"${'"x'.repeat(length / 2)}`,
      json(`b${length}`, 'y'),
      json(`c${length}`, 'z'),
    ];
    const receipt = await take(`long-${length}.ndjson`, 'ndjson', lines.join('\n'));
    expect(receipt).toMatchObject({ received: 4, accepted: 3, rejected: 1 });
    expect(receipt.verdicts.find(({ verdict }) => verdict === 'rejected')).toMatchObject({
      code: 'unreadable',
    });
    const csv = ['id,note', `d${length},x`, `e${length},"${'y"'.repeat(length / 2)}`, `f${length},z`].join(
      '\n',
    );
    const cells = await take(`long-${length}.csv`, 'csv', csv);
    expect(cells).toMatchObject({ received: 3, accepted: 2, rejected: 1 });
  },
  60_000,
);

test('lines up to the limit count, whatever blocks they cover', async () => {
  const note = 'n'.repeat(60_000);
  const lines = Array.from(
    { length: 60 },
    (_, i) => `{"id":"wide${i}"${' '.repeat(i % 3 === 0 ? 1_900_000 : 10)},"note":"${note}"}`,
  );
  expect(await take('wide.ndjson', 'ndjson', lines.join('\n'))).toMatchObject({ received: 60, accepted: 60 });
}, 60_000);

test('a quote that is never closed costs its line, wherever it stands among the buffers of a file', async () => {
  const rows = 1_200_000;
  const quoted = '"two\nlines, ""quoted"""';
  for (const open of [0, 700_000, rows - 1]) {
    const lines = Array.from({ length: rows }, (_, n) => {
      // Behind the one that is not closed there is no other: it would close it.
      const note = n === open ? '"open' : n % 1000 === 7 && n < open ? quoted : 'a note of some length';
      return `open-${open}-${n},${note}`;
    });
    const receipt = await take(`open-${open}.csv`, 'csv', ['id,note', ...lines].join('\n'));
    expect(receipt).toMatchObject({ received: rows, accepted: rows - 1, rejected: 1 });
    const last = Math.min(open, limits.receipt_verdicts_all - 1);
    expect(receipt.verdicts[last]!.verdict).toBe(last === open ? 'rejected' : 'accepted');
  }
}, 120_000);

test('nothing is left of temporary files', () => {
  expect(
    readdirSync(join(root, 'data', 'tmp')).filter(
      (name) => !name.startsWith('staging.duckdb') && !name.startsWith('duckdb_temp'),
    ),
  ).toEqual([]);
});

test('an import whose failure cannot be written down is told as failed, not as one in progress for ever', async () => {
  const directory = join(root, 'removed');
  const failures: string[] = [];
  const log = { info() {}, warn() {}, error: (_: object, message: string) => void failures.push(message) };
  const tallybook = await openTallybook({ directory, log, systems: [] });
  const { stream } = await tallybook.streams.put('notes', notes.declaration);
  const path = join(root, 'notes.ndjson');
  writeFileSync(path, json('removed', 'x'));
  const file = { path, name: 'notes.ndjson', format: 'ndjson', mode: 'insert', source: 'test' } as const;
  const { id } = await tallybook.imports.start({ ...file, stream, deleteFile: false });
  rmSync(directory, { recursive: true });
  expect(await tallybook.imports.wait(id)).toMatchObject({ status: 'failed' });
  expect(await tallybook.imports.get(id)).toMatchObject({ status: 'failed' });
  expect((await tallybook.imports.list({})).imports).toMatchObject([{ id, status: 'failed' }]);
  expect(failures).toContain('that an import failed could not be written down');
  await tallybook.close().catch(() => undefined);
});
