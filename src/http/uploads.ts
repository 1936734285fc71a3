/**
 * Uploads of files: from the socket to the spool directory as they come, whatever their size. A gzip is unpacked on
 * the side, to nowhere: so a broken or cut one is refused at once, and so is a bomb.
 */
import { open, rm } from 'node:fs/promises';
import type { Readable, Transform } from 'node:stream';
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { compressionOfBytes } from '../engine/import-content.ts';
import { limits } from '../engine/limits.ts';
import type { Compression } from '../engine/store.ts';
import { checkRatio } from '../engine/unpack.ts';
import type { Upload } from '../systems/system.ts';
import { slowBodies } from './slow-bodies.ts';
import { bodyError, unpacker } from './unpack.ts';

/** A file on its way: nothing of it is read yet. */
export interface SentFile {
  payload: Readable;
  name: string | undefined;
  /** Whether it is a part of a form, which may break off in ways of its own. */
  inForm: boolean;
}

/** Lets the routes of this scope take files, as the raw body or as multipart. */
export function takeFiles(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.register(multipart, {
    limits: { fileSize: Number.POSITIVE_INFINITY, files: 1, fields: 10, fieldSize: 1_000, parts: 11 },
  });
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
}

/** The file of a request. Throws `unreadable_body` where there is none. */
export async function sentFile(request: FastifyRequest): Promise<SentFile> {
  if (request.isMultipart()) {
    // Before the file there may be anything, or nothing for ever.
    const watched = slowBodies.watch(limits.body_seconds, (error) => request.raw.destroy(error));
    try {
      const file = await request.file();
      if (!file) throw new TallybookError('unreadable_body', 'the form holds no file');
      return { payload: file.file, name: file.filename || undefined, inForm: true };
    } catch (error) {
      throw formError(error);
    } finally {
      watched.done();
    }
  }
  const payload = request.body as Readable | undefined;
  if (!payload) throw new TallybookError('unreadable_body', 'there is no body; expected a file');
  return { payload, name: nameOf(request.headers['content-disposition']), inForm: false };
}

/** What the reader of forms says of one that is broken has no code; everything else has. */
function formError(error: unknown): unknown {
  if (!(error instanceof Error) || 'code' in error) return error;
  return new TallybookError('unreadable_body', `the form cannot be read: ${error.message}`, { cause: error });
}

function nameOf(disposition: string | undefined): string | undefined {
  const encoded = /filename\*=UTF-8''([^;\s]+)/i.exec(disposition ?? '')?.[1];
  if (encoded !== undefined) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // Then the plain one counts, if there is any.
    }
  }
  return /filename="([^"]*)"|filename=([^;\s]+)/i
    .exec(disposition ?? '')
    ?.slice(1)
    .find((name) => name);
}

/** Writes an upload to a file. Throws `unreadable_body` or `too_large`; then there is no file. */
export async function receiveUpload({ payload, name, inForm }: SentFile, path: string): Promise<Upload> {
  const handle = await open(path, 'wx', 0o600);
  const watched = slowBodies.watch(Number.POSITIVE_INFINITY, (error) => payload.destroy(error));
  let check: GzipCheck | undefined;
  let compression: Compression = 'none';
  let bytes = 0;
  try {
    for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      watched.seen();
      if (bytes === 0) {
        compression = compressionOfBytes(chunk);
        if (compression === 'gzip') check = new GzipCheck();
      }
      bytes += chunk.length;
      await Promise.all([handle.writeFile(chunk), check?.take(chunk)]);
    }
    await check?.end();
    if (bytes === 0) throw new TallybookError('unreadable_body', 'the file is empty');
    await handle.close();
    return { path, name, bytes, compression };
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(path, { force: true });
    throw bodyError(inForm ? formError(error) : error);
  } finally {
    watched.done();
    check?.stop();
    payload.resume();
  }
}

/** Unpacks a gzip to see that it can be, and to how much. */
class GzipCheck {
  readonly #unpack: Transform = unpacker('gzip');
  readonly #ended: Promise<void>;
  #packed = 0;
  #unpacked = 0;

  constructor() {
    this.#ended = new Promise((resolve, reject) => {
      this.#unpack.on('data', (chunk: Buffer) => {
        this.#unpacked += chunk.length;
      });
      this.#unpack.on('end', resolve).on('error', reject);
    });
    this.#ended.catch(() => undefined);
  }

  async take(chunk: Buffer): Promise<void> {
    this.#packed += chunk.length;
    const written = new Promise<void>((resolve) => this.#unpack.write(chunk, () => resolve()));
    // After an error nothing is written any more: then `ended` tells.
    await Promise.race([written, this.#ended]);
    checkRatio(this.#packed, this.#unpacked);
  }

  async end(): Promise<void> {
    this.#unpack.end();
    await this.#ended;
    checkRatio(this.#packed, this.#unpacked);
  }

  stop(): void {
    this.#unpack.destroy();
  }
}
