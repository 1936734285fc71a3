import { expect, test } from 'vitest';
import { about, bytes, duration, exact, plural } from '../src/number.ts';

test('numbers keep every digit, grouped', () => {
  const shown: [value: string | number | bigint, scale: number, text: string][] = [
    ['1234567.5', 0, '1,234,567.5'],
    ['1234567.5', 2, '1,234,567.50'],
    ['9007199254740993', 0, '9,007,199,254,740,993'],
    ['-9223372036854775808', 0, '-9,223,372,036,854,775,808'],
    ['36027466196987217.66316186113906', 0, '36,027,466,196,987,217.66316186113906'],
    ['0.00000000000000000001', 0, '0.00000000000000000001'],
    ['99999999999999999999999999999999999999', 0, '99,999,999,999,999,999,999,999,999,999,999,999,999'],
    ['-0.1', 2, '-0.10'],
    [12, 0, '12'],
    [9007199254740993n, 0, '9,007,199,254,740,993'],
    ['2026-11-22', 0, '2026-11-22'],
    ['', 0, ''],
    ['0x10', 0, '0x10'],
  ];
  expect(shown.map(([value, scale]) => exact(value, scale))).toEqual(shown.map(([, , text]) => text));
});

test('rates, sizes and durations have as many digits as mean something', () => {
  expect([0, 0.1234, 12.34, 1234.5].map(about)).toEqual(['0', '0.12', '12', '1,235']);
  expect([12, 1_500, 25_000_000].map(bytes)).toEqual(['12 B', '1.5 kB', '25 MB']);
  expect([0.0123, 5, 150, 7_400].map(duration)).toEqual(['12 ms', '5 s', '2 min 30 s', '2 h 3 min']);
  expect([plural(1, 'record'), plural(1_000, 'record')]).toEqual(['1 record', '1,000 records']);
});
