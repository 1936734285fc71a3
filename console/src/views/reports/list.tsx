/** Reports: drop files, see how far they are, and what they hold. */
import { Alert, Anchor, Stack, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { ask, queryClient, usePages } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { DropFiles } from '../../drop-files.tsx';
import { exact } from '../../number.ts';
import { MorePages, Panel } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { DayOf } from '../../time.tsx';
import type { Report } from '../../wire.ts';
import { ReportStatus } from './status.tsx';

export default function List(): ReactElement {
  const pages = usePages<Report>('/dsrs/', { page_size: 50 }, (rows: Report[]) => rows, { every: 10_000 });
  const [refused, setRefused] = useState<string[]>([]);
  const [currency, setCurrency] = useState('');
  const send = async (files: File[]): Promise<void> => {
    setRefused([]);
    for (const file of files) {
      try {
        const before = new Set(pages.rows?.map(({ id }) => id));
        const { id, status } = await ask<Report>('POST', '/dsrs/import/', {
          query: { name: file.name, currency, wait: 0 },
          file,
          headers: { 'content-type': 'application/octet-stream' },
        });
        if (before.has(id))
          notifications.show({
            color: 'gray',
            title: `It is report ${id} already`,
            message: `The same content again is the same report, not a second one (${status}).`,
          });
      } catch (error) {
        setRefused((all) => [...all, `${file.name}: ${(error as Error).message}`]);
      }
      await queryClient.invalidateQueries();
    }
  };
  return (
    <>
      <Panel title="Take in reports">
        <Stack gap="sm">
          <DropFiles onFiles={(files) => void send(files)}>
            Drop report files here, plain or gzip. The name tells what one is about:{' '}
            <span className="mono break">Service_NO_NOK_20200101-20200131.tsv.gz</span>
          </DropFiles>
          <TextInput
            size="xs"
            label="Currency, where a name tells none (as those of DDEX)"
            placeholder="such as NOK"
            value={currency}
            onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
            maw={360}
            maxLength={3}
          />
          {refused.length > 0 && (
            <Alert
              color="red"
              title="Not taken in; nothing of it is stored"
              withCloseButton
              closeButtonLabel="Close"
              onClose={() => setRefused([])}
            >
              {refused.map((reason) => (
                <div key={reason} className="break">
                  {reason}
                </div>
              ))}
            </Alert>
          )}
        </Stack>
      </Panel>
      <Panel title="All reports, newest first" flush>
        <Answered
          query={{ ...pages, data: pages.rows }}
          empty={(rows) => rows.length === 0}
          nothing={
            <Nothing icon="music" title="No reports yet">
              Drop a file above, or take in many with tallybook reports import.
            </Nothing>
          }
        >
          {(rows) => (
            <DataTable
              label="Reports"
              rows={rows}
              keyOf={({ id }) => id}
              columns={[
                {
                  title: 'report',
                  end: true,
                  cell: ({ id }) => (
                    <Anchor component={Link} href={`/reports/${id}`} size="sm" c="inherit" underline="always">
                      {id}
                    </Anchor>
                  ),
                },
                { title: 'service', cell: ({ service }) => service },
                { title: 'territory', nowrap: true, cell: ({ territory }) => territory.name },
                {
                  title: 'period',
                  nowrap: true,
                  cell: ({ period_start, period_end }) => (
                    <>
                      <DayOf date={period_start} /> – <DayOf date={period_end} />
                    </>
                  ),
                },
                { title: 'status', cell: (report) => <ReportStatus of={report} /> },
                {
                  title: 'lines',
                  end: true,
                  cell: ({ rows: lines }) => (lines === null ? '–' : exact(lines)),
                },
                {
                  title: 'rejected',
                  end: true,
                  cell: ({ rejected }) => (rejected === null ? '–' : exact(rejected)),
                },
                { title: 'plays', end: true, cell: ({ usages }) => exact(usages) },
                {
                  title: 'revenue',
                  end: true,
                  cell: ({ revenue, currency: { code } }) => (
                    <span title={revenue}>
                      {money(revenue)} {code}
                    </span>
                  ),
                },
                {
                  title: 'in euro',
                  end: true,
                  cell: ({ euro }) =>
                    euro ? (
                      <span className="quiet small">at {exact(euro.rate)}</span>
                    ) : (
                      <span className="quiet small">no rate</span>
                    ),
                },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={pages} />
      </Panel>
    </>
  );
}

/** Cut to cents, never rounded up: the whole of it stands beside it, or on hover. */
export function money(amount: string): string {
  const [whole, fraction = ''] = amount.split('.');
  return fraction.length > 2 ? `${exact(`${whole}.${fraction.slice(0, 2)}`, 2)}…` : exact(amount, 2);
}
