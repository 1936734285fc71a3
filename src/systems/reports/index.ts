/** Sales reports of music services (SPEC 4): taken in by the million lines, converted to euro, the top of the catalogue. */
import type { System } from '../system.ts';
import { percentileRoute } from './percentile.ts';
import { getRatesRoute, putRatesRoute } from './rates.ts';
import { findReport } from './report.ts';
import { convertRoute, deleteRoute, importRoute, listRoute, rejectedRoute, reportRoute } from './routes.ts';
import { statisticsRoute } from './statistics.ts';
import { euroSettingsStream, linesStream, ratesStream, reportsStream } from './streams.ts';
import { markCutOff } from './take-in.ts';

export const reportsSystem: System = {
  name: 'reports',
  streams: [linesStream, reportsStream, ratesStream, euroSettingsStream],
  records: [],
  routes: [
    importRoute,
    listRoute,
    reportRoute,
    rejectedRoute,
    convertRoute,
    deleteRoute,
    percentileRoute,
    statisticsRoute,
    putRatesRoute,
    getRatesRoute,
  ],
  async open(tallybook) {
    await markCutOff(tallybook);
    tallybook.imports.ownedBy(linesStream.name, async (id) =>
      (await findReport(tallybook, String(id))) ? `DELETE /dsrs/${id}` : undefined,
    );
  },
};
