/** The files of the repository as text, and what they import. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Made or installed, not written here. */
const notOurs = new Set(['node_modules', 'dist', 'results', 'coverage', 'tallybook-data', '.git']);

/** Paths from the root of the repository, with slashes, of the files below a directory. */
export function filesIn(directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .filter(({ name }) => !notOurs.has(name))
    .flatMap((entry) => {
      const path = posix.join(directory, entry.name);
      return entry.isDirectory() ? filesIn(path) : [path];
    })
    .sort();
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

export interface Import {
  from: string;
  /** A path from the root for a file of ours, else the name of a package: `typebox`, `node:fs`. */
  to: string;
  /** `import type` and `export type`: nothing of it is left at run time. */
  typeOnly: boolean;
}

const statement = /^(?:import( type)?\b[^;'"]*?(?:from )?|export( type)?\b[^;'"]*? from )'([^']+)';/gm;
const dynamic = /\bimport\('([^']+)'\)/g;

/** What a file imports, be it by a statement or when it runs. Comments are not looked at. */
export function importsOf(from: string): Import[] {
  const text = withoutComments(read(from));
  const statements = [...text.matchAll(statement)].map(([, importType, exportType, to]) => ({
    to: to!,
    typeOnly: (importType ?? exportType) !== undefined,
  }));
  const dynamics = [...text.matchAll(dynamic)].map(([, to]) => ({ to: to!, typeOnly: false }));
  return [...statements, ...dynamics].map(({ to, typeOnly }) => ({ from, to: target(from, to), typeOnly }));
}

export function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

function target(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(dirname(from), specifier);
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
}
