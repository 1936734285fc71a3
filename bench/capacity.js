/** What a server can take: requests a second, when a few are always under way. */
import { declarationOf, PATH, STREAM } from './made-bodies.js';

const AT_ONCE = 16;

/** @param {string | undefined} retention of the records */
export async function declareLoad(url, retention) {
  const put = await fetch(`${url}/v1/streams/${STREAM}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(declarationOf(retention)),
  });
  if (!put.ok) throw new Error(await put.text());
}

/** @param {() => {body: Buffer}} body makes the next one */
export async function capacityOf(url, body, seconds) {
  const end = performance.now() + seconds * 1000;
  let requests = 0;
  const client = async () => {
    while (performance.now() < end) {
      const headers = { 'content-type': 'application/x-ndjson' };
      const answer = await fetch(`${url}${PATH}`, { method: 'POST', headers, body: body().body });
      if (answer.status !== 200) throw new Error(await answer.text());
      await answer.arrayBuffer();
      requests++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  return { requests, per_second: requests / seconds };
}
