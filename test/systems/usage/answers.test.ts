/**
 * The usage system as a table: records in, what is done to them, and the four answers, to the cent. Each line is run
 * on a fresh ledger.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { csv, lines, ndjson, storeKinds } from '../../http/open-app.ts';
import { data, type OpenUsage, openUsage, voice } from './sent.ts';

const [day, other] = ['2026-10-05T06:43:00Z', '2026-11-05T06:43:00Z'];
const [d, v] = ['/v1/usage/data', '/v1/usage/voice'];
type Request = [method: string, url: string, body?: unknown];
const both: Request[] = [
  [
    'POST',
    d,
    [data('d1', 1, '4.20', day, 100), data('d2', 1, '5.80', other, 50), data('d3', 2, '9.99', day)],
  ],
  ['POST', v, [voice('v1', 1, '0.30', day, 60), voice('v2', 2, '10.01', day, 600)]],
];

interface Case {
  title: string;
  requests: Request[];
  /** `subscription type total exceeded_by`, for limit=10.00. */
  exceeding: string[];
  /** `subscription type price used records`. */
  metrics: string[];
  /** The same for some days, inclusive. */
  dated?: [from: string, to: string, exceeding: string[], metrics: string[]][];
}

const cases: Case[] = [
  { title: 'nothing', requests: [], exceeding: [], metrics: [] },
  {
    title: 'data and voice, over two months',
    requests: both,
    exceeding: ['2 voice 10.01 0.01', '1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'the same again counts once',
    requests: [...both, ...both],
    exceeding: ['2 voice 10.01 0.01', '1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'cents add up, whatever they are in binary',
    requests: [['POST', d, [data('a', 1, 0.1, day), data('b', 1, 0.2, day), data('c', 1, 9.7, day)]]],
    exceeding: ['1 data 10.00 0.00'],
    metrics: ['1 data 10.00 3 3'],
  },
  {
    title: 'one cent less is not enough, and neither are both types together',
    requests: [
      ['POST', d, data('a', 1, '9.99', day)],
      ['POST', v, voice('b', 1, '9.99', day)],
    ],
    exceeding: [],
    metrics: ['1 data 9.99 1 1', '1 voice 9.99 1 1'],
  },
  {
    title: 'on both types; the worst of them ranks it',
    requests: [
      ['POST', d, [data('a', 3, '10.50', day), data('b', 1, '12', day)]],
      ['POST', v, [voice('c', 3, '13', day), voice('d', 2, '12', day)]],
    ],
    exceeding: ['3 data 10.50 0.50', '3 voice 13.00 3.00', '1 data 12.00 2.00', '2 voice 12.00 2.00'],
    metrics: ['1 data 12.00 1 1', '2 voice 12.00 1 1', '3 data 10.50 1 1', '3 voice 13.00 1 1'],
  },
  {
    title: 'a correction moves the price',
    requests: [...both, ['PUT', `${d}/d1`, data('d1', 1, '4.19', day, 100)]],
    exceeding: ['2 voice 10.01 0.01'],
    metrics: ['1 data 9.99 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'a correction moves the subscription',
    requests: [...both, ['PUT', `${d}/d1`, data('d1', 2, '4.20', day, 100)]],
    exceeding: ['2 data 14.19 4.19', '2 voice 10.01 0.01'],
    metrics: ['1 data 5.80 50 1', '1 voice 0.30 60 1', '2 data 14.19 101 2', '2 voice 10.01 600 1'],
  },
  {
    title: 'a correction moves the type, with the id of the address',
    requests: [
      ...both,
      ['PUT', `${v}/d1`, { subscription_id: 1, price: '4.20', usage_date: day, seconds_used: 7 }],
    ],
    exceeding: ['2 voice 10.01 0.01'],
    metrics: ['1 data 5.80 50 1', '1 voice 4.50 67 2', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'a correction moves the day into another month',
    requests: [...both, ['PUT', `${d}/d1`, data('d1', 1, '4.20', other, 100)]],
    exceeding: ['2 voice 10.01 0.01', '1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
    dated: [
      [
        '2026-10-01',
        '2026-10-31',
        ['2 voice 10.01 0.01'],
        ['1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
      ],
      ['2026-11-01', '2026-11-30', ['1 data 10.00 0.00'], ['1 data 10.00 150 2']],
      [
        '2026-10-05',
        '2026-11-04',
        ['2 voice 10.01 0.01'],
        ['1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
      ],
      ['2026-11-05', '2026-11-05', ['1 data 10.00 0.00'], ['1 data 10.00 150 2']],
      ['2026-10-06', '2026-11-04', [], []],
    ],
  },
  {
    title:
      'a correction moves the day within the month, to its first instant, with the price and the subscription',
    requests: [...both, ['PUT', `${v}/v2`, voice('v2', 1, '10.02', '2026-10-06T00:00:00Z', 601)]],
    exceeding: ['1 data 10.00 0.00', '1 voice 10.32 0.32'],
    metrics: ['1 data 10.00 150 2', '1 voice 10.32 661 2', '2 data 9.99 1 1'],
    dated: [
      ['2026-10-05', '2026-10-05', [], ['1 data 4.20 100 1', '1 voice 0.30 60 1', '2 data 9.99 1 1']],
      ['2026-10-06', '2026-10-06', ['1 voice 10.02 0.02'], ['1 voice 10.02 601 1']],
      [
        '2026-10-05',
        '2026-10-06',
        ['1 voice 10.32 0.32'],
        ['1 data 4.20 100 1', '1 voice 10.32 661 2', '2 data 9.99 1 1'],
      ],
      [
        '2026-10-01',
        '2026-10-31',
        ['1 voice 10.32 0.32'],
        ['1 data 4.20 100 1', '1 voice 10.32 661 2', '2 data 9.99 1 1'],
      ],
    ],
  },
  {
    title: 'a correction moves the day, is undone by another one, and the record is taken back',
    requests: [
      ...both,
      ['PUT', `${d}/d1`, data('d1', 1, '4.20', other, 100)],
      ['PUT', `${d}/d1`, data('d1', 1, '4.20', day, 100)],
      ['PUT', `${v}/v2`, voice('v2', 2, '10.01', other, 600)],
      ['DELETE', `${v}/v2`],
    ],
    exceeding: ['1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1'],
    dated: [
      ['2026-10-01', '2026-10-31', [], ['1 data 4.20 100 1', '1 voice 0.30 60 1', '2 data 9.99 1 1']],
      ['2026-11-05', '2026-11-05', [], ['1 data 5.80 50 1']],
    ],
  },
  {
    title: 'a correction moves the day out of the month and back in',
    requests: [
      ...both,
      ['POST', `${d}?mode=upsert`, [data('d1', 1, '4.20', other, 100), data('d1', 1, '4.20', day, 100)]],
    ],
    exceeding: ['2 voice 10.01 0.01', '1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'records are taken back, one and many, and can come again',
    requests: [
      ...both,
      ['DELETE', `${d}/d1`],
      ['POST', `${v}/retractions`, ['v1', { id: 'v2' }]],
      ['POST', v, voice('v2', 2, '11', day, 600)],
    ],
    exceeding: ['2 voice 11.00 1.00'],
    metrics: ['1 data 5.80 50 1', '2 data 9.99 1 1', '2 voice 11.00 600 1'],
  },
  {
    title: 'what is refused counts nowhere',
    requests: [
      ...both,
      [
        'POST',
        d,
        [
          data('e1', 1, '1.005', day),
          data('e2', 1, '100', '2026-02-30'),
          { ...data('e3', 1, '100', day), type: 'data' },
          voice('e4', 1, '100', day),
          data('e5', 'one', '100', day),
          data('d1', 1, '100', day),
          data('e6', 1, '100', day, -1),
        ],
      ],
    ],
    exceeding: ['2 voice 10.01 0.01', '1 data 10.00 0.00'],
    metrics: ['1 data 10.00 150 2', '1 voice 0.30 60 1', '2 data 9.99 1 1', '2 voice 10.01 600 1'],
  },
  {
    title: 'ids and amounts of 64 bits',
    requests: [
      [
        'POST',
        d,
        [data('a', '9223372036854775807', '10.00', day), data('b', -1, '9999999999999999.99', day)],
      ],
      [
        'POST',
        d,
        '{"id":"c","subscription_id":-1,"price":0.01,"usage_date":"2026-10-05","kilobytes_used":9007199254740993}'.replace(
          '2026-10-05',
          day,
        ),
      ],
    ],
    exceeding: ['-1 data 10000000000000000.00 9999999999999990.00', '9223372036854775807 data 10.00 0.00'],
    metrics: ['-1 data 10000000000000000.00 9007199254740994 2', '9223372036854775807 data 10.00 1 1'],
  },
];

async function exceedingOf({ all }: OpenUsage, query = 'limit=10.00'): Promise<string[]> {
  const found = (await all(`/v1/usage/exceeding?${query}`)) as {
    subscription_id: string;
    exceeded: { type: string; total_price: string; exceeded_by: string }[];
  }[];
  return found.flatMap(({ subscription_id, exceeded }) =>
    exceeded.map(({ type, total_price, exceeded_by }) =>
      [subscription_id, type, total_price, exceeded_by].join(' '),
    ),
  );
}

async function metricsOf({ all }: OpenUsage, query = ''): Promise<string[]> {
  const found = (await all(`/v1/usage/metrics?${query}`)) as {
    subscription_id: string;
    usage: { type: string; total_price: string; total_used: string; records: number }[];
  }[];
  return found.flatMap(({ subscription_id, usage }) =>
    usage.map(({ type, total_price, total_used, records }) =>
      [subscription_id, type, total_price, total_used, records].join(' '),
    ),
  );
}

/** As the established paths must answer, from what the others do. */
async function establishedAgree(usage: OpenUsage, exceeding: string[], metrics: string[]): Promise<void> {
  const raw = async (url: string) => (await usage.send('GET', url)).text;
  const strictly = exceeding
    .map((line) => line.split(' ') as [string, string, string, string])
    .filter(([, , , by]) => by !== '0.00')
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : BigInt(a) < BigInt(b) ? -1 : 1));
  expect(await raw('/api/usage/price_limit/?price_limit=10')).toBe(
    `[${strictly.map(([id, type, , by]) => `{"subscription_id":${id},"price_exceeded":"${by}","type_of_usage":"${type}"}`).join(',')}]`,
  );
  for (const line of metrics) {
    const [id, type, price, used] = line.split(' ');
    expect(await raw(`/api/usage/usage_metrics/${id}/?type_of_usage=${type}`)).toBe(
      `[{"subscription_id":${id},"total_price":"${price}","total_used":${used}}]`,
    );
  }
}

describe.each(storeKinds)('usage, %s', (kind) => {
  test.each(cases)('$title', async ({ requests, exceeding, metrics, dated = [] }) => {
    const usage = await openUsage(kind);
    for (const [method, url, body] of requests) {
      const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
      await usage.done(method, url, body, headers);
    }
    expect(await exceedingOf(usage)).toEqual(exceeding);
    expect(await exceedingOf(usage, 'limit=10&page_size=1')).toEqual(exceeding);
    expect(await metricsOf(usage)).toEqual(metrics);
    expect(await metricsOf(usage, 'page_size=1')).toEqual(metrics);
    await establishedAgree(usage, exceeding, metrics);
    for (const [from, to, exceeding, metrics] of dated) {
      const days = `from=${from}&to=${to}`;
      expect(await exceedingOf(usage, `limit=10.00&${days}`), days).toEqual(exceeding);
      expect(await metricsOf(usage, days), days).toEqual(metrics);
      for (const line of metrics) {
        const [id, type, price, used] = line.split(' ');
        const path = `/api/usage/usage_metrics/${id}/?type_of_usage=${type}&usage_date__gte=${from}&usage_date__lte=${to}`;
        expect((await usage.send('GET', path)).text).toBe(
          `[{"subscription_id":${id},"total_price":"${price}","total_used":${used}}]`,
        );
      }
    }
    expect((await usage.tallybook.verify()).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('through every door the sums are the same', async () => {
    const records = [
      data('d1', 1, '4.20', day, 100),
      data('d2', 1, '5.80', other, 50),
      data('d3', 2, '9.99', day),
    ];
    const rows = [
      'id,subscription_id,price,usage_date,kilobytes_used',
      ...records.map((record) => Object.values(record).join(',')),
    ].join('\n');
    const gzip = { 'content-encoding': 'gzip' };
    const doors: [door: string, body: unknown, headers: Record<string, string>, url?: string][] = [
      ['an array', records, {}],
      ['lines', lines(records), ndjson],
      ['rows', rows, csv],
      ['packed lines', gzipSync(lines(records)), { ...ndjson, ...gzip }],
      ['packed rows', gzipSync(rows), { ...csv, ...gzip }],
      ['a file', rows, csv, '/v1/imports?stream=usage&form=data'],
      ['a packed file', gzipSync(lines(records)), {}, '/v1/imports?stream=usage&form=data&name=d.ndjson.gz'],
      [
        'a file of the stream itself',
        rows.replace('kilobytes_used', 'type,used').replaceAll(/,(\d+)$/gm, ',data,$1'),
        csv,
        '/v1/imports?stream=usage',
      ],
    ];
    for (const [door, body, headers, url = d] of doors) {
      const usage = await openUsage(kind);
      const type =
        Buffer.isBuffer(body) && !headers['content-type']
          ? { 'content-type': 'application/octet-stream' }
          : {};
      await usage.done('POST', url, body, { ...headers, ...type });
      expect(await metricsOf(usage), door).toEqual(['1 data 10.00 150 2', '2 data 9.99 1 1']);
      expect(await exceedingOf(usage), door).toEqual(['1 data 10.00 0.00']);
    }
  });

  test('corrections through every door move the sums alike', async () => {
    // Another day, price and amount; another subscription; the same again; and one that was not there.
    const records = [
      data('d1', 1, '4.19', other, 99),
      data('d2', 2, '5.80', other, 50),
      data('d3', 2, '9.99', day),
      data('d4', 2, '0.02', '2026-10-31T23:59:59.999999Z', 7),
    ];
    const rows = [
      'id,subscription_id,price,usage_date,kilobytes_used',
      ...records.map((record) => Object.values(record).join(',')),
    ].join('\n');
    const own = rows.replace('kilobytes_used', 'type,used').replaceAll(/,(\d+)$/gm, ',data,$1');
    const packed = { 'content-type': 'application/octet-stream' };
    const stream = '/v1/streams/usage/records?mode=upsert';
    const imports = '/v1/imports?stream=usage&mode=upsert';
    // biome-ignore format: one line a door
    const doors: [door: string, url: string, body: unknown, headers: Record<string, string>][] = [
      ['an array', `${d}?mode=upsert`, records, {}],
      ['lines', `${d}?mode=upsert`, lines(records), ndjson],
      ['rows', `${d}?mode=upsert`, rows, csv],
      ['packed lines', `${d}?mode=upsert`, gzipSync(lines(records)), { ...ndjson, 'content-encoding': 'gzip' }],
      ['rows of the stream itself', stream, own, csv],
      ['a file', `${imports}&form=data`, rows, csv],
      ['a file of lines', `${imports}&form=data`, lines(records), ndjson],
      ['a packed file', `${imports}&form=data&name=d.csv.gz`, gzipSync(rows), packed],
      ['a file of the stream itself', imports, own, csv],
    ];
    for (const [door, url, body, headers] of doors) {
      const usage = await openUsage(kind);
      for (const [method, url, body] of both) await usage.done(method, url, body);
      const answer = await usage.done('POST', url, body, headers);
      const { accepted, corrected, duplicates, conflicts, rejected } = answer.counts ?? answer;
      expect([accepted, corrected, duplicates, conflicts, rejected], door).toEqual([1, 2, 1, 0, 0]);
      const voices = ['1 voice 0.30 60 1', '2 voice 10.01 600 1'];
      const of = async (query: string) =>
        (await metricsOf(usage, query)).filter((line) => !voices.includes(line));
      expect(await of(''), door).toEqual(['1 data 4.19 99 1', '2 data 15.81 58 3']);
      expect(await of('from=2026-10-01&to=2026-10-31'), door).toEqual(['2 data 10.01 8 2']);
      expect(await of('from=2026-10-05&to=2026-10-05'), door).toEqual(['2 data 9.99 1 1']);
      expect(await of('from=2026-11-05&to=2026-11-05'), door).toEqual([
        '1 data 4.19 99 1',
        '2 data 5.80 50 1',
      ]);
      expect(await exceedingOf(usage, 'limit=10&type=data'), door).toEqual(['2 data 15.81 5.81']);
      expect(
        (await usage.tallybook.verify()).filter(({ ok }) => !ok),
        door,
      ).toEqual([]);
    }
  });

  test('days are inclusive, and whole months come from sums by month', async () => {
    const usage = await openUsage(kind);
    await usage.done('POST', d, [
      data('a', 1, 10, '2026-09-30T23:59:59.999999Z'),
      data('b', 1, 20, '2026-10-01'.concat('T00:00:00Z')),
      data('c', 1, 40, '2026-10-31T23:59:59.999999Z'),
      data('d', 1, 80, '2026-11-01T02:00:00+02:00'),
    ]);
    const priceOf = async (query: string) => (await metricsOf(usage, query))[0]?.split(' ')[2];
    expect(await priceOf('from=2026-10-01&to=2026-10-31')).toBe('60.00');
    expect(await priceOf('from=2026-10-31&to=2026-11-01')).toBe('120.00');
    expect(await priceOf('from=2026-10-02')).toBe('120.00');
    expect(await priceOf('to=2026-09-30')).toBe('10.00');
    expect(await priceOf('to=9999-12-31')).toBe('150.00');
    expect(await priceOf('from=2027-01-01')).toBeUndefined();
    expect(await exceedingOf(usage, 'limit=60&from=2026-10-01&to=2026-10-31')).toEqual(['1 data 60.00 0.00']);
    const metrics = (more: string) => usage.done('GET', `/api/usage/usage_metrics/1/${more}`);
    expect(await metrics('?usage_date__gte=2026-10-01&usage_date__lte=2026-10-31')).toEqual([
      { subscription_id: 1, total_price: '60.00', total_used: 2 },
    ]);
    expect(await metrics('?usage_date__lte=2026-01-01')).toEqual([]);
    const from = async (query: string) =>
      (await usage.send('GET', `/v1/usage/metrics?${query}`)).headers['x-tallybook-from'];
    expect(await from('from=2026-10-01&to=2026-12-31')).toBe('rollup monthly');
    expect(await from('from=2026-10-01&to=2026-10-30')).toBe('rollup daily');
    expect(await from('')).toBe('rollup total');
  });

  test('filters narrow the answers', async () => {
    const usage = await openUsage(kind);
    for (const [method, url, body] of both) await usage.done(method, url, body);
    expect(await exceedingOf(usage, 'limit=0.3&type=voice')).toEqual([
      '2 voice 10.01 9.71',
      '1 voice 0.30 0.00',
    ]);
    expect(await exceedingOf(usage, 'limit=0.3&subscription_id=01')).toEqual([
      '1 data 10.00 9.70',
      '1 voice 0.30 0.00',
    ]);
    expect(await exceedingOf(usage, 'limit=0.3&subscription_id=77')).toEqual([]);
    expect(await metricsOf(usage, 'subscription_id=2&type=data')).toEqual(['2 data 9.99 1 1']);
    const limited = '/api/usage/price_limit/?price_limit=5';
    expect(await usage.done('GET', `${limited}&subscription=2&type_of_usage=voice&format=json`)).toEqual([
      { subscription_id: 2, price_exceeded: '5.01', type_of_usage: 'voice' },
    ]);
    expect(await usage.done('GET', `${limited.replace('/?', '?')}&subscription=3`)).toEqual([]);
    expect(await usage.done('GET', '/api/usage/usage_metrics/2')).toEqual([
      { subscription_id: 2, total_price: '20.00', total_used: 601 },
    ]);
  });

  // biome-ignore format: one line a case
  test.each<[path: string, detail: string]>([
    ['/v1/usage/exceeding', 'limit is missing'],
    ['/v1/usage/exceeding?limit=ten', 'limit is ten; expected an amount of at least 0.01'],
    ['/v1/usage/exceeding?limit=0', 'at least 0.01'],
    ['/v1/usage/exceeding?limit=10.005', 'at most two decimals'],
    ['/v1/usage/exceeding?limit=10&type=text', 'type must be one of data, voice'],
    ['/v1/usage/exceeding?limit=10&subscription_id=abc', 'subscription_id is abc; expected the id of a subscription'],
    ['/v1/usage/exceeding?limit=10&cursor=abc', 'was not made by this server'],
    ['/v1/usage/metrics?from=2026-02-30', 'from is 2026-02-30; expected a day such as'],
    ['/v1/usage/metrics?to=2026-10-05T00:00:00Z', 'expected a day such as'],
    ['/v1/usage/metrics?from=2026-10-02&to=2026-10-01', 'from (2026-10-02) lies after to (2026-10-01)'],
    ['/v1/usage/metrics?subscription_id=1.5', 'a whole number'],
    ['/v1/usage/metrics?subscription_id=9223372036854775808', 'a whole number'],
    ['/v1/usage/metrics?form=2026-10-01', 'form is not known here'],
    ['/v1/usage/allowances?month=2026-13', 'expected a month such as 2026-10'],
    ['/v1/usage/allowances?month=2026-10-01', 'expected a month such as 2026-10'],
    ['/v1/usage/subscriptions/x/allowance', 'id is x; expected the id of a subscription'],
    ['/api/usage/price_limit/', 'price_limit is missing'],
    ['/api/usage/price_limit/?price_limit=0.99', 'expected an amount of at least 1'],
    ['/api/usage/price_limit/?price_limit=10&subscription=x', 'subscription is x'],
    ['/api/usage/price_limit/?price_limit=10&type_of_usage=sms', 'type_of_usage must be one of'],
    ['/api/usage/usage_metrics/x/', 'subscription_id is x; expected the id of a subscription'],
    ['/api/usage/usage_metrics/1/?usage_date__gte=soon', 'usage_date__gte is soon; expected a day'],
  ])('%s is refused', async (path, detail) => {
    const { send } = await openUsage(kind);
    const { status, json } = await send('GET', path);
    expect([status, json.detail]).toEqual([400, expect.stringContaining(detail)]);
  });

  test('a record is shown under the address of its type', async () => {
    const { done, send } = await openUsage(kind);
    await done('POST', d, [data('a', 1, '4.20', day, 100), data('gone', 1, 1, day)]);
    await done('POST', v, voice('b', 1, '0.30', day, 60));
    await done('DELETE', `${d}/gone`);
    expect((await done('GET', `${d}/a`)).standing.record).toEqual({
      id: 'a',
      subscription_id: '1',
      price: '4.2',
      usage_date: '2026-10-05T06:43:00.000000Z',
      kilobytes_used: '100',
    });
    for (const [method, path] of [
      ['GET', `${v}/a`],
      ['DELETE', `${v}/a`],
      ['GET', `${d}/b`],
      ['GET', `${v}/gone`],
      ['GET', `${d}/never`],
    ] as const)
      expect((await send(method, path)).status, `${method} ${path}`).toBe(404);
    expect((await done('GET', `${d}/gone`)).standing).toBeNull();

    await done('PUT', `${v}/a`, voice('a', 1, '4.20', day, 9));
    expect((await send('GET', `${d}/a`)).json.detail).toContain('no data record');
    const moved = await done('GET', `${v}/a`);
    expect(moved.standing.record).toMatchObject({ seconds_used: '9' });
    // Before it was moved it was no voice record: it is shown as the stream has it.
    expect(moved.history[0]).toMatchObject({ verdict: 'accepted', record: { type: 'data', used: '100' } });
    expect((await done('GET', v)).records.map(({ id }: { id: string }) => id)).toEqual(['b', 'a']);
    expect((await done('GET', d)).records).toEqual([]);
    expect((await send('GET', `${v}?format=csv&where=seconds_used>9`)).text).toBe(
      'id,subscription_id,usage_date,price,seconds_used\r\nb,1,2026-10-05T06:43:00.000000Z,0.3,60\r\n',
    );
    expect((await send('GET', `${v}?where=used>9`)).json.detail).toContain('there is no field used here');
  });

  test('a refused record can be mended in its form, and counts once', async () => {
    const usage = await openUsage(kind);
    const { status, json } = await usage.send('POST', d, data('a', 1, '12.345', day));
    expect([status, json.verdicts[0].field]).toEqual([422, 'price']);
    const { rejects } = await usage.done('GET', '/v1/rejects');
    expect(rejects).toMatchObject([{ stream: 'usage', form: 'data', field: 'price' }]);
    const replay = { ids: [rejects[0].id], patch: { price: '12.34', kilobytes_used: 7 } };
    expect(await usage.done('POST', '/v1/rejects/replay', replay)).toMatchObject({ accepted: 1 });
    expect(await metricsOf(usage)).toEqual(['1 data 12.34 7 1']);
  });

  test('plans, subscriptions, and how much of their allowance is gone', async () => {
    const { done, send, all } = await openUsage(kind);
    await done('POST', '/v1/usage/plans', [
      { id: 'gold', name: 'Gold', price: '29.99', data_available: 3 },
      { id: 'none', name: 'No data', price: 5, data_available: 0 },
    ]);
    await done('POST', '/v1/usage/subscriptions', [
      {
        id: 1,
        carrier: 'att',
        plan: 'gold',
        status: 'active',
        phone_number: '+34 600',
        effective_date: '2026-01-01',
      },
      { id: 2, carrier: 'sprint', plan: 'none' },
      { id: 3, carrier: 'sprint', plan: 'forgotten' },
      { id: 4, carrier: 'att' },
    ]);
    const refused = await send('PUT', '/v1/usage/subscriptions/5', { carrier: 'other' });
    expect([refused.status, refused.json.verdicts[0].field]).toEqual([422, 'carrier']);
    await done('POST', d, [
      data('a', 1, 1, day, 1),
      data('b', 1, 1, day, 1),
      data('c', 2, 1, day, 7),
      data('d', 3, 1, day, 5),
      data('e', 9, 1, day, 6),
      data('f', 1, 1, other, 1000),
    ]);
    await done('POST', v, voice('g', 1, 1, day, 5000));

    const allowance = (id: number, month = '?month=2026-10') =>
      done('GET', `/v1/usage/subscriptions/${id}/allowance${month}`);
    expect(await allowance(1)).toEqual({
      subscription_id: '1',
      month: '2026-10',
      plan: 'gold',
      used: '2',
      data_available: '3',
      used_percent: '66.67',
    });
    expect(await allowance(2)).toMatchObject({ used: '7', data_available: '0', used_percent: null });
    expect(await allowance(3)).toMatchObject({ plan: 'forgotten', data_available: null, used_percent: null });
    expect(await allowance(4)).toMatchObject({ plan: null, used: '0', used_percent: null });
    expect((await allowance(4, '')).month).toBe(new Date().toISOString().slice(0, 7));
    expect((await send('GET', '/v1/usage/subscriptions/9/allowance')).status).toBe(404);

    const listed = (await all('/v1/usage/allowances?month=2026-10&page_size=2')) as Record<string, unknown>[];
    expect(
      listed.map(({ subscription_id, used, used_percent }) => [subscription_id, used, used_percent]),
    ).toEqual([
      ['2', '7', null],
      ['9', '6', null],
      ['3', '5', null],
      ['1', '2', '66.67'],
    ]);

    await done('PUT', '/v1/usage/plans/gold', { name: 'Gold', price: '29.99', data_available: 4 });
    expect(await allowance(1)).toMatchObject({ used_percent: '50.00' });
    await done('DELETE', '/v1/usage/plans/gold');
    expect(await allowance(1)).toMatchObject({ plan: 'gold', used_percent: null });
    expect((await done('GET', '/v1/usage/plans')).records).toHaveLength(1);
    expect((await done('GET', '/v1/usage/plans/gold')).history).toHaveLength(3);
  });
});

test('a key bound to other streams sees nothing of usage', async () => {
  const { tallybook, app } = await openUsage('memory', true);
  const source = { scopes: ['read', 'ingest'], origins: undefined, rateLimit: undefined } as const;
  const bound = await tallybook.sources.create('bound', {
    ...source,
    scopes: [...source.scopes],
    streams: ['usage'],
  });
  const other = await tallybook.sources.create('other', {
    ...source,
    scopes: [...source.scopes],
    streams: ['plans'],
  });
  const status = async (key: string, url: string) =>
    (await app.inject({ method: 'GET', url, headers: { authorization: `Bearer ${key}` } })).statusCode;
  for (const url of [
    '/v1/usage/exceeding?limit=1',
    '/v1/usage/data',
    '/api/usage/price_limit?price_limit=1',
  ]) {
    expect([await status(bound.key, url), await status(other.key, url)], url).toEqual([200, 403]);
  }
  // This one tells of subscriptions and plans, too.
  expect(await status(bound.key, '/v1/usage/allowances')).toBe(403);
  expect([await status(bound.key, '/v1/usage/plans'), await status(other.key, '/v1/usage/plans')]).toEqual([
    403, 200,
  ]);
});
