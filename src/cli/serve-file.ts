/**
 * `serve.json` in a data directory: which process serves it, and where. So that a command that finds the directory in
 * use can ask that server. It is removed at a clean stop; one that was left behind by a crash names a process that is
 * gone, or one that does not answer.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';

export interface ServeFile {
  url: string;
  pid: number;
}

const fileIn = (directory: string): string => join(directory, 'serve.json');

export async function writeServeFile(directory: string, server: ServeFile): Promise<void> {
  await rm(fileIn(directory), { force: true });
  await writeFile(fileIn(directory), `${JSON.stringify(server)}\n`, { mode: 0o600 });
}

export async function removeServeFile(directory: string): Promise<void> {
  await rm(fileIn(directory), { force: true });
}

/** The server that runs on a directory, if one does and answers. */
export async function runningServer(directory: string): Promise<ServeFile | undefined> {
  let server: ServeFile;
  try {
    server = JSON.parse(await readFile(fileIn(directory), 'utf8')) as ServeFile;
  } catch {
    return undefined;
  }
  return isAlive(server.pid) && (await answers(server.url)) ? server : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(`${url}/healthz`, { timeout: 2_000, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
