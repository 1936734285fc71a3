/** One space: its count now, over time, who came and went, and the counts that were set. */
import {
  Alert,
  Button,
  Group,
  Modal,
  NumberInput,
  SegmentedControl,
  SimpleGrid,
  Stack,
  TextInput,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, lazy, type ReactElement, Suspense, useState } from 'react';
import { useParams } from 'wouter';
import { ask, Problem, refresh, segment, useAnswer, usePages } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { useOpenRecord } from '../../explaining.ts';
import { exact } from '../../number.ts';
import { Back, Exact, Figure, Lead, MorePages, Panel, ViewHead } from '../../parts.tsx';
import { Answered, Loading, Nothing } from '../../states.tsx';
import { daysAgo, isoDay, Time } from '../../time.tsx';
import { useUrl } from '../../url.ts';
import type { Fate, Reset, SpaceSeries } from '../../wire.ts';

const SeriesChart = lazy(() => import('../../charts/series.tsx'));
const spans = {
  '1': { title: 'Today', interval: '15m' },
  '7': { title: '7 days', interval: '1h' },
  '30': { title: '30 days', interval: '1d' },
  '365': { title: '1 year', interval: '1w' },
} as const;
const intervals = ['1m', '5m', '15m', '1h', '1d', '1w'];

export default function Space(): ReactElement {
  const { item } = useParams();
  const id = decodeURIComponent(item!);
  const url = useUrl();
  const space = useAnswer<Fate>(`/v1/spaces/${segment(id)}`);
  const now = useAnswer<{ count: number; ts: string }>(`/space/${segment(id)}/count`, {}, { every: 2_000 });
  const span = (url.get('days') in spans ? url.get('days') : '7') as keyof typeof spans;
  const interval = intervals.find((one) => one === url.get('interval')) ?? spans[span].interval;
  const own = url.get('from') !== '';
  const series = useAnswer<SpaceSeries>(
    `/v1/spaces/${segment(id)}/counts`,
    {
      start_time: own ? url.get('from') : isoDay(daysAgo(Number(span) - 1)),
      // To the minute, so that it is the same question for a while.
      end_time: own ? url.get('to') : new Date(Math.ceil(Date.now() / 60_000) * 60_000).toISOString(),
      interval,
    },
    { every: 10_000 },
  );
  const [setting, setSetting] = useState(false);
  const name = space.data?.standing?.record.name;
  const tz = series.data?.tz;
  return (
    <Stack gap="md">
      <Back to="/occupancy">Occupancy</Back>
      <ViewHead
        title={String(name ?? id)}
        actions={<Button onClick={() => setSetting(true)}>Set the count</Button>}
      >
        {id}
        {tz && `, ${tz}`}
      </ViewHead>
      {now.error instanceof Problem ? (
        <Answered query={now}>{() => null}</Answered>
      ) : (
        <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
          <Figure
            label="Now"
            value={now.data ? <Exact value={now.data.count} /> : '…'}
            hint={now.data && <Time at={now.data.ts} only="clock" />}
          />
          <Figure
            label="Capacity"
            value={series.data?.capacity == null ? '–' : exact(series.data.capacity)}
            hint={
              series.data?.capacity && now.data
                ? `${Math.round((100 * now.data.count) / series.data.capacity)} % of it`
                : undefined
            }
          />
          <Figure
            label="Came in this time"
            value={
              series.data ? exact(series.data.counts.reduce((sum, { entrances }) => sum + entrances, 0)) : '…'
            }
          />
          <Figure
            label="Went in this time"
            value={series.data ? exact(series.data.counts.reduce((sum, { exits }) => sum + exits, 0)) : '…'}
          />
        </SimpleGrid>
      )}
      <Panel
        title="Over time"
        actions={
          <>
            <SegmentedControl
              size="xs"
              data={Object.entries(spans).map(([value, { title }]) => ({ value, label: title }))}
              value={own ? '' : span}
              onChange={(days) => url.set({ days, interval: undefined, from: undefined, to: undefined })}
              aria-label="Range of time"
            />
            <SegmentedControl
              size="xs"
              data={intervals}
              value={interval}
              onChange={(value) => url.set({ interval: value })}
              aria-label="Interval"
            />
          </>
        }
      >
        <Answered
          query={series}
          lines={8}
          empty={({ counts }) => counts.length === 0}
          nothing={<Nothing icon="people" title="Nothing was counted in this time" />}
        >
          {({ counts, tz: zone }) => {
            const clock = new Intl.DateTimeFormat('en-GB', {
              timeZone: zone,
              day: 'numeric',
              month: 'short',
              ...(interval === '1d' || interval === '1w' ? {} : { hour: '2-digit', minute: '2-digit' }),
            });
            return (
              <Suspense fallback={<Loading lines={6} />}>
                <SeriesChart
                  kind="line"
                  label={`People in ${name ?? id}`}
                  series={['count', 'most', 'fewest']}
                  points={counts.map(({ end, count, max, min }) => ({
                    label: clock.format(new Date(Date.parse(end) - 1)),
                    values: { count, most: max, fewest: min },
                  }))}
                />
                <SeriesChart
                  kind="stacked"
                  height={160}
                  label="Came and went"
                  series={['came', 'went']}
                  points={counts.map(({ end, entrances, exits }) => ({
                    label: clock.format(new Date(Date.parse(end) - 1)),
                    values: { came: entrances, went: exits },
                  }))}
                />
              </Suspense>
            );
          }}
        </Answered>
      </Panel>
      <Resets id={id} />
      {setting && <SetCount id={id} onClose={() => setSetting(false)} />}
    </Stack>
  );
}

function Resets({ id }: { id: string }): ReactElement {
  const pages = usePages<Reset>(
    `/v1/spaces/${segment(id)}/resets`,
    { page_size: 50 },
    (rows: Reset[]) => rows,
  );
  const open = useOpenRecord();
  return (
    <Panel title="Counts that were set" flush>
      <Answered
        query={{ ...pages, data: pages.rows }}
        empty={(rows) => rows.length === 0}
        nothing={
          <Nothing icon="people" title="None was set">
            Set one when somebody has looked how many people are there.
          </Nothing>
        }
      >
        {(rows) => (
          <DataTable
            label="Resets"
            rows={rows}
            keyOf={(reset) => reset.id}
            columns={[
              { title: 'at', nowrap: true, cell: ({ ts }) => <Time at={ts} /> },
              { title: 'count', end: true, cell: ({ count }) => exact(count) },
              { title: 'reason', cell: ({ reason }) => reason ?? '–' },
              {
                title: 'reset',
                cell: (reset) => (
                  <Lead title="Correct it, or take it back" onClick={() => open('resets', reset.id)}>
                    <span className="mono">{reset.id.slice(0, 8)}</span>
                  </Lead>
                ),
              },
            ]}
          />
        )}
      </Answered>
      <MorePages pages={pages} />
    </Panel>
  );
}

function SetCount({ id, onClose }: { id: string; onClose(): void }): ReactElement {
  const [count, setCount] = useState<string | number>(0);
  const [at, setAt] = useState('');
  const [reason, setReason] = useState('');
  // The same id for each try: sent twice, it counts once.
  const [reset] = useState(() => crypto.randomUUID());
  const save = useMutation({
    mutationFn: () =>
      ask('POST', `/v1/spaces/${segment(id)}/resets`, {
        body: {
          id: reset,
          count: Number(count),
          ...(at === '' ? {} : { ts: new Date(at).toISOString() }),
          ...(reason === '' ? {} : { reason }),
        },
      }),
    onSuccess: async () => {
      onClose();
      notifications.show({
        color: 'tally',
        title: `The count is set to ${exact(String(count))}`,
        message: 'What came before stays as it was; everything after is counted from there.',
      });
      await refresh();
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title="Set the count">
      <form onSubmit={submit}>
        <Stack>
          <NumberInput
            label="So many people are there"
            value={count}
            onChange={setCount}
            allowDecimal={false}
            data-autofocus
          />
          <TextInput
            type="datetime-local"
            label="At"
            description="now, when empty; in your time zone"
            value={at}
            onChange={(event) => setAt(event.currentTarget.value)}
          />
          <TextInput
            label="Reason"
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={1000}
          />
          {save.error && <Alert color="red">{save.error.message}</Alert>}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending} disabled={count === ''}>
              Set it
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
