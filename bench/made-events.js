/** Events, made and not downloaded: what the visitors of a shop do. The same on every machine. */

/** Where they go. The stream is there from the first start. */
export const STREAM = 'events';
export const PATH = '/v1/events';

export const CATEGORIES = 20;
export const NAMES = 200;
export const DAYS = 30;
/** Events of one session. */
export const SESSION_EVENTS = 20;

/** Events after their id, from a small generator of fixed seed. */
export function eventTails(many) {
  let seed = 1;
  const below = (limit) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  return Array.from({ length: many }, () => {
    const at = new Date(Date.UTC(2026, 9, 1) + below(DAYS * 86_400) * 1_000).toISOString();
    return (
      `session_id":"s${below(many / SESSION_EVENTS)}","category":"c${below(CATEGORIES)}","name":"n${below(NAMES)}",` +
      `"data":{"page":"/products/${below(5_000)}","x":${below(1_920)},"y":${below(1_080)}},"timestamp":"${at}"}`
    );
  });
}

/**
 * The rows of a day as a query of DuckDB. Sessions are spread over it and overlap, times go on evenly: so arrival is
 * in the order of time, as it is where events are sent when they happen.
 */
export function daySql(day, rows) {
  return `select 'd${day}-' || i as id, 'd${day}-' || (i % ${Math.max(1, Math.floor(rows / SESSION_EVENTS))}) as session_id,
      'c' || hash(i) % ${CATEGORIES} as category, 'n' || hash(i + 1) % ${NAMES} as name,
      '{"page":"/products/' || hash(i + 2) % 5000 || '","x":' || hash(i + 3) % 1920 || '}' as data,
      timestamp '2026-10-01' + to_days(${day}) + to_microseconds((i * ${Math.floor(86_400_000_000 / rows)})::bigint) as timestamp
    from range(${rows}) made(i)`;
}
