import { expect, test } from 'vitest';
import { backOff, toldMilliseconds } from '../src/back-off.ts';

const bounds = { retryMilliseconds: 1_000, retryMaxMilliseconds: 60_000 };

test.each([
  // attempt, asked for, random, waits
  [1, 0, 0, 0],
  [1, 0, 0.5, 500],
  [1, 0, 1, 1_000],
  [2, 0, 1, 2_000],
  [6, 0, 1, 32_000],
  [7, 0, 1, 60_000],
  [5_000, 0, 0.5, 30_000],
  [1, 5_000, 0, 5_000],
  [3, 5_000, 0.5, 7_000],
])('after attempt %d, with %d ms asked for and the die at %d: %d ms', (attempt, told, random, waits) => {
  expect(backOff(attempt, told, bounds, random)).toBe(waits);
});

const now = Date.parse('2026-10-05T06:43:00Z');

test.each([
  [null, 0],
  ['', 0],
  ['0', 0],
  ['7', 7_000],
  ['Mon, 05 Oct 2026 06:43:30 GMT', 30_000],
  ['Mon, 05 Oct 2026 06:42:00 GMT', 0],
  ['soon', 0],
  ['99999999999', 3_600_000],
  ['Wed, 01 Jan 2098 00:00:00 GMT', 3_600_000],
])('Retry-After: %s is %d ms', (header, milliseconds) => {
  expect(toldMilliseconds(header, now)).toBe(milliseconds);
});
