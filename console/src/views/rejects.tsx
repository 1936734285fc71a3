/** What was refused: grouped by reason, the original as it came, and the way to send it again or to discard it. */
import {
  Alert,
  Button,
  Group,
  Modal,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type ReactElement, useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { ask, refresh, segment, useAnswer, usePages } from '../api.ts';
import { DataTable } from '../data-table.tsx';
import { useOpenRecord } from '../explaining.ts';
import { exact, plural } from '../number.ts';
import { Back, CodeBlock, Lead, MorePages, Panel, Tag, ViewHead } from '../parts.tsx';
import { Answered, Nothing } from '../states.tsx';
import { Time } from '../time.tsx';
import { type Url, useUrl } from '../url.ts';
import { Id, jsonText, originalText, parsedObject } from '../value.tsx';
import type { Reject, RejectDetail, RejectGroup, Replay } from '../wire.ts';

const filters = ['stream', 'code', 'field', 'source', 'import'] as const;
type Filter = Partial<Record<(typeof filters)[number], string>>;

function filterIn(url: Url): Filter {
  return Object.fromEntries(filters.flatMap((name) => (url.get(name) === '' ? [] : [[name, url.get(name)]])));
}

export default function Rejects(): ReactElement {
  const { item } = useParams();
  return item === undefined ? <All /> : <One id={item} />;
}

function All(): ReactElement {
  const url = useUrl();
  const [, navigate] = useLocation();
  const filter = filterIn(url);
  const every = useAnswer<{ groups: RejectGroup[] }>(
    '/v1/rejects',
    { group_by: 'stream,code,field,source' },
    { every: 5_000 },
  );
  const rejects = usePages<Reject>(
    '/v1/rejects',
    { ...filter, page_size: 50 },
    (body: { rejects: Reject[] }) => body.rejects,
    { every: 5_000 },
  );
  const [sending, setSending] = useState<'replay' | 'discard'>();
  const groups = every.data?.groups ?? [];
  const choices = (name: 'stream' | 'code' | 'field' | 'source'): string[] =>
    [...new Set(groups.flatMap(({ key }) => key[name] ?? []))].sort();
  const shown = groups.filter(({ key }) =>
    (['stream', 'code', 'field', 'source'] as const).every(
      (name) => filter[name] === undefined || key[name] === filter[name],
    ),
  );
  const count = shown.reduce((sum, group) => sum + group.count, 0);
  return (
    <Stack gap="md">
      <ViewHead
        title="Rejects"
        actions={
          <>
            <Button disabled={count === 0} onClick={() => setSending('replay')}>
              Replay these
            </Button>
            <Button variant="default" disabled={count === 0} onClick={() => setSending('discard')}>
              Discard these
            </Button>
          </>
        }
      >
        Refused records count nowhere and are not lost: each is kept with the reason and its original.
      </ViewHead>
      <Panel>
        <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
          {(['stream', 'code', 'field', 'source'] as const).map((name) => (
            <Select
              key={name}
              label={name}
              placeholder="any"
              data={[...new Set([...choices(name), ...(filter[name] ? [filter[name]] : [])])]}
              value={filter[name] ?? null}
              onChange={(value) => url.set({ [name]: value ?? undefined })}
              clearable
              clearButtonProps={{ 'aria-label': `Any ${name}` }}
            />
          ))}
        </SimpleGrid>
        {filter.import && (
          <Group mt="sm" gap="xs">
            <Text size="sm">only of import {filter.import}</Text>
            <Button size="compact-xs" variant="subtle" onClick={() => url.set({ import: undefined })}>
              of any
            </Button>
          </Group>
        )}
      </Panel>
      <Panel title="By reason" flush>
        <Answered
          query={every}
          empty={() => shown.length === 0}
          nothing={
            <Nothing icon="empty" title="Nothing is refused">
              What is refused from now on is listed here, with the reason.
            </Nothing>
          }
        >
          {() => (
            <DataTable
              label="Groups of rejects"
              rows={shown}
              keyOf={({ key }) => Object.values(key).join('/')}
              columns={[
                {
                  title: 'rejects',
                  end: true,
                  cell: ({ key, count: size }) => (
                    <Lead
                      title="Only these"
                      onClick={() =>
                        url.set({
                          stream: key.stream,
                          code: key.code,
                          field: key.field ?? undefined,
                          source: key.source,
                        })
                      }
                    >
                      {exact(size)}
                    </Lead>
                  ),
                },
                {
                  title: 'reason',
                  cell: ({ key }) => <Tag color="red">{key.code.replaceAll('_', ' ')}</Tag>,
                },
                { title: 'stream', cell: ({ key }) => key.stream },
                { title: 'field', cell: ({ key }) => key.field ?? '–' },
                { title: 'source', cell: ({ key }) => key.source },
                {
                  title: 'such as',
                  cell: ({ sample }) => <span className="break small">{sample?.message}</span>,
                },
                { title: 'first', nowrap: true, cell: ({ first_seen }) => <Time at={first_seen} /> },
                { title: 'last', nowrap: true, cell: ({ last_seen }) => <Time at={last_seen} /> },
              ]}
            />
          )}
        </Answered>
      </Panel>
      <Panel title="One by one, newest first" flush>
        <Answered
          query={{ ...rejects, data: rejects.rows }}
          empty={(rows) => rows.length === 0}
          nothing={<Nothing icon="empty" title="None" />}
        >
          {(rows) => (
            <DataTable
              label="Rejects"
              rows={rows}
              keyOf={({ id }) => id}
              columns={[
                {
                  title: 'reject',
                  cell: ({ id }) => (
                    <Lead title="See it and mend it" onClick={() => navigate(`/rejects/${id}`)}>
                      {id}
                    </Lead>
                  ),
                },
                { title: 'why', cell: ({ message }) => <span className="break">{message}</span> },
                { title: 'stream', cell: ({ stream }) => stream },
                {
                  title: 'record',
                  cell: ({ record_id }) => (record_id === null ? '–' : <Id of={record_id} />),
                },
                { title: 'when', nowrap: true, cell: ({ at }) => <Time at={at} /> },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={rejects} />
      </Panel>
      {sending && <Many what={sending} filter={filter} count={count} onClose={() => setSending(undefined)} />}
    </Stack>
  );
}

function told({ accepted, corrected, duplicates, rejected, conflicts, more }: Replay): void {
  const counted = accepted + corrected + duplicates;
  const refused = rejected + conflicts;
  notifications.show({
    color: refused === 0 ? 'tally' : 'orange',
    title: counted === 0 ? 'Still refused' : `${plural(counted, 'record')} counted`,
    message:
      [
        refused > 0 && `${plural(refused, 'record')} refused as before.`,
        more && 'There are others; replay again.',
      ]
        .filter(Boolean)
        .join(' ') || 'They have left the list.',
  });
}

function Many({
  what,
  filter,
  count,
  onClose,
}: {
  what: 'replay' | 'discard';
  filter: Filter;
  count: number;
  onClose(): void;
}): ReactElement {
  const [patch, setPatch] = useState('');
  const [reason, setReason] = useState('');
  const filtered = { ...filter, ...(filter.import ? { import: Number(filter.import) } : {}) };
  const send = useMutation({
    mutationFn: async () => {
      if (what === 'replay') {
        const body = `{"filter":${JSON.stringify(filtered)}${patch.trim() === '' ? '' : `,"patch":${patch}`}}`;
        told(await ask<Replay>('POST', '/v1/rejects/replay', { body }));
      } else {
        const { discarded } = await ask<{ discarded: number }>('DELETE', '/v1/rejects', {
          body: { filter: filtered, reason },
        });
        notifications.show({
          color: 'gray',
          title: `${plural(discarded, 'reject')} discarded`,
          message: 'They are off the list; they and the reason are kept.',
        });
      }
    },
    onSuccess: async () => {
      onClose();
      await refresh();
    },
  });
  const of =
    Object.entries(filter)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ') || 'all that are open';
  return (
    <Modal
      opened
      onClose={onClose}
      title={
        what === 'replay' ? `Send ${plural(count, 'reject')} again` : `Discard ${plural(count, 'reject')}`
      }
    >
      <Stack>
        <Text size="sm">
          {of}.{' '}
          {what === 'replay'
            ? 'What passes now counts once and leaves the list in the same commit; the rest stays as it is.'
            : 'They leave the list and are not counted.'}
        </Text>
        {what === 'replay' ? (
          <Textarea
            label="Change in each of them"
            description="a JSON merge patch, or nothing"
            placeholder={'{"price": "12.35"}'}
            value={patch}
            onChange={(event) => setPatch(event.currentTarget.value)}
            classNames={{ input: 'mono' }}
            autosize
            minRows={2}
          />
        ) : (
          <TextInput
            label="Reason"
            description="kept with them"
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            required
            data-autofocus
          />
        )}
        {send.error && <Alert color="red">{send.error.message}</Alert>}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            color={what === 'discard' ? 'red.8' : undefined}
            disabled={what === 'discard' && reason.trim() === ''}
            loading={send.isPending}
            onClick={() => send.mutate()}
          >
            {what === 'replay' ? 'Replay' : 'Discard'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function One({ id }: { id: string }): ReactElement {
  const reject = useAnswer<RejectDetail>(`/v1/rejects/${segment(id)}`, {}, { keep: false });
  return (
    <Stack gap="md">
      <Back to="/rejects">Rejects</Back>
      <Answered query={reject}>{(one) => <Mending key={one.left?.at} reject={one} />}</Answered>
    </Stack>
  );
}

/** The merge patch that makes the record of what came: a member that is gone is null there. */
function patchTo(record: string, original: string): string {
  const wanted = parsedObject(record);
  if (!wanted) throw new Error('This is no JSON object; a record is one.');
  const gone = Object.keys(parsedObject(original) ?? {}).filter((name) => !(name in wanted));
  return jsonText({ ...wanted, ...Object.fromEntries(gone.map((name) => [name, null])) });
}

function Mending({ reject }: { reject: RejectDetail }): ReactElement {
  const {
    id,
    stream,
    record_id,
    message,
    code,
    field,
    at,
    source,
    import: brought,
    left,
    original,
    encoding,
  } = reject;
  const openRecord = useOpenRecord();
  const [record, setRecord] = useState(() => originalText(original));
  const [reason, setReason] = useState('');
  const readable = encoding === 'utf8' && parsedObject(original) !== undefined;
  const replay = useMutation({
    mutationFn: async () => {
      const patch = record === originalText(original) ? '' : `,"patch":${patchTo(record, original)}`;
      const replayed = await ask<Replay>('POST', '/v1/rejects/replay', {
        body: `{"ids":[${JSON.stringify(id)}]${patch}}`,
      });
      const refused = replayed.verdicts.find(
        ({ verdict }) => verdict === 'rejected' || verdict === 'conflict',
      );
      if (refused) throw new Error(refused.message ?? refused.verdict);
      told(replayed);
    },
    onSuccess: refresh,
  });
  const discard = useMutation({
    mutationFn: () => ask('DELETE', `/v1/rejects/${segment(id)}`, { query: { reason } }),
    onSuccess: refresh,
  });
  const error = replay.error ?? discard.error;
  return (
    <>
      <ViewHead title={message}>
        <Group gap="xs" mt={6}>
          <Tag color="red">{code.replaceAll('_', ' ')}</Tag> {field && <>field {field},</>} stream {stream},
          from {source}
          {brought !== null && <>, import {brought}</>}, <Time at={at} />
        </Group>
      </ViewHead>
      {left && (
        <Alert
          color="gray"
          title={left.reason === 'replayed' ? 'It was sent again and passed' : 'It is off the list'}
        >
          <Time at={left.at} />
          {left.reason !== 'replayed' && left.reason && <>: {left.reason}</>}
          {left.reason === 'replayed' && record_id && (
            <>
              {' · '}
              <Lead title="Open the record" onClick={() => openRecord(stream, record_id)}>
                {record_id}
              </Lead>
            </>
          )}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Panel title="As it came">
          <CodeBlock label="The original">{originalText(original)}</CodeBlock>
        </Panel>
        {!left && (
          <Panel title="Send it again">
            <Stack gap="sm">
              {readable ? (
                <Textarea
                  label="As it should be"
                  description="JSON; every digit of it is kept"
                  value={record}
                  onChange={(event) => setRecord(event.currentTarget.value)}
                  classNames={{ input: 'mono' }}
                  autosize
                  minRows={5}
                  maxRows={24}
                  spellCheck={false}
                />
              ) : (
                <Textarea
                  label="The whole record, as JSON"
                  description="what came cannot be read as a record"
                  value={record}
                  onChange={(event) => setRecord(event.currentTarget.value)}
                  classNames={{ input: 'mono' }}
                  autosize
                  minRows={5}
                />
              )}
              {error && (
                <Alert color="red" title="Still refused">
                  {error.message}
                </Alert>
              )}
              <Group>
                <Button loading={replay.isPending} onClick={() => replay.mutate()}>
                  Replay
                </Button>
              </Group>
              <Group align="end" mt="md">
                <TextInput
                  label="Or discard it, because"
                  value={reason}
                  onChange={(event) => setReason(event.currentTarget.value)}
                  flex={1}
                />
                <Button
                  variant="default"
                  disabled={reason.trim() === ''}
                  loading={discard.isPending}
                  onClick={() => discard.mutate()}
                >
                  Discard
                </Button>
              </Group>
            </Stack>
          </Panel>
        )}
      </SimpleGrid>
    </>
  );
}
