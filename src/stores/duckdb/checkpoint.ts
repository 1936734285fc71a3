/**
 * Checkpoints: DuckDB's log, folded into the database.
 *
 * DuckDB would begin one by itself as soon as the log is long. But a checkpoint that runs out of room on the disk ends
 * with an error after which the database answers nothing any more, until it is opened again (DuckDB 1.5). So one is begun
 * only where there is room for what it may write; else the log goes on growing, and the commit that finds no room for
 * that is refused alone.
 */
import { stat } from 'node:fs/promises';
import type { Connection } from './connection.ts';
import { roomFor } from './room.ts';

/**
 * Whoever commits next waits for it: for 0.1 to 0.5 s. At DuckDB's default of 16 MB that is every few seconds of a busy
 * day; replaying 256 MB at a start takes about 2 s.
 */
const longLogBytes = 256 * 1024 * 1024;
/** What it writes beside what stands in the log: rows of which others were deleted are written anew. */
const otherBytes = 32 * 1024 * 1024;

export async function isLogLong(database: string): Promise<boolean> {
  return (await logBytes(database)) > longLogBytes;
}

/**
 * Returns false when there is no room for it. The caller holds the writer's lock.
 * @param attached the name under which the database is attached, where it is not the ledger itself
 */
export async function checkpoint(writer: Connection, database: string, attached = ''): Promise<boolean> {
  if ((await roomFor(database)) < 2 * (await logBytes(database)) + otherBytes) return false;
  await writer.execute(`checkpoint ${attached}`);
  return true;
}

/** 0 where there is none. */
export async function logBytes(database: string): Promise<number> {
  return (await stat(`${database}.wal`).catch(() => undefined))?.size ?? 0;
}
