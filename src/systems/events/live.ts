/**
 * A live tail: events as server-sent events, each after its commit, from now on or from one that a client has seen. It
 * reads from the ledger what has come since; a commit only wakes it. What files bring is not told.
 */
import { Type } from 'typebox';
import { Doorbell } from '../../engine/doorbell.ts';
import { cursorOf, seqOfCursor } from '../../engine/pages.ts';
import type { AskedEntries, Tallybook } from '../../engine/tallybook.ts';
import type { BatchEvent } from '../../engine/writer.ts';
import type { Events, Route } from '../system.ts';
import { currentStream } from './doors.ts';
import { filterParameters, selectionOf } from './selection.ts';
import { shownEvent } from './shown.ts';
import { eventsStream } from './streams.ts';

const atOnce = 200;
/** Between two looks: at hundreds of commits a second, each would ask the ledger once more. */
const restMilliseconds = 100;

export const liveRoute: Route = {
  method: 'GET',
  path: '/v1/events/live',
  scope: 'read',
  streams: [eventsStream],
  summary: 'Events as they come',
  description:
    'Server-sent events `event`, each with an id, from now on; with the header Last-Event-ID from the one after that id. Imports are left out.',
  query: Type.Object(filterParameters),
  paged: false,
  answers: 'events',
  async answer({ tallybook, query, lastEventId }) {
    const asked = selectionOf(query);
    seqOfCursor(lastEventId);
    // A filter that cannot be meant is refused as a whole, before anything is told.
    await tallybook.records(eventsStream.name, asked, { size: 1 });
    const from = lastEventId ?? (await lastCursor(tallybook));
    return { events: (events) => follow(tallybook, asked, from, events) };
  },
};

/** Where the last event stands, whatever it is; undefined when there is none. */
async function lastCursor(tallybook: Tallybook): Promise<string | undefined> {
  const { records } = await tallybook.records(eventsStream.name, {}, { size: 1, newestFirst: true });
  return records[0] && cursorOf(records[0]);
}

async function follow(
  tallybook: Tallybook,
  asked: AskedEntries,
  from: string | undefined,
  events: Events,
): Promise<void> {
  const bell = new Doorbell();
  const committed = ({ counts }: BatchEvent): void => {
    if (counts.has(eventsStream.name)) bell.ring();
  };
  tallybook.events.on('batch', committed);
  const stop = (): void => {
    tallybook.events.off('batch', committed);
    bell.ring();
  };
  events.onClose(stop);
  let cursor = from;
  while (!events.closed) {
    // What is there now has been looked at when the page ends before it, even if the filter lets nothing of it through.
    const end = await lastCursor(tallybook);
    const page = { size: atOnce, cursor, newestFirst: false };
    const { records, next } = await tallybook.records(eventsStream.name, asked, page);
    const stream = currentStream(tallybook);
    for (const entry of records) {
      cursor = cursorOf(entry);
      if (entry.import === null && !events.closed)
        await events.each(cursor, 'event', shownEvent(stream, entry));
    }
    if (next !== undefined) continue;
    if (end !== undefined && isBehind(cursor, end)) cursor = end;
    if (!events.closed) await bell.answered();
    await new Promise((resolve) => setTimeout(resolve, restMilliseconds));
  }
}

function isBehind(cursor: string | undefined, end: string): boolean {
  return BigInt(seqOfCursor(cursor) ?? 0) < BigInt(seqOfCursor(end)!);
}
