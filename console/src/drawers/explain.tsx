/** The entries behind a figure: those that count, those that were taken back, and what took them back. */
import { Drawer, Group, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { usePages } from '../api.ts';
import { DataTable } from '../data-table.tsx';
import { behindOf, useOpenRecord } from '../explaining.ts';
import { Lead, MorePages, Tag } from '../parts.tsx';
import { Answered, Nothing } from '../states.tsx';
import { isNumber, useStream } from '../streams.ts';
import { Time } from '../time.tsx';
import { useUrl } from '../url.ts';
import { Id, shownValue } from '../value.tsx';
import type { Entry, Explained } from '../wire.ts';

export default function ExplainDrawer(): ReactElement {
  const url = useUrl();
  const { stream, title, ...selection } = behindOf(url.get('explain'));
  const declaration = useStream(stream)?.declaration;
  const openRecord = useOpenRecord();
  const pages = usePages<Entry>(
    `/v1/streams/${encodeURIComponent(stream)}/explain`,
    { ...selection, page_size: 50 },
    (body: Explained) => body.entries,
  );
  const fields = Object.keys(declaration?.fields ?? {}).filter((field) => field !== declaration?.id);
  return (
    <Drawer
      opened
      onClose={() => url.set({ explain: undefined })}
      size="xl"
      title={
        <div>
          <Text fw={620}>{title ?? 'What is behind it'}</Text>
          <Text size="xs" c="dimmed" className="break">
            {[
              stream,
              ...(selection.where ?? []),
              selection.from && `from ${selection.from}`,
              selection.to && `to ${selection.to}`,
            ]
              .filter(Boolean)
              .join(' · ')}
          </Text>
        </div>
      }
      padding={0}
      styles={{ header: { padding: '1rem 1.125rem' } }}
    >
      <Answered
        query={{ ...pages, data: pages.rows }}
        empty={(rows) => rows.length === 0}
        nothing={
          <Nothing icon="empty" title="No records">
            Nothing that was taken in fits this filter.
          </Nothing>
        }
      >
        {(rows) => (
          <>
            <DataTable
              label="Entries behind the figure"
              rows={rows}
              keyOf={({ seq }) => seq}
              rowClass={({ sign }) => (sign < 0 ? 'taken-back' : undefined)}
              columns={[
                {
                  title: '',
                  key: 'sign',
                  cell: ({ sign }) => (sign > 0 ? <Tag color="tally">+1</Tag> : <Tag color="gray">−1</Tag>),
                },
                {
                  title: 'id',
                  cell: ({ id }) => (
                    <Lead title={`Open the record ${id}`} onClick={() => openRecord(stream, id)}>
                      <Id of={id} />
                    </Lead>
                  ),
                },
                ...fields.map((field) => ({
                  title: field,
                  end: isNumber(declaration, field),
                  cell: ({ record }: Entry) => shownValue(declaration, field, record[field]),
                })),
                { title: 'recorded', nowrap: true, cell: ({ recorded_at }) => <Time at={recorded_at} /> },
                { title: 'source', cell: ({ source }) => source },
                { title: 'reason', cell: ({ reason }) => reason ?? <span className="quiet">–</span> },
              ]}
            />
            <MorePages pages={pages} />
            <Group p="md">
              <Text size="xs" c="dimmed">
                The figure is the sum of sign × value over these entries, by order of arrival.
              </Text>
            </Group>
          </>
        )}
      </Answered>
    </Drawer>
  );
}
