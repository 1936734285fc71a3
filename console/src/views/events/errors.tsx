/** What is refused of what applications send, grouped; and what schemas only warn of. */
import { Anchor, Stack, Text } from '@mantine/core';
import { lazy, type ReactElement, Suspense } from 'react';
import { Link } from 'wouter';
import { useAnswer } from '../../api.ts';
import type { Point } from '../../charts/series.tsx';
import { DataTable } from '../../data-table.tsx';
import { exact } from '../../number.ts';
import { Panel, Tag } from '../../parts.tsx';
import { Answered, Loading, Nothing } from '../../states.tsx';
import { dayText, Time } from '../../time.tsx';
import type { EventErrorGroup, EventWarningGroup } from '../../wire.ts';

const SeriesChart = lazy(() => import('../../charts/series.tsx'));

export default function Errors(): ReactElement {
  const groups = useAnswer<{ groups: EventErrorGroup[] }>('/v1/events/errors', {}, { every: 5_000 });
  const overTime = useAnswer<{ groups: { code: string; day: string; count: number }[] }>(
    '/v1/events/errors',
    { group_by: 'code', every: 'day' },
    { every: 30_000 },
  );
  const warnings = useAnswer<{ groups: EventWarningGroup[] }>('/v1/events/warnings', {}, { every: 30_000 });
  const points = new Map<string, Point>();
  for (const { code, day, count } of overTime.data?.groups ?? []) {
    const point = points.get(day) ?? { label: dayText(day), values: {} };
    point.values[code] = count;
    points.set(day, point);
  }
  const codes = [...new Set(overTime.data?.groups.map(({ code }) => code))];
  return (
    <Stack gap="md">
      <Panel title="Refused, by reason" flush>
        <Answered
          query={groups}
          empty={(data) => data.groups.length === 0}
          nothing={
            <Nothing icon="empty" title="Nothing is refused">
              Events that are no events, or do not fit the schema of their type, are listed here with the
              reason.
            </Nothing>
          }
        >
          {(data) => (
            <DataTable
              label="Groups of refused events"
              rows={data.groups}
              keyOf={({ code, field, category, name, application }) =>
                [code, field, category, name, application].join('/')
              }
              columns={[
                { title: 'events', end: true, cell: ({ count }) => exact(count) },
                { title: 'reason', cell: ({ code }) => <Tag color="red">{code.replaceAll('_', ' ')}</Tag> },
                { title: 'field', cell: ({ field }) => field ?? '–' },
                {
                  title: 'type',
                  cell: ({ category, name }) =>
                    category === null || name === null ? (
                      <span className="quiet">none to be read</span>
                    ) : (
                      <Anchor
                        component={Link}
                        size="sm"
                        c="inherit"
                        underline="always"
                        href={`/events?show=types&type=${encodeURIComponent(`${category}/${name}`)}`}
                      >
                        {category} / {name}
                      </Anchor>
                    ),
                },
                { title: 'application', cell: ({ application }) => application },
                {
                  title: 'such as',
                  cell: ({ sample }) =>
                    sample && (
                      <Anchor
                        component={Link}
                        size="sm"
                        c="inherit"
                        underline="always"
                        href={`/rejects/${sample.id}`}
                        className="break"
                      >
                        {sample.message}
                      </Anchor>
                    ),
                },
                { title: 'first', nowrap: true, cell: ({ first_seen }) => <Time at={first_seen} /> },
                { title: 'last', nowrap: true, cell: ({ last_seen }) => <Time at={last_seen} /> },
              ]}
            />
          )}
        </Answered>
      </Panel>
      {points.size > 1 && (
        <Panel title="Over time">
          <Suspense fallback={<Loading lines={5} />}>
            <SeriesChart
              points={[...points.values()].sort((one, other) => (one.label < other.label ? -1 : 1))}
              series={codes}
              kind="stacked"
              label="Refused events by day and reason"
              height={180}
            />
          </Suspense>
        </Panel>
      )}
      <Panel title="Taken in, with a warning" flush>
        <Answered
          query={warnings}
          empty={(data) => data.groups.length === 0}
          nothing={
            <Text size="sm" c="dimmed" p="md">
              No schema warns of anything.
            </Text>
          }
        >
          {(data) => (
            <DataTable
              label="Groups of warnings"
              rows={data.groups}
              keyOf={(group) =>
                [group.category, group.name, group.version, group.field, group.application].join('/')
              }
              columns={[
                { title: 'events', end: true, cell: ({ count }) => exact(count) },
                {
                  title: 'type',
                  cell: ({ category, name, version }) => `${category} / ${name}, version ${version}`,
                },
                { title: 'field', cell: ({ field }) => field },
                { title: 'application', cell: ({ application }) => application },
                { title: 'first', nowrap: true, cell: ({ first_seen }) => <Time at={first_seen} /> },
                { title: 'last', nowrap: true, cell: ({ last_seen }) => <Time at={last_seen} /> },
              ]}
            />
          )}
        </Answered>
      </Panel>
    </Stack>
  );
}
