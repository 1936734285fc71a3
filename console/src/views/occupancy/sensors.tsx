/** The floor: which spaces the doorways join, which sensors hang there, and which of them are silent. */
import { Anchor } from '@mantine/core';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { useAnswer, usePages } from '../../api.ts';
import { DataTable } from '../../data-table.tsx';
import { useOpenRecord } from '../../explaining.ts';
import { duration, exact } from '../../number.ts';
import { Lead, MorePages, Panel, Tag } from '../../parts.tsx';
import { Answered, Nothing } from '../../states.tsx';
import { Time } from '../../time.tsx';
import type { Answer, Standing } from '../../wire.ts';

const lookedBackDays = 7;
/** Where a sensor does not say how long it may be silent. */
const expectedDefaultSeconds = 3_600;

const useStanding = (path: string) =>
  usePages<Standing>(path, { page_size: 200 }, (body: { records: Standing[] }) => body.records, {
    every: 30_000,
  });

export default function Sensors(): ReactElement {
  const doorways = useStanding('/v1/doorways');
  const sensors = useStanding('/v1/sensors');
  const assignments = useStanding('/v1/assignments');
  const from = new Date(
    Math.floor(Date.now() / 3_600_000) * 3_600_000 - lookedBackDays * 86_400_000,
  ).toISOString();
  const seen = useAnswer<Answer>(
    '/v1/streams/passages/query',
    { measures: 'max(timestamp),count', by: 'dpu_id', from, limit: 10_000 },
    { every: 10_000 },
  );
  const lastOf = new Map(seen.data?.rows.map((row) => [String(row.dpu_id), row]));
  const open = useOpenRecord();
  const now = new Date().toISOString();
  const hanging = (assignments.rows ?? []).filter(
    ({ record }) =>
      (record.from === null || String(record.from) <= now) && (record.to === null || String(record.to) > now),
  );
  const known = new Map(sensors.rows?.map((one) => [String(one.record.dpu_id), one]));
  const all = [
    ...new Set([...known.keys(), ...hanging.map(({ record }) => String(record.dpu_id)), ...lastOf.keys()]),
  ].map((dpu) => {
    const sensor = known.get(dpu);
    const last = lastOf.get(dpu)?.['max(timestamp)'] as string | undefined;
    const expected = Number(sensor?.record.expected_seconds ?? expectedDefaultSeconds);
    const silent = last === undefined ? undefined : (Date.now() - Date.parse(last)) / 1000;
    return {
      dpu,
      sensor,
      last,
      expected,
      silent,
      hangs: hanging.find(({ record }) => String(record.dpu_id) === dpu),
      count: lastOf.get(dpu)?.count,
    };
  });
  const isSilent = ({ silent, expected }: (typeof all)[number]): boolean =>
    silent === undefined || silent > expected;
  const rows = all.sort(
    (one, other) => Number(isSilent(other)) - Number(isSilent(one)) || Number(one.dpu) - Number(other.dpu),
  );
  const space = (id: unknown): ReactElement =>
    id === null || id === undefined ? (
      <span className="quiet">outside</span>
    ) : (
      <Anchor
        component={Link}
        href={`/occupancy/${encodeURIComponent(String(id))}`}
        size="sm"
        c="inherit"
        underline="always"
      >
        {String(id)}
      </Anchor>
    );
  return (
    <>
      <Panel title="Sensors, the silent first" flush>
        <Answered
          query={{
            ...seen,
            data: sensors.rows && assignments.rows && seen.data && rows,
            error: seen.error ?? sensors.error,
          }}
          empty={(list) => list.length === 0}
          nothing={
            <Nothing icon="people" title="No sensors yet">
              They are part of a building's plan.
            </Nothing>
          }
        >
          {(list) => (
            <DataTable
              label="Sensors"
              rows={list.slice(0, 500)}
              keyOf={({ dpu }) => dpu}
              columns={[
                {
                  title: 'sensor',
                  cell: ({ dpu, sensor }) =>
                    sensor ? (
                      <Lead title="Its history" onClick={() => open('sensors', dpu)}>
                        {dpu}
                      </Lead>
                    ) : (
                      dpu
                    ),
                },
                {
                  title: 'state',
                  cell: (one) =>
                    isSilent(one) ? <Tag color="red">silent</Tag> : <Tag color="tally">reports</Tag>,
                },
                {
                  title: 'last seen',
                  nowrap: true,
                  cell: ({ last }) =>
                    last ? <Time at={last} /> : <span className="quiet">not in {lookedBackDays} days</span>,
                },
                {
                  title: 'silent for',
                  end: true,
                  cell: ({ silent }) => (silent === undefined ? '–' : duration(Math.max(silent, 0))),
                },
                { title: 'expected within', end: true, cell: ({ expected }) => duration(expected) },
                {
                  title: `passages in ${lookedBackDays} days`,
                  end: true,
                  cell: ({ count }) => (count === undefined ? '0' : exact(String(count))),
                },
                {
                  title: 'faces',
                  cell: ({ hangs }) =>
                    hangs ? space(hangs.record.faces) : <Tag color="orange">assigned nowhere</Tag>,
                },
                { title: 'behind it', cell: ({ hangs }) => (hangs ? space(hangs.record.behind) : '–') },
                {
                  title: 'doorway',
                  cell: ({ hangs }) =>
                    hangs?.record.doorway_id == null ? '–' : String(hangs.record.doorway_id),
                },
                {
                  title: 'assignment',
                  cell: ({ hangs }) =>
                    hangs && (
                      <Lead
                        title="Its history, and the way to correct it"
                        onClick={() => open('assignments', hangs.id)}
                      >
                        {hangs.record.from ? (
                          <>
                            since <Time at={String(hangs.record.from)} only="day" />
                          </>
                        ) : (
                          'always'
                        )}
                      </Lead>
                    ),
                },
              ]}
            />
          )}
        </Answered>
        <MorePages pages={sensors} />
      </Panel>
      <Panel title="Doorways" flush>
        <Answered
          query={{ ...doorways, data: doorways.rows }}
          empty={(list) => list.length === 0}
          nothing={<Nothing icon="people" title="No doorways yet" />}
        >
          {(list) => (
            <DataTable
              label="Doorways"
              rows={list}
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
                      {space(record.one_side)} and {space(record.other_side)}
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
    </>
  );
}
