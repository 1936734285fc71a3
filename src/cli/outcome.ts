/**
 * How a command ends: its exit code, and what it says when it fails.
 *
 * A coded error (engine/errors.ts) is told in words that say what to change; anything else is a defect of ours and is
 * told with its stack. With `--json` an error is one line of JSON on stderr: `{"error":{"code","title","detail"}}`.
 */
import { CommanderError } from 'commander';
import { type ErrorCode, errorRegister, TallybookError } from '../engine/errors.ts';
import { note, style } from './terminal.ts';

export const exitCodes = {
  /** All of it is done. */
  ok: 0,
  /** Nothing of it is done; the message says why. */
  failed: 1,
  /** The command was not understood, or its settings cannot be used. */
  usage: 2,
  /** Done, but some records were rejected or conflict with what stands. */
  partly: 3,
  /** `verify` found a difference, or a backfill at its end. */
  differences: 4,
  /** Stopped by Ctrl-C, before it was done. */
  interrupted: 130,
} as const;

export const exitCodesHelp = `
Exit codes: ${exitCodes.ok} done, ${exitCodes.failed} failed, ${exitCodes.usage} not understood, ${exitCodes.partly} some records were refused, ${exitCodes.differences} differences were found, ${exitCodes.interrupted} interrupted.`;

/** Thrown by what was stopped by Ctrl-C, after it has tidied up. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/** A server could not be reached, or broke off. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

/** The command line was not understood. */
export function usageError(message: string): CommanderError {
  return new CommanderError(exitCodes.usage, 'tallybook.usage', message);
}

/** Tells an error on stderr, unless it has been told, and sets the exit code. */
export function fail(error: unknown, json: boolean): void {
  process.exitCode = exitCodeOf(error);
  if (error instanceof CommanderError && error.code.startsWith('commander.')) {
    // Commander has written it already, in words, unless it is for machines.
    const detail =
      error.code === 'commander.help'
        ? 'a command is missing; --help lists them'
        : error.message.replace(/^error: /, '');
    if (json && process.exitCode !== exitCodes.ok)
      writeJson('usage', 'The command was not understood', detail);
    return;
  }
  const { code, title, detail } = describe(error);
  if (json) writeJson(code, title, detail);
  else {
    note(`${style('red', 'error:', process.stderr)} ${detail}`);
    if (code === 'unauthenticated') note('At the command line: --key KEY, or the variable TALLYBOOK_KEY.');
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return exitCodes.interrupted;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof TallybookError && error.code === 'bad_settings') return exitCodes.usage;
  return exitCodes.failed;
}

function describe(error: unknown): { code: string; title: string; detail: string } {
  if (error instanceof TallybookError) return { code: error.code, title: error.title, detail: error.message };
  if (error instanceof Interrupted)
    return { code: 'interrupted', title: 'Stopped before it was done', detail: error.message };
  if (error instanceof Unreachable)
    return { code: 'unreachable', title: 'The server cannot be reached', detail: error.message };
  if (error instanceof CommanderError)
    return { code: 'usage', title: 'The command was not understood', detail: error.message };
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
    const detail = 'there is no room left on the disk; nothing of it was kept';
    return { code: 'storage_full', title: errorRegister.storage_full.title, detail };
  }
  const system = fileErrorDetail(error);
  if (system) return { code: 'bad_request', title: errorRegister.bad_request.title, detail: system };
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: 'internal',
    title: errorRegister.internal.title,
    detail: `something went wrong on our side: ${detail}`,
  };
}

function writeJson(code: ErrorCode | string, title: string, detail: string): void {
  process.stderr.write(`${JSON.stringify({ error: { code, title, detail } })}\n`);
}

const fileErrors: Record<string, string> = {
  ENOENT: 'it is not there',
  EACCES: 'it may not be used by this user',
  EPERM: 'it may not be used by this user',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is no directory',
  EROFS: 'the file system is read-only',
};

/** What the system says of a file, in words; undefined for any other error. */
function fileErrorDetail(error: unknown): string | undefined {
  const { code, path } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : fileErrors[code];
  return words && path ? `${path} cannot be used: ${words}` : undefined;
}
