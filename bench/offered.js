/**
 * Offered load, open loop: so many requests a second, each at its time, whether or not those before it were answered.
 * The clock of a request starts when it was due, so that a server that stops for a moment shows in all that should have
 * been sent meanwhile.
 */
import { Agent, request } from 'node:http';

const ANSWERED_WITHIN_MS = 60_000;

/**
 * @typedef {{method?: string, path: string, type?: string, body?: string | Buffer}} Request
 * @typedef {{status: number | string, ms: number, at: number, retry_after?: string, text: string}} Answer status: also
 *   the code of an error of the connection; at: since the start
 *
 * @param {{port: number, per_second: number, until: () => boolean, at_once?: number,
 *   make: (n: number) => Request,
 *   onAnswer: (answer: Answer, n: number) => void}} what with `at_once` under
 *   way, nothing more is sent, and counted as such
 * @returns {Promise<{sent: number, unsent: number}>} when all are answered
 */
export async function offer({ port, per_second, until, at_once = Infinity, make, onAnswer }) {
  const agent = new Agent({ keepAlive: true });
  const start = performance.now();
  const answers = new Set();
  let unsent = 0;
  let n = 0;
  for (; !until(); n++) {
    const due = start + (n * 1000) / per_second;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // However late it is, answers must be read.
    else if (n % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (answers.size >= at_once) {
      unsent++;
      continue;
    }
    const number = n;
    const answer = send(agent, port, make(n), due, start).then((told) => {
      answers.delete(answer);
      onAnswer(told, number);
    });
    answers.add(answer);
  }
  await Promise.all(answers);
  agent.destroy();
  return { sent: n - unsent, unsent };
}

/** @returns {Promise<Answer>} */
function send(agent, port, { method = 'POST', path, type = 'application/json', body }, due, start) {
  return new Promise((resolve) => {
    const headers =
      body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
    const end = (status, text, retry_after) => {
      const now = performance.now();
      resolve({ status, ms: now - due, at: now - start, retry_after, text });
    };
    const sent = request({ host: '127.0.0.1', port, path, method, agent, headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => end(answer.statusCode, text, answer.headers['retry-after']));
      answer.on('error', (error) => end(error.code, error.message));
    });
    sent.on('error', (error) => end(error.code, error.message));
    sent.on('close', () => end('closed', ''));
    sent.setTimeout(ANSWERED_WITHIN_MS, () =>
      sent.destroy(Object.assign(new Error('no answer'), { code: 'none' })),
    );
    sent.end(body);
  });
}
