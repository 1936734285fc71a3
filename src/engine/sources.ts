/**
 * Sources: trusted clients, with their keys, scopes and bounds (SPEC 1.7). They are kept in the `_sources`
 * stream, so who changed what and when is in the ledger like everything else. A change is committed first, then
 * it holds; changes are made one after the other.
 */
import { sourcesStream } from './built-in-streams.ts';
import { TallybookError } from './errors.ts';
import { hashOfKey, type KeptKey, makeKey, writeKeyFile } from './keys.ts';
import { limits } from './limits.ts';
import { Lock } from './lock.ts';
import { bookDelivery, valuesByName } from './own-books.ts';
import type { Delivery, Entry } from './store.ts';
import type { Receipt } from './verdicts.ts';

export const scopes = ['ingest', 'read', 'admin'] as const;
/** What a key may do: bring records in; ask and list; everything else. `admin` includes the other two. */
export type Scope = (typeof scopes)[number];

export interface SourceSettings {
  scopes: Scope[];
  /** Streams it may use; all when undefined. */
  streams: string[] | undefined;
  /** Web pages that may use its keys, as `https://app.example.com`; no page of another host when undefined. */
  origins: string[] | undefined;
  /** Requests a minute; no bound when undefined. */
  rateLimit: number | undefined;
}

export interface Source extends SourceSettings {
  name: string;
  keys: KeptKey[];
}

/** What the registry needs of the ledger. */
export interface SourcesLedger {
  write(delivery: Delivery): Promise<Receipt>;
  /** Every standing record of `_sources`. */
  standing(): Promise<Entry[]>;
}

export const sourceNamePattern = '^[a-z0-9][a-z0-9_.-]{0,62}$';
const originPattern = /^https?:\/\/[a-z0-9.-]+(:[0-9]{1,5})?$|^\*$/;

export class Sources {
  readonly #ledger: SourcesLedger;
  readonly #byName = new Map<string, Source>();
  readonly #byHash = new Map<string, Source>();
  #origins = new Set<string>();
  readonly #changes = new Lock();
  readonly #listeners = new Set<() => void>();

  constructor(ledger: SourcesLedger) {
    this.#ledger = ledger;
  }

  async load(): Promise<void> {
    const standing = await this.#ledger.standing();
    this.#byName.clear();
    for (const entry of standing) {
      const source = sourceOfValues(valuesByName(sourcesStream, entry.values));
      this.#byName.set(source.name, source);
    }
    this.#index();
  }

  list(): Source[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws `unknown_source`. */
  get(name: string): Source {
    const source = this.#byName.get(name);
    if (!source)
      throw new TallybookError('unknown_source', `there is no source ${name}; GET /v1/sources lists them`);
    return source;
  }

  /** The source a key belongs to. The key is hashed whatever it looks like, so that the time taken tells nothing. */
  authenticate(key: string): Source | undefined {
    return this.#byHash.get(hashOfKey(key));
  }

  /** Whether any source lets pages of this origin use its keys: what a browser's question before a request asks. */
  allowsOrigin(origin: string): boolean {
    return this.#origins.has(origin) || this.#origins.has('*');
  }

  /** Calls back when a change holds, of whichever source; returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Makes a source with one key, which is returned this once. */
  create(name: string, settings: SourceSettings): Promise<{ source: Source; key: string }> {
    return this.#changes.run(async () => {
      if (!new RegExp(sourceNamePattern).test(name)) {
        throw bad(`the name ${name.slice(0, 70)} must match ${sourceNamePattern}`);
      }
      if (this.#byName.has(name)) {
        throw new TallybookError(
          'source_exists',
          `there is a source ${name} already; change it, or add a key to it`,
        );
      }
      const { key, kept } = makeKey();
      const source: Source = { name, ...checkSettings(settings), keys: [kept] };
      await this.#keep(source);
      return { source, key };
    });
  }

  /** Changes what is given; the rest stays. Null takes a bound away. */
  change(
    name: string,
    changes: { [K in keyof SourceSettings]?: SourceSettings[K] | null | undefined },
  ): Promise<Source> {
    return this.#changes.run(async () => {
      const source = this.get(name);
      const pick = <K extends keyof SourceSettings>(field: K): SourceSettings[K] | undefined =>
        changes[field] === undefined ? source[field] : (changes[field] ?? undefined);
      const settings = checkSettings({
        scopes: pick('scopes') ?? source.scopes,
        streams: pick('streams'),
        origins: pick('origins'),
        rateLimit: pick('rateLimit'),
      });
      const changed = { ...source, ...settings };
      this.#keepAnAdmin(source, changed);
      await this.#keep(changed);
      return changed;
    });
  }

  addKey(name: string): Promise<{ source: Source; id: string; key: string }> {
    return this.#changes.run(async () => {
      const source = this.get(name);
      if (source.keys.length >= limits.source_keys) {
        throw bad(
          `the source ${name} has ${source.keys.length} keys, the most it may have; revoke one first`,
        );
      }
      const { key, kept } = makeKey();
      const changed = { ...source, keys: [...source.keys, kept] };
      await this.#keep(changed);
      return { source: changed, id: kept.id, key };
    });
  }

  revokeKey(name: string, id: string): Promise<Source> {
    return this.#changes.run(async () => {
      const source = this.get(name);
      const keys = source.keys.filter((kept) => kept.id !== id);
      if (keys.length === source.keys.length) {
        throw new TallybookError(
          'unknown_key',
          `the source ${name} has no key ${id}; its keys are ${source.keys.map((kept) => kept.id).join(', ')}`,
        );
      }
      const changed = { ...source, keys };
      this.#keepAnAdmin(source, changed);
      await this.#keep(changed);
      return changed;
    });
  }

  remove(name: string): Promise<void> {
    return this.#changes.run(async () => {
      const source = this.get(name);
      this.#keepAnAdmin(source, undefined);
      await this.#ledger.write(bookDelivery(sourcesStream, 'retract', [JSON.stringify(name)]));
      this.#byName.delete(name);
      this.#index();
    });
  }

  /** Where there is no source at all: makes one that may do everything, with its key in a file of mode 0600. */
  async ensureAdminKey(path: string): Promise<{ path: string } | undefined> {
    if (this.#byName.size > 0) return undefined;
    const { key, kept } = makeKey();
    // The file first: a crash in between leaves a key that opens nothing, and the next start replaces it.
    await writeKeyFile(path, key);
    const source: Source = { name: 'admin', ...everything, keys: [kept] };
    await this.#changes.run(() => this.#keep(source));
    return { path };
  }

  async #keep(source: Source): Promise<void> {
    const record = {
      name: source.name,
      scopes: source.scopes,
      streams: source.streams ?? null,
      origins: source.origins ?? null,
      rate_limit: source.rateLimit ?? null,
      keys: source.keys,
    };
    await this.#ledger.write(bookDelivery(sourcesStream, 'upsert', [JSON.stringify(record)]));
    this.#byName.set(source.name, source);
    this.#index();
  }

  #index(): void {
    this.#byHash.clear();
    this.#origins = new Set();
    for (const source of this.#byName.values()) {
      for (const kept of source.keys) this.#byHash.set(kept.sha256, source);
      for (const origin of source.origins ?? []) this.#origins.add(origin);
    }
    for (const listener of this.#listeners) listener();
  }

  /** Nobody may lock everybody out: one key with scope admin stays. */
  #keepAnAdmin(before: Source, after: Source | undefined): void {
    const opens = (source: Source) => source.scopes.includes('admin') && source.keys.length > 0;
    if (!opens(before) || (after && opens(after))) return;
    if (this.list().some((source) => source.name !== before.name && opens(source))) return;
    throw new TallybookError(
      'last_admin',
      `${before.name} is the last source with scope admin; give another one that scope first`,
    );
  }
}

const everything: SourceSettings = {
  scopes: [...scopes],
  streams: undefined,
  origins: undefined,
  rateLimit: undefined,
};

/** Who acts where no key is asked for: on a loopback address with --no-auth, and at the command line. */
export function localSource(name: string): Source {
  return { name, ...everything, keys: [] };
}

function checkSettings(settings: SourceSettings): SourceSettings {
  if (settings.scopes.length === 0 || settings.scopes.some((scope) => !scopes.includes(scope))) {
    throw bad(`scopes is [${settings.scopes.join(', ')}]; expected one or more of ${scopes.join(', ')}`);
  }
  for (const origin of settings.origins ?? []) {
    if (!originPattern.test(origin))
      throw bad(`${origin} is no origin; expected one such as https://app.example.com`);
  }
  const { rateLimit } = settings;
  if (rateLimit !== undefined && (!Number.isInteger(rateLimit) || rateLimit < 1)) {
    throw bad(`rate_limit is ${rateLimit}; expected a whole number of requests a minute`);
  }
  return { ...settings, scopes: scopes.filter((scope) => settings.scopes.includes(scope)) };
}

function sourceOfValues(values: Record<string, string | null>): Source {
  const json = <T>(name: string): T | undefined =>
    (JSON.parse(values[name] ?? 'null') as T | null) ?? undefined;
  return {
    name: values.name!,
    scopes: json<Scope[]>('scopes') ?? [],
    streams: json<string[]>('streams'),
    origins: json<string[]>('origins'),
    rateLimit: json<number>('rate_limit'),
    keys: json<KeptKey[]>('keys') ?? [],
  };
}

function bad(detail: string): TallybookError {
  return new TallybookError('bad_request', detail);
}
