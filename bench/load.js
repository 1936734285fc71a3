/**
 * Load over HTTP, closed loop: so many connections, kept alive, each with one request in flight, the next one
 * when the answer is there. That is how clients who wait for 'it is on disk' behave, and it makes latency and
 * rate two sides of one number.
 *
 * Written on bare sockets, because the generator shares the machine with the server: every microsecond it
 * spends on parsing is taken from the one that is measured. It reads as much of an answer as it needs to find
 * its end and its status.
 *
 * Ids never repeat inside a run: `prefix` and a counter. All that was sent is answered before the load ends, so
 * the caller can compare what the server holds with what it acknowledged.
 */
import { connect } from 'node:net';
import { latenciesOf } from './latencies.js';
import { SUBSCRIPTIONS } from './made-data.js';
import { eventTails } from './made-events.js';

const HEADER_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/**
 * @typedef {{
 *   port: number, path: string, connections: number, seconds: number, warm_seconds: number,
 *   records: number, prefix: string, kind?: 'usage' | 'events'
 * }} Load `records` of a kind (usage when not given) in one body: 1 is a JSON object, more are NDJSON lines
 *
 * @param {Load} what
 * @returns rates and latencies of the measured seconds; `answers` counts everything sent, by status
 */
export async function load(what) {
  const makeRequest = requestMaker(what);
  const begin = performance.now();
  const measureFrom = begin + what.warm_seconds * 1000;
  const measureTo = measureFrom + what.seconds * 1000;
  /** @type {number[]} */
  const latencies = [];
  /** @type {Record<string, number>} */
  const answers = {};
  let firstFailure;
  const onAnswer = (status, sentAt, text) => {
    const now = performance.now();
    answers[status] = (answers[status] ?? 0) + 1;
    if (status >= 300) firstFailure ??= `${status}: ${text.slice(0, 300)}`;
    if (now >= measureFrom && now < measureTo) latencies.push(now - sentAt);
    return now < measureTo;
  };
  await Promise.all(
    Array.from({ length: what.connections }, () => converse(what.port, makeRequest, onAnswer)),
  );
  const requests_per_second = latencies.length / what.seconds;
  return {
    requests_per_second,
    records_per_second: requests_per_second * what.records,
    ...latenciesOf(latencies),
    answers,
    firstFailure,
  };
}

/** One connection: sends, waits for the answer, and goes on until it is told to end. */
function converse(port, makeRequest, onAnswer) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    /** @type {Buffer | undefined} */
    let held;
    let sentAt = 0;
    const send = () => {
      const request = makeRequest();
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('data', (chunk) => {
      held = held ? Buffer.concat([held, chunk]) : chunk;
      const status = statusWhenComplete(held);
      if (status === undefined) return;
      const goOn = onAnswer(status, sentAt, status >= 300 ? held.toString() : '');
      held = undefined;
      if (goOn) send();
      else socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (sentAt !== 0 && held === undefined) resolve(undefined);
      else reject(new Error('the server closed a connection in the middle of an answer'));
    });
  });
}

/** The status of an answer that is there to its end; undefined while more is to come. */
function statusWhenComplete(bytes) {
  const end = bytes.indexOf(HEADER_END);
  if (end < 0) return undefined;
  const head = bytes.latin1Slice(0, end).toLowerCase();
  const status = Number(head.slice(9, 12));
  const at = head.indexOf('\r\ncontent-length:');
  if (at >= 0) {
    const length = Number.parseInt(head.slice(at + 17), 10);
    return bytes.length >= end + 4 + length ? status : undefined;
  }
  if (!head.includes('\r\ntransfer-encoding: chunked')) return status;
  return bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) ? status : undefined;
}

/** @param {Load} what @returns {() => string} */
function requestMaker({ path, records, prefix, kind = 'usage' }) {
  const type = records === 1 ? 'application/json' : 'application/x-ndjson';
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\ncontent-length: `;
  const tails = kind === 'usage' ? usageTails(10_000) : eventTails(10_000);
  let made = 0;
  return () => {
    let body = '';
    for (let n = 0; n < records; n++) {
      body += `{"id":"${prefix}${made}","${tails[made % tails.length]}${records === 1 ? '' : '\n'}`;
      made++;
    }
    return `${head}${body.length}\r\n\r\n${body}`;
  };
}

/** Records of usage after their id, from a small generator of fixed seed. */
function usageTails(many) {
  let seed = 1;
  const below = (limit) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  return Array.from({ length: many }, () => {
    const date = new Date(Date.UTC(2026, 9, 1) + below(30 * 86_400) * 1_000).toISOString();
    const price = `${below(10)}.${String(below(100)).padStart(2, '0')}`;
    const type = below(2) === 0 ? 'data' : 'voice';
    return (
      `type":"${type}","subscription_id":${below(SUBSCRIPTIONS)},"usage_date":"${date}",` +
      `"price":"${price}","used":${1 + below(10_000)}}`
    );
  });
}
