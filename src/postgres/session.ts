/** What is needed of a connection to a PostgreSQL: statements in, rows of texts out. Who connects is not known here. */
export type Row = Record<string, string | null>;

export interface Session {
  /** Every value comes as the text that the server writes for it: no number passes through a double. */
  query(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}
