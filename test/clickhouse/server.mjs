/**
 * A ClickHouse for tests: chdb, which is ClickHouse in a process, behind as much of its HTTP interface as the client
 * uses. Run as `node server.mjs DIRECTORY`; it prints its port, and ends with its standard input.
 */
import { createServer } from 'node:http';
import { Session } from 'chdb';

const directory = process.argv[2];
/** Sessions are connections of their own: each has its settings, and runs a statement at a time. */
const idle = [];
let opened = 0;
const waiting = [];
const sessionsMax = 8;

async function withSession(work) {
  let session = idle.pop();
  if (!session && opened < sessionsMax) {
    opened += 1;
    session = new Session(directory);
  }
  session ??= await new Promise((resolve) => waiting.push(resolve));
  try {
    return await work(session);
  } finally {
    const next = waiting.shift();
    if (next) next(session);
    else idle.push(session);
  }
}

const literal = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
const identifier = (text) => `\`${text.replaceAll('`', '``')}\``;
/** What only a server knows. */
const ofTheServer = new Set([
  'query',
  'query_id',
  'session_id',
  'role',
  'default_format',
  'wait_end_of_query',
  'enable_http_compression',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'cancel_http_readonly_queries_on_client_close',
]);

/** Long parameters come as a form. */
async function readForm(headers, bytes, url) {
  const form = await new Response(bytes, { headers: { 'content-type': headers['content-type'] } }).formData();
  for (const [name, value] of form) url.searchParams.append(name, value);
}

function statementOf(url, body) {
  const sets = [];
  const resets = [];
  let query = '';
  for (const [name, value] of url.searchParams) {
    if (name === 'database') sets.push(`use ${identifier(value)}`);
    else if (name === 'query') query = value;
    else if (!ofTheServer.has(name)) {
      sets.push(`set ${name} = ${literal(value)}`);
      if (name === 'insert_deduplication_token') resets.push(`set ${name} = ''`);
    }
  }
  const text = query === '' ? body : body === '' ? query : `${query}\n${body}`;
  return { sets, text, resets };
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/ping') return response.end('Ok.\n');
  let body = Buffer.concat(chunks);
  if (request.headers['content-type']?.startsWith('multipart/form-data')) {
    await readForm(request.headers, body, url);
    body = '';
  }
  const { sets, text, resets } = statementOf(url, body.toString());
  try {
    const bytes = await withSession(async (session) => {
      try {
        // One by one: how long a statement may be is one of the settings.
        for (const set of sets) await session.queryAsync(set, { format: 'TSV' });
        return (
          await session.queryAsync(text, { format: url.searchParams.get('default_format') ?? 'TSV' })
        ).bytes();
      } finally {
        for (const reset of resets) await session.queryAsync(reset, { format: 'TSV' });
      }
    });
    response.end(bytes);
  } catch (error) {
    const code = /Code: (\d+)/.exec(error.message)?.[1] ?? '1002';
    response.writeHead(500, { 'x-clickhouse-exception-code': code });
    response.end(error.message);
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
