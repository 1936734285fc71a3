/** Exchange rates: from when to when they are known, and how reports are converted. */
import { Alert, Select, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { ask, refresh, useAnswer } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { DropFiles } from '../../drop-files.tsx';
import { exact, plural } from '../../number.ts';
import { Panel } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { DayOf } from '../../time.tsx';
import type { ExchangeRates } from '../../wire.ts';

export default function Rates(): ReactElement {
  const known = useAnswer<ExchangeRates>('/v1/rates');
  const put = useMutation({
    mutationFn: ({ file, policy }: { file?: File; policy?: string }) =>
      ask<{ rates: number; new: number; changed: number; reports: number }>(
        'PUT',
        '/v1/rates',
        file ? { file, headers: { 'content-type': 'text/csv' } } : { body: { policy } },
      ),
    onSuccess: async ({ rates, reports }) => {
      notifications.show({
        color: 'tally',
        title: `${plural(rates, 'rate')} taken in`,
        message: `${plural(reports, 'report')} converted anew.`,
      });
      await refresh();
    },
  });
  return (
    <>
      <Panel title="Rates of the European Central Bank">
        <Stack gap="sm">
          <DropFiles accept=".csv" onFiles={([file]) => file && put.mutate({ file })}>
            Drop <span className="mono">eurofxref-hist.csv</span> here: the file of the European Central Bank,
            as it is
          </DropFiles>
          {known.data && (
            <Select
              label="Reports are converted by"
              data={[
                { value: 'period_average', label: 'the average of their period' },
                { value: 'period_end', label: 'the rate at the end of their period' },
                { value: 'fixed', label: 'fixed rates' },
              ]}
              value={known.data.policy}
              onChange={(policy) => policy && put.mutate({ policy })}
              allowDeselect={false}
              maw={360}
            />
          )}
          {put.error && <Alert color="red">{put.error.message}</Alert>}
        </Stack>
      </Panel>
      <Panel title="Known" flush>
        <Answered
          query={known}
          empty={({ currencies }) => currencies.length === 0}
          nothing={
            <Nothing icon="empty" title="No rates yet">
              Without them figures in euro are refused, never guessed.
            </Nothing>
          }
        >
          {({ currencies }) => (
            <DataTable
              label="Currencies with rates"
              rows={currencies}
              keyOf={({ currency }) => currency}
              columns={[
                { title: 'currency', cell: ({ currency }) => currency },
                { title: 'first', nowrap: true, cell: ({ first }) => <DayOf date={first} /> },
                { title: 'last', nowrap: true, cell: ({ last }) => <DayOf date={last} /> },
                { title: 'days', end: true, cell: ({ days }) => exact(days) },
              ]}
            />
          )}
        </Answered>
      </Panel>
    </>
  );
}
