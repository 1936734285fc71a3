/**
 * Rates as they come: the layout of the European Central Bank (`eurofxref-hist.csv`: a column a currency, a row a day, the
 * newest first, `N/A` where there is none, a comma at the end), or JSON.
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { parseDate } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { unpackFile } from '../../engine/unpack.ts';
import type { Route, Upload } from '../system.ts';
import { type Policy, policies } from './declarations.ts';
import { checkRate, convertAgain, type EuroSettings, euroSettings } from './euro.ts';
import { bad } from './report.ts';
import { euroSettingsStream, ratesStream, reportsStream } from './streams.ts';
import { underwayOf } from './underway.ts';

interface GivenRate {
  date: string;
  currency: string;
  rate: string;
}

interface Given {
  rates: GivenRate[];
  policy?: Policy | undefined;
  fixed?: Record<string, string> | undefined;
}

const GivenSchema = Type.Object(
  {
    rates: Type.Optional(
      Type.Array(
        Type.Object(
          { date: Type.String(), currency: Type.String(), rate: Type.String() },
          { additionalProperties: false },
        ),
      ),
    ),
    policy: Type.Optional(Type.Enum([...policies])),
    fixed: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { additionalProperties: false },
);

const Settings = Type.Object({
  policy: Type.Enum([...policies]),
  fixed: Type.Record(Type.String(), Type.String(), { description: 'What one euro is worth, by currency.' }),
});

export const putRatesRoute: Route = {
  method: 'PUT',
  path: '/v1/rates',
  scope: 'admin',
  streams: [ratesStream, euroSettingsStream, reportsStream],
  summary: 'Put exchange rates, and how reports are converted',
  description:
    'The file of the European Central Bank (eurofxref-hist.csv) as it is, or JSON: {"rates":[{"date":"2020-01-31","currency":"NOK","rate":"10.1893"}],"policy":"period_end","fixed":{"NOK":"10"}}, each part optional. A rate is what one euro is worth. Reports are converted again.',
  query: Type.Object({
    source: Type.Optional(
      Type.String({ maxLength: 200, description: 'Where the rates come from; kept with them.' }),
    ),
  }),
  takes: { file: ['text/csv', 'application/json'] },
  paged: false,
  answers: Type.Object({
    ...Settings.properties,
    rates: Type.Integer({ description: 'How many came.' }),
    new: Type.Integer(),
    changed: Type.Integer(),
    reports: Type.Integer({ description: 'Reports that were converted anew.' }),
  }),
  async answer({ tallybook, upload, query, source }) {
    const text = await textOf(tallybook, upload!);
    await rm(upload!.path, { force: true });
    const json = text.trimStart().startsWith('{');
    const given: Given = json ? ratesOfJson(text) : { rates: ratesOfTable(text) };
    const from = query.source ?? (json ? 'given' : 'European Central Bank');
    const counts = await writeRates(tallybook, given.rates, from, source.name);
    return underwayOf(tallybook).turns.run(async () => {
      const settings = await putSettings(tallybook, given, source.name);
      const reports = await convertAgain(tallybook, source.name);
      return { body: { ...settings, rates: given.rates.length, ...counts, reports } };
    });
  },
};

export const getRatesRoute: Route = {
  method: 'GET',
  path: '/v1/rates',
  scope: 'read',
  streams: [ratesStream, euroSettingsStream],
  summary: 'How reports are converted, and from when to when there are rates',
  description: 'The rates themselves are records of the stream exchange_rates.',
  paged: false,
  answers: Type.Object({
    ...Settings.properties,
    currencies: Type.Array(
      Type.Object({
        currency: Type.String(),
        first: Type.String(),
        last: Type.String(),
        days: Type.Integer(),
      }),
    ),
  }),
  async answer({ tallybook }) {
    const { rows, from, as_of } = await tallybook.ask(ratesStream.name, {
      by: ['currency'],
      measures: ['min(date)', 'max(date)', 'count'],
    });
    const currencies = rows.map(([currency, first, last, days]) => ({ currency, first, last, days }));
    return { body: { ...(await euroSettings(tallybook)), currencies }, origin: { from, as_of } };
  },
};

async function textOf(tallybook: Tallybook, { path, compression }: Upload): Promise<string> {
  let plain = path;
  if (compression !== 'none') {
    plain = tallybook.spoolPath();
    await unpackFile(path, plain, compression);
  }
  try {
    const { size } = await stat(plain);
    if (size > limits.control_body_bytes)
      throw new TallybookError(
        'too_large',
        `${size} bytes of rates; at most ${limits.control_body_bytes} are taken: send them in parts`,
      );
    return (await readFile(plain, 'utf8')).replace(/^\ufeff/, '');
  } finally {
    if (plain !== path) await rm(plain, { force: true });
  }
}

function ratesOfJson(text: string): Given {
  let value: unknown;
  try {
    // Digits beyond a double are kept: every number is read as a string.
    const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g, (part) =>
      part.startsWith('"') ? part : `"${part}"`,
    );
    value = JSON.parse(exact);
  } catch {
    throw bad('the body is no JSON');
  }
  if (!Value.Check(GivenSchema, value)) {
    const [error] = Value.Errors(GivenSchema, value);
    throw bad(
      `the body ${error?.instancePath ?? ''} ${error?.message ?? 'is wrong'}; expected {"rates":[…],"policy":…,"fixed":{…}}`,
    );
  }
  const fixed =
    value.fixed &&
    Object.fromEntries(
      Object.entries(value.fixed).map(([currency, rate]) => [
        checkCurrency(currency),
        checkRate(`fixed ${currency}`, rate),
      ]),
    );
  const rates = (value.rates ?? []).map(({ date, currency, rate }) =>
    checked(date, currency, rate, `${date} ${currency}`),
  );
  return { rates, policy: value.policy, fixed };
}

function checkCurrency(currency: string): string {
  if (/^[A-Z]{3}$/.test(currency)) return currency;
  throw bad(`${currency.slice(0, 60)} is no currency; expected a code such as NOK`);
}

function checked(date: string, currency: string, rate: string, what: string): GivenRate {
  if (parseDate(date) === undefined)
    throw bad(`${what}: there is no date ${date.slice(0, 60)}; expected one such as 2020-01-31`);
  return { date, currency: checkCurrency(currency), rate: checkRate(`the rate of ${what}`, rate) };
}

/** A table of rates: the first column is the date, every other one a currency. Throws `bad_request`. */
export function ratesOfTable(text: string): GivenRate[] {
  const rows = text
    .split(/\r?\n/)
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter((cells) => cells.some((cell) => cell !== ''));
  const [header = [], ...days] = rows;
  if (header[0]?.toLowerCase() !== 'date' || header.length < 2)
    throw bad(
      'the first line names no "Date" and currencies; expected the layout of eurofxref-hist.csv: Date,USD,JPY,…',
    );
  // A comma at the end of a line opens a column without a name.
  while (header.at(-1) === '') header.pop();
  const currencies = header.slice(1).map(checkCurrency);
  return days.flatMap(([date = '', ...cells], index) => {
    const place = `line ${index + 2}`;
    const more = cells.slice(currencies.length).filter((cell) => cell !== '');
    if (cells.length < currencies.length || more.length > 0)
      throw bad(`${place} has ${cells.length} rates; expected ${currencies.length}, as the first line has`);
    return currencies.flatMap((currency, column) => {
      const cell = cells[column]!;
      return cell === '' || cell === 'N/A' ? [] : [checked(date, currency, cell, `${place}, ${currency}`)];
    });
  });
}

async function putSettings(
  tallybook: Tallybook,
  { policy, fixed }: Given,
  source: string,
): Promise<EuroSettings> {
  const before = await euroSettings(tallybook);
  if (!policy && !fixed) return before;
  const settings = { policy: policy ?? before.policy, fixed: fixed ?? before.fixed };
  const texts = [JSON.stringify({ id: 'deployment', ...settings })];
  await tallybook.write({
    stream: tallybook.streams.get(euroSettingsStream.name),
    mode: 'upsert',
    source,
    reason: undefined,
    content: { kind: 'texts', texts, fallbackIds: [''] },
    allVerdicts: false,
  });
  return settings;
}

/** Writes all of them in one commit. Known ones change nothing. */
async function writeRates(
  tallybook: Tallybook,
  rates: GivenRate[],
  from: string,
  source: string,
): Promise<{ new: number; changed: number }> {
  if (rates.length === 0) return { new: 0, changed: 0 };
  const path = tallybook.spoolPath();
  const records = rates.map((rate) =>
    JSON.stringify({ id: `${rate.date} ${rate.currency}`, ...rate, source: from }),
  );
  await writeFile(path, records.join('\n'), { mode: 0o600 });
  const { id } = await tallybook.imports.start({
    stream: tallybook.streams.get(ratesStream.name),
    path,
    name: `rates of ${from}`,
    format: 'ndjson',
    mode: 'upsert',
    source,
    deleteFile: true,
  });
  const { counts, error } = await tallybook.imports.wait(id);
  if (!counts) throw new TallybookError('import_failed', `the rates were not taken in: ${error}`);
  if (counts.rejected > 0)
    throw new Error(`${counts.rejected} rates were rejected, which were checked before`);
  return { new: counts.accepted, changed: counts.corrected };
}
