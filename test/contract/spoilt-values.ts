/**
 * Chapter: good texts of every type with a few characters changed. Stores take shortcuts around the grammars of
 * the types; on what is nearly a value they must judge as the engine does, at every door.
 */
import { describe, expect } from 'vitest';
import { checkValue, type Field, type FieldDeclaration } from '../../src/engine/field-types.ts';
import { defineStream } from '../../src/engine/stream.ts';
import {
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  type Trial,
} from './harness.ts';
import { Random } from './random-work.ts';

const declared = {
  whole: { type: 'integer' },
  price: { type: 'decimal', precision: 18, scale: 2 },
  share: { type: 'decimal', precision: 4, scale: 4 },
  amount: { type: 'decimal', precision: 38, scale: 10 },
  at: { type: 'timestamp' },
  due: { type: 'date' },
  unit: { type: 'uuid' },
  open: { type: 'boolean' },
} satisfies Record<string, FieldDeclaration>;

const good: Record<keyof typeof declared, string[]> = {
  whole: ['12359', '-7', '0', '9223372036854775807'],
  price: ['-123.59', '0.5', '7', '1234567890123456.10'],
  share: ['0.5', '-0.25', '0', '0.1234'],
  amount: ['-123.5900000001', '12345678901234567890.5', '31'],
  at: [
    '2021-12-31T23:59:59.123Z',
    '2021-12-31T23:59:59.123456Z',
    '2021-12-31T23:59:59Z',
    '2021-12-31 23:59:59',
    '2021-12-31 23:59:59.12',
    '2021-12-31T23:59:59+02:00',
    '2021-12-31T23:59:59+00:00',
    '2021-12-31T23:59:59.123456+00:00',
    '2021-12-31T23:59:59',
    '0001-01-01T00:00:00Z',
  ],
  due: ['2021-12-31', '0044-03-15', '9999-12-31'],
  unit: ['e2085be5-9137-4e4e-80b5-f1ffddc25423', 'E2085BE5-9137-4E4E-80B5-F1FFDDC25423'],
  open: ['true', 'false'],
};
const replacements = ['', ...'0123599 -+:.,TZtz/_eBC()x'];

const spoilt = defineStream('spoilt', {
  id: 'id',
  fields: { id: { type: 'text', required: true }, ...declared },
});

interface Spoilt {
  field: Field;
  text: string;
}

function spoil(random: Random): Spoilt {
  const name = random.pick(Object.keys(good) as (keyof typeof declared)[]);
  let text = random.pick(good[name]);
  for (let n = random.below(4); n > 0; n--) {
    const at = random.below(text.length + 1);
    text = text.slice(0, at) + random.pick(replacements) + text.slice(at + random.below(2));
  }
  return { field: spoilt.field(name)!, text };
}

const doors: Record<string, { kind: 'json' | 'cell'; file: 'ndjson' | 'tsv' | undefined }> = {
  'records in a request': { kind: 'json', file: undefined },
  'lines of JSON in a file': { kind: 'json', file: 'ndjson' },
  'cells in a file': { kind: 'cell', file: 'tsv' },
};

export function spoiltValuesChapter(under: StoreUnderTest): void {
  const scratch = scratchDirectory();
  const seed = Number(process.env.TALLYBOOK_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

  describe('values with a few characters changed', () => {
    for (const [door, { kind, file }] of Object.entries(doors)) {
      rule(under, `are judged by the grammars: ${door} (TALLYBOOK_TEST_SEED=${seed})`, () =>
        onFreshStore(under, [spoilt], async (trial) => {
          const random = new Random(seed);
          const values = Array.from({ length: 5_000 }, () => spoil(random));
          const expected = values.map(({ field, text }) => {
            // An empty cell is no value.
            const raw =
              kind === 'cell'
                ? text === ''
                  ? undefined
                  : { kind, text }
                : { kind, text: JSON.stringify(text) };
            const checked = checkValue(field, raw);
            return [text, 'code' in checked ? checked.code : checked.value];
          });
          await send(trial, values, file);
          const refused = new Map((await trial.rejects()).map((reject) => [reject.record_id, reject.code]));
          const kept = new Map((await trial.entries(spoilt)).map((entry) => [entry.id, entry.values]));
          const judged = values.map(({ field, text }, n) => {
            const stored = kept.get(`v${n}`);
            return [text, stored ? stored[spoilt.fields.indexOf(field)] : refused.get(`v${n}`)];
          });
          expect(judged.filter(([, judgement]) => judgement === undefined)).toEqual([]);
          expect(judged.filter((one, n) => one[1] !== expected[n]![1])).toEqual(
            expected.filter((one, n) => one[1] !== judged[n]![1]),
          );
        }),
      );
    }
  });

  async function send(trial: Trial, values: Spoilt[], format: 'ndjson' | 'tsv' | undefined): Promise<void> {
    const records = values.map(({ field, text }, n) => JSON.stringify({ id: `v${n}`, [field.name]: text }));
    if (format === undefined) {
      await trial.insert(spoilt, ...records);
      return;
    }
    const names = spoilt.fields.map(({ name }) => name);
    const row = ({ field, text }: Spoilt, n: number) =>
      names.map((name) => (name === 'id' ? `v${n}` : name === field.name ? text : '')).join('\t');
    const content =
      format === 'ndjson' ? records.join('\n') : [names.join('\t'), ...values.map(row)].join('\n');
    const path = scratch.write(`spoilt.${format}`, `${content}\n`);
    await trial.send('insert', spoilt, [], { content: fileContent(path, { format }) });
  }
}
