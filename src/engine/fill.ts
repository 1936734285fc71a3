/**
 * fill=zero: an answer with no holes. A store gives only buckets in which something happened; here every other
 * bucket between from and to is added, for each combination of the dimensions that was seen at all.
 *
 * What is compared and cut must see the added rows too, so `having`, `order` and `limit` are applied here, with
 * the meaning they have in a store: nulls come last, numbers by value, text by its bytes in UTF-8.
 */
import { bucketStart, formatBucket, type Micros, nextBucket } from './calendar.ts';
import { toScaled } from './decimal.ts';
import { TallybookError } from './errors.ts';
import { limits } from './limits.ts';
import type { Plan } from './plan.ts';
import type { Having, Measure, Question } from './question.ts';
import type { Answer, Column } from './store.ts';

type Cell = Answer['rows'][number][number];
type Row = Cell[];
interface Placed {
  row: Row;
  /** Position of its bucket. */
  bucket: number;
}

/** Asks for what is there and fills it up. The question has `fill` set. */
export async function askFilled(plan: Plan, ask: (plan: Plan) => Promise<Answer>): Promise<Answer> {
  const { question } = plan;
  const buckets = bucketTexts(question);
  const found = await ask({
    ...plan,
    question: { ...question, having: [], limit: limits.fill_rows, fill: false },
  });
  const filled = found.more ? [] : fillRows(question, buckets, found.rows);
  if (found.more) throw tooMany(`more than ${limits.fill_rows}`);
  const kept = filled.filter(({ row }) => question.having.every((having) => passes(having, row, question)));
  sortRows(question, found.columns, kept);
  return {
    ...found,
    rows: kept.slice(0, question.limit).map(({ row }) => row),
    more: kept.length > question.limit,
  };
}

/** Every bucket from `from` to `to`, as it is written in an answer. */
function bucketTexts({ every, tz, from, to }: Question): string[] {
  const texts: string[] = [];
  if (every === 'all') return texts;
  let start: Micros = bucketStart(from!, every, tz);
  while (start < to!) {
    texts.push(formatBucket(start, every, tz));
    if (texts.length > limits.fill_rows) throw tooMany(`more than ${limits.fill_rows}`);
    start = nextBucket(start, every, tz);
  }
  return texts;
}

function fillRows(question: Question, buckets: string[], rows: Row[]): Placed[] {
  const width = question.by.length;
  const positions = new Map(buckets.map((text, position) => [text, position]));
  const groups = new Map<string, { dimensions: Row; byBucket: Map<number, Row> }>();
  if (width === 0) groups.set('[]', { dimensions: [], byBucket: new Map() });
  for (const row of rows) {
    const dimensions = row.slice(0, width);
    const key = JSON.stringify(dimensions);
    let group = groups.get(key);
    if (!group) {
      group = { dimensions, byBucket: new Map() };
      groups.set(key, group);
    }
    group.byBucket.set(positions.get(row[width] as string)!, row);
  }
  const total = groups.size * buckets.length;
  if (total > limits.fill_rows)
    throw tooMany(`${groups.size} combinations in ${buckets.length} buckets, ${total}`);
  const nothing = question.measures.map(measureOfNothing);
  const filled: Placed[] = [];
  for (const { dimensions, byBucket } of groups.values()) {
    for (let bucket = 0; bucket < buckets.length; bucket++) {
      filled.push({ row: byBucket.get(bucket) ?? [...dimensions, buckets[bucket]!, ...nothing], bucket });
    }
  }
  return filled;
}

function measureOfNothing({ name }: Measure): Cell {
  if (name === 'count' || name === 'count_distinct') return 0;
  return name === 'sum' || name === 'greatest' ? '0' : null;
}

function tooMany(rows: string): TallybookError {
  return new TallybookError(
    'bad_question',
    `fill=zero would make ${rows} rows; the most is ${limits.fill_rows}: ask for a shorter time, longer buckets or fewer dimensions`,
  );
}

function passes({ measure, operator, values }: Having, row: Row, question: Question): boolean {
  const cell = row[question.by.length + 1 + measure]!;
  if (cell === null) return operator === 'ne';
  const compared = values.map((value) => {
    const numeric = isNumeric(question.measures[measure]!);
    return numeric ? compareKeys(...sameScale(String(cell), value)) : compareTexts(String(cell), value);
  });
  switch (operator) {
    case 'eq':
    case 'in':
      return compared.includes(0);
    case 'ne':
      return compared[0] !== 0;
    case 'gt':
      return compared[0]! > 0;
    case 'gte':
      return compared[0]! >= 0;
    case 'lt':
      return compared[0]! < 0;
    case 'lte':
      return compared[0]! <= 0;
  }
}

function isNumeric({ name, field }: Measure): boolean {
  return (name !== 'min' && name !== 'max') || field!.type === 'integer' || field!.type === 'decimal';
}

type Key = bigint | number | string | boolean | null;

function sortRows(question: Question, columns: Column[], rows: Placed[]): void {
  const wanted = question.order.map(({ column, descending }) => ({
    at: columns.findIndex(({ name }) => name === column),
    isBucket: column === question.every,
    direction: descending ? -1 : 1,
  }));
  const scales = wanted.map(({ at, isBucket }) => {
    const { type } = columns[at]!;
    if (isBucket || (type !== 'integer' && type !== 'decimal')) return undefined;
    return rows.reduce((scale, { row }) => Math.max(scale, decimals(row[at] as string | null)), 0);
  });
  const keyed = rows.map((placed) => ({
    placed,
    keys: wanted.map(({ at, isBucket }, index): Key => {
      if (isBucket) return placed.bucket;
      const cell = placed.row[at]!;
      const scale = scales[index];
      return cell !== null && scale !== undefined ? toScaled(cell as string, scale) : cell;
    }),
  }));
  keyed.sort((a, b) => {
    for (let i = 0; i < wanted.length; i++) {
      const [x, y] = [a.keys[i]!, b.keys[i]!];
      if (x === null || y === null) {
        if (x !== y) return x === null ? 1 : -1;
        continue;
      }
      const compared = typeof x === 'string' ? compareTexts(x, y as string) : compareKeys(x, y);
      if (compared !== 0) return compared * wanted[i]!.direction;
    }
    return 0;
  });
  for (let i = 0; i < keyed.length; i++) rows[i] = keyed[i]!.placed;
}

function compareKeys(a: Exclude<Key, null>, b: Exclude<Key, null>): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sameScale(a: string, b: string): [bigint, bigint] {
  const scale = Math.max(decimals(a), decimals(b));
  return [toScaled(a, scale), toScaled(b, scale)];
}

function decimals(plain: string | null): number {
  const point = plain?.indexOf('.') ?? -1;
  return point < 0 ? 0 : plain!.length - point - 1;
}

/** By the bytes in UTF-8, which is the order of code points; surrogates must come after all other UTF-16 units. */
function compareTexts(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byCodePoint(x) - byCodePoint(y);
  }
  return a.length - b.length;
}

function byCodePoint(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}
