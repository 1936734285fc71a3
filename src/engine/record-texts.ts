/**
 * The records of a body in memory, each as the text of one JSON document, without parsing them: that is the
 * store's business.
 */
import { isUtf8 } from 'node:buffer';
import { TallybookError } from './errors.ts';
import { arrayElements } from './exact-json.ts';
import { limits } from './limits.ts';
import { isTooLong } from './rows.ts';
import { type TooLong, tooLong } from './too-long.ts';

export interface RecordTexts {
  texts: string[];
  /** Lines that are no UTF-8: their bytes in base64, by position; their text is ''. */
  undecodable: Map<number, string> | undefined;
  /** Those that are longer than a record may be, by position; their text is ''. */
  long: Map<number, TooLong> | undefined;
}

const byteOrderMark = '\uFEFF';

/** Cuts NDJSON at its line ends. Blank lines count for nothing. A line that is no UTF-8 spoils only itself. */
export function linesOf(bytes: Buffer): RecordTexts {
  if (isUtf8(bytes)) return boundedTexts(textsOf(withoutMark(bytes.toString())));
  const texts: string[] = [];
  const undecodable = new Map<number, string>();
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(10, at);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(at, end);
    if (isUtf8(line)) {
      texts.push(...textsOf(at === 0 ? withoutMark(line.toString()) : line.toString()));
    } else {
      undecodable.set(texts.length, line.subarray(0, limits.record_bytes).toString('base64'));
      texts.push('');
    }
    at = end + 1;
  }
  return boundedTexts(texts, undecodable);
}

function textsOf(text: string): string[] {
  const texts: string[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed !== '') texts.push(trimmed);
  }
  return texts;
}

/**
 * With those that are too long put aside.
 * @param originals what they were made from, where that is not what came
 */
export function boundedTexts(
  given: string[],
  undecodable?: Map<number, string>,
  originals: readonly string[] = given,
): RecordTexts {
  if (!given.some(isTooLong)) return { texts: given, undecodable, long: undefined };
  const long = new Map<number, TooLong>();
  const texts = given.map((text, index) => {
    if (!isTooLong(text)) return text;
    long.set(index, tooLong(text, originals[index]!));
    return '';
  });
  return { texts, undecodable, long };
}

/** The text of a body that is one JSON document. Throws `unreadable_body` for what is no UTF-8. */
export function documentText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw unreadable('it is no UTF-8');
  return withoutMark(bytes.toString());
}

/** The elements of a JSON array, each as it was written. Throws `unreadable_body` for a broken document. */
export function elementsOf(text: string): RecordTexts {
  const elements = arrayElements(text);
  if (!elements) throw unreadable(whyUnreadable(text));
  return boundedTexts(elements);
}

/** One object. Throws `unreadable_body` for a broken document, `too_large` for one that no record may be. */
export function oneText(text: string): string {
  if (isTooLong(text)) {
    const bytes = Buffer.byteLength(text);
    throw new TallybookError(
      'too_large',
      `the record has ${bytes} bytes; expected at most ${limits.record_bytes}. Nothing was kept`,
    );
  }
  try {
    JSON.parse(text);
  } catch (error) {
    throw unreadable((error as Error).message);
  }
  return text;
}

function whyUnreadable(text: string): string {
  try {
    JSON.parse(text);
    return 'it holds half of a surrogate pair';
  } catch (error) {
    return (error as Error).message;
  }
}

function unreadable(why: string): TallybookError {
  return new TallybookError(
    'unreadable_body',
    `the body is no JSON document: ${why}. Send one object, an array, or one object a line as application/x-ndjson. Nothing was kept`,
  );
}

function withoutMark(text: string): string {
  return text.startsWith(byteOrderMark) ? text.slice(1) : text;
}
