/** What every answer must be, whatever was sent. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { errorRegister } from '../../src/engine/errors.ts';

/** Longer than any request may take, on a machine that does other things too. */
const answerSeconds = 30;

/** Codes of errors and of rejects, as docs/errors.md has them: an answer with one that is not there helps nobody. */
const told = new Set(
  [
    ...readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').matchAll(/^\| `(\w+)` \|/gm),
  ].map(([, code]) => code!),
);

export interface Answer {
  status: number;
  type: string;
  text: string;
}

/** Sends a request in this process. Throws when there is no answer in time, or one that must not be. */
export async function ask(app: FastifyInstance, request: InjectOptions, endless = false): Promise<Answer> {
  const what = `${request.method} ${String(request.url).slice(0, 300)}`;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`${what}: no answer within ${answerSeconds} s`);
    timer = setTimeout(() => reject(error), answerSeconds * 1_000);
  });
  try {
    const response = await Promise.race([app.inject({ ...request, payloadAsStream: endless }), late]);
    const type = String(response.headers['content-type'] ?? '');
    // Events go on until the client leaves.
    if (endless) response.stream().destroy();
    const answer = { status: response.statusCode, type, text: endless ? '' : response.body };
    if (!endless || answer.status < 400) check(what, answer, response.headers);
    return answer;
  } finally {
    clearTimeout(timer);
  }
}

function check(what: string, { status, type, text }: Answer, headers: Record<string, unknown>): void {
  const wrong = (why: string) => new Error(`${what}: ${why}: ${status} ${type} ${text.slice(0, 500)}`);
  if ('x-injected' in headers) throw wrong('a header came from what was sent');
  if (status < 400) {
    if (/^application\/json/.test(type) && text !== '') JSON.parse(text);
    return;
  }
  // What clients of the established paths know.
  if (status < 500 && /^[A-Z]+ \/(dsrs|resources|api|theeye|space)\//.test(what)) {
    if (typeof (JSON.parse(text) as { detail?: unknown }).detail !== 'string') throw wrong('no reason');
    return;
  }
  if (!type.startsWith('application/problem+json')) throw wrong('an error that is no problem');
  const { code, detail, status: same } = JSON.parse(text) as { code: string; detail: string; status: number };
  if (!told.has(code)) throw wrong('a code that docs/errors.md does not know');
  if (same !== status || typeof detail !== 'string' || detail === '') throw wrong('a problem that is none');
  if (status < 500) return;
  const kind = code in errorRegister && errorRegister[code as keyof typeof errorRegister].kind;
  const retry = String(headers['retry-after']);
  if (status === 507 && kind === 'storage_full') return;
  if (status !== 503 || kind !== 'overloaded' || !/^[1-9]\d*$/.test(retry)) throw wrong('a defect');
}
