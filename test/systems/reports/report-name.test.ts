import { describe, expect, test } from 'vitest';
import { currencyName, territoryName } from '../../../src/systems/reports/codes.ts';
import { nameInHeader } from '../../../src/systems/reports/gzip-name.ts';
import { readReportName } from '../../../src/systems/reports/report-name.ts';
import { gzipNamed } from './sent.ts';

describe('names of reports', () => {
  // biome-ignore format: one line a case
  const cases: [name: string, currency: string | undefined, service: string, territory: string, code: string, start: string, end: string][] = [
    ['Spotify_SpotifyDuo_NO_NOK_20200101-20200131.tsv.gz', undefined, 'SpotifyDuo', 'NO', 'NOK', '2020-01-01', '2020-01-31'],
    ['Spotify_SpotifyStudent_SGAE_GB_GBP_20210901-20210930.tsv', undefined, 'SpotifyStudent', 'GB', 'GBP', '2021-09-01', '2021-09-30'],
    ['/a/b\\Tidal_es_eur_20200229-20200229.TSV', undefined, 'Tidal', 'ES', 'EUR', '2020-02-29', '2020-02-29'],
    ['DSR_Us_Them_Service_2020-01_NO_1of1_20200205T101500.tsv.gz', 'NOK', 'Service', 'NO', 'NOK', '2020-01-01', '2020-01-31'],
    ['DSR_Us_Them_Service_2020-Q2_NO_1of1_20200205T101500.tsv', 'nok', 'Service', 'NO', 'NOK', '2020-04-01', '2020-06-30'],
    ['DSR_Us_Them_Service_2020-W53_NO_1of1_20200205T101500.tsv', 'NOK', 'Service', 'NO', 'NOK', '2020-12-28', '2021-01-03'],
    ['DSR_Us_Them_Service_2020_NO_2of3_20200205T101500.tsv', 'NOK', 'Service', 'NO', 'NOK', '2020-01-01', '2020-12-31'],
    ['DSR_Us_Them_Service_2020-01-05--2020-02-04_NO_1of1_20200205T101500.tsv', 'NOK', 'Service', 'NO', 'NOK', '2020-01-05', '2020-02-04'],
  ];
  test.each(cases)('%s', (name, currency, service, territory, code, period_start, period_end) => {
    expect(readReportName(name, currency)).toMatchObject({
      service,
      territory,
      currency: code,
      period_start,
      period_end,
    });
  });

  // biome-ignore format: one line a case
  const refused: [name: string, currency: string | undefined, why: string][] = [
    ['report.tsv', undefined, 'says nothing of a report'],
    ['A_B_NO_NOK_20200101-20200131.csv', undefined, 'says nothing of a report'],
    ['A_B_NO_NOK_20200230-20200331.tsv', undefined, 'there is no date 2020-02-30'],
    ['A_B_NO_NOK_20200131-20200101.tsv', undefined, 'before its start'],
    ['A_B_XX_NOK_20200101-20200131.tsv', undefined, 'there is no territory XX'],
    ['A_B_EU_NOK_20200101-20200131.tsv', undefined, 'there is no territory EU'],
    ['A_B_NO_XTS_20200101-20200131.tsv', undefined, 'there is no currency XTS'],
    ['A_B_NO_NOK_20200101-20200131.tsv', 'SEK', 'the parameter currency is SEK'],
    ['DSR_Us_Them_Service_2020-01_NO_1of1_20200205T101500.tsv', undefined, 'says no currency'],
    ['DSR_Us_Them_Service_2020-13_NO_1of1_20200205T101500.tsv', 'NOK', 'has the period 2020-13'],
  ];
  test.each(refused)('%s is refused', (name, currency, why) => {
    expect(() => readReportName(name, currency)).toThrow(why);
  });

  test('territories are those of ISO 3166', () => {
    const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
    const known = letters.flatMap((a) => letters.map((b) => a + b)).filter((code) => territoryName(code));
    expect(known).toHaveLength(249);
    expect([territoryName('NO'), currencyName('NOK')]).toEqual(['Norway', 'Norwegian Krone']);
  });

  test('the name inside of a gzip', () => {
    expect(nameInHeader(gzipNamed('a b.tsv', 'x'))).toBe('a b.tsv');
    expect(nameInHeader(Buffer.from('no gzip at all'))).toBeUndefined();
    expect(nameInHeader(gzipNamed('x'.repeat(20), '').subarray(0, 20))).toBeUndefined();
  });
});
