import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { defineStream, openApp, openTallybook, TallybookError } from '../../src/index.ts';
import { command, done, failure, file, sales, scratch } from './harness.ts';

const declaration = defineStream('sales', {
  id: 'id',
  fields: {
    id: { type: 'text', required: true },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
});

describe('the package', () => {
  test('opens a ledger, declares, writes, asks', async () => {
    const tallybook = await openTallybook({ directory: join(scratch(), 'data') });
    await tallybook.streams.put(declaration.name, declaration.declaration);
    const receipt = await tallybook.write({
      stream: tallybook.streams.get('sales'),
      mode: 'insert',
      source: 'test',
      reason: undefined,
      content: {
        kind: 'texts',
        texts: ['{"id":"a","amount":"0.10"}', '{"id":"b","amount":"0.20"}'],
        fallbackIds: ['', ''],
      },
      allVerdicts: false,
    });
    expect(receipt.accepted).toBe(2);
    expect((await tallybook.ask('sales', { measures: ['sum(amount)'] })).rows).toEqual([['0.3']]);
    const app = await openApp({ tallybook, auth: false });
    expect((await app.inject('/v1/streams/sales/query')).json()).toMatchObject({ rows: [{ count: 2 }] });
    await app.close();
    await tallybook.close();
  });

  test('tells what is wrong with a directory', async () => {
    const path = file(scratch(), 'file', 'no directory');
    await expect(openTallybook({ directory: join(path, 'data') })).rejects.toMatchObject({
      code: 'directory_unusable',
    });
    await expect(openTallybook({ directory: path })).rejects.toThrow(TallybookError);
  });

  test('a module that exports streams can be declared', async () => {
    const directory = scratch();
    const library = pathToFileURL(join(command, '../../dist/index.js')).href;
    const module = file(
      directory,
      'streams.mjs',
      `import { defineStream } from '${library}';
      export const sales = defineStream('sales', ${JSON.stringify(sales)});
      export const others = [defineStream('clicks', { fields: { page: { type: 'text' } } })];`,
    );
    expect(await done(['streams', 'put', module, '--data', join(directory, 'data')])).toBe(
      'clicks: declared\nsales: declared\n',
    );
  });

  test('a module that cannot be loaded says why', async () => {
    const directory = scratch();
    const module = file(directory, 'streams.mjs', "import 'nowhere';");
    expect(await failure(['streams', 'put', module, '--data', join(directory, 'data')])).toMatchObject({
      code: 'bad_declaration',
      detail: expect.stringContaining("streams.mjs cannot be loaded: Cannot find package 'nowhere'"),
    });
  });

  test('TypeScript is read where Node.js can, else it says what to do', async () => {
    const directory = scratch();
    const library = pathToFileURL(join(command, '../../dist/index.js')).href;
    const module = file(
      directory,
      'streams.ts',
      `import { defineStream, type Stream } from '${library}';
      export const clicks: Stream = defineStream('clicks', { fields: { page: { type: 'text' } } });`,
    );
    const put = ['streams', 'put', module, '--data', join(directory, 'data')];
    if ('typescript' in process.features && process.features.typescript) {
      expect(await done(put)).toBe('clicks: declared\n');
    } else {
      expect(await failure(put)).toMatchObject({
        code: 'bad_declaration',
        detail: expect.stringContaining('use Node.js 22.18 or newer'),
      });
    }
  });
});
