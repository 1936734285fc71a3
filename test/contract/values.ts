/** Chapter: what is taken, what is refused, and that no digit is lost on the way (see value-tables.ts). */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import {
  fileContent,
  onFreshStore,
  rule,
  type StoreUnderTest,
  scratchDirectory,
  Trial,
  verdictsOf,
} from './harness.ts';
import { presence, recordCases } from './record-table.ts';
import { cellOf, type ValueCase, valueCases, values } from './value-tables.ts';

const recordOf = ([field, written]: ValueCase, id: string): string => `{"id":"${id}","${field}":${written}}`;

function expectedVerdict([field, , expected]: ValueCase): string {
  if (typeof expected !== 'string') return 'accepted';
  return expected === 'unreadable' ? 'rejected unreadable' : `rejected ${expected} ${field}`;
}

const shown = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);

export function valuesChapter(under: StoreUnderTest): void {
  const scratch = scratchDirectory();

  describe('values', () => {
    let trial: Trial;
    const verdicts: string[] = [];
    const recordVerdicts: string[] = [];
    const kept = new Map<string, (string | null)[]>();
    beforeAll(async () => {
      trial = await Trial.open(under, values, presence);
      verdicts.push(
        ...verdictsOf(await trial.insert(values, ...valueCases.map((one, n) => recordOf(one, `v${n}`)))),
      );
      recordVerdicts.push(
        ...verdictsOf(await trial.insert(presence, ...recordCases.map(([record]) => record))),
      );
      for (const entry of await trial.entries(values)) kept.set(entry.id, entry.values);
    });
    afterAll(() => trial.close());

    valueCases.forEach((valueCase, n) => {
      const [field, written, expected] = valueCase;
      rule(under, `${field} ${shown(written)}: ${expectedVerdict(valueCase)}`, async () => {
        expect(verdicts[n]).toBe(expectedVerdict(valueCase));
        const stored = kept.get(`v${n}`)?.[values.fields.findIndex(({ name }) => name === field)];
        expect(stored).toBe(typeof expected === 'string' ? undefined : expected.stored);
      });
    });
    recordCases.forEach(([record, expected], n) => {
      rule(under, `record ${shown(record)}: ${expected}`, async () => {
        expect(recordVerdicts[n]).toBe(expected);
      });
    });

    rule(under, 'a value sent alone fares as it does beside others', async () => {
      // Every so many of them: one commit each takes its time.
      for (let n = 0; n < valueCases.length; n += 17) {
        const valueCase = valueCases[n]!;
        const receipt = await trial.insert(values, recordOf(valueCase, `alone${n}`));
        expect([...valueCase, verdicts[n], ...verdictsOf(receipt)]).toEqual([
          ...valueCase,
          verdicts[n],
          verdicts[n],
        ]);
        expect((await trial.store.fate(values, `alone${n}`)).standing?.values.slice(1)).toEqual(
          kept.get(`v${n}`)?.slice(1),
        );
      }
    });
  });

  rule(under, 'a value in a cell of a CSV file fares as in JSON', () =>
    onFreshStore(under, [values], async (trial) => {
      const names = values.fields.map(({ name }) => name);
      const cases = valueCases.filter(
        (valueCase) => cellOf(valueCase) !== undefined && !valueCase[1].includes('\\u0000'),
      );
      const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const lines = cases.map((valueCase, n) => {
        const cell = cellOf(valueCase);
        return names
          .map((name) =>
            name === 'id' ? `v${n}` : name === valueCase[0] && typeof cell === 'string' ? quoted(cell) : '',
          )
          .join(',');
      });
      const path = scratch.write('values.csv', `${names.join(',')}\n${lines.join('\n')}\n`);
      const [receipt] = await trial.publish({
        stream: values,
        mode: 'insert',
        source: 'test',
        reason: undefined,
        content: fileContent(path, { format: 'csv' }),
        allVerdicts: true,
      });
      // What is no JSON at all makes a record of JSON unreadable; in a cell it is a value that does not fit.
      const expected = cases.map((valueCase) =>
        expectedVerdict(valueCase).replace('unreadable', 'invalid_value doc'),
      );
      expect(verdictsOf(receipt!).map((verdict, n) => [...cases[n]!, verdict])).toEqual(
        expected.map((verdict, n) => [...cases[n]!, verdict]),
      );
      const kept = new Map((await trial.entries(values)).map((entry) => [entry.id, entry.values]));
      cases.forEach(([field, written, expected], n) => {
        const stored = typeof expected === 'string' ? undefined : expected.stored;
        expect(kept.get(`v${n}`)?.[names.indexOf(field)], `${field} ${written}`).toBe(stored);
      });
    }),
  );

  rule(
    under,
    'a missing value becomes null or the default, and a repeat that leaves it out is a duplicate',
    () =>
      onFreshStore(under, [presence], async (trial) => {
        const receipt = await trial.insert(
          presence,
          '{"id":"a","need":1}',
          '{"id":"a","need":1,"kind":null,"tax":null,"on":null,"doc":null,"may":null}',
          '{"id":"a","need":"1.0","kind":"plain","tax":0.1,"on":"false","doc":{"v":1.0}}',
          '{"id":"a","need":1,"may":""}',
        );
        expect(verdictsOf(receipt)).toEqual(['accepted', 'duplicate', 'duplicate', 'conflict']);
        const { standing } = await trial.store.fate(presence, 'a');
        expect(standing?.values).toEqual(['a', '1', 'plain', '0.1', 'false', '{"v":1.0}', null, null]);
      }),
  );

  rule(under, 'a refusal says what was found and what is expected', () =>
    onFreshStore(under, [values, presence], async (trial) => {
      const { verdicts } = await trial.insert(
        values,
        '{"id":"a","n":5.70}',
        '{"id":"b","n":"5.7"}',
        `{"id":"c","n":"${'9'.repeat(200)}"}`,
        '{"id":"d","colour":"green"}',
        '{"id":"e","doc":1,"size":1}',
        '{"id":"f","n":1,"n":2}',
        '{"id":"g"',
        '{"id":"h","date":"2021-02-30"}',
        '{"id":"i","price": 0.001 }',
        '{"id":"j","note":{ "a" : 1.50 }}',
        '{"id":"k","money":"1e400"}',
        '{"id":"l","money":-1.5e20}',
      );
      expect(verdicts.map(({ message }) => message)).toEqual([
        'n is 5.70; expected a whole number from -9223372036854775808 to 9223372036854775807',
        'n is "5.7"; expected a whole number from -9223372036854775808 to 9223372036854775807',
        `n is "${'9'.repeat(99)}; expected a whole number from -9223372036854775808 to 9223372036854775807`,
        'colour is "green"; expected one of "red", "deep blue"',
        `the stream has no field size; its fields are ${values.fields.map(({ name }) => name).join(', ')}`,
        'the record names the field n more than once',
        'the record is no JSON object; send one object such as {"id":"a1","amount":"2.50"} a line',
        'date is "2021-02-30"; expected a date such as 2026-10-05',
        'price is 0.001; expected a decimal number with at most 8 digits before the point and 2 after it from 0.01 up to 1000',
        'note is {"a":1.50}; expected text of at most 65536 characters',
        'money is "1e400"; expected a decimal number with at most 16 digits before the point and 2 after it',
        'money is -1.5e20; expected a decimal number with at most 16 digits before the point and 2 after it',
      ]);
      const missing = await trial.insert(presence, '{"id":"a"}');
      expect(missing.verdicts[0]?.message).toBe(
        'need is missing; expected a whole number from -9223372036854775808 to 9223372036854775807',
      );
    }),
  );

  rule(under, 'a record that is no text is kept as its bytes', () =>
    onFreshStore(under, [presence], async (trial) => {
      const bytes = Buffer.from([0x7b, 0xff, 0xfe]).toString('base64');
      const [receipt] = await trial.publish({
        stream: presence,
        mode: 'insert',
        source: 'test',
        reason: undefined,
        content: {
          kind: 'texts',
          texts: ['{"id":"a","need":1}', '', '{"id":"b","need":1}'],
          fallbackIds: ['f0', 'f1', 'f2'],
          undecodable: new Map([[1, bytes]]),
        },
        allVerdicts: true,
      });
      expect(verdictsOf(receipt!)).toEqual(['accepted', 'rejected unreadable', 'accepted']);
      expect((await trial.rejects()).map(({ original, encoding }) => [original, encoding])).toEqual([
        [bytes, 'base64'],
      ]);
    }),
  );

  rule(under, 'a delivery of no records gets an empty receipt', () =>
    onFreshStore(under, [presence], async (trial) => {
      const receipt = await trial.insert(presence);
      expect(receipt).toMatchObject({ received: 0, accepted: 0, rejected: 0, verdicts: [] });
      expect(await trial.rows(presence, {})).toEqual([[0]]);
    }),
  );
}
