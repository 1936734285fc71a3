/** A steady load of events: so many a second, one a request, each at its time. */
import { latenciesOf } from './latencies.js';
import { eventTails } from './made-events.js';
import { offer } from './offered.js';

/**
 * @param {{port: number, path: string, per_second: number, prefix: string, until: () => boolean}} what
 * @returns what the answers took, in ms; all must be 2xx
 */
export async function steady({ port, path, per_second, prefix, until }) {
  const tails = eventTails(10_000);
  const latencies = [];
  let failure;
  await offer({
    port,
    per_second,
    until: () => failure !== undefined || until(),
    make: (n) => ({ path, body: `{"id":"${prefix}${n}","${tails[n % tails.length]}` }),
    onAnswer: ({ status, ms, text }) => {
      latencies.push(ms);
      if (!(status < 300)) failure ??= `an event was answered with ${status}: ${text.slice(0, 300)}`;
    },
  });
  if (failure) throw new Error(failure);
  return { sent: latencies.length, ...latenciesOf(latencies) };
}
