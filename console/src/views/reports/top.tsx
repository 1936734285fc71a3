/** The top of the catalogue: the fewest recordings that make up so many per cent of the revenue. */
import { Button, Group, Slider, Text } from '@mantine/core';
import { lazy, type ReactElement, Suspense, useState } from 'react';
import { Link } from 'wouter';
import { useAnswer } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { useExplain } from '../../explaining.ts';
import { exact, plural } from '../../number.ts';
import { Lead, Panel } from '../../parts.tsx';
import { Answered, Loading, Nothing } from '../../states.tsx';
import { useUrl } from '../../url.ts';
import type { Resource } from '../../wire.ts';
import { money } from './list.tsx';
import { Selection, useSelection } from './selection.tsx';

const SeriesChart = lazy(() => import('../../charts/series.tsx'));
const barsMost = 20;
const rowsPaged = 100;

export default function Top(): ReactElement {
  const url = useUrl();
  const selection = useSelection();
  const percent = url.get('percent') || '10';
  const [moving, setMoving] = useState(Number(percent));
  const [pages, setPages] = useState(1);
  const explain = useExplain();
  const resources = useAnswer<Resource[]>(`/resources/percentile/${percent}`, selection);
  const named = ({ title, dsp_id }: Resource): string => title ?? dsp_id;
  return (
    <>
      <Panel>
        <Selection>
          <div style={{ width: 260 }}>
            <Text size="sm" fw={500}>
              The top {moving} % of the revenue
            </Text>
            <Slider
              min={1}
              max={100}
              value={moving}
              onChange={setMoving}
              onChangeEnd={(value) => url.set({ percent: String(value) })}
              my="xs"
              label={null}
              thumbLabel="Per cent of the revenue"
            />
          </div>
        </Selection>
      </Panel>
      <Answered
        query={resources}
        lines={10}
        empty={(rows) => rows.length === 0}
        nothing={
          <Panel>
            <Nothing icon="music" title="No reports in this selection">
              Take one in under <Link href="/reports">Reports</Link>, or choose another territory or period.
            </Nothing>
          </Panel>
        }
      >
        {(rows) => (
          <>
            <Panel
              title={`${plural(rows.length, 'recording')} make up ${percent} %`}
              actions={
                rows.length > barsMost && (
                  <Text size="xs" c="dimmed">
                    the first {barsMost} in the picture
                  </Text>
                )
              }
            >
              <Suspense fallback={<Loading lines={8} />}>
                <SeriesChart
                  kind="across"
                  label={`Revenue of the first ${Math.min(rows.length, barsMost)} recordings`}
                  series={['revenue']}
                  points={rows.slice(0, barsMost).map((one, at) => ({
                    label: `${at + 1}. ${named(one)}`,
                    values: { revenue: one.revenue_exact },
                  }))}
                  unit={selection.currency === 'native' ? undefined : 'EUR'}
                />
              </Suspense>
            </Panel>
            <Panel title="Highest revenue first" flush>
              <DataTable
                label="Recordings"
                rows={rows.slice(0, pages * rowsPaged)}
                keyOf={({ dsp_id }) => dsp_id}
                columns={[
                  {
                    title: '#',
                    key: 'rank',
                    end: true,
                    cell: (one) => <span className="quiet">{exact(rows.indexOf(one) + 1)}</span>,
                  },
                  { title: 'title', cell: ({ title }) => title ?? <span className="quiet">no title</span> },
                  { title: 'artists', cell: ({ artists }) => artists?.split('|').join(', ') ?? '–' },
                  { title: 'ISRC', cell: ({ isrc }) => <span className="mono">{isrc ?? '–'}</span> },
                  {
                    title: 'recording',
                    cell: ({ dsp_id }) => (
                      <Lead
                        title="See its lines"
                        onClick={() =>
                          explain({ stream: 'report_lines', where: [`dsp_id=${dsp_id}`], title: dsp_id })
                        }
                      >
                        <span className="mono id">{dsp_id}</span>
                      </Lead>
                    ),
                  },
                  { title: 'plays', end: true, cell: ({ usages }) => exact(String(usages)) },
                  {
                    title: 'revenue',
                    end: true,
                    cell: ({ revenue_exact }) => <span title={revenue_exact}>{money(revenue_exact)}</span>,
                  },
                  {
                    title: 'reports',
                    cell: ({ dsrs }) =>
                      dsrs.map((id, at) => (
                        <span key={id}>
                          {at > 0 && ', '}
                          <Link href={`/reports/${id}`}>{id}</Link>
                        </span>
                      )),
                  },
                ]}
              />
              {rows.length > pages * rowsPaged && (
                <Group justify="center" p="sm">
                  <Button variant="default" size="xs" onClick={() => setPages(pages + 1)}>
                    Show more
                  </Button>
                </Group>
              )}
            </Panel>
          </>
        )}
      </Answered>
    </>
  );
}
