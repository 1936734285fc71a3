/**
 * Files with declarations of streams. A JSON file holds one declaration (named by the file, unless a name is given) or
 * several as `{"name": {"fields": …}, …}`; a module exports what `defineStream` returned. It is JavaScript, or TypeScript
 * where Node.js runs that itself (22.18 and newer).
 */
import { basename, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TallybookError } from '../engine/errors.ts';
import { readText } from './input.ts';

export interface NamedDeclaration {
  name: string;
  /** Its JSON, as it was written. */
  text: string;
}

export async function readStreamFile(path: string, name?: string): Promise<NamedDeclaration[]> {
  if (/\.[cm]?[jt]s$/.test(path)) return readModule(path);
  const text = await readText(path);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new TallybookError('bad_declaration', `${path} is no valid JSON: ${(error as Error).message}`);
  }
  if (!isObject(document))
    throw new TallybookError(
      'bad_declaration',
      `${path} holds no JSON object; expected a declaration with "fields", or several by name`,
    );
  if ('fields' in document && !looksLikeSeveral(document)) return [{ name: name ?? nameOfFile(path), text }];
  const declarations = Object.entries(document).map(([key, declaration]) => ({
    name: key,
    text: JSON.stringify(declaration),
  }));
  if (declarations.length === 0) throw new TallybookError('bad_declaration', `${path} declares no stream`);
  if (name === undefined) return declarations;
  if (declarations.length === 1) return [{ ...declarations[0]!, name }];
  throw new TallybookError(
    'bad_declaration',
    `${path} declares ${declarations.length} streams by name; leave the name ${name} out`,
  );
}

/** `{"fields": {"fields": {…}}}` is a stream that is called fields. */
function looksLikeSeveral(document: Record<string, unknown>): boolean {
  return Object.values(document).every(
    (value) => isObject(value) && isObject(value.fields) && !('type' in value),
  );
}

function nameOfFile(path: string): string {
  if (path === '-')
    throw new TallybookError(
      'bad_declaration',
      'a declaration from standard input has no name; give one after the dash',
    );
  return basename(path, extname(path)).toLowerCase().replaceAll('-', '_');
}

async function readModule(path: string): Promise<NamedDeclaration[]> {
  const module = await load(path);
  const found = Object.values(module).flatMap((exported) =>
    Array.isArray(exported) ? (exported as unknown[]) : [exported],
  );
  const streams = found.filter(
    (one): one is { name: string; declaration: object } =>
      isObject(one) && typeof one.name === 'string' && isObject(one.declaration),
  );
  if (streams.length === 0)
    throw new TallybookError(
      'bad_declaration',
      `${path} exports no stream; expected what defineStream returns`,
    );
  return streams.map(({ name, declaration }) => ({ name, text: JSON.stringify(declaration) }));
}

/** What a module is made of stands in no coded error: its author reads why it could not be loaded. */
async function load(path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof TallybookError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new TallybookError(
      'bad_declaration',
      code === 'ERR_UNKNOWN_FILE_EXTENSION'
        ? `${path} is TypeScript, which Node.js ${process.versions.node} cannot run; compile it and name the JavaScript file, or use Node.js 22.18 or newer`
        : `${path} cannot be loaded: ${message}`,
    );
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
