/**
 * Webhooks: where notifications are posted to (SPEC 1.8), kept in the `_webhooks` stream. A webhook gets what is told
 * from when it was made, or switched on again; a changed address gets what the old one did not take.
 */
import type { Alerts } from './alerts.ts';
import { deliveriesStream, webhooksStream } from './built-in-streams.ts';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import { Lock } from './lock.ts';
import { bookDelivery, standingInBook, valuesByName } from './own-books.ts';
import { type Page, pageOfEntries } from './pages.ts';
import { checkSelection } from './question.ts';
import type { Entry } from './store.ts';
import {
  type Attempt,
  attemptOf,
  type Posting,
  type QueueLedger,
  type Timing,
  type Webhook,
  WebhookQueue,
} from './webhook-queue.ts';
import { checkSecret, checkWebhookUrl, makeSecret, type Poster } from './webhook-target.ts';

export interface AskedWebhook {
  url: string;
  /** Kept as it is, or made, when it is not given. */
  secret?: string | undefined;
  alerts?: string[] | null | undefined;
  enabled?: boolean | undefined;
}

/** How this process posts; without it, it posts nothing. */
export interface WebhookSettings {
  poster: Poster;
  timing?: Partial<Timing>;
}

export interface WebhooksLedger extends QueueLedger {
  alerts: Alerts;
}

export const webhookNamePattern = '^[a-z0-9][a-z0-9_.-]{0,62}$';
const timingDefault: Timing = {
  timeoutMilliseconds: limits.webhook_timeout_seconds * 1000,
  firstDelayMilliseconds: 1_000,
  longestDelayMilliseconds: limits.webhook_delay_seconds * 1000,
  giveUpMilliseconds: limits.webhook_give_up_seconds * 1000,
};

export class Webhooks {
  readonly #ledger: WebhooksLedger;
  readonly #byName = new Map<string, Webhook>();
  readonly #queues = new Map<string, WebhookQueue>();
  /** Undefined: this process posts nothing. */
  readonly #posting: Posting | undefined;
  readonly #changes = new Lock();
  #closed = false;

  constructor(ledger: WebhooksLedger, settings: WebhookSettings | undefined) {
    this.#ledger = ledger;
    this.#posting = settings && {
      poster: settings.poster,
      timing: { ...timingDefault, ...settings.timing },
    };
  }

  /** Reads what there is, and goes on posting where it was left. */
  async load(): Promise<void> {
    for (const entry of await standingInBook(this.#ledger.store, webhooksStream))
      this.#hold(webhookOf(entry));
  }

  list(): Webhook[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws `unknown_webhook`. */
  get(name: string): Webhook {
    const webhook = this.#byName.get(name);
    if (webhook) return webhook;
    const detail = `there is no webhook ${name.slice(0, 100)}; GET /v1/webhooks lists them`;
    throw new TallybookError('unknown_webhook', detail);
  }

  /** Makes a webhook, or changes it; a secret that was made for it is shown this once. Throws `bad_webhook`, `webhook_refused` or `unknown_alert`. */
  put(
    name: string,
    asked: AskedWebhook,
  ): Promise<{ webhook: Webhook; created: boolean; newSecret: string | undefined }> {
    return this.#changes.run(async () => {
      const before = this.#byName.get(name);
      if (!new RegExp(webhookNamePattern).test(name))
        throw bad(`the name ${name.slice(0, 70)} must match ${webhookNamePattern}`);
      if (!before && this.#byName.size >= limits.webhooks_max)
        throw bad(`there are ${this.#byName.size} webhooks already, the most a ledger may have`);
      const url = checkWebhookUrl(asked.url);
      this.#posting?.poster.check(url);
      if (asked.secret !== undefined) checkSecret(asked.secret);
      for (const alert of asked.alerts ?? []) this.#ledger.alerts.get(alert);
      const enabled = asked.enabled ?? true;
      const newSecret = asked.secret === undefined && !before ? makeSecret() : undefined;
      const alerts = asked.alerts ? [...new Set(asked.alerts)].sort() : undefined;
      // What was told of other alerts before it is to have them is not for it; what it did not take yet is.
      const sameAlerts = before && JSON.stringify(before.alerts) === JSON.stringify(alerts);
      const goesOn =
        before && (!enabled || (before.enabled && (sameAlerts || (await this.#queue(before).isBehind()))));
      const webhook: Webhook = {
        name,
        url: url.href,
        secret: asked.secret ?? before?.secret ?? newSecret!,
        alerts,
        enabled,
        afterSeq: goesOn ? before.afterSeq : await this.#ledger.notifications.lastSeq(),
      };
      const record = {
        name,
        url: webhook.url,
        secret: webhook.secret,
        alerts: alerts ?? null,
        enabled,
        after_seq: webhook.afterSeq,
      };
      await this.#ledger.write(bookDelivery(webhooksStream, 'upsert', [JSON.stringify(record)]));
      await this.#queues.get(name)?.stop();
      this.#hold(webhook);
      return { webhook, created: !before, newSecret };
    });
  }

  /** Posts nothing more to it; its log stays. Throws `unknown_webhook`. */
  remove(name: string): Promise<void> {
    return this.#changes.run(async () => {
      this.get(name);
      await this.#ledger.write(bookDelivery(webhooksStream, 'retract', [JSON.stringify(name)]));
      await this.#queues.get(name)?.stop();
      this.#queues.delete(name);
      this.#byName.delete(name);
    });
  }

  /** Every attempt, newest first. */
  async attempts(name: string, page: Page): Promise<{ attempts: Attempt[]; next: string | undefined }> {
    const selection = checkSelection(deliveriesStream, { where: { webhook: this.get(name).name } });
    const newestFirst = page.newestFirst ?? true;
    const request = { ...selection, stream: deliveriesStream, standing: true, newestFirst };
    const { entries, next } = await pageOfEntries(this.#ledger.store, request, page);
    return { attempts: entries.map(attemptOf), next };
  }

  /** Posts the notification of an attempt once more, now, out of turn. Throws `unknown_delivery`, `webhooks_idle`. */
  async redeliver(name: string, id: string): Promise<Attempt> {
    const webhook = this.get(name);
    const { standing } = await this.#ledger.store.fate(deliveriesStream, id);
    const attempt = standing && attemptOf(standing);
    if (attempt?.webhook !== webhook.name) {
      const detail = `the webhook ${name} has no delivery ${id.slice(0, 100)}; GET /v1/webhooks/${name}/deliveries lists them`;
      throw new TallybookError('unknown_delivery', detail);
    }
    if (!this.#posting) {
      const detail = 'this process posts to no webhooks; start "tallybook serve", and ask it';
      throw new TallybookError('webhooks_idle', detail);
    }
    const notification = (await this.#ledger.notifications.find(attempt.notification))!;
    return this.#queue(webhook).postNow(notification);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#changes.run(async () => undefined);
    await Promise.all([...this.#queues.values()].map((queue) => queue.stop()));
  }

  #hold(webhook: Webhook): void {
    this.#byName.set(webhook.name, webhook);
    const queue = this.#queue(webhook);
    this.#queues.set(webhook.name, queue);
    if (webhook.enabled && !this.#closed) queue.start();
  }

  #queue(webhook: Webhook): WebhookQueue {
    const held = this.#queues.get(webhook.name);
    return held?.webhook === webhook ? held : new WebhookQueue(this.#ledger, webhook, this.#posting);
  }
}

function webhookOf({ values }: Entry): Webhook {
  const by = valuesByName(webhooksStream, values);
  return {
    name: by.name!,
    url: by.url!,
    secret: by.secret!,
    alerts: (JSON.parse(by.alerts ?? 'null') as string[] | null) ?? undefined,
    enabled: by.enabled === 'true',
    afterSeq: by.after_seq!,
  };
}

function bad(detail: string): TallybookError {
  return new TallybookError('bad_webhook', detail);
}
