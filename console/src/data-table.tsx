/** A table that a screen reader can read and a keyboard can scroll. */
import type { ReactElement, ReactNode } from 'react';

export interface Column<T> {
  title: ReactNode;
  /** Key of the column, where the title is no text or not the only one. */
  key?: string;
  end?: boolean;
  nowrap?: boolean;
  cell(row: T): ReactNode;
}

export function DataTable<T>({
  label,
  columns,
  rows,
  keyOf,
  rowClass,
}: {
  label: string;
  columns: Column<T>[];
  rows: readonly T[];
  keyOf(row: T, at: number): string | number;
  rowClass?: (row: T) => string | undefined;
}): ReactElement {
  const classOf = ({ end, nowrap }: Column<T>): string | undefined =>
    end ? 'end' : nowrap ? 'nowrap' : undefined;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="scroller" tabIndex={0} aria-label={label}>
      <table className="data">
        <thead>
          <tr>
            {columns.map((column, at) => (
              <th
                key={column.key ?? (typeof column.title === 'string' ? column.title : at)}
                scope="col"
                className={classOf(column)}
              >
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={keyOf(row, at)} className={rowClass?.(row)}>
              {columns.map((column, place) => (
                <td
                  key={column.key ?? (typeof column.title === 'string' ? column.title : place)}
                  className={classOf(column)}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
