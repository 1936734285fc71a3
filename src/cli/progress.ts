/**
 * Progress of long work, on stderr: a bar in a terminal; where it is none, a line every few seconds, so that a log
 * tells how far the work is and stays short.
 */
import { type Options, SingleBar } from 'cli-progress';
import { secondsFigure, secondsSince } from './figures.ts';
import { note, style } from './terminal.ts';

export interface Progress {
  /** Of the work, 0 to 1; undefined while it is not known. */
  update(fraction: number | undefined, text: string): void;
}

interface Shown extends Progress {
  end(): void;
}

const lineEveryMilliseconds = 2_000;
const barCharacters = 24;

/** Shows the progress of some work while it lasts; what goes to the terminal after it stands where the bar was. */
export async function withProgress<T>(
  title: string,
  quiet: boolean | undefined,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  if (quiet) return work({ update: () => undefined });
  const shown = process.stderr.isTTY ? bar(title) : lines(title);
  try {
    return await work(shown);
  } finally {
    shown.end();
  }
}

/** Time left, from how long the part that is done took; undefined before there is anything to judge by. */
function timeLeft(fraction: number | undefined, seconds: number): string | undefined {
  if (fraction === undefined || fraction < 0.02 || fraction >= 1 || seconds < 0.5) return undefined;
  return `${secondsFigure(Math.ceil((seconds * (1 - fraction)) / fraction))} left`;
}

function bar(title: string): Shown {
  const started = performance.now();
  const format = (
    options: Options,
    { progress }: { progress: number },
    payload: { text?: string; known?: boolean },
  ): string => {
    const filled = Math.round(progress * barCharacters);
    const shape =
      style('cyan', (options.barCompleteString ?? '').slice(0, filled), process.stderr) +
      style('dim', (options.barIncompleteString ?? '').slice(0, barCharacters - filled), process.stderr);
    const percent = payload.known ? `${String(Math.floor(progress * 100)).padStart(3)} %` : '     ';
    const seconds = secondsSince(started);
    const left = timeLeft(payload.known ? progress : undefined, seconds) ?? secondsFigure(seconds);
    return [`${title} ${shape} ${percent}`, payload.text, left].filter(Boolean).join('  ');
  };
  const shown = new SingleBar({
    format: format as unknown as string,
    stream: process.stderr,
    barsize: barCharacters,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: false,
    clearOnComplete: true,
    fps: 10,
    linewrap: false,
    gracefulExit: false,
  });
  shown.start(1, 0, { text: '', known: false });
  return {
    update: (fraction, text) => shown.update(fraction ?? 0, { text, known: fraction !== undefined }),
    end: () => shown.stop(),
  };
}

function lines(title: string): Shown {
  const started = performance.now();
  let last = started;
  note(`${title.trimEnd()} …`);
  return {
    update(fraction, text) {
      const now = performance.now();
      if (now - last < lineEveryMilliseconds) return;
      last = now;
      const seconds = (now - started) / 1000;
      const percent = fraction === undefined ? undefined : `${Math.floor(fraction * 100)} %`;
      note(
        [title.trimEnd(), percent, text, secondsFigure(seconds), timeLeft(fraction, seconds)]
          .filter(Boolean)
          .join(', '),
      );
    },
    end: () => undefined,
  };
}
