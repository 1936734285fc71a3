import { expect, test } from 'vitest';
import { ratesBetween, readMetrics } from '../src/rates.ts';

const metrics = (
  accepted: number,
  rejected: number,
  commits: number,
  seconds: number,
): string => `# HELP tallybook_verdicts_total Verdicts
# TYPE tallybook_verdicts_total counter
tallybook_verdicts_total{stream="usage",verdict="accepted"} ${accepted}
tallybook_verdicts_total{stream="usage",verdict="rejected"} ${rejected}
tallybook_verdicts_total{stream="_imports",verdict="accepted"} 99
tallybook_commit_seconds_sum ${seconds}
tallybook_commit_seconds_count ${commits}
tallybook_waiting_records 7
nodejs_eventloop_lag_seconds 0.01
`;

test('rates are what was counted between two looks, by the time between them', () => {
  const [before, after] = [
    readMetrics(metrics(100, 1, 10, 1), 0),
    readMetrics(metrics(1_100, 3, 30, 1.1), 2_000),
  ];
  expect(after.waiting).toBe(7);
  const rates = ratesBetween(before, after);
  expect(rates.verdicts).toEqual({ accepted: 500, rejected: 1 });
  expect(Object.fromEntries(rates.streams)).toEqual({ usage: 501 });
  expect(rates.commits).toBe(10);
  expect(rates.commitMilliseconds).toBeCloseTo(5);
});

test('counters that started anew are no negative rate', () => {
  const rates = ratesBetween(
    readMetrics(metrics(1_000, 9, 50, 9), 0),
    readMetrics(metrics(0, 0, 0, 0), 1_000),
  );
  expect(rates).toMatchObject({
    verdicts: { accepted: 0, rejected: 0 },
    commits: 0,
    commitMilliseconds: undefined,
  });
});
