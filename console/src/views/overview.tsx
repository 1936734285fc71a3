/** The overview: what comes in now, what became of it, and what there is. */
import { Anchor, SimpleGrid, Stack, Text } from '@mantine/core';
import { lazy, type ReactElement, Suspense } from 'react';
import { Link } from 'wouter';
import { useAnswer } from '../api.ts';
import { DataTable } from '../data-table.tsx';
import { about, duration, exact, plural } from '../number.ts';
import { Bars, Exact, Figure, Panel, ViewHead } from '../parts.tsx';
import { useRates } from '../rates.ts';
import { Answered, Loading, Nothing } from '../states.tsx';
import { useStreams } from '../streams.ts';
import { daysAgo, isoDay, Time } from '../time.tsx';
import type { Answer, Import, Notification, RejectGroup, Stream } from '../wire.ts';
import { ImportStatus } from './import-status.tsx';

const LiveChart = lazy(() => import('../charts/live.tsx'));

export default function Overview(): ReactElement {
  const { query, rates, latest } = useRates();
  const streams = useStreams();
  const rejects = useAnswer<{ groups: RejectGroup[] }>(
    '/v1/rejects',
    { group_by: 'stream' },
    { every: 5_000 },
  );
  const now = rates.slice(-3);
  const mean = (of: (rate: (typeof rates)[number]) => number): number =>
    now.length === 0 ? 0 : now.reduce((sum, rate) => sum + of(rate), 0) / now.length;
  const perSecond = mean(({ verdicts }) => Object.values(verdicts).reduce((sum, rate) => sum + rate, 0));
  const took = rates.flatMap(({ commitMilliseconds }) => commitMilliseconds ?? []);
  const open = rejects.data?.groups.reduce((sum, { count }) => sum + count, 0);
  const openOf = (stream: string): number =>
    rejects.data?.groups.find(({ key }) => key.stream === stream)?.count ?? 0;
  return (
    <Stack gap="md">
      <ViewHead title="Overview" />
      <Answered query={{ ...query, data: query.data ?? latest }} lines={3}>
        {({ waiting, imports }) => (
          <>
            <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
              <Figure
                label="Records a second"
                value={about(perSecond)}
                hint={waiting > 0 ? `${plural(waiting, 'record')} waiting` : 'nothing waits'}
              />
              <Figure
                label="Time of a commit"
                value={
                  took.length === 0
                    ? '–'
                    : duration(
                        took.slice(-10).reduce((sum, one) => sum + one, 0) / Math.min(took.length, 10) / 1000,
                      )
                }
                hint={`${about(mean(({ commits }) => commits))} commits a second`}
              />
              <Figure
                label="Open rejects"
                value={open === undefined ? '–' : <Exact value={open} />}
                hint={
                  open === 0 ? (
                    'everything was taken in'
                  ) : (
                    <Anchor component={Link} href="/rejects" size="sm">
                      see why
                    </Anchor>
                  )
                }
              />
              <Figure
                label="Imports in progress"
                value={exact(imports)}
                hint={
                  <Anchor component={Link} href="/imports" size="sm">
                    all imports
                  </Anchor>
                }
              />
            </SimpleGrid>
            <Panel
              title="What comes in, by verdict"
              actions={
                <Text size="xs" c="dimmed">
                  records a second, the last two minutes
                </Text>
              }
            >
              <Suspense fallback={<Loading lines={6} />}>
                <LiveChart rates={rates} />
              </Suspense>
            </Panel>
          </>
        )}
      </Answered>
      <Panel title="Streams" flush>
        <Answered
          query={streams}
          empty={({ streams: all }) => all.length === 0}
          nothing={
            <Nothing icon="empty" title="No streams yet">
              Declare one with <code>tallybook streams put FILE</code>, or see it at work with{' '}
              <code>tallybook demo</code>.
            </Nothing>
          }
        >
          {({ streams: all }) => (
            <DataTable
              label="Streams"
              rows={all}
              keyOf={({ name }) => name}
              columns={[
                {
                  title: 'stream',
                  cell: ({ name, declaration }) => (
                    <div style={{ minWidth: 150 }}>
                      <Anchor
                        component={Link}
                        href={`/explore/${name}`}
                        size="sm"
                        fw={600}
                        c="inherit"
                        underline="always"
                      >
                        {name}
                      </Anchor>
                      <div className="quiet small">{declaration.description}</div>
                    </div>
                  ),
                },
                { title: 'last 30 days', cell: (stream) => <LastDays stream={stream} /> },
                { title: 'records', end: true, cell: ({ name }) => <Count stream={name} /> },
                {
                  title: 'a second',
                  end: true,
                  cell: ({ name }) => about(mean((rate) => rate.streams.get(name) ?? 0)),
                },
                {
                  title: 'open rejects',
                  end: true,
                  cell: ({ name }) =>
                    openOf(name) === 0 ? (
                      <span className="quiet">0</span>
                    ) : (
                      <Anchor component={Link} href={`/rejects?stream=${name}`} size="sm">
                        {exact(openOf(name))}
                      </Anchor>
                    ),
                },
              ]}
            />
          )}
        </Answered>
      </Panel>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <LatestImports />
        <LatestNotifications />
      </SimpleGrid>
    </Stack>
  );
}

/** Asked again now and then: a rollup answers it, or a scan that should not run every second. */
const countMilliseconds = 5_000;

function Count({ stream }: { stream: string }): ReactElement {
  const { data } = useAnswer<Answer>(
    `/v1/streams/${stream}/query`,
    { measures: 'count' },
    { every: countMilliseconds },
  );
  return data ? <Exact value={(data.rows[0]?.count as number) ?? 0} /> : <span className="quiet">…</span>;
}

function LastDays({ stream: { name, declaration } }: { stream: Stream }): ReactElement {
  const [from, to] = [isoDay(daysAgo(30)), isoDay(daysAgo(-1))];
  // Days of a rollup where there is one: in its zone.
  const rollup = Object.values(declaration.rollups ?? {}).find(
    ({ every }) => every === 'day' || every === 'hour',
  );
  const { data } = useAnswer<Answer>(
    `/v1/streams/${name}/query`,
    { measures: 'count', every: 'day', tz: rollup?.tz, from, to, fill: 'zero' },
    { enabled: declaration.time !== undefined, every: 30_000 },
  );
  if (declaration.time === undefined) return <span className="quiet small">no time of its own</span>;
  const counts = data?.rows.map(({ count }) => Number(count)) ?? [];
  return (
    <Bars
      values={counts}
      label={`Records of the last 30 days: ${exact(counts.reduce((sum, count) => sum + count, 0))}`}
    />
  );
}

function LatestImports(): ReactElement {
  const imports = useAnswer<{ imports: Import[] }>('/v1/imports', { page_size: 5 }, { every: 5_000 });
  return (
    <Panel
      title="Latest imports"
      flush
      actions={
        <Anchor component={Link} href="/imports" size="sm">
          All
        </Anchor>
      }
    >
      <Answered
        query={imports}
        empty={(data) => data.imports.length === 0}
        nothing={
          <Nothing icon="upload" title="No files yet">
            Drop one under <Link href="/imports">Imports</Link>.
          </Nothing>
        }
      >
        {(data) => (
          <DataTable
            label="Latest imports"
            rows={data.imports}
            keyOf={({ id }) => id}
            columns={[
              { title: 'file', cell: ({ name }) => <span className="break">{name}</span> },
              { title: 'stream', cell: ({ stream }) => stream },
              { title: 'accepted', end: true, cell: ({ counts }) => (counts ? exact(counts.accepted) : '–') },
              { title: 'status', cell: (one) => <ImportStatus of={one} /> },
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}

function LatestNotifications(): ReactElement {
  const notifications = useAnswer<{ notifications: Notification[] }>(
    '/v1/notifications',
    { page_size: 5 },
    { every: 5_000 },
  );
  return (
    <Panel
      title="Latest notifications"
      flush
      actions={
        <Anchor component={Link} href="/alerts" size="sm">
          Alerts
        </Anchor>
      }
    >
      <Answered
        query={notifications}
        empty={(data) => data.notifications.length === 0}
        nothing={
          <Nothing icon="bell" title="Nothing was told">
            An <Link href="/alerts">alert</Link> watches a figure and tells when it reaches a share of its
            limit.
          </Nothing>
        }
      >
        {(data) => (
          <DataTable
            label="Latest notifications"
            rows={data.notifications}
            keyOf={({ id }) => id}
            columns={[
              { title: 'when', nowrap: true, cell: ({ at }) => <Time at={at} /> },
              { title: 'alert', cell: ({ alert }) => alert },
              { title: 'key', cell: ({ key }) => key || 'all' },
              { title: 'reached', end: true, cell: ({ threshold }) => `${exact(threshold)} %` },
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}
