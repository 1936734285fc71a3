/**
 * One import while it is in progress: its state in memory, those who listen, and the work itself: the hash of the
 * content where rows get their ids from it, then one delivery that travels alone.
 */
import { rm, stat } from 'node:fs/promises';
import { formatTimestamp, nowMicros } from './calendar.ts';
import { TallybookError } from './errors.ts';
import type { Form } from './forms.ts';
import { compressionOfFile, contentHash } from './import-content.ts';
import { countsOf, type ImportProgress, type ImportState, stateDelivery } from './import-state.ts';
import { idsMayBeMissing } from './record-id.ts';
import type { Compression, Delivery, FileFormat, Mode } from './store.ts';
import type { Stream } from './stream.ts';
import type { Receipt } from './verdicts.ts';

export interface ImportRequest {
  stream: Stream;
  /** The form in which its records come, or what makes it from the import's id; the stream's own when not given. */
  form?: Form | ((id: number) => Form) | undefined;
  /** Of the content, where its sender knows it. */
  sha256?: string | undefined;
  /** Rows have no ids of their own, and the same content again is to count again: they get theirs from the import. */
  idsOfImport?: boolean | undefined;
  /** The import whose records are taken back in the same commit; together with `idsOfImport` only. */
  replaces?: number | undefined;
  /** What is written beside the state of the import whenever that is written down, in the same commit if it is done. */
  accompany?: ((state: ImportState) => Delivery[]) | undefined;
  path: string;
  /** As its sender calls the file. */
  name: string;
  format: FileFormat;
  /** Told by the file's first bytes when it is not given. */
  compression?: Compression | undefined;
  mode: Mode;
  /** Name of the source that sends it. */
  source: string;
  /** Delete the file when the import has ended, however it ends. */
  deleteFile: boolean;
}

export class ImportRun {
  readonly request: ImportRequest;
  readonly state: ImportState;
  /** How it ended. Rejects with `store_failed`. */
  readonly ended: Promise<ImportState>;
  readonly listeners = new Set<(state: ImportState) => void>();
  readonly #abort = new AbortController();
  readonly #started = performance.now();
  #compression: Compression = 'none';
  #resolve: (state: ImportState) => void = () => undefined;
  #reject: (error: TallybookError) => void = () => undefined;

  constructor(id: number, request: ImportRequest) {
    const { stream, name, mode, format, source } = request;
    const created = timeNow();
    this.request = request;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Often nobody waits.
    this.ended.catch(() => undefined);
    this.state = {
      id,
      stream: stream.name,
      name,
      mode,
      format,
      source,
      status: 'in_progress',
      created_at: created,
      finished_at: null,
      bytes: null,
      sha256: null,
      error: null,
      counts: null,
      progress: {
        step: 'waiting',
        bytes_done: 0,
        bytes_total: null,
        rows: 0,
        started_at: created,
        seconds: 0,
      },
    };
  }

  /** Looks at the file, before the import is written down. */
  async prepare(): Promise<void> {
    const { path, compression } = this.request;
    const { size } = await stat(path);
    this.#compression = compression ?? (await compressionOfFile(path));
    this.state.bytes = size;
    this.state.progress!.bytes_total = size;
  }

  /** How it stands, as of now. */
  shown(): ImportState {
    const { progress } = this.state;
    const seconds = Math.round((performance.now() - this.#started) / 10) / 100;
    return { ...this.state, progress: progress && { ...progress, seconds } };
  }

  /** Makes it stop, if it can still: with why. */
  stop(why: TallybookError): void {
    this.#abort.abort(why);
  }

  /** Takes the file in. Returns how the import stands then, which is written down in the same commit. */
  async takeIn(write: (delivery: Delivery) => Promise<Receipt>): Promise<ImportState> {
    const { state, request } = this;
    const { signal } = this.#abort;
    try {
      signal.throwIfAborted();
      state.sha256 = request.sha256 ?? null;
      if (idsMayBeMissing(request.stream) && state.sha256 === null) {
        this.#tell({ step: 'hashing' });
        state.sha256 = await contentHash(request.path, this.#compression, signal, (bytes) => {
          state.progress!.bytes_done = bytes;
        });
      }
      let done: ImportState | undefined;
      await write(
        this.#delivery((receipt) => {
          const counts = countsOf(receipt);
          done = { ...state, status: 'done', finished_at: timeNow(), counts, progress: null };
          return [stateDelivery(done), ...(request.accompany?.(done) ?? [])];
        }),
      );
      return done!;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  /** How it stands after it has failed. */
  failed(error: unknown): ImportState {
    const why =
      error instanceof TallybookError
        ? error.message
        : `something went wrong on our side; quote import ${this.state.id}`;
    return { ...this.state, status: 'failed', error: why, finished_at: timeNow(), progress: null };
  }

  /** Nobody knows how it ended: who waits for that is told so. */
  async lose(error: TallybookError): Promise<void> {
    await this.#removeFile();
    this.#reject(error);
  }

  async #removeFile(): Promise<void> {
    if (this.request.deleteFile) await rm(this.request.path, { force: true }).catch(() => undefined);
  }

  async end(state: ImportState): Promise<void> {
    await this.#removeFile();
    for (const listener of this.listeners) listener(state);
    this.#resolve(state);
  }

  #delivery(alongside: (receipt: Receipt) => Delivery[]): Delivery {
    const { stream, form, path, format, mode, source, idsOfImport, replaces } = this.request;
    const { id, sha256, bytes } = this.state;
    return {
      stream,
      form: typeof form === 'function' ? form(id) : form,
      mode,
      source,
      reason: undefined,
      content: {
        kind: 'file',
        path,
        format,
        compression: this.#compression,
        idPrefix: idsOfImport || sha256 === null ? String(id) : sha256.slice(0, 32),
        newIds: idsOfImport === true,
        replaces,
        import: id,
        onProgress: ({ step, rows, bytes_done, bytes_total }) =>
          this.#tell({ step, rows, bytes_done: bytes_done ?? null, bytes_total: bytes_total ?? bytes }),
        signal: this.#abort.signal,
        alongside,
      },
      allVerdicts: false,
    };
  }

  #tell(changes: Partial<ImportProgress>): void {
    Object.assign(this.state.progress!, changes);
    for (const listener of this.listeners) listener(this.shown());
  }
}

export function timeNow(): string {
  return formatTimestamp(nowMicros());
}
