/** `tallybook explain`: the entries behind a figure. */
import type { Command } from 'commander';
import type { Entry } from '../../engine/store.ts';
import { type ConnectionSettings, connectionSettings, jsonSetting, setting, wholeNumber } from '../config.ts';
import { connected } from '../connect.ts';
import { accepted, pathOf } from '../connection.ts';
import { wholeFigure } from '../figures.ts';
import { type Selection, selectionQuery, selectionSettings } from '../selection.ts';
import { type TableCell, table } from '../table.ts';
import { note, print, write } from '../terminal.ts';

interface ExplainSettings extends ConnectionSettings, Selection {
  limit: number;
  json?: boolean;
}
interface Explanation {
  entries: (Pick<Entry, 'seq' | 'sign' | 'reverses' | 'recorded_at' | 'source' | 'reason'> & {
    record: Record<string, TableCell>;
  })[];
  next?: string;
  rejects: { open: number };
}

export function explainCommand(program: Command): void {
  const command = program
    .command('explain')
    .description('list the entries behind a figure, those that were taken back too')
    .argument('<stream>', 'the stream')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook explain usage --where subscription_id=8047 --from 2026-10-05 --to 2026-10-06

An entry with sign -1 takes an earlier one back: a correction is such a pair. The sum of sign times value is the figure.`,
    )
    .addOption(setting('--limit <rows>', 'entries at most', { default: 100, parse: wholeNumber(1, 1_000) }));
  for (const option of [...selectionSettings(), ...connectionSettings(), jsonSetting()])
    command.addOption(option);
  command.action(explain);
}

async function explain(stream: string, settings: ExplainSettings): Promise<void> {
  await connected(settings, async (connection) => {
    const query = { ...selectionQuery(settings), page_size: settings.limit };
    const reply = accepted(
      await connection.request('GET', pathOf('v1', 'streams', stream, 'explain'), { query }),
    );
    if (settings.json) return write(`${reply.text}\n`);
    const { entries, rejects } = JSON.parse(reply.text) as Explanation;
    const fields = Object.keys(entries[0]?.record ?? {});
    const rows = entries.map(({ seq, sign, reverses, recorded_at, source, reason, record }) => [
      seq,
      sign,
      reverses,
      recorded_at.slice(0, 19),
      source,
      reason,
      ...fields.map((field) =>
        typeof record[field] === 'object' && record[field] !== null
          ? JSON.stringify(record[field])
          : record[field],
      ),
    ]);
    if (rows.length === 0) note('No entry is selected.');
    else print(table(['seq', 'sign', 'reverses', 'recorded at', 'source', 'reason', ...fields], rows));
    if (reply.next)
      note(`These are the first ${wholeFigure(entries.length)}; --limit shows more, at most 1,000.`);
    if (rejects.open > 0)
      note(
        `${wholeFigure(rejects.open)} records of the stream were refused and count nowhere: tallybook rejects list --stream ${stream}`,
      );
  });
}
