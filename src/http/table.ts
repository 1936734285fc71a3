/** What answers and lists of records are before they have a format. */
import type { Column } from '../engine/store.ts';

export type Cell = string | number | boolean | null;
export interface Table {
  columns: Column[];
  rows: Cell[][];
}
