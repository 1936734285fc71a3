import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { done, json, read, run, scratch, start } from './harness.ts';

const sums = ['query', 'usage', '--measures', 'sum(price),sum(used),count', '--by', 'type'];

describe('demo', () => {
  test('twice in the same directory: the second time all are duplicates, and no sum has changed', async () => {
    const data = join(scratch(), 'demo');
    const first = await done(['demo', '--once', '--records', '3000', '--data', data]);
    expect(first).toMatch(/^usage\.csv +3,003 +3,000 +3 /m);
    expect(first).toMatch(/^events\.ndjson +2,000 +2,000 +0 /m);
    const reports = [...first.matchAll(/^Example_Music_[A-Z]{2}_[A-Z]{3}_\d{8}-\d{8}\.tsv +(\d+) +\1 +0 /gm)];
    expect(reports.map(([, lines]) => Number(lines)).reduce((a, b) => a + b, 0)).toBe(1_000);
    expect(first).toMatch(/^passages\.csv +2,000 +2,000 +0 /m);
    expect(first).toContain('price is 12.345; expected a decimal number');
    expect(first).toContain('Fixed and sent again: accepted; it counts now, once.');
    expect(first).toMatch(/^\d+ rows? in [\d.]+ m?s, from rollup total, as of batch \d+/m);
    const [before, corrected, asKnown, back] = [
      ...first.matchAll(
        /^(?:subscription 1 |rec_\d+ corrected|the same question|corrected again).* ([\d.]+) +\d+$/gm,
      ),
    ].map(([, sum]) => Number(sum));
    expect(corrected).toBeGreaterThan(before!);
    expect([asKnown, back]).toEqual([before, before]);
    const after = await json<{ rows: unknown[] }>([...sums, '--data', data]);

    const second = await done(['demo', '--once', '--data', data]);
    expect(second).toMatch(/^usage\.csv +3,003 +3,000 +3 /m);
    expect(second).toMatch(/^file +received +duplicates +rejected /m);
    expect(second).toContain('all duplicates, no sum has changed');
    expect(second).toContain('Fixed and sent again: duplicate; it counts already');
    expect((await json<{ rows: unknown[] }>([...sums, '--data', data])).rows).toEqual(after.rows);
    expect(await json(['verify', '--data', data])).toMatchObject({ ok: true });
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tallybook-demo-'))).toEqual([]);
  });

  test('serves at the end, with addresses to open, until it is stopped', async () => {
    const directory = scratch();
    const running = start(['demo', '--records', '300'], { cwd: directory, env: { TALLYBOOK_PORT: '0' } });
    const said = await running.says(/\$ curl .*\n/);
    const data = join(directory, 'tallybook-data/demo');
    const [question] = /(?<=')http:.*query.*(?=')/.exec(said)!;
    const headers = { authorization: `Bearer ${read(join(data, 'admin.key'))}` };
    const answer = (await (await fetch(question, { headers })).json()) as { rows: unknown[] };
    expect(answer.rows.length).toBeGreaterThan(10);
    const { origin } = new URL(question);
    expect(await (await fetch(`${origin}/metrics`, { headers })).text()).toMatch(
      /tallybook_records_total \d{3}/,
    );
    expect((await fetch(`${origin}/docs`)).status).toBe(200);
    // The page, with the key behind the #, where browsers keep it to themselves.
    expect(said).toContain(`${origin}/#key=${read(join(data, 'admin.key'))}`);
    expect(await (await fetch(origin)).text()).toContain('<div id="root">');
    // What systems refer to is there, and records go on coming in.
    const get = async (path: string) => (await fetch(`${origin}${path}`, { headers })).json();
    expect(await get('/resources/percentile/1')).toMatchObject([{ dsrs: expect.any(Array) }]);
    expect(await get('/v1/spaces/counts')).toMatchObject({ spaces: Array(6).fill({}) });
    const counted = async () =>
      Number(
        /(\d+)\n/.exec(
          await done(['query', 'usage', '--data', './tallybook-data/demo'], { cwd: directory }),
        )![1],
      );
    const loaded = await counted();
    expect(loaded).toBeGreaterThanOrEqual(301);
    await expect.poll(counted, { timeout: 30_000 }).toBeGreaterThan(loaded);
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
    expect(existsSync(join(data, 'serve.json'))).toBe(false);
  });

  test('stopped half-way it tidies up', async () => {
    const data = join(scratch(), 'demo');
    const running = start(['demo', '--records', '200000', '--data', data, '--port', '0']);
    await running.says(/usage-1\.csv …/);
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(existsSync(join(data, 'serve.json'))).toBe(false);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tallybook-demo-'))).toEqual([]);
    expect((await run(['verify', '--data', data])).code).toBe(0);
  });
});
