/**
 * One request, and what its answer means. Only a receipt for as many events as were sent means that they are
 * committed. An answer that cannot be read to its end, or a success that is no receipt (of the sign-in page of a
 * network, say), proves nothing: the same events go again, and their ids make the repeat harmless.
 */
import { toldMilliseconds } from './back-off.ts';
import type { Verdict } from './event.ts';

export type Outcome =
  /** All have a verdict; those that were refused are listed. */
  | { kind: 'committed'; refused: Verdict[] }
  /** Another attempt would end the same. */
  | { kind: 'refused' | 'too_large'; code: string; message: string }
  /** Nothing is known, or the server asks for a later attempt, in `told` milliseconds or more. */
  | { kind: 'again'; message: string; told: number };

/** What is read of an answer: a receipt or a problem. */
interface Document {
  received?: number;
  verdicts?: Verdict[];
  errors?: Verdict[];
  code?: string;
  detail?: string;
}

export async function attempt(
  send: typeof fetch,
  url: URL,
  init: RequestInit,
  count: number,
): Promise<Outcome> {
  let response: Response;
  let text: string;
  try {
    response = await send(url, init);
    text = await response.text();
  } catch (error) {
    // Node.js tells only in the cause what happened.
    return { kind: 'again', message: String((error as Error).cause ?? error), told: 0 };
  }
  const { status } = response;
  let document: Document | undefined;
  try {
    document = JSON.parse(text);
  } catch {}
  if (response.ok && document?.received === count) {
    const refused = (document.verdicts ?? document.errors ?? []).filter(({ verdict }) =>
      ['rejected', 'conflict'].includes(verdict),
    );
    return { kind: 'committed', refused };
  }
  const message = document?.detail ?? `the answer is ${status}, and no receipt`;
  if (response.ok || status >= 500 || [408, 425, 429].includes(status)) {
    return {
      kind: 'again',
      message,
      told: toldMilliseconds(response.headers.get('retry-after'), Date.now()),
    };
  }
  return {
    kind: status === 413 ? 'too_large' : 'refused',
    code: document?.code ?? `http_${status}`,
    message,
  };
}
