/**
 * Random work from a seed: records as they come in life (late, repeated, corrected, wrong), and questions. The
 * same seed gives the same work. `TALLYBOOK_TEST_SEED=…` repeats one; its number is in the name of the test.
 */
import { everyNames } from '../../src/engine/calendar.ts';
import { objectMembers } from '../../src/engine/exact-json.ts';
import { type AskedQuestion, checkInstant } from '../../src/engine/question.ts';
import type { Mode } from '../../src/engine/store.ts';
import type { Rollup, Stream } from '../../src/engine/stream.ts';

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  some<T>(choices: readonly T[], most: number): T[] {
    if (choices.length === 0) return [];
    const chosen = new Set<T>();
    for (let n = this.below(most + 1); n > 0; n--) chosen.add(this.pick(choices));
    return [...chosen];
  }
}

const uuid = (n: number): string => `0000000${n}-aAbb-4cCc-8ddd-eeeeeeeeee0${n}`;
const names = ['ann', 'bob', 'Zoë', '', 'a_b%', '名'];

export class RandomWork {
  readonly random: Random;
  /** The texts that were sent, by stream: what repeats, and what other content is made of. */
  readonly #sent = new Map<string, string[]>();

  constructor(random: Random) {
    this.random = random;
  }

  records(stream: Stream, mode: Mode, most: number): string[] {
    return Array.from({ length: this.random.below(most) + 1 }, () =>
      mode === 'retract' ? this.#retraction(stream) : this.#record(stream),
    );
  }

  #record(stream: Stream): string {
    const { random } = this;
    const sent = this.#sent.get(stream.name) ?? [];
    this.#sent.set(stream.name, sent);
    if (sent.length > 0 && random.chance(0.4)) return random.pick(sent.slice(-20));
    const members = this.#members(stream);
    const text = random.chance(0.1) ? this.#spoilt(members) : written(members);
    sent.push(text);
    return text;
  }

  #members(stream: Stream): Map<string, string> {
    if (stream.name === 'clicks') {
      return new Map([
        ['seen', `"${this.random.chance(0.9) ? '2026-10-01' : this.date(120)}"`],
        ['page', this.#maybe(this.#text())],
        ['hits', String(this.random.below(3))],
      ]);
    }
    if (stream.name === 'places') {
      const size = this.random.pick(['0', '0.5', '"0.123456789"', '1e-9', '-0.25', '0.10']);
      return new Map([
        ['key', `"${uuid(this.random.below(9))}"`],
        ['name', this.random.pick(['"north"', '"hall"', '"ö"'])],
        ['size', this.#maybe(size)],
      ]);
    }
    const members = new Map([
      ['id', `"s${this.random.below(60)}"`],
      ['at', `"${this.time()}"`],
      ['customer', this.#maybe(this.#text())],
      ['amount', this.#number(2)],
      ['wide', this.#maybe(this.#number(10))],
      [
        'used',
        this.#maybe(
          this.random.pick([
            '0',
            '1',
            '-1',
            '5.0',
            '"7"',
            '9223372036854775',
            '-9007199254740993',
            String(this.random.below(1000)),
          ]),
        ),
      ],
      ['flag', this.#maybe(this.random.pick(['true', 'false', '"true"']))],
      ['due', this.#maybe(`"${this.date(5)}"`)],
      ['ref', this.#maybe(`"${uuid(this.random.below(4))}"`)],
      ['data', this.#maybe(this.#document())],
    ]);
    if (this.random.chance(0.7))
      members.set('kind', this.random.pick(['"data"', '"voice"', '"Ünï"', 'null']));
    if (stream.field('extra')) members.set('extra', this.#maybe(String(this.random.below(5))));
    for (const [name, value] of members)
      if (value === 'null' && this.random.chance(0.5)) members.delete(name);
    return members;
  }

  #spoilt(members: Map<string, string>): string {
    const { random } = this;
    const name = random.pick([...members.keys()]);
    switch (random.below(7)) {
      case 0:
        return written(members).slice(0, -1);
      case 1:
        return written(members).replace(
          '{',
          `{${JSON.stringify(name === 'id' || name === 'key' ? 'at' : name)}:null,`,
        );
      case 2:
        return written(members.set('colour', '"red"'));
      case 3:
        return written(members.set('at' in members ? 'at' : name, '"2099-01-01T00:00:00Z"'));
      default:
        return written(
          members.set(
            name,
            random.pick([
              '"1.005"',
              'true',
              '1e400',
              '"1e40"',
              '"2021-02-30"',
              '[]',
              '"x\\u0000"',
              '0.123456789012345678',
              '""',
              '-5.5',
              'null',
            ]),
          ),
        );
    }
  }

  #retraction(stream: Stream): string {
    const { random } = this;
    const id =
      stream.name === 'sales'
        ? `s${random.below(70)}`
        : stream.name === 'places'
          ? uuid(random.below(10))
          : `app-${random.below(9)}-${random.below(5)}`;
    return random.chance(0.5) ? JSON.stringify(id) : JSON.stringify({ id });
  }

  #maybe(value: string): string {
    return this.random.chance(0.25) ? 'null' : value;
  }

  #text(): string {
    return JSON.stringify(this.random.pick(names));
  }

  #number(scale: number): string {
    const { random } = this;
    const whole = random.chance(0.1)
      ? String(random.below(2 ** 30)) + String(random.below(10 ** 6))
      : String(random.below(300));
    const fraction = random.chance(0.3)
      ? ''
      : `.${String(random.below(10 ** Math.min(scale, 9))).padStart(Math.min(scale, 9), '0')}`;
    const plain = `${random.chance(0.3) ? '-' : ''}${whole}${fraction}`;
    if (random.chance(0.2)) return `${plain}${fraction === '' ? '.' : ''}0e0`;
    return random.chance(0.3) ? `"${plain}"` : plain;
  }

  #document(): string {
    const { random } = this;
    return random.pick([
      '{"k":"x"}',
      '{"k":1}',
      '{ "k" : "1.50" }',
      '{"k":-1234567890123}',
      '{"k":{"z":[1,2]},"list":["a","b"]}',
      '{"k":null}',
      '{"k":"\\u00e9\\n"}',
      '{"k":false,"list":[10.5]}',
      '[1,2]',
      '"k"',
      '7',
      `{"k":${random.below(5)}}`,
    ]);
  }

  /** Around the clock of the tests; both changes of the clock in Europe lie within reach, and some times lie too far ahead. */
  time(): string {
    const { random } = this;
    const day = this.date(200);
    const hour = String(random.below(24)).padStart(2, '0');
    const base = `${random.chance(0.2) ? '2026-10-25' : day}${random.pick(['T', ' '])}${hour}:${random.pick(['00', '30', '59'])}`;
    return (
      base +
      random.pick(['', ':00', ':59.999999', ':00.5', ':00.000001']) +
      random.pick(['', 'Z', 'Z', '+02:00', '-0530'])
    );
  }

  date(days: number): string {
    const start = Date.parse('2026-11-08') - days * 86_400_000;
    return new Date(start + this.random.below(days) * 86_400_000).toISOString().slice(0, 10);
  }

  question(stream: Stream): AskedQuestion {
    const { random } = this;
    const rollup = random.chance(0.6) && stream.rollups.length > 0 ? random.pick(stream.rollups) : undefined;
    const asked = rollup ? this.#ofRollup(stream, rollup) : this.#ofLedger(stream);
    const measures = asked.measures ?? ['count'];
    const columns = [
      ...(asked.by ?? []),
      ...measures,
      ...(asked.every && asked.every !== 'all' ? [asked.every] : []),
    ];
    if (random.chance(0.4))
      asked.order = random.some(columns, 3).map((column) => (random.chance(0.5) ? `-${column}` : column));
    if (random.chance(0.3)) asked.limit = random.below(8) + 1;
    if (random.chance(0.2))
      asked.having = {
        [random.pick(measures.filter(isNumeric(stream)).concat('count'))]: {
          [random.pick(['gt', 'lte', 'ne'])]: random.pick([0, 1, '2.5', -10]),
        },
      };
    if (asked.having?.count !== undefined && !measures.includes('count'))
      asked.measures = [...measures, 'count'];
    return asked;
  }

  #ofRollup(stream: Stream, rollup: Rollup): AskedQuestion {
    const { random } = this;
    const by = rollup.by.map(({ name }) => name);
    const asked: AskedQuestion = {
      by: random.some(by, 2),
      measures: [
        'count',
        ...random.some(
          rollup.sum.map(({ name }) => `sum(${name})`),
          3,
        ),
        ...(rollup.sum.some(({ name }) => name === 'amount') ? random.some(['avg(amount)'], 1) : []),
      ],
    };
    if (stream.time) {
      asked.every = random.pick(everyNames.slice(everyNames.indexOf(rollup.every)));
      asked.tz = rollup.tz;
      // At the edge of a bucket, or in the middle of one: then what lies around it comes from elsewhere.
      const edge = () => (random.chance(0.5) ? this.date(120) : this.time());
      // By their instants: with offsets the later text may be the earlier time.
      const instant = (text: string) => checkInstant('edge', text, rollup.tz);
      const [from, to] = [edge(), edge()].sort((a, b) => (instant(a) < instant(b) ? -1 : 1));
      if (random.chance(0.4)) asked.from = from!;
      if (random.chance(0.4)) asked.to = to!;
    }
    if (by.length > 0 && random.chance(0.4)) asked.where = this.#where(stream, by);
    return asked;
  }

  #ofLedger(stream: Stream): AskedQuestion {
    const { random } = this;
    const measures = stream.fields.flatMap(({ name, type }) => {
      if (type === 'json') return [];
      if (type === 'boolean') return [`count_distinct(${name})`];
      const any = [`min(${name})`, `max(${name})`, `count_distinct(${name})`];
      return type === 'integer' || type === 'decimal' ? [...any, `sum(${name})`, `avg(${name})`] : any;
    });
    const dimensions = stream.fields.flatMap(({ name, type }) =>
      type === 'json' ? [`${name}.k`, `${name}.list.0`, `${name}.k.z`] : [name],
    );
    const asked: AskedQuestion = {
      measures: ['count', ...random.some(measures, 4)],
      by: random.some(dimensions, 2),
    };
    if (stream.time) {
      asked.every = random.pick([...everyNames, 'all', 'all']);
      asked.tz = random.pick(['UTC', 'Europe/Madrid', 'Asia/Kathmandu', 'America/St_Johns']);
      if (random.chance(0.3)) asked.from = this.date(150);
      if (asked.from === undefined && random.chance(0.3))
        asked.to = random.chance(0.5) ? this.date(150) : '2026-10-25T00:30:00Z';
    }
    if (random.chance(0.6)) asked.where = this.#where(stream, dimensions);
    return asked;
  }

  #where(stream: Stream, dimensions: string[]): NonNullable<AskedQuestion['where']> {
    const { random } = this;
    const dimension = random.pick(dimensions);
    const type = dimension.includes('.') ? 'text' : stream.field(dimension)!.type;
    const values = {
      text: [...names, 'data', '1', '1.50', 's1', 's10'],
      integer: ['0', '-1', '7', '9223372036854775'],
      decimal: ['0', '0.1', '100', '-5'],
      boolean: [true, false],
      timestamp: ['2026-10-25T00:30:00Z', '2026-10-01T00:00:00.5'],
      date: [this.date(5), this.date(90)],
      uuid: [uuid(0), uuid(1)],
      json: [],
    }[type] as (string | boolean)[];
    if (random.chance(0.15)) return { [dimension]: random.pick([null, { ne: null }]) };
    if (random.chance(0.2)) return { [dimension]: [random.pick(values), random.pick(values)] };
    if (type === 'text' && random.chance(0.3))
      return { [dimension]: { like: random.pick(['%a%', '_o_', '%', 's1_', 'ann']) } };
    const operators = type === 'boolean' ? ['eq', 'ne'] : ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'];
    return { [dimension]: { [random.pick(operators)]: random.pick(values) } };
  }
}

const isNumeric =
  (stream: Stream) =>
  (measure: string): boolean => {
    const field = stream.field(/\((.*)\)/.exec(measure)?.[1] ?? '');
    return measure.startsWith('count') || field?.type === 'integer' || field?.type === 'decimal';
  };

function written(members: Map<string, string>): string {
  return `{${[...members].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

/** Records as a table. What is no object, or names what is no field, cannot stand in one and is left out. */
export function asCsv(stream: Stream, records: string[]): string {
  const names = stream.fields.map(({ name }) => name);
  const lines = records.flatMap((text) => {
    const members = objectMembers(text);
    if (!members || members.repeated || [...members.members.keys()].some((name) => !names.includes(name)))
      return [];
    const cells = names.map((name) => {
      const value = members.members.get(name) ?? 'null';
      if (value === 'null') return '';
      const cell =
        value.startsWith('"') && stream.field(name)!.type !== 'json' ? (JSON.parse(value) as string) : value;
      return `"${cell.replaceAll('"', '""').replaceAll('\0', '')}"`;
    });
    return [cells.join(',')];
  });
  return [names.join(','), ...lines].join('\n');
}
