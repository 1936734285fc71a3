import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limits } from '../../src/engine/limits.ts';
import { slowBodies } from '../../src/http/slow-bodies.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

test('a body of which nothing comes is given up', () => {
  const giveUp = vi.fn();
  const watched = slowBodies.watch(Number.POSITIVE_INFINITY, giveUp);
  vi.advanceTimersByTime((limits.body_idle_seconds - 10) * 1000);
  watched.seen();
  vi.advanceTimersByTime((limits.body_idle_seconds - 10) * 1000);
  expect(giveUp).not.toHaveBeenCalled();
  vi.advanceTimersByTime(20_000);
  expect(giveUp).toHaveBeenCalledWith(
    expect.objectContaining({
      code: 'unreadable_body',
      message: expect.stringContaining('nothing of it came'),
    }),
  );
  watched.done();
});

test('a body that is read into memory must end in time, an upload may trickle on', () => {
  const inMemory = vi.fn();
  const upload = vi.fn();
  const watched = [
    slowBodies.watch(limits.body_seconds, inMemory),
    slowBodies.watch(Number.POSITIVE_INFINITY, upload),
  ];
  for (let seconds = 0; seconds <= limits.body_seconds; seconds += 10) {
    for (const each of watched) each.seen();
    vi.advanceTimersByTime(10_000);
  }
  expect(inMemory).toHaveBeenCalled();
  expect(upload).not.toHaveBeenCalled();
  for (const each of watched) each.done();
  expect(vi.getTimerCount()).toBe(0);
});
