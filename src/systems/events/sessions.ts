/** A session: its events in the order in which they happened. Several applications may share one. */
import { Type } from 'typebox';
import { type Micros, parseTimestamp } from '../../engine/calendar.ts';
import { fromScaled } from '../../engine/decimal.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import { cursorOfValues, pageSize, valuesOfCursor } from '../../engine/pages.ts';
import type { Entry } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route } from '../system.ts';
import { currentStream } from './doors.ts';
import { EventSchema, shownEvent } from './shown.ts';
import { eventsStream } from './streams.ts';

export const sessionRoute: Route = {
  method: 'GET',
  path: '/v1/sessions/:id',
  scope: 'read',
  streams: [eventsStream],
  summary: 'A session',
  description: 'Its events by timestamp, those of the same instant in the order in which they came.',
  params: Type.Object({ id: Type.String({ maxLength: 1_000 }) }),
  paged: true,
  answers: Type.Object({
    session_id: Type.String(),
    count: Type.Integer(),
    first: Type.String(),
    last: Type.String(),
    duration_seconds: Type.String({ description: 'From the first to the last, with microseconds.' }),
    applications: Type.Array(Type.String()),
    events: Type.Array(EventSchema),
    next: Type.Optional(Type.String()),
  }),
  async answer({ tallybook, params, page }) {
    const session = params.id!;
    const stream = currentStream(tallybook);
    const timeIndex = stream.fields.indexOf(stream.time!);
    const timed = (await eventsOf(tallybook, session)).map((entry) => ({
      entry,
      at: parseTimestamp(entry.values[timeIndex]!)!,
    }));
    // They come in order of arrival, and the sort keeps that among equals.
    timed.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    const size = pageSize(page);
    const start = page.cursor === undefined ? 0 : placeBehind(timed, page.cursor);
    const shown = timed.slice(start, start + size);
    const end = shown.at(-1);
    const next =
      end && start + size < timed.length ? cursorOfValues([String(end.at), end.entry.seq]) : undefined;
    const [first, last] = [timed[0]!, timed.at(-1)!];
    const body = {
      session_id: session,
      count: timed.length,
      first: first.entry.values[timeIndex],
      last: last.entry.values[timeIndex],
      duration_seconds: fromScaled(last.at - first.at, 6),
      applications: [...new Set(timed.map(({ entry }) => entry.source))].sort(),
      events: shown.map(({ entry }) => shownEvent(stream, entry)),
      next,
    };
    return { body, next };
  },
};

/** In order of arrival. Throws `unknown_session`. */
async function eventsOf(tallybook: Tallybook, session: string): Promise<Entry[]> {
  const events: Entry[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = { size: limits.page_rows, cursor };
    const asked = { where: { session_id: { eq: session } } };
    const { records, next } = await tallybook.records(eventsStream.name, asked, page);
    events.push(...records);
    if (next === undefined) break;
    cursor = next;
    if (events.length >= limits.session_events) {
      const detail = `the session has more than ${limits.session_events} events; GET /v1/events?session_id= lists them in order of arrival`;
      throw new TallybookError('bad_request', detail);
    }
  }
  if (events.length === 0)
    throw new TallybookError(
      'unknown_session',
      `no event stands that names the session ${session.slice(0, 100)}`,
    );
  return events;
}

/** Where the page after a cursor starts: events may have come in between since. */
function placeBehind(timed: readonly { entry: Entry; at: Micros }[], cursor: string): number {
  const [at, seq] = valuesOfCursor(cursor, 2).map((value) => BigInt(String(value))) as [Micros, bigint];
  const place = timed.findIndex((one) => one.at > at || (one.at === at && BigInt(one.entry.seq) > seq));
  return place < 0 ? timed.length : place;
}
