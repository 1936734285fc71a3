/**
 * Phase steady: 100 events a second, one a request, and how long the answer takes, which comes after the commit: while
 * nothing else runs, and while the same server imports a file. Beside it a bare `node:http` server, and the way by a
 * queue, whose clock ends when the worker has committed the event.
 */
import { serveBare } from '../contestants/bare-http.js';
import { openQueueAndWorker } from '../contestants/queue-and-worker.js';
import * as tallybook from '../contestants/tallybook.js';
import { PATH, STREAM } from '../made-events.js';
import { inOwnProcess } from '../own-process.js';
import { steady } from '../steady.js';

const PER_SECOND = 100;
const WARM_SECONDS = 2;

/** @param {{flags: any, scratch: any, say: (line: string) => void}} run */
export async function steadyPhase({ flags, scratch, say }) {
  const measure = (name, more) =>
    scratch.inNewDirectory((dir) =>
      inOwnProcess('phases/events-steady.js', name, { dir, seconds: flags.seconds, ...more }),
    );
  /** @type {Record<string, any>} */
  const results = { bare: await measure('steadyBare') };
  const file = await scratch.file({ rows: flags.rows, prefix: 'rec_' });
  results.tallybook = await measure('steadyTallybook', { file, rows: flags.rows });
  scratch.remove(file);
  say(`steady: the import beside it took ${results.tallybook.import_seconds.toFixed(1)} s`);
  if (!flags.without.includes('queue')) results.queue = await measure('steadyQueue');
  return results;
}

const forSeconds = (seconds) => {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() > end;
};

export async function steadyBare({ seconds }) {
  const { port, stop } = await serveBare();
  const load = { port, path: PATH, per_second: PER_SECOND };
  await steady({ ...load, prefix: 'w', until: forSeconds(WARM_SECONDS) });
  const idle = await steady({ ...load, prefix: 'i', until: forSeconds(seconds) });
  await stop();
  return { idle };
}

export async function steadyTallybook({ dir, seconds, file, rows }) {
  const data = `${dir}/tallybook`;
  await tallybook.declare(data, dir);
  const server = await tallybook.serve(data);
  const load = { port: server.port, path: PATH, per_second: PER_SECOND };
  const warm = await steady({ ...load, prefix: 'w', until: forSeconds(WARM_SECONDS) });
  const idle = await steady({ ...load, prefix: 'i', until: forSeconds(seconds) });
  let running = true;
  const importing = inOwnProcess('contestants/tallybook-questions.js', 'importOverHttp', {
    port: server.port,
    file,
    rows,
  }).finally(() => {
    running = false;
  });
  const busy = await steady({ ...load, prefix: 'b', until: () => !running });
  const { seconds: import_seconds } = await importing;
  const held = Number(await tallybook.countOf(server.url, STREAM));
  const sent = warm.sent + idle.sent + busy.sent;
  if (held !== sent) throw new Error(`the ledger holds ${held} events; it acknowledged ${sent}`);
  await server.stop();
  return { idle, busy, import_seconds };
}

export async function steadyQueue({ dir, seconds }) {
  const way = await openQueueAndWorker(dir);
  const load = { worker: 'one', events: 1, per_second: PER_SECOND };
  await way.run({ ...load, prefix: 'w', seconds: WARM_SECONDS });
  const { p50_ms, p99_ms, confirm_p50_ms, confirm_p99_ms } = await way.run({ ...load, prefix: 'i', seconds });
  await way.stop();
  return {
    idle: { sent: seconds * PER_SECOND, p50_ms, p99_ms },
    confirm: { p50_ms: confirm_p50_ms, p99_ms: confirm_p99_ms },
  };
}
