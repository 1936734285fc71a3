import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { done, failure, file, json, ledger, rows, run, scratch, serve } from './harness.ts';

const spent = {
  stream: 'sales',
  measure: 'sum(amount)',
  by: ['customer'],
  period: 'month',
  limit: '3',
  thresholds: [100],
};

describe('alerts', () => {
  test('are defined, told without a server too, and removed', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const definition = file(directory, 'spent.json', spent);
    expect(await done(['alerts', 'put', 'spent', definition, '--data', data])).toBe(
      'spent: defined as it is in the file; its figures come from rollup daily\n',
    );
    expect(await done(['alerts', 'list', '--data', data])).toMatch(
      /^spent +sales +sum\(amount\) +customer +month +3 +100 +rollup daily +watching/m,
    );
    await done(['import', 'sales', file(directory, 'records.csv', rows(9)), '--data', data]);
    const told = await done(['alerts', 'notifications', '--alert', 'spent', '--data', data]);
    expect(told).toMatch(/spent +c0 +2026-10-01 +100 +100 +3 +3$/m);
    expect(told).toMatch(/spent +c1 +2026-10-01/m);
    expect(told.trimEnd().split('\n')).toHaveLength(3);
    const { notifications } = await json<{ notifications: object[] }>([
      'alerts',
      'notifications',
      '--limit',
      '1',
      '--data',
      data,
    ]);
    expect(notifications).toHaveLength(1);
    const wrong = file(directory, 'wrong.json', { ...spent, measure: 'sum(nope)' });
    expect(await failure(['alerts', 'put', 'wrong', wrong, '--data', data])).toMatchObject({
      exit: 1,
      code: 'bad_alert',
    });
    expect(await done(['alerts', 'delete', 'spent', '--data', data])).toContain('spent is removed');
    expect((await run(['alerts', 'list', '--data', data])).stderr).toContain('No alert is defined');
  });

  test('one whose stream is of a system that was left out is listed with why it is not watched', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const ours = file(directory, 'spent.json', spent);
    const theirs = file(directory, 'events.json', { ...spent, stream: 'events', measure: 'count', by: [] });
    await done(['alerts', 'put', 'spent', ours, '--data', data]);
    await done(['alerts', 'put', 'visits', theirs, '--data', data]);
    const listed = await done(['alerts', 'list', '--data', data, '--systems', 'none']);
    expect(listed).toMatch(/^spent .* watching/m);
    expect(listed).toMatch(/^visits .* there is no stream events any more; if it is of a system/m);
    const { alerts } = await json<{ alerts: object[] }>([
      'alerts',
      'list',
      '--data',
      data,
      '--systems',
      'none',
    ]);
    expect(alerts).toMatchObject([
      { name: 'spent', from: 'rollup daily', fault: null },
      { name: 'visits', from: null, fault: expect.stringContaining('there is no stream events any more') },
    ]);
    expect(await done(['alerts', 'list', '--data', data])).toMatch(/^visits .* watching/m);
    expect(await done(['alerts', 'delete', 'visits', '--data', data, '--systems', 'none'])).toContain(
      'visits is removed',
    );
  });

  test('a server posts them to hosts that it was told to allow, and others it refuses', async () => {
    const directory = scratch();
    const data = await ledger(directory);
    const posted: string[] = [];
    const receiver = createServer((request, answer) => {
      request.on('data', (some: Buffer) => posted.push(some.toString())).on('end', () => answer.end());
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void receiver.close());
    const address = `127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    const server = await serve(data, '--allow-webhook-host', '127.0.0.1');

    expect(await failure(['webhooks', 'put', 'hook', 'http://10.0.0.1/', '--data', data])).toMatchObject({
      exit: 1,
      code: 'webhook_refused',
      detail: expect.stringContaining('--allow-webhook-host 10.0.0.1'),
    });
    await done(['alerts', 'put', 'spent', file(directory, 'spent.json', spent), '--data', data]);
    const made = await done([
      'webhooks',
      'put',
      'hook',
      `http://${address}/`,
      '--alert',
      'spent',
      '--data',
      data,
    ]);
    expect(made).toMatch(/^whsec_[\w+/]+=*\n$/);
    expect(await done(['webhooks', 'list', '--data', data])).toMatch(/^hook +http:\S+ +spent +on$/m);
    await done(['import', 'sales', file(directory, 'records.csv', rows(8)), '--data', data]);
    await expect.poll(() => posted.length, { timeout: 20_000 }).toBe(1);
    expect(JSON.parse(posted[0]!)).toMatchObject({ data: { alert: 'spent', key: 'c0', value: '3' } });

    const list = async () =>
      (await json<{ deliveries: { id: string }[] }>(['webhooks', 'deliveries', 'hook', '--data', data]))
        .deliveries;
    await expect.poll(list, { timeout: 20_000 }).toMatchObject([{ outcome: 'delivered', status: 200 }]);
    const [{ id }] = (await list()) as [{ id: string }];
    expect(await done(['webhooks', 'redeliver', 'hook', id, '--data', data])).toMatch(/^n_\w+: delivered\n$/);
    expect(posted).toHaveLength(2);
    expect(await done(['webhooks', 'deliveries', 'hook', '--data', data])).toMatch(
      /^d_\w+ .* delivered +200/m,
    );
    expect(await done(['webhooks', 'put', 'hook', `http://${address}/`, '--off', '--data', data])).toContain(
      'its secret stays',
    );
    expect(await done(['webhooks', 'delete', 'hook', '--data', data])).toBe('hook is removed.\n');
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });
});
