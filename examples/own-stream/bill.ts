/** Opens the ledger in this process, with no server, and prints what each customer owes for a month. */
import { openTallybook } from 'tallybook';
import { tokens } from './tokens.js';

const tallybook = await openTallybook({ directory: './tallybook-data' });
await tallybook.streams.put(tokens.name, tokens.declaration);
const { columns, rows, as_of } = await tallybook.ask('tokens', {
  measures: ['sum(tokens)', 'sum(price)'],
  by: ['customer'],
  from: '2026-10-01',
  to: '2026-11-01',
});
console.log(columns.map(({ name }) => name).join('\t'));
for (const row of rows) console.log(row.join('\t'));
// The same question with this as known_at gives the same figures, whatever is corrected later.
console.error(`as known at ${as_of.recorded_at}`);
await tallybook.close();
