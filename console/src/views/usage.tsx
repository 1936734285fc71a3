/** Usage: who reached a limit, what one subscription used day by day, and the records behind every figure. */
import { Anchor, Group, Progress, SegmentedControl, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { lazy, type ReactElement, type ReactNode, Suspense, useState } from 'react';
import { Link, useParams } from 'wouter';
import { Problem, segment, useAnswer, usePages } from '../api.ts';
import { DataTable } from '../data-table.tsx';
import { useExplain } from '../explaining.ts';
import { exact } from '../number.ts';
import { Back, Exact, Figure, Lead, MorePages, Panel, ViewHead } from '../parts.tsx';
import { Answered, Loading, Nothing } from '../states.tsx';
import { dayAfter, dayText, isoDay } from '../time.tsx';
import { useUrl } from '../url.ts';
import type { Allowance, Answer, Exceeding, Row, SubscriptionUsage, UsageType } from '../wire.ts';

const SeriesChart = lazy(() => import('../charts/series.tsx'));
const units = { data: 'kB', voice: 's' } as const;
const pageSize = 50;

/** The days of the address; the current month when it names none. Both are counted. */
function useDays(): { from: string; to: string; set(days: { from?: string; to?: string }): void } {
  const url = useUrl();
  const now = new Date();
  const from = url.get('from') || isoDay(new Date(now.getFullYear(), now.getMonth(), 1));
  const to = url.get('to') || isoDay(new Date(now.getFullYear(), now.getMonth() + 1, 0));
  return { from, to, set: (days) => url.set(days) };
}

function Days({ days }: { days: ReturnType<typeof useDays> }): ReactElement {
  return (
    <>
      <TextInput
        type="date"
        label="From"
        value={days.from}
        onChange={(event) => days.set({ from: event.currentTarget.value })}
      />
      <TextInput
        type="date"
        label="To, with it"
        value={days.to}
        onChange={(event) => days.set({ to: event.currentTarget.value })}
      />
    </>
  );
}

const behindDays = ({ from, to }: { from: string; to: string }) => ({ from, to: dayAfter(to, 'day') });

export default function Usage(): ReactElement {
  const { item } = useParams();
  return item === undefined ? <Limits /> : <Subscription id={item} />;
}

function Limits(): ReactElement {
  const url = useUrl();
  const days = useDays();
  const explain = useExplain();
  const limit = url.get('limit') || '10.00';
  const [typed, setTyped] = useState(limit);
  const put = useDebouncedCallback((value: string) => url.set({ limit: value }), 350);
  const type = url.get('type');
  const subscription = url.get('subscription');
  const pages = usePages<Exceeding>(
    '/v1/usage/exceeding',
    { limit, type, subscription_id: subscription, from: days.from, to: days.to, page_size: pageSize },
    (rows: Exceeding[]) => rows,
    { every: 10_000 },
  );
  const rows = pages.rows?.flatMap(({ subscription_id, exceeded }) =>
    exceeded.map((one, at) => ({ ...one, subscription_id, first: at === 0 })),
  );
  const behind = (row: { subscription_id: string; type: UsageType; total_price: string }): void =>
    explain({
      stream: 'usage',
      where: [`subscription_id=${row.subscription_id}`, `type=${row.type}`],
      ...behindDays(days),
      title: `${row.type} of ${row.subscription_id}: ${exact(row.total_price, 2)}`,
    });
  return (
    <Stack gap="md">
      <ViewHead title="Usage">
        Which subscriptions reached a limit, the worst first. Every figure leads to the records behind it.
      </ViewHead>
      <Panel>
        <Group align="end" gap="sm">
          <TextInput
            label="Limit (price)"
            value={typed}
            inputMode="decimal"
            w={120}
            onChange={(event) => {
              setTyped(event.currentTarget.value);
              put(event.currentTarget.value);
            }}
          />
          <Days days={days} />
          <TextInput
            label="Subscription"
            placeholder="any"
            w={130}
            defaultValue={subscription}
            onBlur={(event) => url.set({ subscription: event.currentTarget.value })}
            onKeyDown={(event) =>
              event.key === 'Enter' && url.set({ subscription: event.currentTarget.value })
            }
          />
          <SegmentedControl
            data={[
              { value: '', label: 'Both' },
              { value: 'data', label: 'Data' },
              { value: 'voice', label: 'Voice' },
            ]}
            value={type}
            onChange={(value) => url.set({ type: value })}
            aria-label="Type of usage"
          />
        </Group>
      </Panel>
      <Panel flush title="Over the limit">
        <Answered
          query={{ ...pages, data: rows }}
          lines={8}
          empty={(all) => all.length === 0}
          nothing={
            <Nothing icon="phone" title="Nobody reached it">
              No subscription has a total of {limit} or more in these days.
            </Nothing>
          }
        >
          {(all) => (
            <DataTable
              label="Subscriptions over the limit"
              rows={all}
              keyOf={({ subscription_id, type: of }) => `${subscription_id}/${of}`}
              columns={[
                {
                  title: 'subscription',
                  cell: ({ subscription_id, first }) =>
                    first ? (
                      <Anchor
                        component={Link}
                        href={`/usage/${subscription_id}?from=${days.from}&to=${days.to}`}
                        c="inherit"
                        underline="always"
                        size="sm"
                      >
                        {subscription_id}
                      </Anchor>
                    ) : (
                      <span className="quiet">{subscription_id}</span>
                    ),
                },
                { title: 'type', cell: ({ type: of }) => of },
                {
                  title: 'total price',
                  end: true,
                  cell: (row) => (
                    <Lead title="See the records behind it" onClick={() => behind(row)}>
                      <Exact value={row.total_price} scale={2} />
                    </Lead>
                  ),
                },
                {
                  title: 'over the limit by',
                  end: true,
                  cell: ({ exceeded_by }) => <Exact value={exceeded_by} scale={2} />,
                },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={pages} />
      </Panel>
    </Stack>
  );
}

function Subscription({ id }: { id: string }): ReactElement {
  const days = useDays();
  const totals = useAnswer<SubscriptionUsage[]>(
    '/v1/usage/metrics',
    { subscription_id: id, from: days.from, to: days.to },
    { every: 5_000 },
  );
  const daily = useAnswer<Answer>(
    '/v1/streams/usage/query',
    {
      measures: 'sum(price),sum(used),count',
      by: 'type',
      every: 'day',
      where: `subscription_id=${id}`,
      ...behindDays(days),
    },
    { every: 5_000 },
  );
  const explain = useExplain();
  const look = (type: string, price: string, day?: string): void =>
    explain({
      stream: 'usage',
      where: [`subscription_id=${id}`, `type=${type}`],
      ...(day ? behindDays({ from: day, to: day }) : behindDays(days)),
      title: `${type}${day ? ` on ${dayText(day)}` : ''}: ${exact(price, 2)}`,
    });
  return (
    <Stack gap="md">
      <Back to="/usage">Usage</Back>
      <ViewHead
        title={`Subscription ${id}`}
        actions={
          <Group gap="sm" align="end">
            <Days days={days} />
          </Group>
        }
      />
      <Answered query={totals} lines={2}>
        {(all) => (
          <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="sm">
            {(['data', 'voice'] as const).map((type) => {
              const of = all[0]?.usage.find((one) => one.type === type);
              return (
                <Figure
                  key={type}
                  label={`${type}, total price`}
                  value={
                    of ? (
                      <Lead title="See the records behind it" onClick={() => look(type, of.total_price)}>
                        <Exact value={of.total_price} scale={2} />
                      </Lead>
                    ) : (
                      '0.00'
                    )
                  }
                  hint={
                    of
                      ? `${exact(of.total_used)} ${units[type]} in ${exact(of.records)} records`
                      : 'nothing used'
                  }
                />
              );
            })}
            <AllowanceFigure id={id} month={days.to.slice(0, 7)} />
          </SimpleGrid>
        )}
      </Answered>
      <Answered
        query={daily}
        lines={8}
        empty={({ rows }) => rows.length === 0}
        nothing={
          <Panel>
            <Nothing icon="phone" title="Nothing used in these days" />
          </Panel>
        }
      >
        {({ rows }) => (
          <>
            <Panel title="Price by day">
              <Suspense fallback={<Loading lines={6} />}>
                <SeriesChart
                  points={byDay(rows)}
                  series={['data', 'voice']}
                  kind="stacked"
                  label="Price by day, data and voice"
                  scale={2}
                  height={240}
                />
              </Suspense>
            </Panel>
            <Panel title="Day by day" flush>
              <DataTable
                label="Usage by day"
                rows={[...rows].sort((one, other) => (String(one.day) < String(other.day) ? 1 : -1))}
                keyOf={({ day, type }) => `${day}/${type}`}
                columns={[
                  { title: 'day', nowrap: true, cell: ({ day }) => dayText(String(day)) },
                  { title: 'type', cell: ({ type }) => String(type) },
                  {
                    title: 'price',
                    end: true,
                    cell: (row) => (
                      <Lead
                        title="See the records behind it"
                        onClick={() => look(String(row.type), String(row['sum(price)']), String(row.day))}
                      >
                        <Exact value={row['sum(price)'] as string} scale={2} />
                      </Lead>
                    ),
                  },
                  {
                    title: 'used',
                    end: true,
                    cell: (row) => (
                      <Exact value={row['sum(used)'] as string} unit={units[row.type as UsageType]} />
                    ),
                  },
                  { title: 'records', end: true, cell: ({ count }) => <Exact value={count as number} /> },
                ]}
              />
            </Panel>
          </>
        )}
      </Answered>
    </Stack>
  );
}

function byDay(rows: Row[]) {
  const days = new Map<string, Record<string, Row[string]>>();
  for (const row of rows)
    days.set(String(row.day), {
      ...days.get(String(row.day)),
      [String(row.type)]: row['sum(price)'] ?? null,
    });
  return [...days]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([day, values]) => ({ label: dayText(day), values }));
}

function AllowanceFigure({ id, month }: { id: string; month: string }): ReactNode {
  const allowance = useAnswer<Allowance>(`/v1/usage/subscriptions/${segment(id)}/allowance`, { month });
  const { data, error } = allowance;
  if (error instanceof Problem && error.status === 404)
    return <Figure label="Allowance" value="–" hint="the subscription is not declared" />;
  if (!data?.used_percent) return <Figure label="Allowance" value="–" hint={data ? 'no plan' : undefined} />;
  const percent = Math.min(Number(data.used_percent), 100);
  return (
    <Figure
      label={`Allowance of ${data.plan}, ${month}`}
      value={`${exact(data.used_percent)} %`}
      hint={
        <>
          <Progress
            value={percent}
            color={percent >= 100 ? 'red.7' : percent >= 80 ? 'orange.6' : 'tally.6'}
            size="sm"
            my={4}
            aria-label={`${data.used_percent} per cent of the allowance`}
          />
          <Text size="xs" c="dimmed">
            {exact(data.used)} of {exact(data.data_available ?? '0')} kB
          </Text>
        </>
      }
    />
  );
}
