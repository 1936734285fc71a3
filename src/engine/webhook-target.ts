/**
 * What a webhook is given: an address and a secret, checked as they are written. Where the address leads is looked at
 * when a connection is made, by whoever posts.
 */
import { randomBytes } from 'node:crypto';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';

/** Posts for the engine, which knows no HTTP. */
export interface Poster {
  /** Throws `webhook_refused` for an address that may not be posted to, as far as it can be told without looking it up. */
  check(url: URL): void;
  /** One attempt. Throws only when the signal stops it; what went wrong else is in the answer. */
  post(target: { url: string; secret: string }, message: Message, options: PostOptions): Promise<Posted>;
}

export interface Message {
  /** The same for every attempt, so that a receiver can tell a repeat. */
  id: string;
  body: string;
}

export interface PostOptions {
  timeoutMilliseconds: number;
  signal: AbortSignal;
}

export interface Posted {
  /** Of the answer; undefined when there was none. */
  status: number | undefined;
  milliseconds: number;
  /** Undefined when it was taken: a status from 200 to 299. */
  error: string | undefined;
  /** When the receiver asked to come again. */
  retryAfterMilliseconds: number | undefined;
}

/** Throws `bad_webhook` with what was expected. */
export function checkWebhookUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw bad(`url is ${text.slice(0, 200)}; expected an address such as https://example.com/hooks`);
  if (text.length > limits.webhook_url_characters)
    throw bad(`url has ${text.length} characters; at most ${limits.webhook_url_characters} are allowed`);
  if (url.username !== '' || url.password !== '')
    throw bad('url holds a user name or password; the receiver knows us by the signature instead');
  if (url.hash !== '') throw bad(`url ends in ${url.hash.slice(0, 100)}, which is never sent; leave it out`);
  return url;
}

const secretPrefix = 'whsec_';

export function makeSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

/** The bytes that sign. */
export function bytesOfSecret(secret: string): Buffer {
  return Buffer.from(secret.slice(secretPrefix.length), 'base64');
}

/** Throws `bad_webhook` unless it is `whsec_` and 24 to 64 bytes in base64. */
export function checkSecret(secret: string): void {
  const { length } = bytesOfSecret(secret);
  const wellFormed = /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret);
  if (!wellFormed || length < 24 || length > 64)
    throw bad(
      `secret must be ${secretPrefix} and 24 to 64 random bytes in base64; leave it out and one is made`,
    );
}

function bad(detail: string): TallybookError {
  return new TallybookError('bad_webhook', detail);
}
