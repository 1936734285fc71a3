/**
 * Sales reports, made and not downloaded: one file a month, of Spain in euro and of Norway in crowns in turn. Every
 * recording has a line of its own, and the others are spread as sales are: the top thousandth of the recordings has a
 * tenth of the lines. Every value is cut from the MD5 of the line's number, so that the same lines come out on every
 * machine.
 *
 *     dsp_id  title  artists  isrc  usages  revenue
 *     rec000000017  Song 17 of the catalogue  Artist 17|Artist 4  ESABC0000017  81  0.4070112519
 */
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

/** What one euro is worth in the crowns of the made reports. */
export const CROWNS = 10;

/** The name of report n, from 0: it says territory, currency and period. */
function nameOf(n) {
  const place = n % 2 === 0 ? 'ES_EUR' : 'NO_NOK';
  const month = `${2000 + Math.floor(n / 12)}${String((n % 12) + 1).padStart(2, '0')}`;
  return `Service_Product_${place}_${month}01-${month}28.tsv`;
}

/**
 * @param {{dir: string, lines: number, recordings: number, reports: number}} what
 * @returns {Promise<{file: string, currency: string}[]>}
 */
export async function makeReports({ dir, lines, recordings, reports }) {
  const db = await DuckDBInstance.create(':memory:', { memory_limit: '1GB' });
  const connection = await db.connect();
  const made = [];
  for (let n = 0; n < reports; n++) {
    const file = join(dir, nameOf(n));
    await connection.run(
      `copy (
         select format('rec{:09d}', r) as dsp_id, 'Song ' || r || ' of the catalogue' as title,
           'Artist ' || r % 50000 || '|Artist ' || r % 977 as artists, format('ESABC{:07d}', r % 10000000) as isrc,
           low // 1000000000 % 500 + 1 as usages,
           ((low // 1000 % 100000000000 + 1)::decimal(18, 0) * 0.0000000001)::decimal(18, 10) as revenue
         from (
           select low, if(i < ${recordings}, i, floor(${recordings} * pow((high % 1000000007) / 1000000007.0, 3))::bigint) as r
           from (
             select i, md5_number_lower('line ' || i) as low, md5_number_upper('line ' || i) as high
             from range(${Math.floor((lines * n) / reports)}, ${Math.floor((lines * (n + 1)) / reports)}) as made(i)
           )
         )
       ) to '${file.replaceAll("'", "''")}' (format csv, header true, delimiter '\t', quote '')`,
    );
    made.push({ file, currency: n % 2 === 0 ? 'EUR' : 'NOK' });
  }
  connection.closeSync();
  db.closeSync();
  return made;
}
