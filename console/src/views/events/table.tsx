/** Events in a table: each leads to its session, and to its history. */
import { Anchor } from '@mantine/core';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { DataTable } from '../../data-table.tsx';
import { useOpenRecord } from '../../explaining.ts';
import { Lead } from '../../parts.tsx';
import { Time } from '../../time.tsx';
import { jsonText } from '../../value.tsx';
import type { Event } from '../../wire.ts';

export function EventsTable({ events }: { events: Event[] }): ReactElement {
  const open = useOpenRecord();
  return (
    <DataTable
      label="Events"
      rows={events}
      keyOf={({ id }) => id}
      columns={[
        { title: 'when', nowrap: true, cell: ({ timestamp }) => <Time at={timestamp} /> },
        { title: 'category', cell: ({ category }) => category },
        {
          title: 'name',
          cell: ({ id, name }) => (
            <Lead title="Its history, and the way to correct it" onClick={() => open('events', id)}>
              {name}
            </Lead>
          ),
        },
        {
          title: 'session',
          cell: ({ session_id }) => (
            <Anchor
              component={Link}
              href={`/events/${encodeURIComponent(session_id)}`}
              size="sm"
              c="inherit"
              underline="always"
            >
              <span className="id">
                {session_id.length > 13 ? `${session_id.slice(0, 12)}…` : session_id}
              </span>
            </Anchor>
          ),
        },
        { title: 'application', cell: ({ application }) => application },
        { title: 'data', cell: ({ data }) => <div className="mono break clip">{jsonText(data)}</div> },
      ]}
    />
  );
}
