/**
 * Bodies of many records, made as fast as they can be sent: a body is made once, and then only the eight characters at
 * the start of each id change.
 */
export const STREAM = 'load';
export const PATH = `/v1/streams/${STREAM}/records`;

/** Records are of the last minutes, so that retention has something to do. @param {string} retention */
export const declarationOf = (retention) => ({
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    customer: { type: 'integer', required: true },
    amount: { type: 'decimal', precision: 18, scale: 2, required: true },
  },
  rollups: { daily: { every: 'day', by: ['customer'], sum: ['amount'] } },
  ...(retention ? { retention: { records: retention } } : {}),
});

export function bodyMaker(records, prefix) {
  const now = () => new Date().toISOString();
  const idAt = [];
  const timeAt = [];
  let text = '';
  for (let n = 0; n < records; n++) {
    idAt.push(text.length + '{"id":"'.length);
    text += `{"id":"--------${n}","at":"`;
    timeAt.push(text.length);
    text += `${now()}","customer":${(n * 7919) % 1_000},"amount":"${n % 100}.${10 + (n % 90)}"}\n`;
  }
  const body = Buffer.from(text);
  let made = 0;
  return () => {
    const id = prefix + (made++).toString(36).padStart(8 - prefix.length, '0');
    const at = now();
    for (let n = 0; n < records; n++) {
      body.latin1Write(id, idAt[n]);
      body.latin1Write(at, timeAt[n]);
    }
    return { id, body: Buffer.from(body) };
  };
}
