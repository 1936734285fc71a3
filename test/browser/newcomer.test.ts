/** The way of a newcomer through the console, over the records of the demo. */
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, type Opened, open, picture } from './browser.ts';
import { type Served, start } from './served.ts';

let browser: Browser;
let served: Served;

beforeAll(async () => {
  served = await start('demo', ['--no-auth', '--records', '12000', '--quiet']);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await served?.remove();
});

const at = (path: string): Promise<Opened> => open(browser, served.url + path);
const record = (id: string, more: object = {}): object => ({
  id,
  type: 'data',
  subscription_id: 990_001,
  usage_date: new Date().toISOString(),
  price: '1.25',
  used: 10,
  ...more,
});
const send = (records: object[]): Promise<unknown> =>
  served.api('POST', '/v1/streams/usage/records', records);

test('records arrive before the eyes, and are counted', async () => {
  const { page, end } = await at('/');
  const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'usage', exact: true }) });
  const count = row.locator('td').nth(2);
  const counted = async () => Number((await count.textContent())!.replace(',', ''));
  await expect.poll(counted).toBeGreaterThanOrEqual(12_000);
  const before = await counted();
  const rate = page.getByLabel('Records a second', { exact: true });
  for (let i = 0; i < 20; i++) await send([record(`live-${i}`, { subscription_id: 990_000 })]);
  await expect.poll(() => rate.textContent()).not.toMatch(/second0n/);
  // The demo goes on by itself, too.
  await expect.poll(counted).toBeGreaterThanOrEqual(before + 20);
  await picture(page, 'overview');
  await end();
});

test('who exceeds a limit; the records behind the figure; one corrected, and the figure follows', async () => {
  await send([record('a', { price: '60.10' }), record('b', { price: '40.20' })]);
  const { page, end } = await at('/usage?limit=100&subscription=990001');
  const table = page.getByRole('region', { name: 'Subscriptions over the limit' });
  await expect.poll(() => table.getByRole('row').nth(1).innerText()).toMatch(/990001\s+data\s+100.30\s+0.30/);
  await picture(page, 'usage-exceeding');
  await table.getByRole('button', { name: '100.30' }).click();

  const entries = page.getByRole('dialog').getByRole('region', { name: 'Entries behind the figure' });
  await expect.poll(() => entries.getByRole('row').count()).toBe(1 + 2);
  await picture(page, 'usage-entries');
  await entries.getByRole('button', { name: 'b', exact: true }).click();

  const drawer = page.getByRole('dialog', { name: /a record of usage/ });
  await drawer.getByLabel('price').fill('50.20');
  await drawer.getByLabel('Reason').fill('wrong tariff');
  await picture(page, 'usage-correction');
  await drawer.getByRole('button', { name: 'Correct it' }).click();
  await expect.poll(() => drawer.getByText('wrong tariff').count()).toBe(1);
  await picture(page, 'usage-corrected');
  await drawer.getByRole('button', { name: 'Close' }).click();
  // What was taken back stands there, too: two records, and the two entries of the correction.
  await expect.poll(() => entries.getByRole('row').count()).toBe(1 + 4);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await expect.poll(() => table.getByRole('row').nth(1).innerText()).toMatch(/110.30\s+10.30/);
  await end();
});

test('the days of a subscription, and what one of them is made of', async () => {
  const today = new Date();
  const { page, end } = await at('/usage/1');
  await page.getByRole('img', { name: 'Price by day, data and voice' }).waitFor();
  await picture(page, 'usage-subscription');
  const days = page.getByRole('region', { name: 'Usage by day' });
  if (today.getDate() > 1) {
    const price = days.getByRole('row').nth(1).getByRole('button');
    const shown = await price.textContent();
    await price.click();
    await page.getByRole('dialog').getByText(`: ${shown}`).waitFor();
  }
  await end();
});

test('what was refused, with the reason; mended, it counts', async () => {
  const { page, end } = await at('/rejects?stream=usage');
  await page.getByRole('region', { name: 'Groups of rejects' }).waitFor();
  await picture(page, 'rejects');
  await page
    .getByRole('row')
    .filter({ hasText: 'used is -5' })
    .getByRole('button', { name: /^r\d+$/ })
    .click();
  await page.getByRole('heading', { name: /used is -5; expected a whole number/ }).waitFor();
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('Still refused').waitFor();
  const editor = page.getByLabel('As it should be');
  await editor.fill((await editor.inputValue()).replace('-5', '5'));
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('It was sent again and passed').waitFor();
  await picture(page, 'reject-mended');
  await page.getByRole('link', { name: 'Rejects' }).first().click();
  await page.getByRole('region', { name: 'Groups of rejects' }).waitFor();
  await expect.poll(() => page.getByText('used is -5').count()).toBe(0);
  await end();
});

test('a question, split and filtered; its address is the view; its answer is exact, as a file too', async () => {
  const huge = '9007199254740993';
  await send([record('huge', { used: huge, subscription_id: 990_002 })]);
  const { page, end } = await at(
    '/explore/usage?measures=sum(used),count&every=all&where=subscription_id%3D990002&range=all',
  );
  // Two above 2^53: a double would have made another number of it.
  await page.getByRole('button', { name: '9,007,199,254,740,993' }).first().waitFor();

  await page.goto(`${served.url}/explore/usage`);
  await page.getByRole('img', { name: 'sum(price), by day' }).waitFor();
  await picture(page, 'explore');
  await page.getByRole('combobox', { name: 'Split by' }).fill('type');
  await page.keyboard.press('Enter');
  const answer = page.getByRole('region', { name: 'The answer' });
  await expect.poll(() => answer.getByRole('row').nth(1).innerText()).toMatch(/data|voice/);
  await page.getByRole('img', { name: 'sum(price), by day' }).waitFor();
  await picture(page, 'explore-split');
  expect(new URL(page.url()).searchParams.get('by')).toBe('type');
  await page.reload();
  await expect.poll(() => answer.getByRole('row').nth(1).innerText()).toMatch(/data|voice/);
  await page.getByRole('button', { name: 'Export' }).click();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('menuitem', { name: 'CSV' }).click(),
  ]);
  expect(readFileSync((await file.path())!, 'utf8')).toMatch(/^type,day,sum\(price\),count\r\n/);
  await answer.getByRole('row').nth(1).getByRole('button').first().click();
  await page.getByRole('dialog').getByRole('region', { name: 'Entries behind the figure' }).waitFor();
  await page.goBack();
  await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
  await end();
});

test('a file is dropped and followed to its end; undone, it names what goes', async () => {
  const { page, end } = await at('/imports?stream=usage');
  const rows = Array.from({ length: 500 }, (_, i) => `f${i},voice,990003,${new Date().toISOString()},0.10,6`);
  const text = `id,type,subscription_id,usage_date,price,used\n${rows.join('\n')}\nbad,voice,990003,never,0.10,6\n`;
  const data = await page.evaluateHandle((content) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([content], 'calls.csv'));
    return transfer;
  }, text);
  await page.getByText('they go into usage').waitFor();
  await page.getByTestId('drop').dispatchEvent('drop', { dataTransfer: data });
  const row = page.getByRole('row').filter({ hasText: 'calls.csv' });
  await expect.poll(() => row.innerText()).toMatch(/done\s+501\s+500\s+0\s+1/);
  await picture(page, 'imports');
  await row.getByRole('button', { name: /Undo the import/ }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('calls.csv').waitFor();
  await picture(page, 'import-undo');
  await dialog.getByRole('button', { name: 'Take back 500 records' }).click();
  await expect.poll(() => row.innerText()).toMatch(/undone/);
  const { rows: answer } = await served.api('GET', '/v1/streams/usage/query?where=subscription_id=990003');
  expect(answer).toEqual([{ count: 0 }]);
  await end();
});

test('an alert is defined, and tells what it saw as it happens', async () => {
  const { page, end } = await at('/alerts?show=alerts');
  await page.getByRole('button', { name: 'New alert' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('spending');
  await choose('Stream', 'usage');
  await choose('Figure', 'sum(price)');
  await choose('For each', 'subscription_id');
  await page.keyboard.press('Escape');
  await dialog.getByLabel('Limit').fill('1000');
  await dialog.getByRole('button', { name: 'Watch it' }).click();
  await expect.poll(() => dialog.count()).toBe(0);
  await page.getByText('sum(price) of usage by subscription_id').waitFor();
  await page.getByText('Notifications', { exact: true }).click();
  await send([record('much', { price: '850.00', subscription_id: 990_004 })]);
  const told = page.getByRole('row').filter({ hasText: '990004' });
  await expect.poll(() => told.count()).toBe(1);
  expect(await told.innerText()).toMatch(/spending\s+990004\s+80 %\s+850\s+1,000 \(85 %\)/);
  await picture(page, 'alerts');
  await end();

  async function choose(label: string, option: string): Promise<void> {
    await dialog.getByRole('combobox', { name: label }).or(dialog.getByLabel(label)).first().click();
    await page.getByRole('option', { name: option, exact: true }).click();
  }
});

test('a source is made: its key is shown once', async () => {
  const { page, end } = await at('/sources');
  await page.getByRole('button', { name: 'New source' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('billing');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const key = await dialog.getByRole('region', { name: 'Shown once' }).innerText();
  expect(key.length).toBeGreaterThan(20);
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await page.getByRole('cell', { name: 'billing', exact: true }).waitFor();
  expect(await page.content()).not.toContain(key.trim());
  await picture(page, 'sources');
  await end();
});
