/**
 * A steady load: so many requests a second, each at its time, whether or not those before it were answered. The clock
 * of a request starts when it was due, so that a server that stops for a moment shows in all that should have been
 * sent meanwhile.
 */
import { Agent, request } from 'node:http';
import { quantile } from './load.js';
import { eventTails } from './made-events.js';

/**
 * @param {{port: number, path: string, per_second: number, prefix: string, until: () => boolean}} what
 * @returns what the answers took, in ms; all must be 2xx
 */
export async function steady({ port, path, per_second, prefix, until }) {
  const agent = new Agent({ keepAlive: true });
  const tails = eventTails(10_000);
  const latencies = [];
  const send = (n, due) =>
    new Promise((resolve, reject) => {
      const body = `{"id":"${prefix}${n}","${tails[n % tails.length]}`;
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => {
          latencies.push(performance.now() - due);
          if (answer.statusCode < 300) resolve(undefined);
          else reject(new Error(`an event was answered with ${answer.statusCode}: ${text.slice(0, 300)}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const start = performance.now();
  const answers = [];
  for (let n = 0; !until(); n++) {
    const due = start + (n * 1000) / per_second;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const answer = send(n, due);
    answer.catch(() => {});
    answers.push(answer);
  }
  await Promise.all(answers);
  agent.destroy();
  latencies.sort((a, b) => a - b);
  return { sent: latencies.length, p50_ms: quantile(latencies, 0.5), p99_ms: quantile(latencies, 0.99) };
}
