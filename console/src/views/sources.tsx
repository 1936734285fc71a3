/** Sources: trusted clients, what they may do, and their keys. */
import {
  Alert,
  Button,
  Checkbox,
  Code,
  CopyButton,
  Group,
  Modal,
  MultiSelect,
  Stack,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactElement, useState } from 'react';
import { ask, refresh, segment, useAnswer } from '../api.ts';
import { Confirm } from '../confirm.tsx';
import { DataTable } from '../data-table.tsx';
import { Icon } from '../icons.tsx';
import { exact } from '../number.ts';
import { CodeBlock, Panel, Tag, ViewHead } from '../parts.tsx';
import { Answered, Nothing } from '../states.tsx';
import { useStreams } from '../streams.ts';
import { Time } from '../time.tsx';
import type { Scope, Source } from '../wire.ts';

interface NewKey {
  source: Source;
  key: string;
}
type Sure = { title: string; text: string; verb: string; path: string };

export default function Sources(): ReactElement {
  const sources = useAnswer<{ sources: Source[] }>('/v1/sources');
  const [editing, setEditing] = useState<Source | 'new'>();
  const [made, setMade] = useState<NewKey>();
  const [sure, setSure] = useState<Sure>();
  const addKey = useMutation({
    mutationFn: (name: string) => ask<NewKey>('POST', `/v1/sources/${segment(name)}/keys`),
    onSuccess: async (key) => {
      setMade(key);
      await refresh();
    },
  });
  const make = (
    <Button leftSection={<Icon name="plus" size={15} />} onClick={() => setEditing('new')}>
      New source
    </Button>
  );
  return (
    <Stack gap="md">
      <ViewHead title="Sources" actions={make}>
        Trusted clients and their keys. Every record remembers its source.
      </ViewHead>
      <Panel flush>
        <Answered
          query={sources}
          empty={(data) => data.sources.length === 0}
          nothing={
            <Nothing icon="key" title="No sources yet" action={make}>
              A source has a name, scopes and keys. A server without keys (--no-auth) needs none.
            </Nothing>
          }
        >
          {(data) => (
            <DataTable
              label="Sources"
              rows={data.sources}
              keyOf={({ name }) => name}
              columns={[
                { title: 'source', cell: ({ name }) => <b>{name}</b> },
                {
                  title: 'may',
                  cell: ({ scopes }) => (
                    <Group gap={4}>
                      {scopes.map((scope) => (
                        <Tag key={scope} color={scope === 'admin' ? 'orange' : 'gray'}>
                          {scope}
                        </Tag>
                      ))}
                    </Group>
                  ),
                },
                {
                  title: 'streams',
                  cell: ({ streams }) => streams?.join(', ') ?? <span className="quiet">all</span>,
                },
                {
                  title: 'web pages',
                  cell: ({ origins }) => (
                    <span className="break">{origins?.join(', ') ?? <span className="quiet">any</span>}</span>
                  ),
                },
                {
                  title: 'requests a minute',
                  end: true,
                  cell: ({ rate_limit }) =>
                    rate_limit === null ? <span className="quiet">no limit</span> : exact(rate_limit),
                },
                {
                  title: 'keys',
                  cell: ({ name, keys }) => (
                    <Stack gap={4}>
                      {keys.map(({ id, created_at }) => (
                        <Group key={id} gap="xs" wrap="nowrap">
                          <Code>{id}</Code>
                          <span className="quiet small">
                            <Time at={created_at} only="day" />
                          </span>
                          <Button
                            size="compact-xs"
                            variant="default"
                            onClick={() =>
                              setSure({
                                title: `Revoke the key ${id}?`,
                                text: `Whoever uses it for ${name} is refused from then on.`,
                                verb: 'Revoke',
                                path: `/v1/sources/${segment(name)}/keys/${segment(id)}`,
                              })
                            }
                            aria-label={`Revoke the key ${id}`}
                          >
                            Revoke
                          </Button>
                        </Group>
                      ))}
                    </Stack>
                  ),
                },
                {
                  title: <span className="quiet">change</span>,
                  key: 'change',
                  cell: (source) => (
                    <Group gap={4} wrap="nowrap">
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() => addKey.mutate(source.name)}
                        aria-label={`Add key to ${source.name}`}
                      >
                        Add key
                      </Button>
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() => setEditing(source)}
                        aria-label={`Change ${source.name}`}
                      >
                        Change
                      </Button>
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() =>
                          setSure({
                            title: `Remove ${source.name}?`,
                            text: `It and its ${source.keys.length} keys go; its records stay.`,
                            verb: 'Remove',
                            path: `/v1/sources/${segment(source.name)}`,
                          })
                        }
                        aria-label={`Remove ${source.name}`}
                      >
                        Remove
                      </Button>
                    </Group>
                  ),
                },
              ]}
            />
          )}
        </Answered>
      </Panel>
      {editing && (
        <Edit
          source={editing === 'new' ? undefined : editing}
          onClose={() => setEditing(undefined)}
          onMade={(key) => {
            setEditing(undefined);
            setMade(key);
          }}
        />
      )}
      {made && <ShownOnce made={made} onClose={() => setMade(undefined)} />}
      {sure && (
        <Confirm
          title={sure.title}
          verb={sure.verb}
          act={() => ask('DELETE', sure.path)}
          onClose={() => setSure(undefined)}
        >
          {sure.text}
        </Confirm>
      )}
    </Stack>
  );
}

const scopesKnown: { value: Scope; label: string; description: string }[] = [
  { value: 'ingest', label: 'ingest', description: 'bring records in, correct them' },
  { value: 'read', label: 'read', description: 'ask and list' },
  { value: 'admin', label: 'admin', description: 'everything' },
];

function Edit({
  source,
  onClose,
  onMade,
}: {
  source: Source | undefined;
  onClose(): void;
  onMade(key: NewKey): void;
}): ReactElement {
  const declared = useStreams();
  const [name, setName] = useState(source?.name ?? '');
  const [scopes, setScopes] = useState<string[]>(source?.scopes ?? ['ingest']);
  const [streams, setStreams] = useState(source?.streams ?? []);
  const [origins, setOrigins] = useState(source?.origins ?? []);
  const [rate, setRate] = useState(source?.rate_limit?.toString() ?? '');
  const save = useMutation({
    mutationFn: async () => {
      const settings = {
        scopes,
        streams: streams.length > 0 ? streams : null,
        origins: origins.length > 0 ? origins : null,
        rate_limit: rate === '' ? null : Number(rate),
      };
      if (source) {
        await ask('PATCH', `/v1/sources/${segment(source.name)}`, { body: settings });
        onClose();
      } else onMade(await ask<NewKey>('POST', '/v1/sources', { body: { name, ...settings } }));
      await refresh();
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={source ? `Change ${source.name}` : 'A new source, with one key'}>
      <form onSubmit={submit}>
        <Stack>
          {!source && (
            <TextInput
              label="Name"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              required
              data-autofocus
            />
          )}
          <Checkbox.Group label="It may" value={scopes} onChange={setScopes}>
            <Stack gap={6} mt={6}>
              {scopesKnown.map((scope) => (
                <Checkbox key={scope.value} {...scope} />
              ))}
            </Stack>
          </Checkbox.Group>
          <MultiSelect
            label="Only these streams"
            placeholder={streams.length === 0 ? 'all' : ''}
            data={declared.data?.streams.map((stream) => stream.name) ?? []}
            value={streams}
            onChange={setStreams}
            searchable
          />
          <TagsInput
            label="Only web pages of"
            description="such as https://app.example.com"
            placeholder={origins.length === 0 ? 'any' : ''}
            value={origins}
            onChange={setOrigins}
          />
          <TextInput
            label="Requests a minute"
            placeholder="no limit"
            inputMode="numeric"
            value={rate}
            onChange={(event) => setRate(event.currentTarget.value.replace(/\D/g, ''))}
          />
          {save.error && <Alert color="red">{save.error.message}</Alert>}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending} disabled={name === '' || scopes.length === 0}>
              {source ? 'Change it' : 'Make it'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function ShownOnce({ made: { source, key }, onClose }: { made: NewKey; onClose(): void }): ReactElement {
  return (
    <Modal opened onClose={onClose} title={`A key for ${source.name}`} closeOnClickOutside={false}>
      <Stack>
        <Text size="sm">It is shown this once; only a hash of it is kept. Copy it now.</Text>
        <CodeBlock label="Shown once">{key}</CodeBlock>
        <Group justify="flex-end">
          <CopyButton value={key}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
          <Button onClick={onClose}>I have it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
