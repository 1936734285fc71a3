/**
 * Lists in pages. A cursor is opaque to those who use it: inside is where the page before ended, the seq of its last entry
 * or the values of its last row.
 */
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import type { EntriesRequest, Entry, Store } from './store.ts';

export interface Page {
  /** Entries in a page; limits.page_rows_default when not given. */
  size?: number | undefined;
  cursor?: string | undefined;
  newestFirst?: boolean | undefined;
}

export function pageSize(page: Page): number {
  const size = page.size ?? limits.page_rows_default;
  if (!Number.isInteger(size) || size < 1 || size > limits.page_rows) {
    throw new TallybookError(
      'bad_request',
      `page_size is ${size}; expected a whole number from 1 to ${limits.page_rows}`,
    );
  }
  return size;
}

/** A cursor of an answer: the values of its last row in the columns of the order. */
export function cursorOfValues(values: readonly (string | number | boolean | null)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** Throws `bad_request` for a cursor of another list. */
export function valuesOfCursor(cursor: string, count: number): (string | number | boolean | null)[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(values) && values.length === count) return values;
  } catch {
    // Told below.
  }
  throw foreignCursor(cursor);
}

function foreignCursor(cursor: string): TallybookError {
  return new TallybookError(
    'bad_request',
    `the cursor ${cursor.slice(0, 60)} was not made by this server; take it from "next" of the page before`,
  );
}

export function seqOfCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const seq = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^[0-9]{1,19}$/.test(seq)) throw foreignCursor(cursor);
  return seq;
}

export function cursorOf(entry: Pick<Entry, 'seq'>): string {
  return Buffer.from(entry.seq, 'latin1').toString('base64url');
}

/** One page of a list of entries. One more than it holds is read: that one says that there is a next page. */
export async function pageOfEntries(
  store: Store,
  request: Omit<EntriesRequest, 'after' | 'limit'>,
  page: Page,
): Promise<{ entries: Entry[]; next: string | undefined }> {
  const size = pageSize(page);
  const found = await store.entries({ after: seqOfCursor(page.cursor), limit: size + 1, ...request });
  const entries = found.slice(0, size);
  return { entries, next: found.length > size ? cursorOf(entries.at(-1)!) : undefined };
}
