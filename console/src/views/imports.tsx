/** Imports: drop files, see how far they are, what became of their records, and take one back whole. */
import { Alert, Button, Select, SimpleGrid, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { ask, queryClient, refresh, usePages } from '../api.ts';
import { Confirm } from '../confirm.tsx';
import { DataTable } from '../data-table.tsx';
import { DropFiles } from '../drop-files.tsx';
import { bytes, duration, exact, plural } from '../number.ts';
import { MorePages, Panel, ViewHead } from '../parts.tsx';
import { useServerEvents } from '../server-events.ts';
import { Answered, Nothing } from '../states.tsx';
import { useStreams } from '../streams.ts';
import { Time } from '../time.tsx';
import { useUrl } from '../url.ts';
import { Id } from '../value.tsx';
import type { Import } from '../wire.ts';
import { ImportStatus } from './import-status.tsx';

export default function Imports(): ReactElement {
  const url = useUrl();
  const streams = useStreams();
  const stream = streams.data?.streams.find(({ name }) => name === url.get('stream'));
  const forms = Object.keys(stream?.declaration.forms ?? {});
  const pages = usePages<Import>(
    '/v1/imports',
    { page_size: 50 },
    (body: { imports: Import[] }) => body.imports,
    { every: 10_000 },
  );
  const [undoing, setUndoing] = useState<Import>();
  const [refused, setRefused] = useState<string[]>([]);
  const send = async (files: File[]): Promise<void> => {
    setRefused([]);
    for (const file of files) {
      const query = {
        stream: stream!.name,
        form: url.get('form'),
        mode: url.get('mode'),
        name: file.name,
        wait: 0,
      };
      await ask<Import>('POST', '/v1/imports', {
        query,
        file,
        headers: { 'content-type': 'application/octet-stream' },
      }).catch((error: Error) => setRefused((before) => [...before, `${file.name}: ${error.message}`]));
      await queryClient.invalidateQueries({ queryKey: ['/v1/imports'] });
    }
  };
  return (
    <Stack gap="md">
      <ViewHead title="Imports">
        Files of any size: CSV, TSV, NDJSON or Parquet, plain, gzip or zstd. A file's rows appear together, or
        not at all.
      </ViewHead>
      <Panel title="Take in files">
        <Stack gap="sm">
          <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="sm">
            <Select
              label="Into the stream"
              placeholder="choose one"
              data={streams.data?.streams.map(({ name }) => name) ?? []}
              value={stream?.name ?? null}
              onChange={(name) => url.set({ stream: name ?? undefined, form: undefined })}
              searchable
            />
            <Select
              label="Records come"
              data={[
                { value: '', label: 'as the stream declares them' },
                ...forms.map((form) => ({ value: form, label: `in the form ${form}` })),
              ]}
              value={url.get('form')}
              onChange={(form) => url.set({ form: form ?? undefined })}
              disabled={forms.length === 0}
              allowDeselect={false}
            />
            <Select
              label="A known id with other content"
              data={[
                { value: '', label: 'is refused as a conflict' },
                { value: 'upsert', label: 'is a correction' },
              ]}
              value={url.get('mode')}
              onChange={(mode) => url.set({ mode: mode ?? undefined })}
              allowDeselect={false}
            />
          </SimpleGrid>
          <DropFiles disabled={!stream} onFiles={(files) => void send(files)}>
            {stream ? (
              <>Drop files here: they go into {stream.name}</>
            ) : (
              'Choose a stream first, then drop files here'
            )}
          </DropFiles>
          {refused.length > 0 && (
            <Alert color="red" title="Not taken in" withCloseButton onClose={() => setRefused([])}>
              {refused.map((reason) => (
                <div key={reason}>{reason}</div>
              ))}
            </Alert>
          )}
        </Stack>
      </Panel>
      <Panel title="All imports, newest first" flush>
        <Answered
          query={{ ...pages, data: pages.rows }}
          empty={(rows) => rows.length === 0}
          nothing={
            <Nothing icon="upload" title="No files yet">
              What is imported, here or at the command line, is listed with what became of its records.
            </Nothing>
          }
        >
          {(rows) => (
            <DataTable
              label="Imports"
              rows={rows}
              keyOf={({ id }) => id}
              columns={[
                { title: 'import', end: true, cell: ({ id }) => id },
                {
                  title: 'file',
                  cell: ({ name, bytes: size, error }) => (
                    <>
                      <Id of={name} /> {size !== null && <span className="quiet small">{bytes(size)}</span>}
                      {error && <div className="small break">{error}</div>}
                    </>
                  ),
                },
                { title: 'stream', cell: ({ stream: into }) => into },
                {
                  title: 'status',
                  cell: (one) =>
                    one.status === 'in_progress' ? <Running of={one} /> : <ImportStatus of={one} />,
                },
                {
                  title: 'received',
                  end: true,
                  cell: ({ counts }) => (counts ? exact(counts.received) : '–'),
                },
                {
                  title: 'counted',
                  end: true,
                  cell: ({ counts }) =>
                    counts ? (
                      <>
                        {exact(counts.accepted + counts.corrected)}
                        {counts.corrected > 0 && (
                          <div className="quiet small">{plural(counts.corrected, 'correction')}</div>
                        )}
                      </>
                    ) : (
                      '–'
                    ),
                },
                {
                  title: 'duplicates',
                  end: true,
                  cell: ({ counts }) => (counts ? exact(counts.duplicates) : '–'),
                },
                {
                  title: 'refused',
                  end: true,
                  cell: ({ id, counts }) =>
                    !counts ? (
                      '–'
                    ) : counts.rejected + counts.conflicts === 0 ? (
                      '0'
                    ) : (
                      <Link href={`/rejects?import=${id}`}>{exact(counts.rejected + counts.conflicts)}</Link>
                    ),
                },
                { title: 'started', nowrap: true, cell: ({ created_at }) => <Time at={created_at} /> },
                {
                  title: 'took',
                  end: true,
                  cell: ({ created_at, finished_at }) =>
                    finished_at ? duration((Date.parse(finished_at) - Date.parse(created_at)) / 1000) : '–',
                },
                {
                  title: <span className="quiet">undo</span>,
                  key: 'undo',
                  cell: (one) =>
                    (one.status === 'done' || one.status === 'in_progress') && (
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() => setUndoing(one)}
                        aria-label={`Undo the import ${one.id}`}
                      >
                        {one.status === 'done' ? 'Undo' : 'Stop'}
                      </Button>
                    ),
                },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={pages} />
      </Panel>
      {undoing && <Undo of={undoing} onClose={() => setUndoing(undefined)} />}
    </Stack>
  );
}

/** Follows one as it is told, until its end. */
function Running({ of }: { of: Import }): ReactElement {
  const [state, setState] = useState(of);
  useServerEvents({
    path: `/v1/imports/${of.id}/events`,
    last: 'end',
    take(events) {
      setState(JSON.parse(events.at(-1)!.data) as Import);
      if (events.some(({ event }) => event === 'end')) void refresh();
    },
  });
  return (
    <>
      <ImportStatus of={state} />
      {state.progress && state.progress.rows > 0 && (
        <div className="quiet small">{plural(state.progress.rows, 'row')}</div>
      )}
    </>
  );
}

function Undo({
  of: { id, name, stream, counts, status },
  onClose,
}: {
  of: Import;
  onClose(): void;
}): ReactElement {
  const brought = counts ? counts.accepted + counts.corrected : 0;
  const undo = async (): Promise<void> => {
    await ask<Import>('DELETE', `/v1/imports/${id}`);
    notifications.show({
      color: 'gray',
      title: `Import ${id} is undone`,
      message: 'Every figure has followed in the same commit.',
    });
  };
  return status === 'done' ? (
    <Confirm
      title={`Undo import ${id}?`}
      verb={`Take back ${plural(brought, 'record')}`}
      act={undo}
      onClose={onClose}
    >
      The {plural(brought, 'record')} that <b>{name}</b> brought into <b>{stream}</b> are taken back in one
      commit, as far as they stand as it brought them. The entries stay in the ledger: a figure as it was
      known before stays what it was.
    </Confirm>
  ) : (
    <Confirm title={`Stop import ${id}?`} verb="Stop it" act={undo} onClose={onClose}>
      <b>{name}</b> is stopped and leaves nothing in <b>{stream}</b>.
    </Confirm>
  );
}
