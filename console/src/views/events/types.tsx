/** Schemas of event types: written or inferred, tried before they hold, and what they refused sent again. */
import { Alert, Anchor, Button, Group, Select, SimpleGrid, Stack, Text, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { ask, refresh, segment, useAnswer } from '../../api.ts';
import { Confirm } from '../../confirm.tsx';
import { DataTable } from '../../data-table.tsx';
import { exact, plural } from '../../number.ts';
import { Back, Lead, Panel, Tag } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { Time } from '../../time.tsx';
import { useUrl } from '../../url.ts';
import { jsonText, parsedObject } from '../../value.tsx';
import type { Answer, Counts, DryRun, EventType } from '../../wire.ts';

export default function Types(): ReactElement {
  const url = useUrl();
  const chosen = url.get('type');
  const slash = chosen.indexOf('/');
  return slash < 0 ? (
    <AllTypes />
  ) : (
    <Editor key={chosen} category={chosen.slice(0, slash)} name={chosen.slice(slash + 1)} />
  );
}

function AllTypes(): ReactElement {
  const url = useUrl();
  const types = useAnswer<{ types: EventType[] }>('/v1/event-types');
  const seen = useAnswer<Answer>('/v1/streams/events/query', {
    measures: 'count',
    by: 'category,name',
    order: '-count',
    limit: 500,
  });
  const known = new Map(types.data?.types.map((type) => [`${type.category}/${type.name}`, type]));
  const rows = [
    ...(seen.data?.rows.map(({ category, name, count }) => ({
      category: String(category),
      name: String(name),
      count: Number(count),
    })) ?? []),
    ...[...known.values()]
      .filter(
        (type) => !seen.data?.rows.some((row) => row.category === type.category && row.name === type.name),
      )
      .map(({ category, name }) => ({ category, name, count: 0 })),
  ];
  return (
    <Panel title="Types of events, seen and set" flush>
      <Answered
        query={
          types.error ? { ...types, data: undefined } : { ...seen, data: seen.data && types.data && rows }
        }
        empty={(all) => all.length === 0}
        nothing={
          <Nothing icon="cursor" title="No events yet">
            A type is what events with the same category and name are.
          </Nothing>
        }
      >
        {(all) => (
          <DataTable
            label="Event types"
            rows={all}
            keyOf={({ category, name }) => `${category}/${name}`}
            columns={[
              { title: 'category', cell: ({ category }) => category },
              {
                title: 'name',
                cell: ({ category, name }) => (
                  <Lead
                    title="Its schema"
                    onClick={() => url.set({ type: `${category}/${name}` }, { push: true })}
                  >
                    {name}
                  </Lead>
                ),
              },
              { title: 'events', end: true, cell: ({ count }) => exact(count) },
              {
                title: 'schema',
                cell: ({ category, name }) => {
                  const type = known.get(`${category}/${name}`);
                  return type ? (
                    <Tag
                      color={type.mode === 'enforce' ? 'tally' : 'orange'}
                    >{`${type.mode === 'enforce' ? 'enforced' : 'warns'}, version ${type.version}`}</Tag>
                  ) : (
                    <span className="quiet">none: anything is taken</span>
                  );
                },
              },
              {
                title: 'changed',
                nowrap: true,
                cell: ({ category, name }) => {
                  const at = known.get(`${category}/${name}`)?.changed_at;
                  return at ? <Time at={at} /> : '–';
                },
              },
            ]}
          />
        )}
      </Answered>
    </Panel>
  );
}

const blank = `{
  "type": "object",
  "properties": {},
  "required": []
}`;

function Editor({ category, name }: { category: string; name: string }): ReactElement {
  const path = `/v1/event-types/${segment(category)}/${segment(name)}`;
  const known = useAnswer<{ type: EventType | null; versions: EventType[] }>(path, {}, { keep: false });
  const url = useUrl();
  return (
    <>
      <Back to="/events?show=types">Schemas</Back>
      <Answered
        query={{
          ...known,
          data:
            known.error && 'status' in known.error && known.error.status === 404
              ? { type: null, versions: [] }
              : known.data,
          error: known.error && 'status' in known.error && known.error.status === 404 ? null : known.error,
        }}
      >
        {({ type, versions }) => (
          <>
            <Group gap="sm">
              <Text fw={600}>
                {category} / {name}
              </Text>
              {type ? (
                <Tag
                  color={type.mode === 'enforce' ? 'tally' : 'orange'}
                >{`${type.mode === 'enforce' ? 'enforced' : 'warns'}, version ${type.version}`}</Tag>
              ) : (
                <Tag color="gray">no schema</Tag>
              )}
            </Group>
            <Form key={type?.version} path={path} type={type} onGone={() => url.set({ type: undefined })} />
            {versions.length > 0 && (
              <Panel title="Versions" flush>
                <DataTable
                  label="Versions of the schema"
                  rows={[...versions].reverse()}
                  keyOf={({ version }) => version}
                  columns={[
                    { title: 'version', end: true, cell: ({ version }) => version },
                    { title: 'since', nowrap: true, cell: ({ changed_at }) => <Time at={changed_at} /> },
                    { title: 'mode', cell: ({ mode }) => mode },
                    {
                      title: 'schema',
                      cell: ({ schema }) => <div className="mono break clip">{jsonText(schema)}</div>,
                    },
                  ]}
                />
              </Panel>
            )}
          </>
        )}
      </Answered>
    </>
  );
}

function Form({
  path,
  type,
  onGone,
}: {
  path: string;
  type: EventType | null;
  onGone(): void;
}): ReactElement {
  const [schema, setSchema] = useState(type ? jsonText(type.schema, 2) : blank);
  const [mode, setMode] = useState<string | null>(type?.mode ?? 'enforce');
  const [sample, setSample] = useState('');
  const [removing, setRemoving] = useState(false);
  const readable = parsedObject(schema) !== undefined;
  const infer = useMutation({
    mutationFn: () => ask<{ events: number; schema: object }>('GET', `${path}/inferred`),
    onSuccess: ({ schema: proposed }) => setSchema(jsonText(proposed, 2)),
  });
  const dry = useMutation({
    mutationFn: () => {
      const samples = sample.trim() === '' ? '[]' : sample.trim().startsWith('[') ? sample : `[${sample}]`;
      return ask<DryRun>('POST', `${path}/dry-run`, {
        body: `{"schema":${schema},"mode":${JSON.stringify(mode)},"sample":${samples}}`,
      });
    },
  });
  const save = useMutation({
    mutationFn: () =>
      ask<EventType>('PUT', path, { body: `{"schema":${schema},"mode":${JSON.stringify(mode)}}` }),
    onSuccess: async ({ version }) => {
      notifications.show({
        color: 'tally',
        title: `Version ${version} holds`,
        message: 'It holds for what comes from now on, whatever the way it comes.',
      });
      await refresh();
    },
  });
  const replay = useMutation({
    mutationFn: () => ask<Counts & { more: boolean }>('POST', `${path}/replay`),
    onSuccess: async ({ accepted, duplicates, rejected, conflicts, more }) => {
      notifications.show({
        color: rejected + conflicts === 0 ? 'tally' : 'orange',
        title: `${plural(accepted + duplicates, 'event')} counted`,
        message:
          rejected + conflicts > 0
            ? `${plural(rejected + conflicts, 'event')} refused as before.`
            : more
              ? 'There are others; replay again.'
              : 'They have left the list of errors.',
      });
      await refresh();
    },
  });
  const error = save.error ?? dry.error ?? infer.error ?? replay.error;
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Panel
        title="What its data must be"
        actions={
          <Button
            size="compact-sm"
            variant="default"
            loading={infer.isPending}
            onClick={() => infer.mutate()}
          >
            Infer from events
          </Button>
        }
      >
        <Stack gap="sm">
          <Textarea
            aria-label="Schema"
            description="JSON Schema 2020-12"
            value={schema}
            onChange={(event) => setSchema(event.currentTarget.value)}
            error={!readable && 'This is no JSON object.'}
            classNames={{ input: 'mono' }}
            autosize
            minRows={10}
            maxRows={28}
            spellCheck={false}
          />
          <Select
            label="What does not fit"
            data={[
              { value: 'enforce', label: 'is refused' },
              { value: 'warn', label: 'is taken in, with a warning' },
            ]}
            value={mode}
            onChange={setMode}
            allowDeselect={false}
            maw={320}
          />
          {error && <Alert color="red">{error.message}</Alert>}
          <Group>
            <Button disabled={!readable} loading={save.isPending} onClick={() => save.mutate()}>
              Set it
            </Button>
            <Button variant="default" loading={replay.isPending} onClick={() => replay.mutate()}>
              Replay what was refused
            </Button>
            {type && (
              <Button variant="default" onClick={() => setRemoving(true)}>
                Take it away
              </Button>
            )}
          </Group>
        </Stack>
      </Panel>
      <Panel
        title="Try it first"
        actions={
          <Button
            size="compact-sm"
            variant="default"
            disabled={!readable}
            loading={dry.isPending}
            onClick={() => dry.mutate()}
          >
            Dry run
          </Button>
        }
      >
        <Stack gap="sm">
          <Textarea
            label="A sample of data"
            description="JSON, or nothing: it is held against the events that came lately, too"
            value={sample}
            onChange={(event) => setSample(event.currentTarget.value)}
            classNames={{ input: 'mono' }}
            autosize
            minRows={3}
            maxRows={10}
            spellCheck={false}
          />
          {dry.data && <Outcome of={dry.data} />}
        </Stack>
      </Panel>
      {removing && (
        <Confirm
          title={`Take the schema of ${type!.category} / ${type!.name} away?`}
          verb="Take it away"
          act={async () => {
            await ask('DELETE', path);
            onGone();
          }}
          onClose={() => setRemoving(false)}
        >
          Whatever has this category and name is taken in from then on. Its versions stay in the history.
        </Confirm>
      )}
    </SimpleGrid>
  );
}

function Outcome({ of: { sample, seen, rejects } }: { of: DryRun }): ReactElement {
  return (
    <Stack gap="sm">
      {sample.checked > 0 && (
        <Alert
          color={sample.failed === 0 ? 'tally' : 'orange'}
          title={`The sample: ${exact(sample.passed)} of ${exact(sample.checked)} fit`}
        >
          {sample.failures.map(({ index, field, message }) => (
            <div key={`${index}${field}`} className="break">
              {message}
            </div>
          ))}
        </Alert>
      )}
      <Alert
        color={seen.failed === 0 ? 'tally' : 'orange'}
        title={`Events that came lately: ${exact(seen.passed)} of ${exact(seen.checked)} fit`}
      >
        {seen.failures.slice(0, 5).map(({ id, message }) => (
          <div key={id} className="break">
            {message}
          </div>
        ))}
      </Alert>
      <Alert
        color={rejects.rejected === 0 ? 'tally' : 'orange'}
        title={
          rejects.received === 0
            ? 'Nothing of it was refused before'
            : `Refused before: a replay would count ${exact(rejects.accepted + rejects.corrected)} of ${exact(rejects.received)}${rejects.more ? ', and there are others' : ''}`
        }
      >
        {rejects.duplicates > 0 && <div>{plural(rejects.duplicates, 'duplicate')} count already.</div>}
        {rejects.failures.slice(0, 5).map(({ reject, message }) => (
          <div key={reject} className="break">
            <Anchor component={Link} href={`/rejects/${reject}`} size="sm">
              {reject}
            </Anchor>
            : {message}
          </div>
        ))}
      </Alert>
    </Stack>
  );
}
