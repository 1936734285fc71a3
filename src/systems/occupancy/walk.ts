/** The passages around a space in a stretch of time, in their order: what a series is counted from. */
import { formatTimestamp, lastInstant, type Micros, parseTimestamp } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { type Building, grouped, type Space, type Span, stepsOf } from './building.ts';
import { passagesStream } from './streams.ts';

export interface Steps {
  at: Micros;
  entrances: number;
  exits: number;
}

/** Passages read at once; of more, each half of the time is read by itself. */
const passagesAtOnce = 100_000;

/** Steps from (inclusive) to (exclusive), ascending. Throws `bad_request` when there are too many. */
export async function* stepsBetween(
  tallybook: Tallybook,
  building: Building,
  space: Space,
  from: Micros,
  to: Micros,
  knownAt: Micros | undefined,
): AsyncGenerator<Steps> {
  const spans = (building.spansOfSpace.get(space.id) ?? []).filter(
    (span) => (span.to === undefined || span.to > from) && (span.from === undefined || span.from < to),
  );
  if (spans.length === 0) return;
  const bySensor = grouped(
    spans,
    ({ dpu }) => dpu,
    (span) => span,
  );
  let read = 0;
  const within = async function* (start: Micros, end: Micros): AsyncGenerator<Steps> {
    const { rows, more } = await tallybook.ask(passagesStream.name, {
      by: ['timestamp', 'dpu_id', 'direction'],
      where: { dpu_id: [...bySensor.keys()] },
      from: formatTimestamp(start),
      // Nothing lies beyond the last instant.
      ...(end > lastInstant ? {} : { to: formatTimestamp(end) }),
      ...(knownAt === undefined ? {} : { known_at: formatTimestamp(knownAt) }),
      limit: passagesAtOnce,
    });
    if (more && end - start > 1n) {
      const middle = start + (end - start) / 2n;
      yield* within(start, middle);
      yield* within(middle, end);
      return;
    }
    read += rows.length;
    if (more || read > limits.series_passages) {
      throw new TallybookError(
        'bad_request',
        `more than ${limits.series_passages} passages lie between start_time and end_time; ask for a shorter time`,
      );
    }
    for (const [timestamp, dpu, direction, count] of rows) {
      const at = parseTimestamp(timestamp as string)!;
      const span = spanAt(bySensor.get(dpu as string)!, at);
      if (!span) continue;
      const [into, out] = stepsOf(span, space.id, direction === '1' ? 1 : -1);
      yield { at, entrances: into * (count as number), exits: out * (count as number) };
    }
  };
  yield* within(from, to > lastInstant ? lastInstant + 1n : to);
}

function spanAt(spans: readonly Span[], at: Micros): Span | undefined {
  return spans.find(({ from, to }) => (from === undefined || from <= at) && (to === undefined || at < to));
}
