/** What a page has and Node.js has not. Any of it may be missing, or forbidden by the user. */

/** Undefined where there is no page: Node.js, workers. */
export const page = (): Document | undefined => globalThis.document;

export function storageOf(kind: 'localStorage' | 'sessionStorage'): Storage | undefined {
  try {
    return page() && globalThis[kind];
  } catch {
    return undefined;
  }
}

const sessionKey = 'tallybook session';

/** The session of the tab: it lasts over reloads and further pages, and ends with the tab. */
export function tabSession(): string {
  const storage = storageOf('sessionStorage');
  let id = storage?.getItem(sessionKey);
  if (!id) {
    id = newId();
    keepTabSession(id);
  }
  return id;
}

export function keepTabSession(id: string): void {
  try {
    storageOf('sessionStorage')?.setItem(sessionKey, id);
  } catch {}
}

/** A random UUID. `crypto.randomUUID` is not there on pages without TLS. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Calls back when the page is hidden, when it is left, and when it is online again; until the function given is called. */
export function watchPage(on: { hide(): void; leave(): void; online(): void }): () => void {
  const watched = new AbortController();
  const { signal } = watched;
  const document = page();
  if (document) {
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && on.hide(), {
      signal,
    });
    addEventListener('pagehide', on.leave, { signal });
    addEventListener('online', on.online, { signal });
  }
  return () => watched.abort();
}
