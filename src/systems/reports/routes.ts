/** Reports over HTTP: taken in, listed, read, converted, deleted. */
import { Type } from 'typebox';
import { TallybookError } from '../../engine/errors.ts';
import { limits } from '../../engine/limits.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { within } from '../../engine/within.ts';
import type { Route, RouteAnswer } from '../system.ts';
import { type Policy, policies } from './declarations.ts';
import { checkRate, Rates } from './euro.ts';
import { rejectedLines } from './rejected.ts';
import {
  asItStands,
  bad,
  findReport,
  NotFound,
  notFound,
  type Report,
  ReportSchema,
  reportOf,
  reportsDelivery,
  shownReport,
  totalsOf,
} from './report.ts';
import { linesStream, ratesStream, reportsStream } from './streams.ts';
import { deleteReport, takeIn } from './take-in.ts';
import { busy, refuseLeaving, underwayOf } from './underway.ts';

const text = (description: string) => Type.Optional(Type.String({ maxLength: 1_000, description }));
const ById = Type.Object({ id: Type.String({ maxLength: 20 }) });
const streams = [linesStream, reportsStream];

export const importRoute: Route = {
  method: 'POST',
  path: '/dsrs/import/',
  scope: 'ingest',
  streams: [...streams, ratesStream],
  summary: 'Take in a report',
  description:
    'The file as the raw body, plain or gzip, or as multipart. Its name tells service, territory, currency and period. The same content again is the same report.',
  query: Type.Object({
    name: text("The file's name, where it is not sent as Content-Disposition or kept inside of the gzip."),
    currency: text('Of a name that says none, as those of DDEX.'),
    policy: Type.Optional(
      Type.Enum([...policies], { description: "How it is converted; the deployment's way when not given." }),
    ),
    rate: text('For policy=fixed: what one euro is worth.'),
    supersede: text('The id of the report that it takes the place of.'),
    wait: text(
      `Seconds to wait for the end, at most ${limits.import_wait_seconds}; ${limits.import_wait_default_seconds} when not given.`,
    ),
  }),
  takes: { file: ['text/tab-separated-values', 'text/plain', 'application/gzip', 'application/x-gzip'] },
  paged: false,
  answers: { 200: ReportSchema, 202: ReportSchema },
  async answer({ tallybook, upload, query, source }): Promise<RouteAnswer> {
    const seconds = checkWait(query.wait);
    const { path, name, compression } = upload!;
    const { report } = await takeIn(tallybook, {
      path,
      name: query.name ?? name,
      compression,
      currency: query.currency,
      policy: query.policy as Policy | undefined,
      rate: query.rate,
      supersede: query.supersede,
      source: source.name,
      deleteFile: true,
    });
    const ended = await endWithin(tallybook, report, seconds);
    if (ended.status === 'failed')
      throw new TallybookError('import_failed', `report ${ended.id}: ${ended.error}`);
    const body = (await shown(tallybook, [ended]))[0];
    const headers = { location: `/dsrs/${ended.id}` };
    return { status: ended.status === 'in_progress' ? 202 : 200, headers, body };
  },
};

function checkWait(given: string | undefined): number {
  if (given === undefined) return limits.import_wait_default_seconds;
  const seconds = /^[0-9]{1,4}$/.test(given) ? Number(given) : -1;
  if (seconds < 0 || seconds > limits.import_wait_seconds)
    throw bad(`wait is ${given}; expected seconds from 0 to ${limits.import_wait_seconds}`);
  return seconds;
}

async function endWithin(tallybook: Tallybook, report: Report, seconds: number): Promise<Report> {
  if (report.status !== 'in_progress') return report;
  await within(Promise.resolve(underwayOf(tallybook).ends.get(report.id)), seconds);
  return (await findReport(tallybook, String(report.id))) ?? report;
}

/** With the sums of their lines. */
async function shown(tallybook: Tallybook, reports: Report[]) {
  const totals = await totalsOf(
    tallybook,
    reports.map(({ id }) => id),
  );
  return reports.map((report) => shownReport(report, totals.get(report.id)));
}

export const listRoute: Route = {
  method: 'GET',
  path: '/dsrs/',
  scope: 'read',
  streams,
  summary: 'List reports',
  description: 'The newest first.',
  paged: true,
  answers: Type.Array(ReportSchema),
  async answer({ tallybook, page }) {
    const { records, next } = await tallybook.records(reportsStream.name, {}, { ...page, newestFirst: true });
    const reports = records.map((entry) => reportOf(tallybook, entry));
    const standing = await Promise.all(reports.map((report) => asItStands(tallybook, report)));
    return { body: await shown(tallybook, standing), next };
  },
};

export const reportRoute: Route = {
  method: 'GET',
  path: '/dsrs/:id/',
  scope: 'read',
  streams,
  summary: 'Read a report',
  description: 'How it stands, with the sums of its lines and what happened to it.',
  params: ById,
  paged: false,
  answers: {
    200: Type.Object({
      ...ReportSchema.properties,
      log: Type.Array(Type.Object({ at: Type.String(), message: Type.String() })),
    }),
    404: NotFound,
  },
  async answer({ tallybook, params }) {
    let report = await findReport(tallybook, params.id!);
    // What follows from its end is awaited: it is short.
    if (report?.status === 'ingested') {
      await underwayOf(tallybook).ends.get(report.id);
      report = await findReport(tallybook, params.id!);
    }
    if (!report) return notFound;
    const [body] = await shown(tallybook, [report]);
    return { body: { ...body, log: report.log } };
  },
};

export const rejectedRoute: Route = {
  method: 'GET',
  path: '/dsrs/:id/rejected',
  scope: 'read',
  streams,
  summary: 'Download the rejected lines of a report',
  description: 'As TSV: line, column, value, reason.',
  params: ById,
  paged: false,
  answers: { 200: Type.String(), 404: NotFound },
  async answer({ tallybook, params }) {
    const report = await findReport(tallybook, params.id!);
    if (!report) return notFound;
    return {
      text: rejectedLines(tallybook, report),
      contentType: 'text/tab-separated-values; charset=utf-8',
      fileName: `rejected-${report.id}.tsv`,
    };
  },
};

export const convertRoute: Route = {
  method: 'PUT',
  path: '/dsrs/:id/rate',
  scope: 'admin',
  streams: [...streams, ratesStream],
  summary: 'Say how a report is converted to euro',
  description: 'With null as the policy it is converted as all others are.',
  params: ById,
  takes: {
    json: Type.Object(
      {
        policy: Type.Union([Type.Enum([...policies]), Type.Null()]),
        rate: Type.Optional(
          Type.Union([Type.String(), Type.Number()], { description: 'For fixed: what one euro is worth.' }),
        ),
      },
      { additionalProperties: false },
    ),
  },
  paged: false,
  answers: { 200: ReportSchema, 404: NotFound },
  async answer({ tallybook, params, body, source }) {
    const { policy, rate } = body as { policy: Policy | null; rate?: string | number };
    if (rate !== undefined && policy !== 'fixed') throw bad('a rate is given; that needs the policy fixed');
    const fixed_rate = rate === undefined ? null : checkRate('rate', String(rate));
    const converted = await underwayOf(tallybook).turns.run(async () => {
      const report = await findReport(tallybook, params.id!);
      if (!report) return undefined;
      if (report.status === 'in_progress') throw busy(`report ${report.id} is being taken in`);
      refuseLeaving(tallybook, report.id);
      const given = { ...report, policy, fixed_rate };
      const converted = { ...given, ...(await new Rates(tallybook).of(given)) };
      await tallybook.write(reportsDelivery(tallybook, source.name, { put: [converted] }));
      return converted;
    });
    return converted ? { body: (await shown(tallybook, [converted]))[0] } : notFound;
  },
};

export const deleteRoute: Route = {
  method: 'DELETE',
  path: '/dsrs/:id/',
  scope: 'admin',
  streams,
  summary: 'Delete a report',
  description: 'It and its lines are gone from every figure in one commit. Answers what went.',
  params: ById,
  paged: false,
  answers: { 200: ReportSchema, 404: NotFound },
  async answer({ tallybook, params, source }) {
    const report = await findReport(tallybook, params.id!);
    if (!report) return notFound;
    const [body] = await shown(tallybook, [report]);
    return (await deleteReport(tallybook, report.id, source.name)) ? { body } : notFound;
  },
};
