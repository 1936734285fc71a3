/** `tallybook webhooks`: where notifications are posted to, and what became of each attempt. */
import type { Command } from 'commander';
import type { Attempt } from '../../engine/webhook-queue.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  listOf,
  setting,
  wholeNumber,
} from '../config.ts';
import { connected } from '../connect.ts';
import { ask, askJson, pathOf } from '../connection.ts';
import { table } from '../table.ts';
import { note, print, printJson, write } from '../terminal.ts';

interface WebhooksSettings extends ConnectionSettings {
  json?: boolean;
}
interface PutSettings extends WebhooksSettings {
  alert?: string[];
  secret?: string;
  off?: boolean;
}
interface DeliveriesSettings extends WebhooksSettings {
  limit: number;
}
interface ShownWebhook {
  name: string;
  url: string;
  alerts: string[] | null;
  enabled: boolean;
  secret?: string;
}

const webhooksPath = pathOf('v1', 'webhooks');

export function webhooksCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('where notifications of alerts are posted to');
  const commands = [
    webhooks
      .command('list')
      .description('the webhooks there are')
      .addHelpText('after', '\nExample:\n  $ tallybook webhooks list')
      .action(listWebhooks),
    webhooks
      .command('put')
      .description('make a webhook, or change it')
      .argument('<name>', 'name of the webhook')
      .argument('<address>', 'where to post, such as https://example.com/hooks')
      .addHelpText(
        'after',
        `
Example:
  $ tallybook webhooks put billing https://billing.example.com/hooks --alert allowance

The secret that signs what is posted is shown this once, when it is made. A server posts; hosts with addresses that are
not public must be allowed by name: tallybook serve --allow-webhook-host NAME.`,
      )
      .addOption(setting('--alert <name>', 'only of this alert; may be repeated', { repeat: true }))
      .addOption(setting('--secret <secret>', 'whsec_ and base64; one is made when it is not given'))
      .addOption(setting('--off', 'post nothing to it'))
      .action(putWebhook),
    webhooks
      .command('delete')
      .description('remove a webhook')
      .argument('<name>', 'name of the webhook')
      .addHelpText('after', '\nExample:\n  $ tallybook webhooks delete billing')
      .action(deleteWebhook),
    webhooks
      .command('deliveries')
      .description('every attempt, newest first')
      .argument('<name>', 'name of the webhook')
      .addHelpText('after', '\nExample:\n  $ tallybook webhooks deliveries billing --limit 5')
      .addOption(setting('--limit <rows>', 'rows at most', { default: 20, parse: wholeNumber(1, 1_000) }))
      .action(listDeliveries),
    webhooks
      .command('redeliver')
      .description('post the notification of a delivery once more, now')
      .argument('<name>', 'name of the webhook')
      .argument('<id>', 'id of the delivery')
      .addHelpText('after', '\nExample:\n  $ tallybook webhooks redeliver billing d_1f2e3d4c5b6a798081726354')
      .action(redeliver),
  ];
  for (const command of commands)
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

async function listWebhooks(settings: WebhooksSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { webhooks } = await askJson<{ webhooks: ShownWebhook[] }>(connection, 'GET', webhooksPath);
    if (settings.json) return printJson({ webhooks });
    if (webhooks.length === 0)
      return note('There is no webhook; "tallybook webhooks put NAME ADDRESS" makes one.');
    const rows = webhooks.map(({ name, url, alerts, enabled }) => [
      name,
      url,
      alerts?.join(', ') ?? 'all',
      enabled ? 'on' : 'off',
    ]);
    print(table(['webhook', 'address', 'alerts', 'state'], rows));
  });
}

async function putWebhook(name: string, url: string, settings: PutSettings): Promise<void> {
  const { alert, secret, off, json } = settings;
  const body = {
    url,
    enabled: !off,
    ...(secret === undefined ? {} : { secret }),
    ...(alert ? { alerts: listOf(alert) } : {}),
  };
  await connected(settings, async (connection) => {
    const made = await askJson<ShownWebhook>(connection, 'PUT', webhooksPath + pathOf(name), { body });
    if (json) return printJson(made);
    print(made.secret ?? `${name}: as it was given; its secret stays.`);
    if (made.secret !== undefined)
      note(`${name} is there. The secret that signs what is posted is shown this once.`);
  });
}

async function deleteWebhook(name: string, settings: WebhooksSettings): Promise<void> {
  await connected(settings, async (connection) => {
    await ask(connection, 'DELETE', webhooksPath + pathOf(name));
    if (settings.json) printJson({ removed: name });
    else print(`${name} is removed.`);
  });
}

async function listDeliveries(name: string, settings: DeliveriesSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const path = webhooksPath + pathOf(name, 'deliveries');
    const text = await ask(connection, 'GET', path, { query: { page_size: settings.limit } });
    if (settings.json) return write(`${text}\n`);
    const { deliveries } = JSON.parse(text) as { deliveries: Attempt[] };
    if (deliveries.length === 0) return note('Nothing was posted to it yet.');
    print(
      table(
        ['delivery', 'at', 'notification', 'attempt', 'outcome', 'status', 'ms', 'error'],
        deliveries.map(rowOf),
      ),
    );
  });
}

async function redeliver(name: string, id: string, settings: WebhooksSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const path = webhooksPath + pathOf(name, 'deliveries', id, 'redeliver');
    const attempt = await askJson<Attempt>(connection, 'POST', path);
    if (settings.json) printJson(attempt);
    else
      print(
        `${attempt.notification}: ${attempt.outcome}${attempt.error === null ? '' : `, ${attempt.error}`}`,
      );
  });
}

function rowOf({ id, at, notification, attempt, outcome, status, milliseconds, error }: Attempt) {
  return [id, at.slice(0, 19), notification, attempt, outcome, status, milliseconds, error];
}
