/** A session as a line of time. */
import { SimpleGrid, Stack, Timeline } from '@mantine/core';
import type { ReactElement } from 'react';
import { useParams } from 'wouter';
import { segment, useAnswer, usePages } from '../../api.ts';
import { useOpenRecord } from '../../explaining.ts';
import { duration, exact } from '../../number.ts';
import { Back, Figure, Lead, MorePages, Panel, ViewHead } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { Time } from '../../time.tsx';
import { jsonText } from '../../value.tsx';
import type { Event, Session } from '../../wire.ts';

/** A pause that is worth telling. */
const pauseSeconds = 60;

export default function SessionView(): ReactElement {
  const { item } = useParams();
  const id = decodeURIComponent(item!);
  const path = `/v1/sessions/${segment(id)}`;
  const session = useAnswer<Session>(path, { page_size: 1 }, { every: 5_000 });
  const pages = usePages<Event>(path, { page_size: 100 }, (body: Session) => body.events, { every: 5_000 });
  const open = useOpenRecord();
  return (
    <Stack gap="md">
      <Back to="/events">Events</Back>
      <ViewHead title={`Session ${id}`} />
      <Answered query={session} lines={2}>
        {({ count, first, last, duration_seconds, applications }) => (
          <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
            <Figure label="Events" value={exact(count)} hint={<Time at={first} />} />
            <Figure
              label="Lasted"
              value={duration(Number(duration_seconds))}
              hint={`${exact(duration_seconds)} s`}
            />
            <Figure
              label="Last event"
              value={<Time at={last} only="clock" />}
              hint={<Time at={last} only="day" />}
            />
            <Figure label="Applications" value={exact(applications.length)} hint={applications.join(', ')} />
          </SimpleGrid>
        )}
      </Answered>
      <Panel title="What happened, in order">
        <Answered
          query={{ ...pages, data: pages.rows }}
          empty={(events) => events.length === 0}
          nothing={<Nothing icon="cursor" title="Nothing" />}
        >
          {(events) => (
            <Timeline bulletSize={14} lineWidth={2} active={events.length}>
              {events.map((event, at) => {
                const pause =
                  at === 0 ? 0 : (Date.parse(event.timestamp) - Date.parse(events[at - 1]!.timestamp)) / 1000;
                return (
                  <Timeline.Item
                    key={event.id}
                    lineVariant={pause > pauseSeconds ? 'dashed' : 'solid'}
                    title={
                      <Lead title="Its history" onClick={() => open('events', event.id)}>
                        {event.name}
                      </Lead>
                    }
                  >
                    <div className="quiet small">
                      <Time at={event.timestamp} only="clock" />
                      {at > 0 && `, ${duration(Math.max(pause, 0))} later`} · {event.category} ·{' '}
                      {event.application}
                    </div>
                    <div className="mono break">{jsonText(event.data)}</div>
                  </Timeline.Item>
                );
              })}
            </Timeline>
          )}
        </Answered>
        <MorePages pages={pages} />
      </Panel>
    </Stack>
  );
}
