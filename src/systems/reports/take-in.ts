/**
 * Taking in a report: what its name says, whether its content is known already, then one import that brings its lines.
 * The report's record is written whenever the state of its import is, and that it is ingested in the same commit as its
 * lines: so the two never differ, and what fails has left nothing.
 */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { formatTimestamp, nowMicros } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { type Form, makeForm } from '../../engine/forms.ts';
import { contentHash } from '../../engine/import-content.ts';
import { type ImportCounts, type ImportState, stateDelivery } from '../../engine/import-state.ts';
import type { Compression, Delivery } from '../../engine/store.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { unpacker } from '../../engine/unpack.ts';
import { type BlankLines, BlankLinesFinder } from './blank-lines.ts';
import type { Policy } from './declarations.ts';
import { checkRate, convertPassedOver, Rates } from './euro.ts';
import { nameInGzip } from './gzip-name.ts';
import {
  asItStands,
  bad,
  findReport,
  importOf,
  type Report,
  reportsDelivery,
  reportsWhere,
} from './report.ts';
import { type NamedReport, readReportName } from './report-name.ts';
import { linesStream } from './streams.ts';
import { leave, underwayOf } from './underway.ts';

export interface ReportFile {
  path: string;
  /** As its sender calls it. */
  name: string | undefined;
  compression: Compression;
  /** Of a name that says none. */
  currency?: string | undefined;
  policy?: Policy | undefined;
  rate?: string | undefined;
  /** The report that it takes the place of. */
  supersede?: string | undefined;
  /** Name of the source that sends it. */
  source: string;
  deleteFile: boolean;
}

/**
 * Starts to take a report in. The same content again is the report that it was.
 * Throws `bad_request`, with nothing stored, for a name that cannot be read.
 */
export async function takeIn(
  tallybook: Tallybook,
  file: ReportFile,
): Promise<{ report: Report; known: boolean }> {
  const discard = async () => {
    if (file.deleteFile) await rm(file.path, { force: true });
  };
  try {
    const { named, warnings } = await nameOf(file);
    const given = checkPolicy(file);
    const content = await readContent(file);
    return await underwayOf(tallybook).turns.run(async () => {
      const known = await withChecksum(tallybook, content.checksum);
      if (known) {
        await discard();
        return { report: known, known: true };
      }
      const replaced = await replacedBy(tallybook, file.supersede);
      const report = await start(tallybook, file, { ...named, ...given, ...content, warnings }, replaced);
      return { report, known: false };
    });
  } catch (error) {
    await discard();
    throw error;
  }
}

/** The name inside of a gzip counts before the one that it was sent with: files are renamed more often than packed. */
async function nameOf({
  path,
  name,
  compression,
  currency,
}: ReportFile): Promise<{ named: NamedReport; warnings: string[] }> {
  const inside = compression === 'gzip' ? await nameInGzip(path) : undefined;
  if (inside !== undefined) {
    let named: NamedReport | undefined;
    try {
      named = readReportName(inside, currency);
    } catch (error) {
      // A name that says nothing of a report is no better than none.
      if (name === undefined) throw error;
    }
    if (named) return { named, warnings: disagreement(named, name) };
  }
  if (name === undefined)
    throw bad(
      'the report has no name; send one as name=…, as Content-Disposition, or inside of the gzip, such as Service_Product_NO_NOK_20200101-20200131.tsv.gz',
    );
  return { named: readReportName(name, currency), warnings: [] };
}

async function readContent({
  path,
  compression,
}: ReportFile): Promise<{ checksum: string; blank_lines: BlankLines | null }> {
  const finder = new BlankLinesFinder();
  const packed = compression === 'zstd';
  const checksum = await contentHash(path, compression, new AbortController().signal, (_, piece) => {
    if (!packed) finder.push(piece);
  });
  if (packed) {
    try {
      await pipeline(createReadStream(path), unpacker(compression), async (pieces: AsyncIterable<Buffer>) => {
        for await (const piece of pieces) finder.push(piece);
      });
    } catch {
      // What is wrong with the file is for its import to say.
    }
  }
  finder.end();
  const { found } = finder;
  return { checksum, blank_lines: found.places.length > 0 ? found : null };
}

function disagreement(named: NamedReport, name: string | undefined): string[] {
  const sent = name?.replace(/^.*[/\\]/, '').replace(/\.gz$/i, '');
  if (sent === undefined || sent === named.path.replace(/\.gz$/i, '')) return [];
  return [`the name inside of the gzip, ${named.path}, was taken; the file was sent as ${sent}.gz`];
}

function checkPolicy({ policy, rate }: ReportFile): { policy: Policy | null; fixed_rate: string | null } {
  if (rate !== undefined && policy !== 'fixed') throw bad('a rate is given; that needs policy=fixed');
  return { policy: policy ?? null, fixed_rate: rate === undefined ? null : checkRate('rate', rate) };
}

async function withChecksum(tallybook: Tallybook, checksum: string): Promise<Report | undefined> {
  const found = await reportsWhere(tallybook, { checksum });
  const standing = await Promise.all(found.map((report) => asItStands(tallybook, report)));
  return standing.find(({ status }) => status !== 'failed');
}

async function replacedBy(tallybook: Tallybook, supersede: string | undefined): Promise<Report | undefined> {
  if (supersede === undefined) return undefined;
  const replaced = await findReport(tallybook, supersede);
  if (!replaced) throw bad(`supersede names ${supersede.slice(0, 60)}; there is no such report`);
  if (replaced.status !== 'ingested')
    throw bad(
      `supersede names report ${replaced.id}, which is ${replaced.status}; only one that is ingested can be replaced`,
    );
  return replaced;
}

type Fresh = NamedReport & Pick<Report, 'policy' | 'fixed_rate' | 'checksum' | 'blank_lines' | 'warnings'>;

async function start(
  tallybook: Tallybook,
  { path, compression, source, deleteFile }: ReportFile,
  fresh: Fresh,
  replaced: Report | undefined,
): Promise<Report> {
  const lines = tallybook.streams.get(linesStream.name);
  const rate = await new Rates(tallybook).of(fresh);
  const replacedImport = replaced && (await tallybook.imports.get(replaced.id));
  const done = replaced ? leave(tallybook, replaced.id) : () => undefined;
  let report: Report | undefined;
  /** What is written beside the state of the import. */
  const accompany = (state: ImportState): Delivery[] => {
    const now = reportAsOf(state, { ...fresh, ...rate, supersedes: replaced?.id ?? null });
    report ??= now;
    const put = reportsDelivery(tallybook, source, { put: [now] });
    if (state.status !== 'done' || !replaced || !replacedImport) return [put];
    const reason = `superseded by report ${state.id}`;
    const undone: ImportState = {
      ...replacedImport,
      status: 'undone',
      finished_at: state.finished_at,
      counts: { ...replacedImport.counts!, retracted: replaced.rows ?? 0 },
    };
    const takeBack = reportsDelivery(tallybook, source, { takeBack: [replaced.id], reason });
    return [put, takeBack, stateDelivery(undone)];
  };
  try {
    const { id } = await tallybook.imports.start({
      stream: lines,
      form: (id): Form => makeForm(lines, `report_${id}`, { fixed: { report: id } }),
      path,
      name: fresh.path,
      format: 'tsv',
      compression,
      mode: 'insert',
      source,
      deleteFile,
      sha256: fresh.checksum,
      idsOfImport: true,
      replaces: replaced?.id,
      accompany,
    });
    const { arriving, ends } = underwayOf(tallybook);
    arriving.add(id);
    const end = async () => {
      try {
        const { status } = await tallybook.imports.wait(id);
        arriving.delete(id);
        done();
        if (status === 'done' && replaced)
          await discardRejects(tallybook, replaced.id, `superseded by report ${id}`);
        await convertPassedOver(tallybook, source);
      } catch (error) {
        tallybook.log.error({ err: error, report: id }, 'what follows from the end of a report was not done');
      } finally {
        ends.delete(id);
      }
    };
    ends.set(id, end());
    return report!;
  } catch (error) {
    done();
    throw error;
  }
}

type Named = Fresh &
  Pick<Report, 'rate' | 'euro_rate' | 'rate_policy' | 'rate_source' | 'rate_date' | 'supersedes'>;

/** Throws `import_failed` for a file that was taken in and holds no lines: so it is not. */
function reportAsOf(
  { id, status, created_at, finished_at, bytes, error, counts }: ImportState,
  named: Named,
): Report {
  // The ledger asks what will be written before there is anything to count.
  if (status === 'done' && counts!.batch > 0 && counts!.received === 0)
    throw new TallybookError(
      'import_failed',
      'the file has a header and no lines; expected a line for each recording',
    );
  const warnings = [...named.warnings, ...warningsOf(counts)];
  const log = [{ at: created_at, message: `received as ${named.path}, ${bytes} bytes` }];
  const at = finished_at ?? formatTimestamp(nowMicros());
  log.push(...warnings.map((message) => ({ at, message })));
  if (counts) log.push({ at, message: `${counts.accepted} lines ingested, ${counts.rejected} rejected` });
  if (error !== null) log.push({ at, message: `failed: ${error}` });
  return {
    id,
    ...named,
    status: status === 'done' ? 'ingested' : status === 'in_progress' ? 'in_progress' : 'failed',
    created_at,
    finished_at,
    rows: counts?.accepted ?? null,
    rejected: counts?.rejected ?? null,
    warnings,
    log,
    error,
  };
}

function warningsOf(counts: ImportCounts | null): string[] {
  return (counts?.warnings ?? []).map(({ field, code, count }) => {
    const lines = count === 1 ? '1 line' : `${count} lines`;
    if (code === 'pattern_mismatch') return `${lines} with a malformed ${field}`;
    return `${lines} without ${field}${field === 'usages' || field === 'revenue' ? ', counted as 0' : ''}`;
  });
}

/** Takes a report and its lines back, in one commit; stops one that is in progress. Undefined when there is none. */
export async function deleteReport(
  tallybook: Tallybook,
  id: number,
  source: string,
): Promise<Report | undefined> {
  const { report, done } = await underwayOf(tallybook).turns.run(async () => {
    const report = await findReport(tallybook, String(id));
    return { report, done: report && leave(tallybook, id) };
  });
  if (!report) return undefined;
  const reason = `report ${id} deleted`;
  try {
    const gone = reportsDelivery(tallybook, source, { takeBack: [id], reason });
    const state = await importOf(tallybook, id);
    const ended =
      state?.status === 'in_progress' || state?.status === 'done'
        ? await tallybook.imports.withdraw(id, source, () => [gone])
        : state;
    // What never was ingested has no lines to go with.
    if (ended?.status !== 'undone' || state?.status === 'undone') await tallybook.write(gone);
    await discardRejects(tallybook, id, reason);
    return report;
  } finally {
    done?.();
    await convertPassedOver(tallybook, source);
  }
}

async function discardRejects(tallybook: Tallybook, id: number, reason: string): Promise<void> {
  await tallybook.rejects.discard({ filter: { import: id } }, reason);
}

/** Marks the reports that were cut off when the process stopped, as the ledger does with their imports. */
export async function markCutOff(tallybook: Tallybook): Promise<void> {
  const left = await reportsWhere(tallybook, { status: 'in_progress' });
  if (left.length === 0) return;
  const put = await Promise.all(left.map((report) => asItStands(tallybook, report)));
  await tallybook.write(reportsDelivery(tallybook, '_tallybook', { put }));
}
