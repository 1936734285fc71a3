/** Plays and revenue, by territory, period, service, artist or ISRC. */
import { Select } from '@mantine/core';
import { lazy, type ReactElement, Suspense } from 'react';
import { useAnswer } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { exact } from '../../number.ts';
import { Panel } from '../../parts.tsx';
import { Answered, Loading, Nothing } from '../../states.tsx';
import { useUrl } from '../../url.ts';
import type { Statistics } from '../../wire.ts';
import { money } from './list.tsx';
import { Selection, useSelection } from './selection.tsx';

const SeriesChart = lazy(() => import('../../charts/series.tsx'));
const groupings = ['territory', 'period', 'service', 'artist', 'isrc'];
const barsMost = 15;

export default function Figures(): ReactElement {
  const url = useUrl();
  const by = groupings.find((one) => one === url.get('by')) ?? 'territory';
  const statistics = useAnswer<Statistics>('/v1/reports/statistics', { by, ...useSelection(), limit: 200 });
  return (
    <>
      <Panel>
        <Selection>
          <Select
            label="By"
            w={130}
            data={groupings}
            value={by}
            onChange={(value) => url.set({ by: value ?? undefined })}
            allowDeselect={false}
          />
        </Selection>
      </Panel>
      <Answered
        query={statistics}
        lines={8}
        empty={({ rows }) => rows.length === 0}
        nothing={
          <Panel>
            <Nothing icon="music" title="No reports in this selection" />
          </Panel>
        }
      >
        {({ rows, currency, reports }) => (
          <>
            <Panel
              title={`Revenue by ${by}, in ${currency}`}
              actions={<span className="quiet small">of {exact(reports)} reports</span>}
            >
              <Suspense fallback={<Loading lines={6} />}>
                <SeriesChart
                  kind="across"
                  label={`Revenue by ${by}`}
                  series={['revenue']}
                  unit={currency}
                  points={rows
                    .slice(0, barsMost)
                    .map(({ key, revenue }) => ({ label: key ?? 'none', values: { revenue } }))}
                />
              </Suspense>
            </Panel>
            <Panel flush>
              <DataTable
                label={`Figures by ${by}`}
                rows={rows}
                keyOf={({ key }) => key ?? ''}
                columns={[
                  { title: by, cell: ({ key }) => key ?? <span className="quiet">none named</span> },
                  { title: 'lines', end: true, cell: ({ lines }) => exact(lines) },
                  { title: 'plays', end: true, cell: ({ usages }) => exact(usages) },
                  {
                    title: `revenue, ${currency}`,
                    end: true,
                    cell: ({ revenue }) => <span title={revenue}>{money(revenue)}</span>,
                  },
                ]}
              />
            </Panel>
          </>
        )}
      </Answered>
    </>
  );
}
