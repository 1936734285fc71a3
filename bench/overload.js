/**
 * Overload: ten times what the server can take, for a minute. What is accepted must be answered within a bounded time
 * and be there; the rest must be told to come again; and seconds later everything must be as it was before.
 * Tables for people, and one line of JSON for `results/overload.jsonl`. It ends with 1 where it is not so. README.md says more.
 */
import { mkdirSync } from 'node:fs';
import { capacityOf, declareLoad } from './capacity.js';
import * as tallybook from './contestants/tallybook.js';
import { readFlags, whole } from './flags.js';
import { latenciesOf, quantile } from './latencies.js';
import { bodyMaker, PATH, STREAM } from './made-bodies.js';
import { watchMemory } from './memory.js';
import { offer } from './offered.js';
import { keepResults, runToEnd, startResults } from './run.js';
import { makeScratch } from './scratch.js';

const said = {
  bench: 'overload',
  about: 'What becomes of requests, questions and the server when ten times as much comes as it can take.',
  flags: {
    times: whole('10', 1, 'how many times the capacity is offered'),
    seconds: whole('60', 1, 'for how long'),
    records: whole('1000', 1, 'records in a request'),
    back: whole('10', 1, 'seconds after the last answer in which it must be as quick as before'),
  },
};
/**
 * It is less than the queue of connections that a server has not accepted yet (511): what finds that full is tried again
 * by the kernel after 1, 3, 7, 15 and 31 s, and the time that is measured is the kernel's.
 */
const AT_ONCE = 400;
const CAPACITY_SECONDS = 10;
const PROBES_PER_SECOND = 5;

async function overload(dir, { times, seconds, records, back: backWithin }) {
  const data = `${dir}/tallybook`;
  mkdirSync(data);
  const server = await tallybook.serve(data);
  const { url, port } = server;
  await declareLoad(url);
  const memory = watchMemory(server.pid);
  const body = bodyMaker(records, 'c');
  const request = () => ({ path: PATH, type: 'application/x-ndjson', body: body().body });

  const capacity = await capacityOf(url, body, CAPACITY_SECONDS);
  let acknowledged = capacity.requests;
  const before = await probe(port, 'b', forSeconds(10));

  const answers = {};
  const accepted = [];
  const refused = [];
  let withoutRetryAfter = 0;
  const probing = probe(port, 'o', forSeconds(seconds));
  const { sent, unsent } = await offer({
    port,
    per_second: Math.ceil(capacity.per_second * times),
    until: forSeconds(seconds),
    at_once: AT_ONCE,
    make: request,
    onAnswer: ({ status, ms, retry_after }) => {
      answers[status] = (answers[status] ?? 0) + 1;
      (status === 200 ? accepted : refused).push(ms);
      if ([429, 503].includes(status) && !/^[0-9]+$/.test(retry_after ?? '')) withoutRetryAfter++;
    },
  });
  const during = await probing;
  acknowledged += accepted.length;
  const end = performance.now();
  const back = await untilNormal(port, before, end + backWithin * 1000);
  const after = await probe(port, 'a', forSeconds(10));

  const held = Number(await tallybook.countOf(url, STREAM));
  const probes = [before, during, back, after].reduce((sum, { written }) => sum + written, 0);
  const most =
    acknowledged * records + probes + (answers.ECONNRESET ?? 0) * records + (answers.EPIPE ?? 0) * records;
  const least = acknowledged * records + probes;
  if (held < least || held > most)
    throw new Error(`the ledger holds ${held}; between ${least} and ${most} were to be expected`);
  const verified = await (await fetch(`${url}/v1/admin/verify`, { method: 'POST' })).json();
  if (!verified.ok) throw new Error('the books do not add up');
  await server.stop();
  accepted.sort((a, b) => a - b);
  refused.sort((a, b) => a - b);
  return {
    capacity_records_per_second: Math.round(capacity.per_second * records),
    offered_records_per_second: Math.round((sent * records) / seconds),
    accepted_records_per_second: Math.round((accepted.length * records) / seconds),
    sent,
    unsent,
    answers,
    without_retry_after: withoutRetryAfter,
    accepted_p50_ms: quantile(accepted, 0.5),
    accepted_p99_ms: quantile(accepted, 0.99),
    accepted_max_ms: accepted.at(-1),
    refused_p50_ms: quantile(refused, 0.5),
    refused_max_ms: refused.at(-1),
    probes: { before, during, after },
    // None when it was not back in time.
    normal_after_ms: back.normal ? Math.round(back.at - end) : null,
    held,
    memory_peak_mb: Math.round((memory.stop() ?? 0) / 2 ** 20),
  };
}

/** Single records and questions in turn, as somebody would send them who has nothing to do with the load. */
async function probe(port, prefix, until) {
  const writes = [];
  const questions = [];
  const statuses = {};
  await offer({
    port,
    per_second: PROBES_PER_SECOND,
    until,
    make: (n) => (n % 2 === 0 ? oneRecord(`probe-${prefix}-${n}`) : question),
    onAnswer: ({ status, ms }, n) => {
      const kind = n % 2 === 0 ? 'write' : 'question';
      statuses[`${kind} ${status}`] = (statuses[`${kind} ${status}`] ?? 0) + 1;
      if (status < 300) (n % 2 === 0 ? writes : questions).push(ms);
    },
  });
  return {
    written: writes.length,
    statuses,
    writes: latenciesOf(writes),
    questions: latenciesOf(questions),
  };
}

const question = { method: 'GET', path: `/v1/streams/${STREAM}/query?measures=count,sum(amount)` };
const oneRecord = (id) => ({
  path: PATH,
  body: JSON.stringify({ id, at: new Date().toISOString(), customer: 1, amount: '1' }),
});

/** Until three in a row are answered as quickly as before; or until it is too late. */
async function untilNormal(port, before, latest) {
  const limit = Math.max(2 * before.writes.p99_ms, 100);
  let written = 0;
  let row = 0;
  for (let n = 0; row < 3 && performance.now() < latest; n++) {
    await offer({
      port,
      per_second: 1_000,
      until: once(),
      make: () => oneRecord(`normal-${n}`),
      onAnswer: ({ status, ms }) => {
        if (status < 300) written++;
        row = status < 300 && ms <= limit ? row + 1 : 0;
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { written, normal: row === 3, at: performance.now() };
}

/** What is not as it must be; none when all is well. What the ledger holds was looked at before. */
function faultsOf({ answers, without_retry_after, normal_after_ms, probes }, { back }) {
  const faults = [];
  const refusals = ['200', '429', '503', 'ECONNRESET', 'EPIPE'];
  for (const [status, many] of Object.entries(answers))
    if (!refusals.includes(status)) faults.push(`${many} requests were answered with ${status}`);
  if (without_retry_after > 0)
    faults.push(`${without_retry_after} refusals had no whole number in Retry-After`);
  if (normal_after_ms === null) faults.push(`it was not as quick as before within ${back} s`);
  for (const [status, many] of Object.entries(probes.after.statuses))
    if (!/ 2\d\d$/.test(status)) faults.push(`afterwards ${many} of others: ${status}`);
  return faults;
}

function once() {
  let done = false;
  return () => {
    const was = done;
    done = true;
    return was;
  };
}

function forSeconds(seconds) {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() > end;
}

await runToEnd(async () => {
  const flags = readFlags(process.argv.slice(2), said);
  tallybook.mustBeBuilt();
  const scratch = makeScratch(flags.dir);
  const results = startResults(flags);
  results.overload = await scratch.inNewDirectory((dir) => overload(dir, flags));
  console.log(JSON.stringify(results.overload, undefined, 2));
  keepResults('overload', results);
  const faults = faultsOf(results.overload, flags);
  if (faults.length > 0) throw new Error(faults.join('\n'));
});
