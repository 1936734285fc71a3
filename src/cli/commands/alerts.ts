/** `tallybook alerts`: what is watched, and what was told. */
import type { Command } from 'commander';
import type { AlertDefinition } from '../../engine/alert-definition.ts';
import type { Notification } from '../../engine/notifications.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, ask, askJson, pathOf } from '../connection.ts';
import { readText } from '../input.ts';
import { table } from '../table.ts';
import { note, print, printJson, write } from '../terminal.ts';

interface AlertsSettings extends ConnectionSettings {
  json?: boolean;
}
interface NotificationsSettings extends AlertsSettings {
  alert?: string;
  from?: string;
  to?: string;
  limit: number;
}
interface ShownAlert {
  name: string;
  revision: number;
  definition: AlertDefinition;
  from: string | null;
  fault: string | null;
}

export function alertsCommands(program: Command): void {
  const alerts = program
    .command('alerts')
    .description('thresholds of figures: define them, see what was told');
  const commands = [
    alerts
      .command('list')
      .description('the alerts that are defined')
      .addHelpText('after', '\nExample:\n  $ tallybook alerts list')
      .action(listAlerts),
    alerts
      .command('put')
      .description('define an alert, or change it')
      .argument('<name>', 'name of the alert')
      .argument('<file>', 'its definition in JSON; - is standard input')
      .addHelpText(
        'after',
        `
Example:
  $ tallybook alerts put allowance allowance.json

A definition:
  {"stream": "usage", "measure": "sum(used)", "by": ["subscription_id"], "period": "month",
   "thresholds": [80, 100], "limit": "1000"}`,
      )
      .action(putAlert),
    alerts
      .command('delete')
      .description('remove an alert; what it told stays')
      .argument('<name>', 'name of the alert')
      .addHelpText('after', '\nExample:\n  $ tallybook alerts delete allowance')
      .action(deleteAlert),
    alerts
      .command('notifications')
      .description('thresholds that were reached, newest first')
      .addHelpText('after', '\nExample:\n  $ tallybook alerts notifications --alert allowance --limit 5')
      .addOption(setting('--alert <name>', 'of this alert'))
      .addOption(setting('--from <time>', 'noticed from then on'))
      .addOption(setting('--to <time>', 'noticed before then'))
      .addOption(setting('--limit <rows>', 'rows at most', { default: 20, parse: wholeNumber(1, 1_000) }))
      .action(listNotifications),
  ];
  for (const command of commands)
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

async function listAlerts(settings: AlertsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { alerts } = await askJson<{ alerts: ShownAlert[] }>(connection, 'GET', pathOf('v1', 'alerts'));
    if (settings.json) return printJson({ alerts });
    if (alerts.length === 0)
      return note('No alert is defined; "tallybook alerts put NAME FILE" defines one.');
    const rows = alerts.map(({ name, definition, from, fault }) => [
      name,
      definition.stream,
      definition.measure,
      definition.by.join(', ') || null,
      definition.period,
      limitText(definition),
      definition.thresholds.join(', '),
      from,
      fault ?? (definition.enabled ? 'watching' : 'off'),
    ]);
    const titles = ['alert', 'stream', 'measure', 'by', 'period', 'limit', 'per cent', 'from', 'state'];
    print(table(titles, rows));
  });
}

function limitText({ limit }: AlertDefinition): string {
  return typeof limit === 'string' ? limit : [limit.of, ...limit.path].join(' > ');
}

async function putAlert(name: string, file: string, settings: AlertsSettings): Promise<void> {
  const text = await readText(file);
  await connected(settings, async (connection) => {
    const reply = accepted(await connection.request('PUT', pathOf('v1', 'alerts', name), { text }));
    const alert = JSON.parse(reply.text) as ShownAlert;
    if (settings.json) printJson({ created: reply.status === 201, ...alert });
    else print(`${name}: defined as it is in the file; its figures come from ${alert.from}`);
  });
}

async function deleteAlert(name: string, settings: AlertsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    await ask(connection, 'DELETE', pathOf('v1', 'alerts', name));
    if (settings.json) printJson({ removed: name });
    else print(`${name} is removed; what it told stays.`);
  });
}

async function listNotifications(settings: NotificationsSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const { alert, from, to, limit } = settings;
    const query = { alert, from, to, page_size: limit };
    const text = await ask(connection, 'GET', pathOf('v1', 'notifications'), { query });
    if (settings.json) return write(`${text}\n`);
    const { notifications } = JSON.parse(text) as { notifications: Notification[] };
    if (notifications.length === 0) return note('No threshold was reached.');
    const rows = notifications.map((one) => [
      one.at.slice(0, 19),
      one.alert,
      one.key || null,
      one.period.start,
      one.threshold,
      one.percent,
      one.value,
      one.limit,
    ]);
    print(table(['noticed', 'alert', 'key', 'period', 'threshold', 'per cent', 'value', 'limit'], rows));
  });
}
