/** Alerts: what is watched, what was told as it happens, and where it is posted. */
import {
  Button,
  Code,
  Group,
  Modal,
  MultiSelect,
  Alert as Notice,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core';
import { notifications as toasts } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactElement, useState } from 'react';
import { ask, queryClient, refresh, segment, useAnswer, usePages } from '../api.ts';
import { Conditions } from '../conditions.tsx';
import { Confirm } from '../confirm.tsx';
import { type Column, DataTable } from '../data-table.tsx';
import { useExplain } from '../explaining.ts';
import { Icon } from '../icons.tsx';
import { duration, exact } from '../number.ts';
import { CodeBlock, Lead, MorePages, Panel, Tag, ViewHead } from '../parts.tsx';
import { condition } from '../question.ts';
import { useServerEvents } from '../server-events.ts';
import { Answered, Nothing } from '../states.tsx';
import { useStreams } from '../streams.ts';
import { DayOf, Time, viewerZone } from '../time.tsx';
import { useUrl } from '../url.ts';
import type { Alert, Delivery, Notification, Webhook } from '../wire.ts';

const shows = ['notifications', 'alerts', 'webhooks'] as const;

export default function Alerts(): ReactElement {
  const url = useUrl();
  const show = shows.find((one) => one === url.get('show')) ?? 'notifications';
  const [making, setMaking] = useState(false);
  return (
    <Stack gap="md">
      <ViewHead
        title="Alerts"
        actions={
          <>
            <SegmentedControl
              size="xs"
              data={shows.map((value) => ({ value, label: `${value[0]!.toUpperCase()}${value.slice(1)}` }))}
              value={show}
              onChange={(value) => url.set({ show: value })}
              aria-label="What to show"
            />
            {show !== 'notifications' && (
              <Button leftSection={<Icon name="plus" size={15} />} onClick={() => setMaking(true)}>
                {show === 'alerts' ? 'New alert' : 'New webhook'}
              </Button>
            )}
          </>
        }
      >
        An alert watches a figure, and tells once when it reaches a share of its limit.
      </ViewHead>
      {show === 'notifications' ? <Told /> : show === 'alerts' ? <Defined /> : <Webhooks />}
      {making &&
        (show === 'alerts' ? (
          <NewAlert onClose={() => setMaking(false)} />
        ) : (
          <NewWebhook onClose={() => setMaking(false)} />
        ))}
    </Stack>
  );
}

function Told(): ReactElement {
  const url = useUrl();
  const explain = useExplain();
  const pages = usePages<Notification>(
    '/v1/notifications',
    { alert: url.get('alert'), key: url.get('key'), page_size: 50 },
    (body: { notifications: Notification[] }) => body.notifications,
  );
  useServerEvents({
    path: '/v1/notifications/events',
    take: () => void queryClient.invalidateQueries({ queryKey: ['/v1/notifications'] }),
  });
  return (
    <Panel
      flush
      title="What was told, newest first"
      actions={
        <Text size="xs" c="dimmed">
          new ones appear by themselves
        </Text>
      }
    >
      <Answered
        query={{ ...pages, data: pages.rows }}
        empty={(rows) => rows.length === 0}
        nothing={
          <Nothing icon="bell" title="Nothing was told yet">
            A threshold that is reached is told here once for each key and period.
          </Nothing>
        }
      >
        {(rows) => (
          <DataTable
            label="Notifications"
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              { title: 'when', nowrap: true, cell: ({ at }) => <Time at={at} /> },
              {
                title: 'alert',
                cell: ({ alert }) => (
                  <Lead
                    title="Only of this alert"
                    onClick={() => url.set({ alert: url.get('alert') ? undefined : alert })}
                  >
                    {alert}
                  </Lead>
                ),
              },
              { title: 'key', cell: ({ key }) => key || <span className="quiet">all</span> },
              {
                title: 'reached',
                end: true,
                cell: ({ threshold }) => (
                  <Tag color={Number(threshold) >= 100 ? 'red' : 'orange'}>{exact(threshold)} %</Tag>
                ),
              },
              {
                title: 'value',
                end: true,
                cell: ({ value, stream, dimensions, period, measure }) =>
                  stream.startsWith('_') ? (
                    exact(value)
                  ) : (
                    <Lead
                      title="See the records behind it"
                      onClick={() =>
                        explain({
                          stream,
                          where: Object.entries(dimensions).map(([field, of]) => condition(field, of)),
                          from: period.from ?? undefined,
                          to: period.to ?? undefined,
                          title: `${measure} was ${exact(value)}`,
                        })
                      }
                    >
                      {exact(value)}
                    </Lead>
                  ),
              },
              {
                title: 'of the limit',
                end: true,
                cell: ({ limit, percent }) => `${exact(limit)}${percent ? ` (${exact(percent)} %)` : ''}`,
              },
              {
                title: 'period',
                nowrap: true,
                cell: ({ period: { every, start } }) =>
                  start ? (
                    <>
                      {every} from <DayOf date={start} />
                    </>
                  ) : (
                    'all time'
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

function Defined(): ReactElement {
  const alerts = useAnswer<{ alerts: Alert[] }>('/v1/alerts');
  const [removing, setRemoving] = useState<Alert>();
  const toggle = useMutation({
    mutationFn: ({ name, definition }: Alert) =>
      ask('PUT', `/v1/alerts/${segment(name)}`, { body: { ...definition, enabled: !definition.enabled } }),
    onSuccess: refresh,
    onError: (error) => toasts.show({ color: 'red', title: 'Not changed', message: error.message }),
  });
  return (
    <Panel flush>
      <Answered
        query={alerts}
        empty={(data) => data.alerts.length === 0}
        nothing={
          <Nothing icon="bell" title="Nothing is watched">
            Make one: a subscription that has used its allowance, a source that sends too much that is
            refused.
          </Nothing>
        }
      >
        {(data) => (
          <DataTable
            label="Alerts"
            rows={data.alerts}
            keyOf={({ name }) => name}
            columns={[
              {
                title: 'alert',
                cell: ({ name, definition, fault }) => (
                  <>
                    <b>{name}</b>
                    <div className="quiet small">{definition.description}</div>
                    {fault && <div className="small">{fault}</div>}
                  </>
                ),
              },
              {
                title: 'watches',
                cell: ({ definition }) => (
                  <Code>{`${definition.measure} of ${definition.stream}${definition.by.length > 0 ? ` by ${definition.by.join(', ')}` : ''}`}</Code>
                ),
              },
              {
                title: 'per',
                cell: ({ definition }) =>
                  definition.period === 'all' ? 'all time' : `${definition.period}, ${definition.tz}`,
              },
              {
                title: 'limit',
                cell: ({ definition: { limit } }) =>
                  typeof limit === 'string' ? exact(limit) : <Code>{limit.path.join(' → ')}</Code>,
              },
              {
                title: 'tells at',
                cell: ({ definition }) =>
                  definition.thresholds.map((threshold) => `${exact(threshold)} %`).join(', '),
              },
              { title: 'figures', cell: ({ from }) => <span className="quiet small">{from}</span> },
              onColumn<Alert>(
                ({ definition }) => definition.enabled,
                (alert) => toggle.mutate(alert),
              ),
              removeColumn<Alert>(setRemoving),
            ]}
          />
        )}
      </Answered>
      {removing && (
        <Confirm
          title={`Remove ${removing.name}?`}
          verb="Remove"
          act={() => ask('DELETE', `/v1/alerts/${segment(removing.name)}`)}
          onClose={() => setRemoving(undefined)}
        >
          Nothing more is told of {removing.definition.measure} of {removing.definition.stream}. What was told
          stays.
        </Confirm>
      )}
    </Panel>
  );
}

function NewAlert({ onClose }: { onClose(): void }): ReactElement {
  const streams = useStreams();
  const [name, setName] = useState('');
  const [stream, setStream] = useState<string | null>(null);
  const [measure, setMeasure] = useState<string | null>('count');
  const [by, setBy] = useState<string[]>([]);
  const [where, setWhere] = useState<string[]>([]);
  const [period, setPeriod] = useState<string | null>('month');
  const [tz, setTz] = useState<string | null>('UTC');
  const [limit, setLimit] = useState('');
  const [thresholds, setThresholds] = useState(['80', '100']);
  const declaration = streams.data?.streams.find((one) => one.name === stream)?.declaration;
  const fields = Object.entries(declaration?.fields ?? {});
  const summed = fields
    .filter(([, { type }]) => type === 'integer' || type === 'decimal')
    .map(([field]) => field);
  const save = useMutation({
    mutationFn: () => {
      // A number, or the way to one: subscription_id: subscriptions.plan, plans.data_available
      const [of, path] = limit.includes(':') ? limit.split(':') : [];
      const body = {
        stream,
        measure,
        by,
        where: whereJson(where),
        period,
        tz,
        thresholds,
        limit: of && path ? { of: of.trim(), path: path.split(',').map((step) => step.trim()) } : limit,
      };
      return ask('PUT', `/v1/alerts/${segment(name)}`, { body });
    },
    onSuccess: async () => {
      onClose();
      await refresh();
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title="A new alert" size="lg">
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="Name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            required
            data-autofocus
          />
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <Select
              label="Stream"
              data={['_rejects', ...(streams.data?.streams.map((one) => one.name) ?? [])]}
              value={stream}
              onChange={setStream}
              searchable
              required
            />
            <Select
              label="Figure"
              data={[
                'count',
                ...summed.map((field) => `sum(${field})`),
                ...(declaration
                  ? fields
                      .filter(([, { type }]) => type !== 'json')
                      .map(([field]) => `count_distinct(${field})`)
                  : []),
              ]}
              value={measure}
              onChange={setMeasure}
              required
            />
            <MultiSelect
              label="For each"
              placeholder={by.length === 0 ? 'one figure for all' : ''}
              data={
                stream === '_rejects'
                  ? ['stream', 'source', 'code']
                  : fields.filter(([, { type }]) => type !== 'json').map(([field]) => field)
              }
              value={by}
              onChange={setBy}
            />
            <Select
              label="Per"
              data={[
                { value: 'day', label: 'day' },
                { value: 'week', label: 'week' },
                { value: 'month', label: 'month' },
                { value: 'all', label: 'all time' },
              ]}
              value={period}
              onChange={setPeriod}
              allowDeselect={false}
            />
            <Select
              label="Time zone of the periods"
              data={[...new Set(['UTC', viewerZone])]}
              value={tz}
              onChange={setTz}
              allowDeselect={false}
            />
            <TagsInput label="Tell at, in per cent" value={thresholds} onChange={setThresholds} />
          </SimpleGrid>
          <TextInput
            label="Limit"
            description="a number; or the way to one: subscription_id: subscriptions.plan, plans.data_available"
            value={limit}
            onChange={(event) => setLimit(event.currentTarget.value)}
            required
          />
          {declaration && (
            <div>
              <Text size="sm" fw={500} mb={4}>
                Only where
              </Text>
              <Conditions declaration={declaration} value={where} onChange={setWhere} />
            </div>
          )}
          {save.error && <Notice color="red">{save.error.message}</Notice>}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending} disabled={!name || !stream || !measure || !limit}>
              Watch it
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

const operators = { '=': 'eq', '!=': 'ne', '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' } as const;

/** Conditions as text, `price>=1`, in their JSON form. */
function whereJson(conditions: string[]): Record<string, Record<string, unknown>> {
  const where: Record<string, Record<string, unknown>> = {};
  for (const written of conditions) {
    const [, field = '', operator = '', value = ''] =
      /^(\w+)(!=|>=|<=|=|>|<| in | like | is null| is not null)(.*)$/.exec(written) ?? [];
    const of = where[field] ?? {};
    where[field] = of;
    if (operator === ' in ') of.in = value.split(',');
    else if (operator === ' like ') of.like = value;
    else if (operator.endsWith('null')) of[operator === ' is null' ? 'eq' : 'ne'] = null;
    else of[operators[operator as keyof typeof operators]] = value;
  }
  return where;
}

function Webhooks(): ReactElement {
  const webhooks = useAnswer<{ webhooks: Webhook[] }>('/v1/webhooks');
  const url = useUrl();
  const chosen = url.get('webhook');
  const [removing, setRemoving] = useState<Webhook>();
  const toggle = useMutation({
    mutationFn: ({ name, ...webhook }: Webhook) =>
      ask('PUT', `/v1/webhooks/${segment(name)}`, { body: { ...webhook, enabled: !webhook.enabled } }),
    onSuccess: refresh,
    onError: (error) => toasts.show({ color: 'red', title: 'Not changed', message: error.message }),
  });
  return (
    <>
      <Panel flush>
        <Answered
          query={webhooks}
          empty={(data) => data.webhooks.length === 0}
          nothing={
            <Nothing icon="bell" title="Nothing is posted">
              A webhook is an address to which notifications are posted, signed, in order, and again until
              they are taken.
            </Nothing>
          }
        >
          {(data) => (
            <DataTable
              label="Webhooks"
              rows={data.webhooks}
              keyOf={({ name }) => name}
              columns={[
                {
                  title: 'webhook',
                  cell: ({ name }) => (
                    <Lead
                      title="See what was posted"
                      onClick={() => url.set({ webhook: chosen === name ? undefined : name })}
                    >
                      {name}
                    </Lead>
                  ),
                },
                { title: 'address', cell: (webhook) => <span className="break">{webhook.url}</span> },
                { title: 'of', cell: ({ alerts }) => alerts?.join(', ') ?? 'all alerts' },
                onColumn<Webhook>(
                  ({ enabled }) => enabled,
                  (webhook) => toggle.mutate(webhook),
                ),
                removeColumn<Webhook>(setRemoving),
              ]}
            />
          )}
        </Answered>
      </Panel>
      {chosen && <Deliveries webhook={chosen} />}
      {removing && (
        <Confirm
          title={`Remove ${removing.name}?`}
          verb="Remove"
          act={() => ask('DELETE', `/v1/webhooks/${segment(removing.name)}`)}
          onClose={() => setRemoving(undefined)}
        >
          Nothing more is posted to {removing.url}.
        </Confirm>
      )}
    </>
  );
}

function Deliveries({ webhook }: { webhook: string }): ReactElement {
  const path = `/v1/webhooks/${segment(webhook)}/deliveries`;
  const pages = usePages<Delivery>(
    path,
    { page_size: 50 },
    (body: { deliveries: Delivery[] }) => body.deliveries,
    { every: 5_000 },
  );
  const again = useMutation({
    mutationFn: (id: string) => ask('POST', `${path}/${segment(id)}/redeliver`),
    onSuccess: refresh,
    onError: (error) => toasts.show({ color: 'red', title: 'Not posted', message: error.message }),
  });
  const tones = { delivered: 'tally', failed: 'orange', given_up: 'red' } as const;
  return (
    <Panel flush title={`Posted to ${webhook}, newest first`}>
      <Answered
        query={{ ...pages, data: pages.rows }}
        empty={(rows) => rows.length === 0}
        nothing={<Nothing icon="empty" title="Nothing was posted yet" />}
      >
        {(rows) => (
          <DataTable
            label="Deliveries"
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              { title: 'when', nowrap: true, cell: ({ at }) => <Time at={at} /> },
              {
                title: 'outcome',
                cell: ({ outcome }) => <Tag color={tones[outcome]}>{outcome.replace('_', ' ')}</Tag>,
              },
              { title: 'status', end: true, cell: ({ status }) => status ?? '–' },
              { title: 'took', end: true, cell: ({ milliseconds }) => duration(milliseconds / 1000) },
              { title: 'attempt', end: true, cell: ({ attempt }) => attempt },
              {
                title: 'what went wrong',
                cell: ({ error }) => <span className="break">{error ?? '–'}</span>,
              },
              {
                title: <span className="quiet">again</span>,
                key: 'again',
                cell: ({ id }) => (
                  <Button size="compact-xs" variant="default" onClick={() => again.mutate(id)}>
                    Post again
                  </Button>
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

function NewWebhook({ onClose }: { onClose(): void }): ReactElement {
  const alerts = useAnswer<{ alerts: Alert[] }>('/v1/alerts');
  const [name, setName] = useState('');
  const [to, setTo] = useState('');
  const [of, setOf] = useState<string[]>([]);
  const save = useMutation({
    mutationFn: () =>
      ask<{ secret?: string }>('PUT', `/v1/webhooks/${segment(name)}`, {
        body: { url: to, ...(of.length > 0 ? { alerts: of } : {}) },
      }),
    onSuccess: refresh,
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title="A new webhook">
      {save.data ? (
        <Stack>
          <Text size="sm">The secret with which it is signed is shown this once. Copy it now.</Text>
          <CodeBlock label="Shown once">{save.data.secret ?? ''}</CodeBlock>
          <Button onClick={onClose}>I have it</Button>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              label="Name"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              required
              data-autofocus
            />
            <TextInput
              label="Address"
              placeholder="https://example.com/hooks"
              value={to}
              onChange={(event) => setTo(event.currentTarget.value)}
              required
            />
            <MultiSelect
              label="Of these alerts"
              placeholder={of.length === 0 ? 'all' : ''}
              data={alerts.data?.alerts.map((alert) => alert.name) ?? []}
              value={of}
              onChange={setOf}
            />
            {save.error && <Notice color="red">{save.error.message}</Notice>}
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" loading={save.isPending} disabled={!name || !to}>
                Make it
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

/** A switch on each row of what can be on or off. */
function onColumn<T extends { name: string }>(isOn: (row: T) => boolean, turn: (row: T) => void): Column<T> {
  return {
    title: 'on',
    cell: (row) => (
      <Switch size="xs" checked={isOn(row)} onChange={() => turn(row)} aria-label={`${row.name} is on`} />
    ),
  };
}

/** A button on each row that asks whether it is to go. */
function removeColumn<T extends { name: string }>(remove: (row: T) => void): Column<T> {
  return {
    title: <span className="quiet">remove</span>,
    key: 'remove',
    cell: (row) => (
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => remove(row)}
        aria-label={`Remove ${row.name}`}
      >
        Remove
      </Button>
    ),
  };
}
