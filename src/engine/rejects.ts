/**
 * Rejects: what was refused, kept with the reason and the original (SPEC 1.5). They can be listed, grouped, fixed
 * and replayed, or discarded with a reason. What passes on replay leaves the list in the same commit, so it can never
 * count twice and never be lost.
 */
import { rejectsStream } from './built-in-streams.ts';
import type { Every } from './calendar.ts';
import { TallybookError } from './errors.ts';
import { mergePatch, objectMembers } from './exact-json.ts';
import { findForm } from './forms.ts';
import { limits } from './limits.ts';
import { askBook, bookDelivery, standingInBook } from './own-books.ts';
import { type Page, pageOfEntries } from './pages.ts';
import { type AskedQuestion, checkSelection } from './question.ts';
import {
  type Reject,
  type RejectChoice,
  type RejectFilter,
  type RejectGrouping,
  rejectGroupings,
  rejectOfValues,
  selectionOf,
} from './reject-records.ts';
import type { Delivery, Store, TextDelivery } from './store.ts';
import type { Stream } from './stream.ts';
import { countOfVerdict, noCounts, type Receipt, type Verdict, type VerdictCounts } from './verdicts.ts';

export type { Reject, RejectChoice, RejectFilter, RejectGrouping };
export { rejectGroupings };

export interface RejectGroup {
  /** By the fields it is grouped by; they may be paths into the original. */
  key: Record<string, string | null>;
  /** Where it is grouped by time, too. */
  bucket: string | undefined;
  count: number;
  first_seen: string;
  last_seen: string;
  sample: Reject | null;
}

export interface Replay extends VerdictCounts {
  received: number;
  /** One for each reject; `rejected` and `conflict` stay in the list. */
  verdicts: (Omit<Verdict, 'index'> & { reject: string; stream: string })[];
  /** Ids that are not in the list of rejects (any more). */
  not_open: string[];
  /** There are more that fit the filter; replay again. */
  more: boolean;
}

export interface RejectsLedger {
  store: Store;
  write(delivery: Delivery): Promise<Receipt>;
  stream(name: string): Stream;
}

interface Change {
  patch: string | undefined;
  mode: 'insert' | 'upsert' | undefined;
}

export interface ReplayGroup {
  /** By position in the delivery. */
  rejects: Reject[];
  delivery: TextDelivery;
}

export interface ToReplay {
  groups: ReplayGroup[];
  /** Bytes that are no text, and cannot be sent again as they are. */
  noTexts: Reject[];
  notOpen: string[];
  /** There are more than are sent at a time. */
  more: boolean;
}

export class Rejects {
  readonly #ledger: RejectsLedger;

  constructor(ledger: RejectsLedger) {
    this.#ledger = ledger;
  }

  /** Those that are open, newest first unless asked otherwise. */
  async list(filter: RejectFilter, page: Page): Promise<{ rejects: Reject[]; next: string | undefined }> {
    const selection = checkSelection(rejectsStream, selectionOf(filter));
    const newestFirst = page.newestFirst ?? true;
    const request = { ...selection, stream: rejectsStream, standing: true, newestFirst };
    const { entries, next } = await pageOfEntries(this.#ledger.store, request, page);
    return { rejects: entries.map(({ values }) => rejectOfValues(values)), next };
  }

  async count(filter: RejectFilter): Promise<number> {
    const asked = { ...selectionOf(filter), measures: ['count'] };
    const { rows } = await askBook(this.#ledger.store, rejectsStream, asked);
    return rows[0]![0] as number;
  }

  /** The open ones in groups, largest first, each with a sample. */
  async group(filter: RejectFilter, by: string[], every: Every = 'all'): Promise<RejectGroup[]> {
    const { store } = this.#ledger;
    const { columns, rows } = await askBook(store, rejectsStream, {
      ...selectionOf(filter),
      by,
      every,
      measures: ['count', 'min(at)', 'max(at)', 'max(id)'],
      order: ['-count'],
      limit: limits.page_rows,
    });
    const at = (name: string) => columns.findIndex((column) => column.name === name);
    const ids = rows.map((row) => row[at('max(id)')] as string);
    const samples = ids.length === 0 ? [] : await standingInBook(store, rejectsStream, { id: { in: ids } });
    const sampleOf = new Map(samples.map(({ id, values }) => [id, rejectOfValues(values)]));
    return rows.map((row, index) => ({
      key: Object.fromEntries(by.map((field) => [field, row[at(field)] as string | null])),
      bucket: every === 'all' ? undefined : (row[at(every)] as string),
      count: row[at('count')] as number,
      first_seen: row[at('min(at)')] as string,
      last_seen: row[at('max(at)')] as string,
      sample: sampleOf.get(ids[index]!) ?? null,
    }));
  }

  /** A reject, also one that has left the list: then with when and why. Throws `unknown_reject`. */
  async get(id: string): Promise<Reject & { left: { at: string; reason: string | null } | null }> {
    const { standing, lines } = await this.#ledger.store.fate(rejectsStream, id);
    if (standing) return { ...rejectOfValues(standing.values), left: null };
    const gone = lines.findLast((line) => line.verdict === 'retracted');
    if (gone?.values) {
      return { ...rejectOfValues(gone.values), left: { at: gone.recorded_at, reason: gone.reason } };
    }
    const detail = `there is no reject ${id.slice(0, 100)}; GET /v1/rejects lists them`;
    throw new TallybookError('unknown_reject', detail);
  }

  /**
   * Sends rejects again, changed by a JSON merge patch if one is given (its text, so that every digit is kept), in
   * another mode if one is given. At most limits.replay_rejects at a time, oldest first.
   */
  async replay(choice: RejectChoice, patch?: Change['patch'], mode?: Change['mode']): Promise<Replay> {
    if (patch !== undefined && !objectMembers(patch)) {
      const detail = 'patch is no JSON object; expected a JSON merge patch such as {"amount":"2.50"}';
      throw new TallybookError('bad_request', detail);
    }
    const { groups, noTexts, notOpen, more } = await this.toReplay(choice, { patch, mode });
    const result: Replay = { received: 0, ...noCounts(), verdicts: [], not_open: notOpen, more };
    for (const reject of noTexts) addVerdict(result, reject, noText);
    const replayGroup = async ({ rejects, delivery }: ReplayGroup): Promise<void> => {
      const receipt = await this.#ledger.write(delivery);
      for (const verdict of receipt.verdicts) addVerdict(result, rejects[verdict.index]!, verdict);
    };
    await Promise.all(groups.map(replayGroup));
    return result;
  }

  /** What a replay sends: which rejects, in which order and deliveries. */
  async toReplay(
    choice: RejectChoice,
    change: Change = { patch: undefined, mode: undefined },
  ): Promise<ToReplay> {
    const { rejects, notOpen, more } = await this.#choose(choice);
    const noTexts: Reject[] = [];
    const groups = new Map<string, Reject[]>();
    for (const reject of rejects) {
      if (reject.encoding === 'base64' && change.patch === undefined) {
        noTexts.push(reject);
        continue;
      }
      const key = JSON.stringify([reject.stream, reject.form, reject.mode, reject.source]);
      const group = groups.get(key);
      if (group) group.push(reject);
      else groups.set(key, [reject]);
    }
    const replayed = [...groups.values()].map((group) => ({
      rejects: group,
      delivery: this.#deliveryOf(group, change),
    }));
    return { groups: replayed, noTexts, notOpen, more };
  }

  /** Takes rejects off the list; the reason is kept. Returns how many went. */
  async discard(choice: RejectChoice, reason: string): Promise<{ discarded: number; not_open: string[] }> {
    let discarded = 0;
    for (;;) {
      const { rejects, notOpen, more } = await this.#choose(choice);
      if (rejects.length > 0) {
        const ids = rejects.map(({ id }) => JSON.stringify(id));
        const taken = bookDelivery(rejectsStream, 'retract', ids, `discarded: ${reason}`);
        discarded += (await this.#ledger.write(taken)).retracted;
      }
      if (!more) return { discarded, not_open: notOpen };
    }
  }

  /** Rejects of one stream, form, mode and source: the records keep the source that sent them. */
  #deliveryOf(group: Reject[], { patch, mode }: Change): TextDelivery {
    const first = group[0]!;
    const stream = this.#ledger.stream(first.stream);
    return {
      stream,
      form: first.form === null ? undefined : findForm(stream, first.form),
      mode: first.mode === 'retract' ? 'retract' : (mode ?? first.mode),
      source: first.source,
      reason: 'replayed',
      content: {
        kind: 'texts',
        texts: group.map((reject) => patchedText(reject, patch)),
        fallbackIds: group.map((reject) => reject.record_id ?? `replay:${reject.id}`),
        replays: group.map((reject) => reject.id),
      },
      allVerdicts: true,
    };
  }

  /** The rejects that are meant, as many as one call takes, oldest first. */
  async #choose(choice: RejectChoice): Promise<{ rejects: Reject[]; notOpen: string[]; more: boolean }> {
    if (!('ids' in choice)) return { ...(await this.#oldest(selectionOf(choice.filter))), notOpen: [] };
    const { ids, among } = choice;
    if (ids.length > limits.replay_rejects) {
      const detail = `${ids.length} ids; at most ${limits.replay_rejects} at a time`;
      throw new TallybookError('bad_request', detail);
    }
    if (ids.length === 0) return { rejects: [], notOpen: [], more: false };
    const { rejects, more } = await this.#oldest(selectionOf({ among }, ids));
    const found = new Set(rejects.map(({ id }) => id));
    return { rejects, more, notOpen: more ? [] : ids.filter((id) => !found.has(id)) };
  }

  /** As many as are taken at a time, by number and by bytes. */
  async #oldest(asked: AskedQuestion): Promise<{ rejects: Reject[]; more: boolean }> {
    const selection = checkSelection(rejectsStream, asked);
    const rejects: Reject[] = [];
    let after: string | undefined;
    let bytes = 0;
    for (;;) {
      const page = await this.#ledger.store.entries({
        ...selection,
        stream: rejectsStream,
        standing: true,
        newestFirst: false,
        after,
        limit: pageRows,
      });
      for (const { values } of page) {
        const reject = rejectOfValues(values);
        bytes += reject.original.length;
        const full = rejects.length === limits.replay_rejects || bytes > limits.batch_bytes;
        if (full && rejects.length > 0) return { rejects, more: true };
        rejects.push(reject);
      }
      if (page.length < pageRows) return { rejects, more: false };
      after = page.at(-1)!.seq;
    }
  }
}

const pageRows = 500;

const noText = {
  id: null,
  verdict: 'rejected',
  code: 'unreadable',
  message: 'its bytes are no UTF-8 text; replay it with a patch that gives the whole record',
} as const;

/** Bytes that are no text are replaced by the patch; so is text that is no JSON object, as a merge patch has it. */
function patchedText(reject: Reject, patch: string | undefined): string {
  if (patch === undefined) return reject.original;
  const target = reject.encoding === 'utf8' && objectMembers(reject.original) ? reject.original : 'null';
  return mergePatch(target, patch);
}

function addVerdict(
  result: Replay,
  reject: Reject,
  verdict: Omit<Verdict, 'index'> & { index?: number },
): void {
  const { index: _, ...rest } = verdict;
  result.received += 1;
  result[countOfVerdict[verdict.verdict]] += 1;
  result.verdicts.push({ reject: reject.id, stream: reject.stream, ...rest });
}
