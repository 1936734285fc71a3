/** The floor: which sensors report and which are silent, where they hang, which passages belong nowhere, what doorways join. */
import { Anchor, SegmentedControl } from '@mantine/core';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { usePages } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { useOpenRecord } from '../../explaining.ts';
import { duration, exact, plural } from '../../number.ts';
import { Lead, MorePages, Panel, Tag } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { Time } from '../../time.tsx';
import { useUrl } from '../../url.ts';
import type { SensorHealth, Standing, Unassigned } from '../../wire.ts';

const useStanding = (path: string) =>
  usePages<Standing>(path, { page_size: 200 }, (body: { records: Standing[] }) => body.records, {
    every: 30_000,
  });

function Space({ id }: { id: unknown }): ReactElement {
  if (id === null || id === undefined) return <span className="quiet">outside</span>;
  return (
    <Anchor component={Link} href={`/occupancy/${encodeURIComponent(String(id))}`} size="sm" c="inherit">
      {String(id)}
    </Anchor>
  );
}

export default function Sensors(): ReactElement {
  const url = useUrl();
  const silent = url.get('silent');
  const health = usePages<SensorHealth>(
    '/v1/sensors/health',
    { silent, page_size: 100 },
    (rows: SensorHealth[]) => rows,
    { every: 5_000 },
  );
  const assignments = useStanding('/v1/assignments');
  const open = useOpenRecord();
  const now = new Date().toISOString();
  const hanging = (assignments.rows ?? []).filter(
    ({ record: { from, to } }) => (from === null || String(from) <= now) && (to === null || String(to) > now),
  );
  const hangs = (dpu: string): Standing | undefined =>
    hanging.find(({ record }) => String(record.dpu_id) === dpu);
  return (
    <>
      <Panel
        title="Sensors"
        flush
        actions={
          <SegmentedControl
            size="xs"
            data={[
              { value: '', label: 'All' },
              { value: 'true', label: 'Silent' },
              { value: 'false', label: 'Reporting' },
            ]}
            value={silent}
            onChange={(value) => url.set({ silent: value })}
            aria-label="Which sensors"
          />
        }
      >
        <Answered
          query={{ ...health, data: health.rows }}
          empty={(rows) => rows.length === 0}
          nothing={
            <Nothing icon="people" title={silent === 'true' ? 'No sensor is silent' : 'No sensors yet'}>
              Sensors are part of a building's plan.
            </Nothing>
          }
        >
          {(rows) => (
            <DataTable
              label="Sensors"
              rows={rows}
              keyOf={({ dpu_id }) => dpu_id}
              columns={[
                {
                  title: 'sensor',
                  cell: ({ dpu_id, name, fault }) => (
                    <>
                      <Lead title="Its history" onClick={() => open('sensors', dpu_id)}>
                        {dpu_id}
                      </Lead>{' '}
                      <span className="quiet small">{name}</span>
                      {fault && (
                        <div className="small">
                          <Tag color="red">wrong</Tag> {fault}
                        </div>
                      )}
                    </>
                  ),
                },
                {
                  title: 'state',
                  cell: (one) =>
                    one.silent ? <Tag color="red">silent</Tag> : <Tag color="tally">reports</Tag>,
                },
                {
                  title: 'last seen',
                  nowrap: true,
                  cell: ({ last_seen }) =>
                    last_seen ? <Time at={last_seen} /> : <span className="quiet">never</span>,
                },
                {
                  title: 'expected within',
                  end: true,
                  cell: ({ expected_seconds }) => duration(expected_seconds),
                },
                {
                  title: 'doorway',
                  cell: ({ assigned, doorway_id }) =>
                    assigned ? (doorway_id ?? '–') : <Tag color="orange">assigned nowhere</Tag>,
                },
                {
                  title: 'faces',
                  cell: ({ dpu_id, assigned }) =>
                    assigned && hangs(dpu_id) && <Space id={hangs(dpu_id)!.record.faces} />,
                },
                {
                  title: 'behind it',
                  cell: ({ dpu_id, assigned }) =>
                    assigned && hangs(dpu_id) && <Space id={hangs(dpu_id)!.record.behind} />,
                },
                {
                  title: 'assignment',
                  cell: ({ dpu_id }) => {
                    const assignment = hangs(dpu_id);
                    if (!assignment) return '–';
                    const { from } = assignment.record;
                    return (
                      <Lead
                        title="Its history, and the way to correct it"
                        onClick={() => open('assignments', assignment.id)}
                      >
                        {from ? (
                          <>
                            since <Time at={String(from)} only="day" />
                          </>
                        ) : (
                          'always'
                        )}
                      </Lead>
                    );
                  },
                },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={health} />
      </Panel>
      <NowhereCounted />
      <Doorways hanging={hanging} />
    </>
  );
}

function NowhereCounted(): ReactElement | null {
  const pages = usePages<Unassigned>(
    '/v1/passages/unassigned',
    { page_size: 50 },
    (rows: Unassigned[]) => rows,
  );
  if (!pages.rows || pages.rows.length === 0) return null;
  return (
    <Panel title="Passages that belong nowhere" flush>
      <DataTable
        label="Unassigned passages"
        rows={pages.rows}
        keyOf={({ dpu_id }) => dpu_id}
        columns={[
          { title: 'sensor', cell: ({ dpu_id }) => dpu_id },
          { title: 'passages', end: true, cell: ({ unassigned }) => exact(unassigned) },
          {
            title: 'while it hung nowhere',
            cell: ({ stretches }) =>
              stretches.map(({ from, to, passages }) => (
                <div key={`${from}${to}`}>
                  {plural(passages, 'passage')}:{' '}
                  {from ? (
                    <>
                      from <Time at={from} />
                    </>
                  ) : (
                    'ever since'
                  )}
                  {to && (
                    <>
                      {' '}
                      to <Time at={to} />
                    </>
                  )}
                </div>
              )),
          },
        ]}
      />
      <MorePages pages={pages} />
    </Panel>
  );
}

function Doorways({ hanging }: { hanging: Standing[] }): ReactElement {
  const doorways = useStanding('/v1/doorways');
  const open = useOpenRecord();
  return (
    <Panel title="Doorways" flush>
      <Answered
        query={{ ...doorways, data: doorways.rows }}
        empty={(rows) => rows.length === 0}
        nothing={<Nothing icon="people" title="No doorways yet" />}
      >
        {(rows) => (
          <DataTable
            label="Doorways"
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              {
                title: 'doorway',
                cell: ({ id, record }) => (
                  <Lead title="Its history" onClick={() => open('doorways', id)}>
                    {String(record.name ?? id)}
                  </Lead>
                ),
              },
              {
                title: 'joins',
                cell: ({ record }) => (
                  <>
                    <Space id={record.one_side} /> and <Space id={record.other_side} />
                  </>
                ),
              },
              {
                title: 'sensors now',
                cell: ({ id }) =>
                  hanging
                    .filter(({ record }) => record.doorway_id === id)
                    .map(({ record }) => String(record.dpu_id))
                    .join(', ') || <span className="quiet">none</span>,
              },
            ]}
          />
        )}
      </Answered>
      <MorePages pages={doorways} />
    </Panel>
  );
}
