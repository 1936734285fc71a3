/**
 * The floor of HTTP: a bare `node:http` server that reads bodies, drops them, and answers. No framework, no
 * parsing, no storage. Started as a program of its own: `node bare-http.js PORT`.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.js';
import { startProgram } from '../own-process.js';

export async function serveBare() {
  const port = await freePort();
  const program = fileURLToPath(import.meta.url);
  const child = startProgram(process.execPath, [program, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    port,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(201, { 'content-type': 'application/json', 'content-length': 2 });
      response.end('{}');
    });
  });
  server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
}
