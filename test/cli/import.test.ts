import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { countIn, done, failure, file, json, ledger, rows, run, scratch, serve, start } from './harness.ts';

interface Receipt {
  file: string;
  import: number;
  receipt: Record<string, number>;
  rejects: { field: string }[];
  seconds: number;
}

describe('import', () => {
  test('the same file twice counts once', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const path = file(directory, 'a.csv', rows(1_000));
    const first = await json<Receipt>(['import', 'sales', path, '--data', data]);
    expect(first).toMatchObject({
      file: path,
      import: 1,
      receipt: { received: 1000, accepted: 1000, duplicates: 0 },
      rejects: [],
    });
    expect(first.seconds).toBeGreaterThan(0);
    const second = await json<Receipt>(['import', 'sales', path, '--data', data]);
    expect(second.receipt).toMatchObject({ received: 1000, accepted: 0, duplicates: 1000 });
    expect(await json(['query', 'sales', '--measures', 'sum(amount),count', '--data', data])).toMatchObject({
      rows: [{ 'sum(amount)': '1500', count: 1000 }],
    });
  });

  test('takes several files one after the other, packed or not, in all formats of text', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const csv = file(directory, 'a.csv', rows(10));
    const tsv = file(directory, 'b.tsv', rows(10, 10).replaceAll(',', '\t'));
    const lines = Array.from({ length: 10 }, (_, i) =>
      JSON.stringify({ id: `n${i}`, at: '2026-10-05T00:00:00Z', amount: '2.00' }),
    ).join('\n');
    const ndjson = file(directory, 'c.ndjson', lines);
    const packed = join(directory, 'd.csv.gz');
    writeFileSync(packed, gzipSync(rows(10, 20)));
    const said = await done(['import', 'sales', csv, tsv, ndjson, packed, '--data', data, '--json']);
    const receipts = said
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Receipt);
    expect(receipts.map(({ file: name, receipt }) => [name, receipt.accepted])).toEqual([
      [csv, 10],
      [tsv, 10],
      [ndjson, 10],
      [packed, 10],
    ]);
  });

  test('shows a receipt, and the first rejects with their reasons; ends with 3', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const bad = Array.from({ length: 7 }, (_, i) => `bad${i},2026-10-05T00:00:00Z,c1,1.005\n`).join('');
    const path = file(directory, 'a.csv', rows(3) + bad);
    const { code, stdout, stderr } = await run(['import', 'sales', path, '--data', data]);
    expect(code).toBe(3);
    expect(stdout).toContain(path);
    expect(stdout).toMatch(
      /received +accepted +duplicates +corrected +conflicts +rejected +time +rows\/s\n +10 +3 +0 +0 +0 +7 /,
    );
    expect(stderr).toContain('record 4: amount is 1.005; expected a decimal number');
    expect(stderr.match(/^record \d+:/gm)).toHaveLength(5);
    expect(stderr).toContain(
      `7 records were refused; all of them: tallybook rejects list --import 1 --data ${data}`,
    );
    expect(
      (await json<{ rejects: unknown[] }>(['rejects', 'list', '--import', '1', '--data', data])).rejects,
    ).toHaveLength(7);
  });

  test('a known id with other content is a conflict, or with --mode upsert a correction', async () => {
    const directory = scratch();
    const data = await ledger(directory, 3);
    const other = file(directory, 'b.csv', rows(3).replaceAll('1.50', '2.50'));
    expect((await run(['import', 'sales', other, '--data', data])).code).toBe(3);
    expect(await json<Receipt>(['import', 'sales', other, '--mode', 'upsert', '--data', data])).toMatchObject(
      { receipt: { corrected: 3 } },
    );
  });

  test('reads standard input, and leaves no copy of it', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const before = readdirSync(tmpdir()).filter((name) => /^tallybook-(?!test|demo)/.test(name));
    const { code, stdout } = await run(
      ['import', 'sales', '-', '--format', 'csv', '--data', data, '--json'],
      { input: rows(5) },
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ file: '-', receipt: { accepted: 5 } });
    expect(readdirSync(tmpdir()).filter((name) => /^tallybook-(?!test|demo)/.test(name))).toEqual(before);
  });

  test.each([
    ['a file that is not there', 'nowhere.csv', undefined, 'nowhere.csv cannot be used: it is not there'],
    ['an empty file', 'a.csv', '', 'the file is empty'],
    ['a header that names no field', 'a.csv', 'id,time\nr1,2026-10-05\n', 'names "time"'],
    ['a gzip that is cut', 'a.csv.gz', gzipSync(rows(1_000)).subarray(0, 200), 'gzip'],
    ['a name that says gzip over something else', 'a.parquet', 'no parquet', ''],
  ])('%s is refused, and nothing of it kept', async (_name, name, content, detail) => {
    const directory = scratch();
    const data = await ledger(directory);
    const path = join(directory, name);
    if (content !== undefined) writeFileSync(path, content);
    const error = await failure(['import', 'sales', path, '--data', data]);
    expect(error.exit).toBe(1);
    expect(error.code).not.toBe('internal');
    expect(error.detail).toContain(detail);
    expect(await countIn(data)).toBe(0);
  });

  test('an unknown stream is refused before anything is read', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const path = file(directory, 'a.csv', rows(3));
    expect(await failure(['import', 'nothing', path, '--data', data])).toMatchObject({
      exit: 1,
      code: 'unknown_stream',
    });
  });

  test('where stderr is no terminal, progress is a line every few seconds; --quiet has none', async () => {
    const data = await ledger(scratch());
    const running = start(['import', 'sales', '-', '--format', 'csv', '--data', data]);
    const text = rows(600);
    await running.says(/standard input …/);
    for (let i = 0; i < 6; i++) {
      running.input.write(text.slice((text.length / 6) * i, (text.length / 6) * (i + 1)));
      await sleep(800);
    }
    running.input.end();
    const { code, stderr, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/600 +600 /);
    expect(stderr).toMatch(/^standard input …\n(standard input, reading, [\d.]+ kB, [\d.]+ s\n){1,4}/);
    expect(stderr).not.toMatch(/[\u001b\r]/);
    const quiet = await run(['import', 'sales', '-', '--format', 'csv', '--data', data, '--quiet'], {
      input: rows(5),
    });
    expect(quiet.stderr).toBe('');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s stops it, and it leaves nothing', async (signal) => {
    const directory = scratch();
    const data = await ledger(directory);
    const path = file(directory, 'a.csv', rows(400_000));
    const running = start(['import', 'sales', path, '--data', data]);
    await running.says(/a\.csv …/);
    running.kill(signal);
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('interrupted');
    expect(await countIn(data)).toBe(0);
  });

  test('goes through the server that runs on the directory, and can be stopped there too', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const server = await serve(data);
    const path = file(directory, 'a.csv', rows(400_000));
    const running = start(['import', 'sales', path, '--data', data]);
    await running.says(/a\.csv …/);
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(await json(['query', 'sales', '--data', data])).toMatchObject({ rows: [{ count: 0 }] });
    const small = file(directory, 'b.csv', rows(100));
    expect(await json<Receipt>(['import', 'sales', small, '--data', data])).toMatchObject({
      receipt: { accepted: 100 },
    });
    const faulty = file(directory, 'c.csv', 'id,time\nr1,2026-10-05\n');
    expect(await failure(['import', 'sales', faulty, '--data', data])).toMatchObject({
      exit: 1,
      code: 'import_failed',
    });
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });

  test('an import can be listed, shown and undone', async () => {
    const directory = scratch();
    const data = await ledger(directory, 20);
    expect(await done(['imports', 'list', '--data', data])).toMatch(
      / 1 .* sales +records\.csv +done +20 +20 +0 +0/,
    );
    expect(await json(['imports', 'show', '1', '--data', data])).toMatchObject({
      status: 'done',
      counts: { accepted: 20 },
    });
    expect(await done(['imports', 'undo', '1', '--data', data])).toBe(
      'Import 1 is undone: 20 records were taken back.\n',
    );
    expect(await countIn(data)).toBe(0);
    expect(await failure(['imports', 'undo', '1', '--data', data])).toMatchObject({
      exit: 1,
      code: 'import_not_undoable',
    });
  });
});
