/** Records a second, by verdict, as they come in. */
import { AreaChart } from '@mantine/charts';
import '@mantine/charts/styles.css';
import type { ReactElement } from 'react';
import { about, axis } from '../number.ts';
import type { Rates } from '../rates.ts';
import { verdictColors } from '../theme.ts';

const secondsShown = 120;

export default function LiveChart({ rates }: { rates: Rates[] }): ReactElement {
  const seen = Object.keys(verdictColors).filter(
    (verdict) => verdict === 'accepted' || rates.some(({ verdicts }) => (verdicts[verdict] ?? 0) > 0),
  );
  const empty = Array.from({ length: Math.max(secondsShown - rates.length, 0) }, (_, at) => ({
    label: `${secondsShown - at} s ago`,
  }));
  const points = rates.map(({ verdicts }, at) => ({
    label: at === rates.length - 1 ? 'now' : `${rates.length - 1 - at} s ago`,
    ...Object.fromEntries(seen.map((verdict) => [verdict, verdicts[verdict] ?? 0])),
  }));
  return (
    <AreaChart
      h={200}
      data={[...empty, ...points]}
      dataKey="label"
      type="stacked"
      curveType="monotone"
      withDots={false}
      strokeWidth={0}
      withGradient={false}
      fillOpacity={0.75}
      series={seen.map((name) => ({ name, color: verdictColors[name]! }))}
      withLegend={seen.length > 1}
      valueFormatter={(value) => `${about(value)} a second`}
      yAxisProps={{ width: 44, tickFormatter: axis, allowDecimals: false }}
      xAxisProps={{ interval: 29, tickMargin: 8 }}
      areaProps={{ isAnimationActive: false }}
      tooltipAnimationDuration={0}
      role="img"
      aria-label="Records a second by verdict, the last two minutes"
    />
  );
}
