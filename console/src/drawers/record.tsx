/** A record: as it stands, what became of its id each time it was sent, and the way to correct it or take it back. */
import { Alert, Button, Drawer, Group, Stack, Text, Textarea, TextInput, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactElement, useState } from 'react';
import { ask, refresh, segment, useAnswer } from '../api.ts';
import { DataTable } from '../data-table.tsx';
import { VerdictBadge } from '../parts.tsx';
import { Answered } from '../states.tsx';
import { useStream } from '../streams.ts';
import { Time } from '../time.tsx';
import { useUrl } from '../url.ts';
import { jsonText, shownValue } from '../value.tsx';
import type { Fate, Receipt, RecordValues, StreamDeclaration, Value } from '../wire.ts';

export default function RecordDrawer(): ReactElement {
  const url = useUrl();
  const named = url.get('record');
  const slash = named.indexOf('/');
  const [stream, id] = [named.slice(0, slash), named.slice(slash + 1)];
  const declaration = useStream(stream)?.declaration;
  const path = `/v1/streams/${segment(stream)}/records/${segment(id)}`;
  const fate = useAnswer<Fate>(path, {}, { keep: false });
  return (
    <Drawer
      opened
      onClose={() => url.set({ record: undefined })}
      size="lg"
      title={
        <div>
          <Text fw={620} className="break">
            {id}
          </Text>
          <Text size="xs" c="dimmed">
            a record of {stream}
          </Text>
        </div>
      }
    >
      <Answered query={fate}>
        {({ standing, history }) => (
          <Stack gap="lg">
            {declaration &&
              (standing ? (
                <Correction
                  key={standing.batch}
                  path={path}
                  declaration={declaration}
                  record={standing.record}
                />
              ) : (
                <Alert color="gray">It was taken back: nothing stands under this id.</Alert>
              ))}
            <section>
              <Title order={3} fz="0.95rem" mb="xs">
                What became of it
              </Title>
              <div className="panel flush">
                <DataTable
                  label="History of the record"
                  rows={[...history].reverse()}
                  keyOf={(_, at) => history.length - at}
                  columns={[
                    { title: 'verdict', cell: ({ verdict }) => <VerdictBadge verdict={verdict} /> },
                    { title: 'when', nowrap: true, cell: ({ recorded_at }) => <Time at={recorded_at} /> },
                    { title: 'batch', end: true, cell: ({ batch }) => batch },
                    { title: 'source', cell: ({ source }) => source },
                    {
                      title: 'why',
                      cell: ({ reason, import: brought }) =>
                        reason ?? (brought === null ? '–' : `import ${brought}`),
                    },
                    ...Object.keys(declaration?.fields ?? {})
                      .filter((field) => field !== declaration?.id && differs(history, field))
                      .map((field) => ({
                        title: field,
                        cell: ({ record }: Fate['history'][number]) =>
                          shownValue(declaration, field, record?.[field]),
                      })),
                  ]}
                />
              </div>
            </section>
          </Stack>
        )}
      </Answered>
    </Drawer>
  );
}

function differs(history: Fate['history'], field: string): boolean {
  const values = history.flatMap(({ record }) => (record ? [jsonText(record[field] ?? null)] : []));
  return new Set(values).size > 1;
}

const textOf = (value: Value | undefined): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? jsonText(value, 2) : String(value);

function Correction({
  path,
  declaration,
  record,
}: {
  path: string;
  declaration: StreamDeclaration;
  record: RecordValues;
}): ReactElement {
  const fields = Object.entries(declaration.fields).filter(([name]) => name !== declaration.id);
  const [texts, setTexts] = useState(() =>
    Object.fromEntries(fields.map(([name]) => [name, textOf(record[name])])),
  );
  const [reason, setReason] = useState('');
  const changed = fields.filter(([name]) => texts[name] !== textOf(record[name]));
  const done = async ({ verdicts = [] }: Receipt): Promise<void> => {
    notifications.show({
      color: 'tally',
      title: `The record is ${verdicts[0]?.verdict ?? 'accepted'}`,
      message: verdicts[0]
        ? 'Every figure it counts in has followed in the same commit.'
        : 'The log in front has it; the figures follow in a moment.',
    });
    await refresh();
  };
  const correct = useMutation({
    mutationFn: () => {
      // Numbers go as the text they are: they never pass through a double. JSON goes as it was written.
      const members = fields.map(([name, { type }]) => {
        const text = texts[name]!;
        const nothing = record[name] === '' ? '""' : 'null';
        return `${JSON.stringify(name)}:${text === '' ? nothing : type === 'json' ? text : JSON.stringify(text)}`;
      });
      return ask<Receipt>('PUT', path, { query: { reason }, body: `{${members.join(',')}}` });
    },
    onSuccess: done,
  });
  const retract = useMutation({
    mutationFn: () => ask<Receipt>('DELETE', path, { query: { reason } }),
    onSuccess: done,
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    correct.mutate();
  };
  const error = correct.error ?? retract.error;
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        {fields.map(([name, { type, required, one_of }]) => {
          const props = {
            label: name,
            description: [type, one_of && `one of ${one_of.join(', ')}`].filter(Boolean).join(', '),
            withAsterisk: required ?? false,
            value: texts[name] ?? '',
            onChange: ({ currentTarget: { value } }: { currentTarget: { value: string } }) =>
              setTexts((before) => ({ ...before, [name]: value })),
            styles: { input: { fontVariantNumeric: 'tabular-nums' } },
          };
          return type === 'json' ? (
            <Textarea
              key={name}
              {...props}
              autosize
              minRows={3}
              maxRows={14}
              classNames={{ input: 'mono' }}
            />
          ) : (
            <TextInput key={name} {...props} />
          );
        })}
        <TextInput
          label="Reason"
          description="kept with the correction"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
        />
        {error && (
          <Alert color="red" title="Nothing was changed">
            {error.message}
          </Alert>
        )}
        <Group>
          <Button type="submit" disabled={changed.length === 0} loading={correct.isPending}>
            Correct it
          </Button>
          <Button variant="default" color="red" loading={retract.isPending} onClick={() => retract.mutate()}>
            Take it back
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
