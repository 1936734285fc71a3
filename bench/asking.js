/**
 * Asks two questions in turn and keeps the times:
 *
 *     daily   the daily sums of one subscription, another one each time
 *     over    which of 50,000 subscriptions, by type, are over a limit: the worst 100
 *
 * Every answer is compared with the right one. While an import runs, nothing of it may show (it is one
 * unit): the answers are those from before it. An answer that came when the import was over is not counted.
 */
import { latenciesOf } from './latencies.js';

/**
 * @typedef {{dailyOf: Record<number, string[]>, over: string[]}} Answers
 * @typedef {{subscriptions: number[], limit: number, before: Answers, after: Answers}} Questions
 * @typedef {{
 *   daily: (subscription: number) => Promise<() => string[]>,
 *   over: (limit: number) => Promise<() => string[]>
 * }} Asker asks, and answers how to read the answer in the form that is compared; reading is not timed
 */

/** @param {Asker} asker @param {Questions} questions */
export async function askInTurn(asker, questions) {
  const times = { daily: [], over: [] };
  await askRound(asker, questions, questions.subscriptions[0], [questions.before]);
  for (const subscription of questions.subscriptions) {
    const round = await askRound(asker, questions, subscription, [questions.before]);
    times.daily.push(round.daily);
    times.over.push(round.over);
  }
  return summary(times);
}

/**
 * Asks as long as the import runs, at most as often as there are subscriptions; then waits for its end and asks
 * once more, to see that it counts now.
 * @param {Promise<{seconds: number}>} importing @param {Asker} asker @param {Questions} questions
 */
export async function askWhile(importing, asker, questions) {
  const times = { daily: [], over: [] };
  let running = true;
  const ended = importing.finally(() => {
    running = false;
  });
  ended.catch(() => {});
  for (const subscription of questions.subscriptions) {
    const round = await askRound(asker, questions, subscription, [questions.before, questions.after]);
    if (!running) break;
    times.daily.push(round.daily);
    times.over.push(round.over);
  }
  const { seconds } = await ended;
  await askRound(asker, questions, questions.subscriptions[0], [questions.after]);
  return { ...summary(times), import_seconds: seconds };
}

async function askRound(asker, { limit }, subscription, allowed) {
  const daily = await timed(() => asker.daily(subscription));
  mustBeOneOf(
    `daily sums of ${subscription}`,
    daily.answer,
    allowed.map((answers) => answers.dailyOf[subscription]),
  );
  const over = await timed(() => asker.over(limit));
  mustBeOneOf(
    `subscriptions over ${limit}`,
    over.answer,
    allowed.map((answers) => answers.over),
  );
  return { daily: daily.ms, over: over.ms };
}

async function timed(ask) {
  const start = performance.now();
  const read = await ask();
  return { ms: performance.now() - start, answer: read() };
}

function mustBeOneOf(what, found, allowed) {
  const text = JSON.stringify(found);
  if (allowed.some((right) => JSON.stringify(right) === text)) return;
  throw new Error(
    `${what}: found ${text.slice(0, 300)}, expected ${JSON.stringify(allowed[0]).slice(0, 300)}`,
  );
}

function summary(times) {
  const figures = (list) => ({ asked: list.length, ...latenciesOf(list) });
  return { daily: figures(times.daily), over: figures(times.over) };
}
