/**
 * The demo's tour over what it has loaded: a reject that is fixed, questions with their answers, a correction that
 * can be seen through. At its end the ledger's sums are what they were before it, so that it can be run again.
 */
import type { Reject, Replay } from '../../engine/rejects.ts';
import { type JsonAnswer, printAnswer } from '../commands/query.ts';
import { ask, askJson, type Connection, pathOf, type Query } from '../connection.ts';
import { secondsSince } from '../figures.ts';
import { rejectLine } from '../receipt.ts';
import { type TableCell, table } from '../table.ts';
import { print, style } from '../terminal.ts';
import type { DemoStream } from './streams.ts';

export interface Tour {
  connection: Connection;
  /** All records lie before its start. */
  day: string;
  /** Of usage. */
  records: number;
  /** The options with which a command finds this ledger. */
  where: string;
}

export function heading(text: string): void {
  print(`\n${style('bold', style('cyan', text))}`);
}

/** A command as the user would type it. */
function shownCommand(text: string): void {
  print(style('dim', `$ tallybook ${text}`));
}

/** One record that was refused: why, and how it is sent again without being counted twice. */
export async function showReject({ connection, where }: Tour): Promise<void> {
  const query = { stream: 'usage', field: 'price', page_size: 1 };
  const { rejects } = await askJson<{ rejects: Reject[] }>(connection, 'GET', '/v1/rejects', { query });
  const reject = rejects[0];
  if (!reject) return;
  heading('What was refused is kept, with the reason');
  print(rejectLine(reject, process.stdout));
  shownCommand(`rejects replay ${reject.id} --patch '{"price":"12.35"}'${where}`);
  const body = { ids: [reject.id], patch: { price: '12.35' } };
  const replay = await askJson<Replay>(connection, 'POST', '/v1/rejects/replay', { body });
  const [verdict] = replay.verdicts;
  const meaning =
    verdict?.verdict === 'accepted' ? 'it counts now, once' : 'it counts already, since the run before';
  print(`Fixed and sent again: ${verdict?.verdict}; ${meaning}.`);
}

interface DemoQuestion {
  title: string;
  stream: DemoStream;
  question: Record<string, string>;
}

function questions({ day, records }: Tour): DemoQuestion[] {
  const before = (days: number): string =>
    new Date(Date.parse(`${day}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10);
  // Few subscriptions are to be over it, whatever the number of records.
  const limit = String(Math.ceil(records / 600));
  return [
    {
      title: 'What data and voice cost, to the cent',
      stream: 'usage',
      question: { measures: 'sum(price),sum(used),count', by: 'type' },
    },
    {
      title: `Which subscriptions are over ${limit}.00`,
      stream: 'usage',
      question: {
        measures: 'sum(price),count',
        by: 'subscription_id',
        having: `sum(price)>${limit}`,
        order: '-sum(price)',
        limit: '5',
      },
    },
    {
      title: 'One of them, by the days of Madrid',
      stream: 'usage',
      question: {
        measures: 'sum(price),count',
        every: 'day',
        tz: 'Europe/Madrid',
        where: `subscription_id=${busiest}`,
        from: before(4),
        to: day,
      },
    },
    {
      title: 'What visitors did, in how many sessions',
      stream: 'events',
      question: {
        measures: 'count,count_distinct(session_id)',
        by: 'category,name',
        order: '-count',
        limit: '5',
      },
    },
    {
      title: 'And where: a look into the JSON of each event',
      stream: 'events',
      question: { measures: 'count', by: 'data.path', where: 'name=submit', order: '-count', limit: '3' },
    },
    {
      title: 'Plays and revenue by report, with all of its 18 decimals',
      stream: 'report_lines',
      question: {
        measures: 'sum(usages),sum(revenue)',
        by: 'report',
        order: '-sum(usages)',
        limit: '4',
      },
    },
    {
      title: 'How many people were in the building yesterday at noon',
      stream: 'passages',
      question: { measures: 'sum(direction),count', to: `${before(1)}T12:00:00Z` },
    },
  ];
}

export async function askQuestions(tour: Tour): Promise<void> {
  heading('Questions, answered exactly, from the smallest rollup that can');
  for (const { title, stream, question } of questions(tour)) {
    print(`\n${style('bold', title)}`);
    shownCommand(`query ${stream} ${commandOptions(question)}${tour.where}`);
    const started = performance.now();
    const answer = await answerTo(tour.connection, stream, question);
    printAnswer(answer, secondsSince(started), { hints: false });
  }
}

function commandOptions(question: Record<string, string>): string {
  return Object.entries(question)
    .map(
      ([name, value]) =>
        `--${name.replaceAll('_', '-')} ${/^[\w./:,-]+$/.test(value) ? value : `"${value}"`}`,
    )
    .join(' ');
}

function answerTo(connection: Connection, stream: DemoStream, query: Query): Promise<JsonAnswer> {
  return askJson<JsonAnswer>(connection, 'GET', pathOf('v1', 'streams', stream, 'query'), { query });
}

/** Few subscriptions use much; this one uses most (made-up.ts). */
const busiest = 1;

interface Standing {
  records: { id: string; record: Record<string, TableCell> }[];
}

/** A record is corrected, and the correction taken back: sums follow in the same commit, the past stays reproducible. */
export async function correctRecord({ connection, where }: Tour): Promise<void> {
  const question = { measures: 'sum(price),count', where: `subscription_id=${busiest}` };
  const { records } = await askJson<Standing>(
    connection,
    'GET',
    pathOf('v1', 'streams', 'usage', 'records'),
    {
      query: { where: question.where, page_size: 1 },
    },
  );
  const [standing] = records;
  if (!standing) return;
  const { id, record } = standing;
  const path = pathOf('v1', 'streams', 'usage', 'records', id);
  const sum = (more: Query = {}) => answerTo(connection, 'usage', { ...question, ...more });
  const put = (price: TableCell, reason: string) =>
    ask(connection, 'PUT', path, { body: { ...record, price }, query: { reason } });

  heading('A correction is an entry, not an overwrite');
  const before = await sum();
  await put('99.99', 'demo: wrong tariff');
  const after = await sum();
  const asKnown = await sum({ known_at: before.as_of.recorded_at });
  await put(record.price, 'demo: the tariff was right');
  const back = await sum();
  const rows: [string, JsonAnswer][] = [
    [`subscription ${busiest}`, before],
    [`${id} corrected: its price is 99.99, not ${String(record.price)}`, after],
    [`the same question with known_at=${before.as_of.recorded_at}`, asKnown],
    ['corrected again: the price was right', back],
  ];
  print(
    table(
      ['', 'sum(price)', 'count'],
      rows.map(([title, answer]) => [title, answer.rows[0]?.['sum(price)'], answer.rows[0]?.count]),
    ),
  );
  print('\nEvery line of it stays in the ledger:');
  shownCommand(`records get usage ${id}${where}`);
}
