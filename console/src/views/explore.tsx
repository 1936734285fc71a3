/** Explore a stream: ask, see it as a chart and as a table, look behind a figure, take it along. */
import {
  Alert,
  Button,
  Collapse,
  Group,
  Menu,
  MultiSelect,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core';
import { lazy, type ReactElement, type ReactNode, Suspense, useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { address, download, segment, useAnswer, usePages } from '../api.ts';
import type { Point } from '../charts/series.tsx';
import { Conditions } from '../conditions.tsx';
import { DataTable } from '../data-table.tsx';
import { useExplain, useOpenRecord } from '../explaining.ts';
import { Icon } from '../icons.tsx';
import { exact, pixels, plural } from '../number.ts';
import { Exact, Figure, Lead, MorePages, Panel, ViewHead } from '../parts.tsx';
import { type Asked, askedIn, behindRow, buckets, parametersOf, ranges } from '../question.ts';
import { Answered, Loading, Nothing } from '../states.tsx';
import { isNumber, scaleOf, useStreams } from '../streams.ts';
import { dayText, Time, viewerZone } from '../time.tsx';
import { useUrl } from '../url.ts';
import { Id, shownValue } from '../value.tsx';
import type { Answer, Row, Standing, Stream } from '../wire.ts';

const SeriesChart = lazy(() => import('../charts/series.tsx'));

export default function Explore(): ReactElement {
  const { item } = useParams();
  const [, navigate] = useLocation();
  const streams = useStreams();
  const url = useUrl();
  return (
    <Answered
      query={streams}
      empty={({ streams: all }) => all.length === 0}
      nothing={
        <Nothing icon="empty" title="No streams yet">
          There is nothing to ask before a stream is declared.
        </Nothing>
      }
    >
      {({ streams: all }) => {
        const stream = all.find(
          ({ name }) => name === (item ?? all.find(({ name: one }) => one === 'usage')?.name ?? all[0]!.name),
        );
        const choice = (
          <Select
            label="Stream"
            data={all.map(({ name }) => name)}
            value={stream?.name ?? null}
            onChange={(name) => name && navigate(`/explore/${name}`)}
            allowDeselect={false}
            searchable
          />
        );
        return (
          <Stack gap="md">
            <ViewHead
              title="Explore"
              actions={
                <>
                  <FindRecord stream={stream?.name} />
                  <SegmentedControl
                    size="xs"
                    data={[
                      { value: '', label: 'Figures' },
                      { value: 'records', label: 'Records' },
                    ]}
                    value={url.get('show')}
                    onChange={(show) => url.set({ show })}
                    aria-label="What to show"
                  />
                </>
              }
            >
              {stream?.declaration.description}
            </ViewHead>
            <Panel>{stream ? <Question key={stream.name} stream={stream} choice={choice} /> : choice}</Panel>
            {!stream ? (
              <Nothing icon="empty" title={`There is no stream ${item}`} />
            ) : url.get('show') === 'records' ? (
              <Records stream={stream} asked={askedIn(url, stream.declaration)} />
            ) : (
              <Answers stream={stream} asked={askedIn(url, stream.declaration)} />
            )}
          </Stack>
        );
      }}
    </Answered>
  );
}

function FindRecord({ stream }: { stream: string | undefined }): ReactElement {
  const [id, setId] = useState('');
  const open = useOpenRecord();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (stream && id.trim()) open(stream, id.trim());
      }}
    >
      <TextInput
        size="xs"
        placeholder="Find a record by its id"
        aria-label="Find a record by its id"
        value={id}
        onChange={(event) => setId(event.currentTarget.value)}
        w={190}
      />
    </form>
  );
}

function measuresOf({ declaration }: Stream): string[] {
  const fields = Object.entries(declaration.fields);
  const numbers = fields
    .filter(([, { type }]) => type === 'integer' || type === 'decimal')
    .map(([name]) => name);
  const of = (measure: string, names: string[]): string[] => names.map((name) => `${measure}(${name})`);
  const compared = fields.filter(([, { type }]) => !['json', 'boolean'].includes(type)).map(([name]) => name);
  const distinct = fields.filter(([, { type }]) => type !== 'json').map(([name]) => name);
  return [
    'count',
    ...of('sum', numbers),
    ...of('avg', numbers),
    ...of('min', compared),
    ...of('max', compared),
    ...of('count_distinct', distinct),
  ];
}

function Question({ stream, choice }: { stream: Stream; choice: ReactNode }): ReactElement {
  const url = useUrl();
  const { declaration } = stream;
  const asked = askedIn(url, declaration);
  const [more, setMore] = useState(asked.known_at !== '');
  const records = url.get('show') === 'records';
  const fields = Object.entries(declaration.fields);
  const zones = [
    ...new Set([
      'UTC',
      viewerZone,
      ...Object.values(declaration.rollups ?? {}).flatMap(({ tz }) => tz ?? []),
      asked.tz,
    ]),
  ];
  return (
    <Stack gap="sm">
      <div className="question">
        {choice}
        {!records && (
          <>
            <MultiSelect
              label="Measures"
              data={measuresOf(stream)}
              value={asked.measures}
              onChange={(measures) => url.set({ measures: measures.join(','), order: undefined })}
              searchable
              hidePickedOptions
              styles={{ inputField: { minWidth: 24 } }}
            />
            <TagsInput
              label="Split by"
              placeholder={asked.by.length === 0 ? 'a field, or data.path' : ''}
              data={fields.filter(([, { type }]) => type !== 'json').map(([name]) => name)}
              value={asked.by}
              onChange={(by) => url.set({ by: by.join(','), order: undefined })}
            />
            <Select
              label="Every"
              data={[
                ...buckets.map((bucket) => ({ value: bucket, label: bucket })),
                { value: 'all', label: 'no buckets' },
              ]}
              value={asked.every}
              disabled={declaration.time === undefined}
              onChange={(every) => url.set({ every: every ?? undefined, order: undefined })}
              allowDeselect={false}
            />
            <Select
              label="Time zone"
              data={zones}
              value={asked.tz}
              onChange={(tz) => url.set({ tz: tz ?? undefined })}
              disabled={declaration.time === undefined}
              allowDeselect={false}
            />
          </>
        )}
      </div>
      {declaration.time !== undefined && (
        <Group gap="sm" align="end">
          <div className="scroller">
            <SegmentedControl
              size="xs"
              data={Object.entries(ranges).map(([value, { title }]) => ({ value, label: title }))}
              value={asked.range}
              onChange={(range) =>
                url.set({
                  range,
                  ...(range === 'own'
                    ? { from: asked.from, to: asked.to }
                    : { from: undefined, to: undefined }),
                })
              }
              aria-label="Range of time"
            />
          </div>
          {asked.range === 'own' && (
            <>
              <TextInput
                size="xs"
                type="date"
                label="From"
                value={asked.from.slice(0, 10)}
                onChange={(event) => url.set({ from: event.currentTarget.value })}
              />
              <TextInput
                size="xs"
                type="date"
                label="To, without it"
                value={asked.to.slice(0, 10)}
                onChange={(event) => url.set({ to: event.currentTarget.value })}
              />
            </>
          )}
        </Group>
      )}
      <Conditions declaration={declaration} value={asked.where} onChange={(where) => url.set({ where })} />
      <Group gap="xs">
        <Button variant="subtle" size="compact-xs" onClick={() => setMore(!more)} aria-expanded={more}>
          {more ? 'Less' : 'As it was known before…'}
        </Button>
      </Group>
      <Collapse expanded={more}>
        <TextInput
          label="Only what was recorded up to"
          description="in UTC, such as 2026-11-22T00:33:52Z: later records, corrections and retractions are not there"
          value={asked.known_at}
          onChange={(event) => url.set({ known_at: event.currentTarget.value })}
          maw={420}
        />
      </Collapse>
    </Stack>
  );
}

const rowsAsked = 1_000;
const rowsMost = 1_000_000;
const rowsPaged = 100;
const seriesMost = 8;
const barsMost = 20;

function bucketText(every: string, text: string): string {
  if (every !== 'hour' && every !== 'minute')
    return every === 'month' ? dayText(text).slice(2) : every === 'year' ? text.slice(0, 4) : dayText(text);
  return `${dayText(text.slice(0, 10))} ${text.slice(11, 16)}`;
}

const shownBucket = (every: string, text: string): string => bucketText(every, text).trim();
const seriesName = (asked: Asked, row: Row): string =>
  asked.by.map((field) => String(row[field] ?? 'none')).join(' · ');

function Answers({ stream, asked }: { stream: Stream; asked: Asked }): ReactElement {
  const { name, declaration } = stream;
  const url = useUrl();
  const path = `/v1/streams/${segment(name)}/query`;
  const explain = useExplain();
  const answer = useAnswer<Answer>(path, parametersOf(asked, rowsAsked), {
    enabled: asked.measures.length > 0,
  });
  const [pages, setPages] = useState(1);
  const look = (row: Row, measure: string): void => {
    const where = [
      asked.every !== 'all' && shownBucket(asked.every, String(row[asked.every])),
      seriesName(asked, row),
    ]
      .filter(Boolean)
      .join(', ');
    explain(
      behindRow(
        name,
        asked,
        row,
        `${measure} = ${exact(String(row[measure] ?? 'null'), scaleOf(declaration, measure))}${where ? ` (${where})` : ''}`,
      ),
    );
  };
  const all = parametersOf(asked, rowsMost);
  const heading = (column: string): ReactNode => {
    const next = asked.order === `-${column}` ? column : asked.order === column ? '' : `-${column}`;
    return (
      <Lead title={`Order by ${column}`} onClick={() => url.set({ order: next })}>
        {column}
        {asked.order === column ? ' ↑' : asked.order === `-${column}` ? ' ↓' : ''}
      </Lead>
    );
  };
  return (
    <Answered
      query={answer}
      lines={8}
      empty={({ rows }) => rows.length === 0}
      nothing={
        <Panel>
          <Nothing icon="empty" title="No records in this">
            Choose another range of time, or take a filter away.
          </Nothing>
        </Panel>
      }
    >
      {({ rows, from, as_of, more }) => (
        <>
          <Picture stream={stream} asked={asked} rows={rows} onLook={look} />
          <Panel
            flush
            title={plural(rows.length, 'row')}
            actions={
              <>
                <Text size="xs" c="dimmed">
                  from {from}, as of batch {exact(as_of.batch)}, <Time at={as_of.recorded_at} only="clock" />
                </Text>
                <Menu position="bottom-end">
                  <Menu.Target>
                    <Button
                      variant="default"
                      size="compact-sm"
                      leftSection={<Icon name="download" size={15} />}
                    >
                      Export
                    </Button>
                  </Menu.Target>
                  <Menu.Dropdown>
                    {['csv', 'ndjson', 'json', 'parquet'].map((format) => (
                      <Menu.Item
                        key={format}
                        onClick={() => void download(path, { ...all, format }, `${name}.${format}`)}
                      >
                        {format.toUpperCase()}
                      </Menu.Item>
                    ))}
                    <Menu.Divider />
                    <Menu.Item
                      onClick={() =>
                        void navigator.clipboard?.writeText(
                          `${location.origin}${address(path, parametersOf(asked, rowsAsked))}`,
                        )
                      }
                    >
                      Copy the address of the answer
                    </Menu.Item>
                  </Menu.Dropdown>
                </Menu>
              </>
            }
          >
            <DataTable
              label="The answer"
              rows={rows.slice(0, pages * rowsPaged)}
              keyOf={(_, at) => at}
              columns={[
                ...(asked.every === 'all'
                  ? []
                  : [
                      {
                        key: asked.every,
                        title: heading(asked.every),
                        nowrap: true,
                        cell: (row: Row) => (
                          <span title={String(row[asked.every])}>
                            {shownBucket(asked.every, String(row[asked.every]))}
                          </span>
                        ),
                      },
                    ]),
                ...asked.by.map((field) => ({
                  key: field,
                  title: heading(field),
                  cell: (row: Row) => shownValue(declaration, field, row[field]),
                })),
                ...asked.measures.map((measure) => ({
                  key: measure,
                  title: heading(measure),
                  end: isNumber(declaration, measure),
                  cell: (row: Row) => (
                    <Lead title="See the records behind it" onClick={() => look(row, measure)}>
                      {isNumber(declaration, measure) ? (
                        <Exact
                          value={row[measure] as string | number | null}
                          scale={scaleOf(declaration, measure)}
                        />
                      ) : (
                        shownValue(declaration, /\((\w+)\)/.exec(measure)?.[1] ?? '', row[measure])
                      )}
                    </Lead>
                  ),
                })),
              ]}
            />
            {rows.length > pages * rowsPaged && (
              <Group justify="center" p="sm">
                <Button variant="default" size="xs" onClick={() => setPages(pages + 1)}>
                  Show more
                </Button>
              </Group>
            )}
            {more && (
              <Alert color="gray" radius={0}>
                There are more than {exact(rowsAsked)} rows; an export has all of them.
              </Alert>
            )}
          </Panel>
        </>
      )}
    </Answered>
  );
}

function Picture({
  stream: { declaration },
  asked,
  rows,
  onLook,
}: {
  stream: Stream;
  asked: Asked;
  rows: Row[];
  onLook(row: Row, measure: string): void;
}): ReactNode {
  const [chosen, setChosen] = useState<string>();
  const numbers = asked.measures.filter((measure) => isNumber(declaration, measure));
  const measure = numbers.find((one) => one === chosen) ?? numbers[0];
  if (measure === undefined) return null;
  if (asked.every === 'all' && asked.by.length === 0)
    return (
      <SimpleGrid cols={{ base: 1, xs: 2, md: Math.min(numbers.length, 4) }} spacing="sm">
        {numbers.map((one) => (
          <Figure
            key={one}
            label={one}
            value={
              <Lead title="See the records behind it" onClick={() => onLook(rows[0]!, one)}>
                <Exact value={rows[0]![one] as string} scale={scaleOf(declaration, one)} />
              </Lead>
            }
          />
        ))}
      </SimpleGrid>
    );
  const { points, series, left } =
    asked.every === 'all' ? sideBySide(asked, rows, measure) : overTime(asked, rows, measure);
  return (
    <Panel
      title={measure}
      actions={
        <>
          {left > 0 && (
            <Text size="xs" c="dimmed">
              the largest; {plural(left, 'other')} in the table
            </Text>
          )}
          {numbers.length > 1 && (
            <SegmentedControl
              size="xs"
              data={numbers}
              value={measure}
              onChange={setChosen}
              aria-label="Measure of the chart"
            />
          )}
        </>
      }
    >
      <Suspense fallback={<Loading lines={6} />}>
        <SeriesChart
          points={points}
          series={series}
          kind={asked.every === 'all' ? 'across' : asked.by.length === 0 ? 'bars' : 'line'}
          label={`${measure}, ${asked.every === 'all' ? 'side by side' : `by ${asked.every}`}`}
          scale={scaleOf(declaration, measure)}
          onPoint={(label) => {
            const at = points.findIndex((point) => point.label === label);
            const row =
              asked.by.length === 0
                ? rows.find((one) => shownBucket(asked.every, String(one[asked.every])) === label)
                : asked.every === 'all'
                  ? rows.find((one) => seriesName(asked, one) === label)
                  : undefined;
            if (at >= 0 && row) onLook(row, measure);
          }}
        />
      </Suspense>
    </Panel>
  );
}

interface Pictured {
  points: Point[];
  series: string[];
  /** Those that the picture leaves out. */
  left: number;
}

function sideBySide(asked: Asked, rows: Row[], measure: string): Pictured {
  const largest = [...rows]
    .sort((one, other) => pixels(other[measure]) - pixels(one[measure]))
    .slice(0, barsMost);
  return {
    points: largest.map((row) => ({ label: seriesName(asked, row), values: { [measure]: row[measure] } })),
    series: [measure],
    left: rows.length - largest.length,
  };
}

function overTime(asked: Asked, rows: Row[], measure: string): Pictured {
  const sizes = new Map<string, number>();
  const points = new Map<string, Point>();
  for (const row of [...rows].sort((one, other) =>
    String(one[asked.every]) < String(other[asked.every]) ? -1 : 1,
  )) {
    const label = shownBucket(asked.every, String(row[asked.every]));
    const series = seriesName(asked, row) || measure;
    sizes.set(series, (sizes.get(series) ?? 0) + Math.abs(pixels(row[measure])));
    const point = points.get(label) ?? { label, values: {} };
    point.values[series] = row[measure];
    points.set(label, point);
  }
  const series = [...sizes]
    .sort(([, one], [, other]) => other - one)
    .slice(0, seriesMost)
    .map(([name]) => name);
  return { points: [...points.values()], series, left: sizes.size - series.length };
}

function Records({ stream: { name, declaration }, asked }: { stream: Stream; asked: Asked }): ReactElement {
  const open = useOpenRecord();
  const { where, from, to, tz, known_at } = asked;
  const pages = usePages<Standing>(
    `/v1/streams/${segment(name)}/records`,
    {
      where,
      from,
      to,
      tz: declaration.time && tz !== 'UTC' ? tz : undefined,
      known_at,
      order: 'newest',
      page_size: 50,
    },
    (body: { records: Standing[] }) => body.records,
  );
  const fields = Object.keys(declaration.fields).filter((field) => field !== declaration.id);
  return (
    <Panel flush title="Records that stand, newest first">
      <Answered
        query={{ ...pages, data: pages.rows }}
        empty={(rows) => rows.length === 0}
        nothing={
          <Nothing icon="empty" title="No records in this">
            Choose another range of time, or take a filter away.
          </Nothing>
        }
      >
        {(rows) => (
          <DataTable
            label="Records"
            rows={rows}
            keyOf={({ id }) => id}
            columns={[
              {
                title: 'id',
                cell: ({ id }) => (
                  <Lead title="Open it" onClick={() => open(name, id)}>
                    <Id of={id} />
                  </Lead>
                ),
              },
              ...fields.map((field) => ({
                title: field,
                end: isNumber(declaration, field),
                cell: ({ record }: Standing) => shownValue(declaration, field, record[field]),
              })),
              { title: 'recorded', nowrap: true, cell: ({ recorded_at }) => <Time at={recorded_at} /> },
              { title: 'source', cell: ({ source }) => source },
            ]}
          />
        )}
      </Answered>
      <MorePages pages={pages} />
    </Panel>
  );
}
