/** The costs of a ledger that grows as a picture: a line for each kind of work, in times of its cost at the first size. */
import { writeFileSync } from 'node:fs';
import { parse, View } from 'vega';
import { compile } from 'vega-lite';

/** @param {string} file @param {{work: string, records: number, times: number}[]} costs */
export async function drawGrowth(file, costs) {
  const title = (text) => ({ title: text, titleFontWeight: 'normal' });
  const { spec } = compile({
    width: 520,
    height: 300,
    background: 'white',
    data: { values: costs },
    mark: { type: 'line', point: true },
    encoding: {
      x: {
        field: 'records',
        type: 'quantitative',
        scale: { type: 'log', nice: false },
        axis: {
          ...title('records held'),
          values: [...new Set(costs.map(({ records }) => records))],
          format: '~s',
        },
      },
      y: {
        field: 'times',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: title('what it costs, in times of the first size'),
      },
      color: { field: 'work', type: 'nominal', sort: null, legend: { title: null, labelLimit: 0 } },
    },
  });
  writeFileSync(file, await new View(parse(spec), { renderer: 'none' }).toSVG());
}
