/**
 * What is written where: results to stdout, everything about them (progress, receipts' hints, warnings) to stderr, so
 * that a result can be piped. Colours only in a terminal; `NO_COLOR` is respected.
 */
import type { WriteStream } from 'node:tty';

const styles = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;
type Target = NodeJS.WriteStream;

/** The text in a style, if the stream is a terminal that shows it. */
export function style(name: keyof typeof styles, text: string, stream: Target = process.stdout): string {
  if (!stream.isTTY || !(stream as WriteStream).hasColors()) return text;
  const [on, off] = styles[name];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** A line of the result. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** A document for machines, on one line. */
export function printJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

/** A line about the result. */
export function note(line = ''): void {
  process.stderr.write(`${line}\n`);
}

/** Writes a piece of a large result, at the reader's pace. */
export function write(text: string | Buffer, stream: NodeJS.WritableStream = process.stdout): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** How many characters fit beside each other; undefined where nobody looks. */
export function widthOf(stream: Target): number | undefined {
  return stream.isTTY ? stream.columns : undefined;
}

/** A reader that went away (`| head`) is no error: there is nothing left to say. */
export function leaveWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw error;
  });
}
