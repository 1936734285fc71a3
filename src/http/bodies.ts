/**
 * Bodies of records. Most are small, plain and there in one piece: those go from the socket to the store with as
 * little in between as can be. The others are unpacked as they come, and go to a file when they are too large for
 * memory, or of a kind that only files are read as.
 */
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { limits } from '../engine/limits.ts';
import type { Compression } from '../engine/store.ts';
import { checkRatio } from '../engine/unpack.ts';
import { isStranger } from './auth.ts';
import { slowBodies, type Watched } from './slow-bodies.ts';
import { bodyError, compressionOfHeader, cutOff, feed, unpacker, unpacksZstd } from './unpack.ts';

export type Body =
  | { kind: 'memory'; bytes: Buffer }
  /** Whoever gets it deletes the file. */
  | { kind: 'file'; path: string; compression: Compression };

export interface BodyOptions {
  /** A path for a file, if one is needed. */
  spoolPath: () => string;
  /** This kind of body is always read from a file. */
  toFile: boolean;
  /** Bytes that are taken, unpacked; limits.body_bytes when not given. */
  most?: number;
  /** Bytes up to which it stays in memory; limits.memory_body_bytes when not given. */
  memory?: number;
}

function memoryOf({ memory = limits.memory_body_bytes }: BodyOptions): number {
  return memory;
}

/** For bodies that are being read into memory: what has come of them takes room, and what is announced takes none. */
class Room {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Throws `overloaded`. */
  take(bytes: number): void {
    if (this.#taken + bytes > this.#most) throw readingTooMuch();
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

interface Bounds {
  /** Over all requests. */
  room: Room;
  /** Of one body: its bytes, unpacked, and how soon it must be whole. */
  most: number;
  seconds: number;
}

const ofSources: Bounds = {
  room: new Room(limits.waiting_bytes),
  most: limits.body_bytes,
  seconds: limits.body_seconds,
};
/** Who may be anybody has little room, and none of what is there for others. */
const ofStrangers: Bounds = {
  room: new Room(limits.keyed_reading_bytes),
  most: limits.keyed_body_bytes,
  seconds: limits.keyed_body_seconds,
};

export function readBody(
  request: FastifyRequest,
  payload: Readable,
  options: BodyOptions,
  done: (error: Error | null, body?: Body) => void,
): void {
  const length = Number(request.headers['content-length'] ?? -1);
  try {
    const compression = compressionOfHeader(request.headers['content-encoding']);
    const bounds = isStranger(request) ? ofStrangers : ofSources;
    const most = Math.min(options.most ?? limits.body_bytes, bounds.most);
    if (length > most) throw tooLarge(`${length} bytes`, most);
    if (compression === 'none' && !options.toFile && length >= 0 && length <= memoryOf(options)) {
      readWhole(payload, length, bounds, done);
      return;
    }
    readParts(payload, compression, { ...options, most }, bounds).then(
      (body) => done(null, body),
      (error: Error) => done(error),
    );
  } catch (error) {
    done(error as Error);
  }
}

/** The same for a body that must fit into memory. */
export function readIntoMemory(
  request: FastifyRequest,
  payload: Readable,
  options: { spoolPath: () => string; most: number },
  done: (error: Error | null, bytes?: Buffer) => void,
): void {
  readBody(request, payload, { toFile: false, memory: options.most, ...options }, (error, body) => {
    if (error) done(error);
    else if (body!.kind === 'memory') done(null, body!.bytes);
    else {
      const { path, compression } = body as Body & { kind: 'file' };
      const detail = `this server cannot unpack ${compression} here; send it plain, or as gzip`;
      rm(path, { force: true }).then(() => done(new TallybookError('unsupported_format', detail)), done);
    }
  });
}

/** A plain body whose length is known and fits into memory. */
function readWhole(
  payload: Readable,
  length: number,
  { room, seconds }: Bounds,
  done: (error: Error | null, body?: Body) => void,
): void {
  let first: Buffer | undefined;
  let rest: Buffer[] | undefined;
  let size = 0;
  let taken = 0;
  let watched: Watched | undefined;
  let ended = false;
  const finish = (error: Error | null): void => {
    if (ended) return;
    ended = true;
    room.give(taken);
    watched?.done();
    if (error) done(error);
    else if (size !== length)
      done(
        new TallybookError('unreadable_body', `the body has ${size} bytes, content-length says ${length}`),
      );
    else done(null, { kind: 'memory', bytes: rest ? Buffer.concat(rest, size) : (first ?? Buffer.alloc(0)) });
  };
  payload.on('data', (chunk: Buffer) => {
    if (ended) return;
    size += chunk.length;
    // What makes it whole waits for nothing, so a body in one piece takes no room.
    if (size >= length) {
      if (rest) rest.push(chunk);
      else first = first ? Buffer.concat([first, chunk]) : chunk;
      return;
    }
    try {
      room.take(chunk.length);
    } catch (error) {
      finish(error as Error);
      return;
    }
    taken += chunk.length;
    rest ??= first ? [first] : [];
    rest.push(chunk);
    watched ??= slowBodies.watch(seconds, finish);
    watched.seen();
  });
  payload.on('end', () => finish(null));
  payload.on('error', () => finish(cutOff()));
  payload.on('close', () => {
    if (!ended) finish(cutOff());
  });
  if (length > 0) {
    // The headers may come alone, and the body never.
    setImmediate(() => {
      if (!ended && size === 0) watched = slowBodies.watch(seconds, finish);
    });
  }
}

async function readParts(
  payload: Readable,
  compression: Compression,
  options: BodyOptions & { most: number },
  { room, seconds }: Bounds,
): Promise<Body> {
  const unpacks = compression !== 'none' && (compression !== 'zstd' || unpacksZstd);
  const sink = new BodySink(options, unpacks ? 'none' : compression, room);
  let packed = 0;
  let unpacked = 0;
  const onBytes = (bytes: number): void => {
    packed += bytes;
    watched.seen();
  };
  const unpack = unpacks ? unpacker(compression) : undefined;
  const watched = slowBodies.watch(seconds, (error) => (unpack ?? payload).destroy(error));
  const stop = unpack && feed(payload, unpack, onBytes);
  try {
    for await (const chunk of (unpack ?? payload).iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      if (!unpack) onBytes(chunk.length);
      unpacked += chunk.length;
      if (unpacked > options.most) throw tooLarge('more', options.most);
      if (unpack) checkRatio(packed, unpacked);
      await sink.take(chunk);
    }
    return await sink.end();
  } catch (error) {
    await sink.drop();
    throw bodyError(error);
  } finally {
    watched.done();
    stop?.();
    payload.resume();
  }
}

/** Keeps a body in memory until it is too large for it, then in a file. */
class BodySink {
  readonly #options: BodyOptions;
  readonly #compression: Compression;
  readonly #room: Room;
  #chunks: Buffer[] = [];
  #size = 0;
  #file: { path: string; handle: FileHandle } | undefined;

  constructor(options: BodyOptions, compression: Compression, room: Room) {
    this.#options = options;
    this.#compression = compression;
    this.#room = room;
  }

  async take(chunk: Buffer): Promise<void> {
    if (this.#file) {
      await this.#file.handle.writeFile(chunk);
      return;
    }
    this.#room.take(chunk.length);
    this.#size += chunk.length;
    this.#chunks.push(chunk);
    if (this.#size > memoryOf(this.#options)) await this.#toFile();
  }

  async end(): Promise<Body> {
    if (!this.#file && (this.#options.toFile || this.#compression !== 'none')) await this.#toFile();
    if (!this.#file) {
      this.#room.give(this.#size);
      return { kind: 'memory', bytes: Buffer.concat(this.#chunks, this.#size) };
    }
    await this.#file.handle.close();
    return { kind: 'file', path: this.#file.path, compression: this.#compression };
  }

  async drop(): Promise<void> {
    if (!this.#file) {
      this.#room.give(this.#size);
      return;
    }
    await this.#file.handle.close().catch(() => undefined);
    await rm(this.#file.path, { force: true });
  }

  async #toFile(): Promise<void> {
    const path = this.#options.spoolPath();
    this.#file = { path, handle: await open(path, 'wx', 0o600) };
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#room.give(this.#size);
    for (const chunk of chunks) await this.#file.handle.writeFile(chunk);
  }
}

function tooLarge(found: string, most: number): TallybookError {
  return new TallybookError(
    'too_large',
    `the body has ${found}; at most ${most} bytes are taken here, unpacked: send it to POST /v1/imports, or in parts`,
  );
}

function readingTooMuch(): TallybookError {
  return new TallybookError(
    'overloaded',
    'too many bodies are being read at the moment; nothing of this one was taken in: send it again in a second',
    { retryAfter: 1 },
  );
}
