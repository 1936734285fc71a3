/**
 * The demo's records. Each is a function of its number and of the day before which all of them lie, and of nothing
 * else: so the same day gives the same files, byte for byte, and a second run finds every record known.
 */
import type { DemoStream } from './streams.ts';

export interface MadeUp {
  /** The files in which so many records come: the records from one number to before another. */
  files(count: number): { name: string; from: number; to: number }[];
  header: string;
  /** The line of record number i, with its line end. */
  line(i: number): string;
}

const daySeconds = 86_400;
const rowsOfFile = 150_000;

/** As many files as it takes, numbered. */
function numbered(base: string, ending: string): MadeUp['files'] {
  return (count) => {
    const parts = Math.ceil(count / rowsOfFile);
    return Array.from({ length: parts }, (_, part) => ({
      name: parts === 1 ? `${base}.${ending}` : `${base}-${part + 1}.${ending}`,
      from: part * rowsOfFile,
      to: Math.min(count, (part + 1) * rowsOfFile),
    }));
  };
}

/** How the records of each stream are made, all of them before the start of `day` (UTC). */
export function madeUpRecords(day: string): Record<DemoStream, MadeUp> {
  const clock = clockBefore(day);
  return {
    usage: usage(clock),
    events: events(clock),
    report_lines: reportLines(day),
    passages: passages(clock),
  };
}

/** Lines that cannot be taken in, for the first file of usage: each is refused with its reason. */
export function faultyUsage(day: string): string[] {
  return [
    `faulty_1,data,42,${day}T00:00:00Z,12.345,87\n`,
    'faulty_2,voice,42,2026-02-30T08:00:00Z,0.40,60\n',
    `faulty_3,data,42,${day}T00:00:00Z,0.90,-5\n`,
  ];
}

/** The last whole month before a day: what a report is about. */
export function reportPeriod(day: string): { start: string; end: string } {
  const [year, month] = day.split('-').map(Number) as [number, number];
  const text = (y: number, m: number, d: number): string =>
    new Date(Date.UTC(y, m, d)).toISOString().slice(0, 10);
  return { start: text(year, month - 2, 1), end: text(year, month - 1, 0) };
}

// --- chance, the same every time --------------------------------------------------------------------------

/** 32 bits of a number that look like chance (the finish of MurmurHash3); `which` tells draws of one record apart. */
function draw(i: number, which: number): number {
  let bits = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(which, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** From 0 to 1, without 1. */
function unit(i: number, which: number): number {
  return draw(i, which) / 0x1_0000_0000;
}

function pick<T>(from: readonly T[], i: number, which: number): T {
  return from[draw(i, which) % from.length]!;
}

function hex(i: number, which: number): string {
  return draw(i, which).toString(16).padStart(8, '0');
}

function uuid(i: number, which: number): string {
  const [a, b, c, d] = [hex(i, which), hex(i, which + 1), hex(i, which + 2), hex(i, which + 3)];
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-a${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

// --- times ------------------------------------------------------------------------------------------------

type Clock = (secondsBefore: number, separator: string) => string;

/** Times as text, fast: the days are written once. */
function clockBefore(day: string): Clock {
  const midnight = Date.parse(`${day}T00:00:00Z`) / 1000;
  const days = Array.from({ length: 32 }, (_, before) =>
    new Date((midnight - (before + 1) * daySeconds) * 1000).toISOString().slice(0, 10),
  );
  const two = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
  return (secondsBefore, separator) => {
    const before = Math.floor((secondsBefore - 1) / daySeconds);
    const second = daySeconds - (secondsBefore - before * daySeconds);
    return `${days[before]}${separator}${two[Math.floor(second / 3600)]}:${two[Math.floor(second / 60) % 60]}:${two[second % 60]}`;
  };
}

// --- the four systems -------------------------------------------------------------------------------------

const subscriptions = 20_000;

/** Thirty days; few subscriptions use much, most use little. */
function usage(clock: Clock): MadeUp {
  return {
    files: numbered('usage', 'csv'),
    header: 'id,type,subscription_id,usage_date,price,used\n',
    line(i) {
      const voice = draw(i, 1) % 3 === 0;
      const subscription = 1 + Math.floor(unit(i, 2) ** 3 * subscriptions);
      const time = clock(1 + Math.floor(unit(i, 3) * 30 * daySeconds), 'T');
      const used = 1 + Math.floor(unit(i, 4) * (voice ? 1_800 : 50_000));
      const cents = Math.ceil(used * (voice ? 0.15 : 0.01));
      const price = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
      return `rec_${i},${voice ? 'voice' : 'data'},${subscription},${time}Z,${price},${used}\n`;
    },
  };
}

const sessionEvents = 6;
const actions = [
  ['page interaction', 'pageview', ''],
  ['page interaction', 'pageview', ''],
  ['page interaction', 'cta click', ',"element":"chat bubble"'],
  ['page interaction', 'scroll', ',"depth":75'],
  ['form interaction', 'input', ',"field":"email"'],
  ['form interaction', 'submit', ',"form":{"plan":"family"}'],
] as const;
const paths = ['/', '/', '/pricing', '/docs', '/signup', '/blog/how-we-count', '/contact'] as const;
const hosts = ['www.example.com', 'shop.example.com'] as const;

/** Two weeks; six events a session, seconds apart, with microseconds and no zone, as applications send them. */
function events(clock: Clock): MadeUp {
  let session = -1;
  let sessionId = '';
  return {
    files: numbered('events', 'ndjson'),
    header: '',
    line(i) {
      const which = Math.floor(i / sessionEvents);
      if (which !== session) [session, sessionId] = [which, uuid(which, 10)];
      const start = sessionEvents * 60 + Math.floor(unit(which, 14) * 14 * daySeconds);
      const time = clock(start - (i % sessionEvents) * 40 - Math.floor(unit(i, 15) * 40), ' ');
      const micros = String(draw(i, 16) % 1_000_000).padStart(6, '0');
      const [category, name, more] = pick(actions, i, 17);
      const data = `{"host":"${pick(hosts, which, 18)}","path":"${pick(paths, i, 19)}"${more}}`;
      return `{"id":"${uuid(i, 20)}","session_id":"${sessionId}","category":"${category}","name":"${name}","data":${data},"timestamp":"${time}.${micros}"}\n`;
    },
  };
}

const recordings = 30_000;
/** With what a euro was worth at the start and the end of the month, made up as all of this. */
export const markets = [
  ['NO', 'NOK', '11.7215', '11.8040'],
  ['ES', 'EUR'],
  ['GB', 'GBP', '0.8531', '0.8607'],
  ['SE', 'SEK', '11.2440', '11.1875'],
  ['DE', 'EUR'],
  ['US', 'USD', '1.0812', '1.0945'],
] as const;
const words = [
  'Blue',
  'River',
  'Midnight',
  'Home',
  'Dance',
  'Winter',
  'Gold',
  'Paper',
  'Echo',
  'Summer',
  'Stone',
  'Light',
] as const;
const names = [
  'The Harbours',
  'Ana Ruiz',
  'Nordlys',
  'DJ Lumen',
  'Kvartett',
  'Mara Vale',
  'Los Faros',
  'Iris & Co',
] as const;

/** A report for each market and the month before; revenue with 18 decimals, some titles and codes missing, as in real ones. */
function reportLines(day: string): MadeUp {
  const { start, end } = reportPeriod(day);
  const period = `${start}-${end}`.replaceAll('-', '').replace(/^(.{8})/, '$1-');
  return {
    files: (count) =>
      markets.map(([territory, currency], market) => ({
        name: `Example_Music_${territory}_${currency}_${period}.tsv`,
        from: Math.floor((count * market) / markets.length),
        to: Math.floor((count * (market + 1)) / markets.length),
      })),
    header: 'dsp_id\ttitle\tartists\tisrc\tusages\trevenue\n',
    line(i) {
      const recording = Math.floor(unit(i, 30) ** 2 * recordings);
      const title = recording % 23 === 0 ? '' : `${pick(words, recording, 32)} ${pick(words, recording, 33)}`;
      const artists =
        recording % 27 === 0
          ? ''
          : draw(recording, 34) % 4 === 0
            ? `${pick(names, recording, 35)}|${pick(names, recording, 36)}`
            : pick(names, recording, 35);
      const isrc =
        recording % 25 === 0
          ? ''
          : `NO${hex(recording, 37).slice(0, 3).toUpperCase()}${String(draw(recording, 38) % 10_000_000).padStart(7, '0')}`;
      const usages = 1 + Math.floor(2_000 / (1 + recording / 40) + unit(i, 39) * 50);
      const revenue = `${Math.floor(usages / 250)}.${String(draw(i, 40) % 1_000_000_000).padStart(9, '0')}${String(draw(i, 41) % 1_000_000_000).padStart(9, '0')}`;
      return `${hex(recording, 42)}${hex(recording, 43)}\t${title}\t${artists}\t${isrc}\t${usages}\t${revenue}\n`;
    },
  };
}

/** Number of the first sensor, and how many there are. */
export const sensors = { first: 283, count: 24 };

/** Two weeks of a building: whoever comes in the morning leaves in the afternoon, mostly by the same door. */
function passages(clock: Clock): MadeUp {
  return {
    files: numbered('passages', 'csv'),
    header: 'timestamp,direction,dpu_id\n',
    line(i) {
      const person = Math.floor(i / 2);
      const leaves = i % 2 === 1;
      const midnight = (1 + (draw(person, 50) % 14)) * daySeconds;
      const hour = (leaves ? 13 : 7) + unit(i, 51) * 5;
      const door = leaves && draw(person, 52) % 20 === 0 ? draw(person, 53) : draw(person, 54);
      return `${clock(midnight - Math.floor(hour * 3600), 'T')}Z,${leaves ? -1 : 1},${sensors.first + (door % sensors.count)}\n`;
    },
  };
}
