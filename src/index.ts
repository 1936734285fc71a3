/**
 * Tallybook as a library: declare streams in TypeScript, open a ledger, take records in, ask.
 *
 *     import { defineStream, openTallybook } from 'tallybook';
 *
 *     export const sales = defineStream('sales', {
 *       id: 'id',
 *       time: 'at',
 *       fields: {
 *         id: { type: 'text', required: true },
 *         at: { type: 'timestamp', required: true },
 *         amount: { type: 'decimal', precision: 18, scale: 2, required: true },
 *       },
 *       rollups: { daily: { every: 'day', sum: ['amount'] } },
 *     });
 *
 *     const tallybook = await openTallybook({ directory: './tallybook-data' });
 *     await tallybook.streams.put(sales.name, sales.declaration);
 *     const { rows } = await tallybook.ask('sales', { measures: ['sum(amount)'], every: 'day' });
 *     await tallybook.close();
 *
 * `openApp` gives all HTTP routes over an open ledger, as one Fastify instance. `tallybook serve --streams sales.js`
 * declares what a module exports.
 */
export { type OpenOptions, openApp, openTallybook } from './cli/compose.ts';
export type { AlertDefinition, AskedAlert } from './engine/alert-definition.ts';
export type { RollupDeclaration, StreamDeclaration } from './engine/declaration.ts';
export { type ErrorCode, type ErrorKind, errorRegister, TallybookError } from './engine/errors.ts';
export type { FieldDeclaration, FieldType } from './engine/field-types.ts';
export type { ImportState } from './engine/import-state.ts';
export type { Notification } from './engine/notifications.ts';
export type { AskedQuestion } from './engine/question.ts';
export type { Reject } from './engine/rejects.ts';
export type { Scope, Source } from './engine/sources.ts';
export type {
  Answer,
  Check,
  Column,
  Delivery,
  Entry,
  Fate,
  FileFormat,
  Mode,
  Store,
} from './engine/store.ts';
export { defineStream, type Stream } from './engine/stream.ts';
export type { AskedSelection, Log, Tallybook } from './engine/tallybook.ts';
export type { Receipt, Verdict, VerdictName } from './engine/verdicts.ts';
