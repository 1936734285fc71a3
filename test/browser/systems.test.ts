/** The views of the systems: events, reports, occupancy. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, type Opened, open, picture } from './browser.ts';
import { type Served, start } from './served.ts';

let browser: Browser;
let served: Served;

beforeAll(async () => {
  served = await start('serve', ['--no-auth']);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await served?.remove();
});

const at = (path: string): Promise<Opened> => open(browser, served.url + path);
const event = (session: string, name: string, data: object, secondsAgo = 0): object => ({
  session_id: session,
  category: 'page interaction',
  name,
  data,
  timestamp: new Date(Date.now() - secondsAgo * 1000).toISOString(),
});

test('events appear as they come, and a session is a line of time', async () => {
  await served.api('POST', '/v1/events', [
    event('s1', 'pageview', { path: '/' }, 90),
    event('s1', 'scroll', { depth: 20 }, 30),
  ]);
  const { page, end } = await at('/events');
  const table = page.getByRole('region', { name: 'Events' });
  await expect.poll(() => table.getByRole('row').count()).toBe(3);
  await served.api('POST', '/v1/events', event('s1', 'cta click', { element: 'chat', exact: 1 }));
  await expect.poll(() => table.getByRole('row').nth(1).innerText()).toContain('cta click');
  await picture(page, 'events-live');
  await table.getByRole('link', { name: 's1' }).first().click();
  await page.getByRole('heading', { name: 'Session s1' }).waitFor();
  const names = page
    .getByRole('region')
    .or(page.locator('section'))
    .filter({ hasText: 'What happened, in order' });
  await expect
    .poll(() => names.last().getByRole('button').allTextContents())
    .toEqual(['pageview', 'scroll', 'cta click']);
  await picture(page, 'events-session');
  await end();
});

test('hundreds of events a second are drawn a few times a second', async () => {
  const { page, end } = await at('/events');
  const table = page.getByRole('region', { name: 'Events' });
  await table.waitFor();
  // Each time React has drawn, the list of rows has changed: once, however many rows.
  await table.evaluate((one) => {
    const counted = window as unknown as { drawn: number };
    counted.drawn = 0;
    new MutationObserver(() => counted.drawn++).observe(one.querySelector('tbody')!, { childList: true });
  });
  const started = Date.now();
  for (let i = 0; i < 40; i++)
    await served.api(
      'POST',
      '/v1/events',
      Array.from({ length: 25 }, (_, j) => event(`burst-${i}`, 'scroll', { i, j })),
    );
  await expect.poll(() => page.getByText('1,000 since this was opened').count()).toBe(1);
  const seconds = (Date.now() - started) / 1000;
  const drawn = await page.evaluate(() => (window as unknown as { drawn: number }).drawn);
  // Five times a second, and what was on its way.
  expect(drawn).toBeLessThanOrEqual(seconds * 5 + 5);
  expect(await table.getByRole('row').count()).toBe(101);
  await end();
});

test('errors say the reason; the schema is relaxed after a dry run, and what it refused is replayed', async () => {
  const schema = {
    type: 'object',
    required: ['depth'],
    properties: { depth: { type: 'integer', maximum: 50 } },
  };
  await served.api('PUT', '/v1/event-types/page%20interaction/depth', { schema });
  await served.api('POST', '/v1/events', [
    event('s2', 'depth', { depth: 20 }),
    event('s2', 'depth', { depth: 75 }),
    event('s2', 'depth', { depth: 80 }),
  ]);
  const { page, end } = await at('/events?show=errors');
  const group = page.getByRole('row').filter({ hasText: 'schema violation' });
  await expect
    .poll(() => group.innerText())
    .toMatch(/2\s+schema violation\s+data\.depth\s+page interaction \/ depth/);
  await picture(page, 'events-errors');
  await group.getByRole('link', { name: 'page interaction / depth', exact: true }).click();
  const editor = page.getByLabel('Schema', { exact: true });
  await editor.fill((await editor.inputValue()).replace('50', '75'));
  await page.getByRole('button', { name: 'Dry run' }).click();
  await page.getByText('a replay would count 1 of 2').waitFor();
  await editor.fill((await editor.inputValue()).replace('75', '100'));
  await page.getByRole('button', { name: 'Dry run' }).click();
  await page.getByText('a replay would count 2 of 2').waitFor();
  await picture(page, 'events-schema');
  await page.getByRole('button', { name: 'Set it' }).click();
  await page.getByText('enforced, version 2').waitFor();
  await page.getByRole('button', { name: 'Replay what was refused' }).click();
  await page.getByText('2 events counted').waitFor();
  const { rows } = await served.api('GET', '/v1/streams/events/query?where=name=depth');
  expect(rows).toEqual([{ count: 3 }]);
  expect((await served.api('GET', '/v1/events/errors')).groups).toEqual([]);
  await end();
});

test('a report is dropped and followed; the top of the catalogue; its deletion names what goes', async () => {
  const lines = Array.from(
    { length: 50 },
    (_, i) =>
      `id${i}\tSong ${i}\tAna|Bo\tNOABC26000${String(i).padStart(2, '0')}\t${i}\t${i}.123456789012345678`,
  );
  const text = `dsp_id\ttitle\tartists\tisrc\tusages\trevenue\n${lines.join('\n')}\n`;
  const { page, end } = await at('/reports');
  const data = await page.evaluateHandle((content) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([content], 'Waves_Waves_NO_EUR_20260101-20260131.tsv'));
    return transfer;
  }, text);
  await page.getByText('Drop report files here').waitFor();
  await page.getByTestId('drop').dispatchEvent('drop', { dataTransfer: data });
  const row = page.getByRole('row').filter({ hasText: 'Norway' });
  await expect.poll(() => row.innerText()).toMatch(/ingested\s+50\s+0\s+1,225/);
  await picture(page, 'reports');
  await page.getByText('Top of the catalogue').click();
  await page.getByRole('region', { name: 'Recordings' }).getByText('Song 49').waitFor();
  await page.getByRole('img', { name: /Revenue of the first/ }).waitFor();
  await picture(page, 'reports-top');
  await page.goto(`${served.url}/reports`);
  await row.getByRole('link').click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Waves_Waves_NO_EUR_20260101-20260131.tsv').waitFor();
  expect(await dialog.textContent()).toMatch(
    /50 lines with 1,225 plays and 1,231\.17… EUR of revenue from Norway/,
  );
  await picture(page, 'report-delete');
  await dialog.getByRole('button', { name: 'Delete 50 lines' }).click();
  await page.getByText('No reports yet').waitFor();
  await end();
});

test('a building now and last week; a count is set; the sensors that are silent, and what hangs where it cannot', async () => {
  const hoursAgo = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();
  await served.api('POST', '/v1/spaces', [{ id: 'hall', name: 'Entrance hall', capacity: 10 }]);
  await served.api('POST', '/v1/doorways', [{ id: 'main', name: 'Main door', one_side: 'hall' }]);
  await served.api('POST', '/v1/sensors', [{ dpu_id: 283, expected_seconds: 3600 }]);
  await served.api('POST', '/v1/assignments', [{ id: '1', dpu_id: 283, doorway_id: 'main', faces: 'hall' }]);
  await served.api('POST', '/v1/assignments', [{ id: '2', dpu_id: 284, doorway_id: 'back', faces: 'hall' }]);
  const passages = [200, 199, 5, 4, 3].map((hours) => ({
    timestamp: hoursAgo(hours),
    direction: 1,
    dpu_id: 283,
  }));
  await served.api('POST', '/v1/passages', [
    ...passages,
    { timestamp: hoursAgo(1), direction: 1, dpu_id: 299 },
  ]);
  const { page, end } = await at('/occupancy');
  const card = page.getByRole('link', { name: /Entrance hall/ });
  await expect.poll(() => card.textContent()).toMatch(/hall550 % of 10|hall5\s*50 % of 10/);
  await page.getByRole('button', { name: 'A week ago' }).click();
  await expect.poll(() => card.textContent()).toMatch(/hall2\s*20 % of 10/);
  await picture(page, 'occupancy');
  await card.click();
  await page.getByRole('img', { name: 'People in Entrance hall' }).waitFor();
  await page.getByRole('button', { name: 'Set the count' }).click();
  await page.getByLabel('So many people are there').fill('3');
  await page.getByLabel('Reason').fill('counted by hand');
  await page.getByRole('button', { name: 'Set it' }).click();
  await expect
    .poll(() => page.getByRole('region', { name: 'Now', exact: true }).textContent())
    .toMatch(/^Now3/);
  await page.getByRole('cell', { name: 'counted by hand' }).waitFor();
  await picture(page, 'occupancy-space');
  await page.goto(`${served.url}/occupancy?show=sensors`);
  await expect
    .poll(() => page.getByRole('row').filter({ hasText: '283' }).first().innerText())
    .toMatch(/283\s+silent/);
  await expect
    .poll(() => page.getByRole('row').filter({ hasText: '284' }).first().innerText())
    .toMatch(/wrong the assignment 2: .*back/);
  const unassigned = page.getByRole('region', { name: 'Unassigned passages' });
  await expect.poll(() => unassigned.innerText()).toMatch(/299\s+1\s+1 passage: ever since/);
  await picture(page, 'occupancy-sensors');
  await end();
});
