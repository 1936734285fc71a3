/**
 * Values over time, or side by side. Places in the picture are doubles, as pixels are; what is read (the tooltip) is the
 * exact value as it was answered.
 */
import { BarChart, LineChart } from '@mantine/charts';
import '@mantine/charts/styles.css';
import { Group, Paper, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { axis, exact, pixels } from '../number.ts';
import { seriesColors } from '../theme.ts';
import type { Row } from '../wire.ts';

export interface Point {
  label: string;
  /** By series; exact. */
  values: Record<string, Row[string] | undefined>;
}

interface SeriesChartProps {
  points: Point[];
  series: string[];
  kind: 'line' | 'bars' | 'stacked' | 'across';
  /** What is shown, for screen readers. */
  label: string;
  scale?: number;
  unit?: string;
  height?: number;
  onPoint?: (label: string) => void;
}

export default function SeriesChart({
  points,
  series,
  kind,
  label,
  scale = 0,
  unit,
  height = 280,
  onPoint,
}: SeriesChartProps): ReactElement {
  const data = points.map((point) => ({
    label: point.label,
    ...Object.fromEntries(
      series.map((name) => [name, point.values[name] == null ? null : pixels(point.values[name])]),
    ),
  }));
  const told = new Map(points.map((point) => [point.label, point.values]));
  const tooltip = ({ label: at, active }: { label?: unknown; active?: boolean }): ReactElement | null => {
    const values = active ? told.get(String(at)) : undefined;
    if (!values) return null;
    return (
      <Paper withBorder shadow="sm" px="sm" py={6} maw={320}>
        <Text size="sm" fw={550} mb={2}>
          {String(at)}
        </Text>
        {series
          .filter((name) => values[name] != null)
          .map((name, place) => (
            <Group key={name} justify="space-between" gap="lg" wrap="nowrap">
              <Text size="sm" c="dimmed" truncate>
                <span
                  style={{
                    display: 'inline-block',
                    width: 8,
                    height: 8,
                    borderRadius: 2,
                    marginRight: 6,
                    background: colorOf(series.length === 1 ? 0 : (series.indexOf(name) ?? place)),
                  }}
                />
                {name}
              </Text>
              <Text size="sm">
                {exact(String(values[name]), scale)} {unit}
              </Text>
            </Group>
          ))}
      </Paper>
    );
  };
  const shared = {
    h: height,
    data,
    dataKey: 'label',
    series: series.map((name, at) => ({ name, color: seriesColors[at % seriesColors.length]! })),
    tooltipProps: { content: tooltip as never, isAnimationActive: false },
    withLegend: series.length > 1,
    legendProps: { verticalAlign: 'bottom' as const, height: 44 },
    role: 'img',
    'aria-label': label,
  };
  const pointed = onPoint && {
    onClick: (state: { activeLabel?: unknown }) =>
      state?.activeLabel !== undefined && onPoint(String(state.activeLabel)),
    style: { cursor: 'pointer' },
  };
  if (kind === 'across')
    return (
      <BarChart
        {...shared}
        h={Math.max(points.length * 26 + 40, 120)}
        orientation="vertical"
        gridAxis="x"
        xAxisProps={{ tickFormatter: axis as never }}
        yAxisProps={{
          width: 150,
          tickFormatter: (text: string) => (text.length > 22 ? `${text.slice(0, 21)}…` : text),
          interval: 0,
        }}
        barProps={{ radius: 2, isAnimationActive: false }}
        barChartProps={pointed as never}
      />
    );
  const axes = {
    yAxisProps: { width: 52, tickFormatter: axis as never },
    xAxisProps: { tickMargin: 8, minTickGap: 28 },
  };
  return kind === 'line' ? (
    <LineChart
      {...shared}
      {...axes}
      curveType="linear"
      strokeWidth={1.75}
      withDots={points.length < 40}
      dotProps={{ r: 2.5 }}
      lineProps={{ isAnimationActive: false }}
      lineChartProps={pointed as never}
      connectNulls
    />
  ) : (
    <BarChart
      {...shared}
      {...axes}
      type={kind === 'stacked' ? 'stacked' : 'default'}
      barProps={{ isAnimationActive: false, radius: kind === 'stacked' ? 0 : 2 }}
      maxBarWidth={36}
      barChartProps={pointed as never}
    />
  );
}

const colorOf = (at: number): string =>
  `var(--mantine-color-${seriesColors[at % seriesColors.length]!.replace('.', '-')})`;
