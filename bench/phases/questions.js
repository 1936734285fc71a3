/**
 * Phase questions: what asking costs, over a ledger of `--rows` records, while nothing else runs and while an
 * import of as many others runs in the same server. Tallybook is asked over HTTP, PostgreSQL through its driver.
 */
import { askedSubscriptions, limitFor } from '../made-data.js';
import { inOwnProcess } from '../own-process.js';

/**
 * @param {{flags: any, scratch: any, say: (line: string) => void}} run
 * @returns {Promise<Record<string, any>>} by contestant
 */
export async function questionsPhase({ flags, scratch, say }) {
  const { rows } = flags;
  say(`making two files of ${rows} records, and the right answers`);
  const file = await scratch.file({ rows, prefix: 'rec_' });
  const other = await scratch.file({ rows, prefix: 'more_' });
  const subscriptions = askedSubscriptions(flags.askings);
  const limit = limitFor(rows);
  const right = (files) =>
    inOwnProcess('contestants/floor.js', 'rightAnswers', { files, subscriptions, limit });
  const questions = { subscriptions, limit, before: await right([file]), after: await right([file, other]) };
  /** @type {Record<string, any>} */
  const results = { limit };
  for (const name of ['tallybook', 'postgres'].filter((each) => !flags.without.includes(each))) {
    results[name] = await scratch.inNewDirectory((dir) =>
      inOwnProcess(`contestants/${name}-questions.js`, 'askQuestions', { file, other, rows, dir, questions }),
    );
    say(
      `questions: ${name} done, the import beside them took ${results[name].busy.import_seconds.toFixed(2)} s`,
    );
  }
  scratch.remove(file);
  scratch.remove(other);
  return results;
}
