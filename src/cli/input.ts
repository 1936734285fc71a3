/** Small texts that are given as a file, or on standard input as `-`. */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

export function readText(path: string): Promise<string> {
  return path === '-' ? text(process.stdin) : readFile(path, 'utf8');
}
