/**
 * What happens while a process runs, on stderr: structured lines for whoever collects them, short lines in a terminal.
 */
import type { Log } from '../engine/tallybook.ts';
import { note, style } from './terminal.ts';

export type LogFormat = 'json' | 'text';
type Level = 'info' | 'warn' | 'error';

/** As structured lines (pino), written at once: the last line before a crash is there. */
async function structuredLog(): Promise<Log> {
  const { pino } = await import('pino');
  const log: Log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return log;
}

const colours = { info: 'dim', warn: 'yellow', error: 'red' } as const;

function textLog(from: Level): Log {
  const levels: Level[] = ['info', 'warn', 'error'];
  const write =
    (level: Level) =>
    (fields: object, message: string): void => {
      if (levels.indexOf(level) < levels.indexOf(from)) return;
      const time = style('dim', new Date().toTimeString().slice(0, 8), process.stderr);
      note(`${time} ${style(colours[level], level, process.stderr)} ${message}${shown(fields)}`);
    };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

/** Short things on the line; the stack of an error below it. */
function shown(fields: object): string {
  let line = '';
  let below = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error) below += `\n  ${value.stack ?? value.message}`;
    else line += ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  }
  return style('dim', line, process.stderr) + below;
}

/** The log of a server: text in a terminal, else structured, unless it is said. */
export async function serverLog(format: LogFormat | undefined): Promise<Log> {
  return (format ?? (process.stderr.isTTY ? 'text' : 'json')) === 'json' ? structuredLog() : textLog('info');
}

/** The log of a command: only what its user should know. */
export function commandLog(): Log {
  return textLog('warn');
}
