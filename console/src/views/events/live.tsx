/** Events as they come: the newest on top, so many as can be read. */
import { Button, Group, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { Problem } from '../../api.ts';
import { parseExact, useAnswer } from '../../api.ts';
import { exact } from '../../number.ts';
import { Panel, Tag } from '../../parts.tsx';
import { useServerEvents } from '../../server-events.ts';
import { Answered, Nothing, Trouble } from '../../states.tsx';
import { useUrl } from '../../url.ts';
import type { Event } from '../../wire.ts';
import { EventsTable } from './table.tsx';

const shownMost = 100;
const filters = ['category', 'name', 'session_id', 'source'] as const;

export default function Live(): ReactElement {
  const url = useUrl();
  const filter = Object.fromEntries(
    filters.flatMap((name) => (url.get(name) ? [[name, url.get(name)]] : [])),
  );
  const where = url.get('where');
  const query = { ...filter, where };
  return <Tail key={JSON.stringify(query)} query={query} />;
}

function Tail({ query }: { query: Record<string, string> }): ReactElement {
  const url = useUrl();
  const before = useAnswer<{ events: Event[] }>('/v1/events', { ...query, page_size: 50 }, { keep: false });
  const [came, setCame] = useState<Event[]>([]);
  const [count, setCount] = useState(0);
  const [paused, setPaused] = useState(false);
  const [refused, setRefused] = useState<Problem>();
  useServerEvents({
    path: '/v1/events/live',
    query,
    enabled: !paused,
    take(events) {
      const told = events
        .filter(({ event }) => event === 'event')
        .map(({ data }) => parseExact(data) as Event);
      setCount((sofar) => sofar + told.length);
      setCame((kept) => [...told.reverse(), ...kept].slice(0, shownMost));
    },
    refused: setRefused,
  });
  const seen = new Set(came.map(({ id }) => id));
  return (
    <Panel
      flush
      title={
        <Group gap="sm">
          {paused ? <Tag color="gray">paused</Tag> : <Tag color="tally">live</Tag>}
          <span className="quiet small" style={{ fontWeight: 400 }}>
            {exact(count)} since this was opened
          </span>
        </Group>
      }
      actions={
        <>
          {filters.map((name) => (
            <TextInput
              key={name}
              size="xs"
              w={120}
              placeholder={name.replace('_', ' ')}
              aria-label={`Only of this ${name.replace('_', ' ')}`}
              defaultValue={query[name]}
              onKeyDown={(event) => event.key === 'Enter' && url.set({ [name]: event.currentTarget.value })}
              onBlur={(event) => url.set({ [name]: event.currentTarget.value })}
            />
          ))}
          <TextInput
            size="xs"
            w={160}
            placeholder="data.path=/pricing"
            aria-label="Only where the data is so"
            defaultValue={query.where}
            onKeyDown={(event) => event.key === 'Enter' && url.set({ where: event.currentTarget.value })}
            onBlur={(event) => url.set({ where: event.currentTarget.value })}
          />
          <Button size="xs" variant="default" onClick={() => setPaused(!paused)}>
            {paused ? 'Go on' : 'Pause'}
          </Button>
        </>
      }
    >
      {refused ? (
        <Trouble error={refused} />
      ) : (
        <Answered
          query={before}
          empty={({ events }) => events.length + came.length === 0}
          nothing={
            <Nothing icon="cursor" title="No events yet">
              They appear here as they come in.
            </Nothing>
          }
        >
          {({ events }) => (
            <EventsTable
              events={[...came, ...events.filter(({ id }) => !seen.has(id))].slice(0, shownMost)}
            />
          )}
        </Answered>
      )}
    </Panel>
  );
}
