/**
 * One attempt to post a notification, signed as the Standard Webhooks specification has it
 * (https://www.standardwebhooks.com): receivers check it with the library they have for their language.
 *
 *     webhook-id: n_0b6c…            the same for every attempt, so that a receiver can tell a repeat
 *     webhook-timestamp: 1792…       seconds since 1970, of this attempt
 *     webhook-signature: v1,BASE64   HMAC-SHA256 of `id.timestamp.body`, with the secret's bytes
 */
import { createHmac } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { limits } from '../engine/limits.ts';
import {
  bytesOfSecret,
  checkWebhookUrl,
  type Message,
  type Posted,
  type Poster,
} from '../engine/webhook-target.ts';
import { AllowedHosts } from './webhook-address.ts';

/** Posts to public addresses, and to hosts that are allowed by name. Redirects are not followed: they lead anywhere. */
export function webhookPoster(allowedHosts: readonly string[]): Poster {
  const hosts = new AllowedHosts(allowedHosts);
  return {
    check: (url) => hosts.check(url),
    async post(target, message, { timeoutMilliseconds, signal }) {
      const started = performance.now();
      const timeout = AbortSignal.timeout(timeoutMilliseconds);
      const nothing = { status: undefined, error: undefined, retryAfterMilliseconds: undefined };
      const done = (rest: Partial<Posted>): Posted => {
        const milliseconds = Math.round(performance.now() - started);
        return { ...nothing, ...rest, milliseconds };
      };
      try {
        const url = checkWebhookUrl(target.url);
        hosts.check(url);
        const either = AbortSignal.any([timeout, signal]);
        return done(await send(url, target.secret, message, hosts, either));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (timeout.aborted)
          return done({ error: `there was no answer within ${timeoutMilliseconds / 1000} s` });
        return done({ error: error instanceof Error ? error.message : String(error) });
      }
    },
  };
}

function signatureOf(secret: string, { id, body }: Message, timestamp: number): string {
  const text = `${id}.${timestamp}.${body}`;
  return `v1,${createHmac('sha256', bytesOfSecret(secret)).update(text).digest('base64')}`;
}

function send(
  url: URL,
  secret: string,
  message: Message,
  hosts: AllowedHosts,
  signal: AbortSignal,
): Promise<Omit<Posted, 'milliseconds'>> {
  const body = Buffer.from(message.body);
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'user-agent': 'Tallybook',
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatureOf(secret, message, timestamp),
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    // A connection of its own: one that is kept could have been made before the host's address changed.
    const options = { method: 'POST', headers, lookup: hosts.lookup, agent: false as const, signal };
    const sending = request(url, options, (answer) => {
      const status = answer.statusCode!;
      const chunks: Buffer[] = [];
      let length = 0;
      const end = (): void => {
        answer.destroy();
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status,
          error: status >= 200 && status < 300 ? undefined : refusalText(status, text),
          retryAfterMilliseconds: retryAfter(answer.headers['retry-after']),
        });
      };
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk.subarray(0, limits.webhook_response_bytes - length));
        length += chunk.length;
        if (length >= limits.webhook_response_bytes) end();
      });
      answer.on('end', end).on('error', reject);
    });
    sending.on('error', reject);
    sending.end(body);
  });
}

function refusalText(status: number, text: string): string {
  if (status >= 300 && status < 400)
    return `the answer was ${status}: redirects are not followed, give the address itself`;
  // What a receiver sends may hold anything.
  const shown = text.replace(/[\u0000-\u001f\u007f\ufffd]+/g, ' ').trim();
  return `the answer was ${status}${shown === '' ? '' : `: ${[...shown].slice(0, 300).join('')}`}`;
}

/** Seconds, or a date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
