/**
 * Receipts as JSON, written by hand: they are what is sent most.
 */

import type { FastifyReply } from 'fastify';
import { TallybookError } from '../engine/errors.ts';
import { isLogged, type Logged, type Taken } from '../engine/front-log.ts';
import type { Receipt, Verdict, VerdictName } from '../engine/verdicts.ts';
import { problemOf } from './problems.ts';

const json = 'application/json; charset=utf-8';

/** The answer to one record sent alone: its verdict gives the status. */
export const statusOfVerdict: Record<VerdictName, number> = {
  accepted: 201,
  duplicate: 200,
  corrected: 200,
  retracted: 200,
  conflict: 409,
  rejected: 422,
};

/** `list`: `verdicts` when all were asked for, else `errors`. */
export function receiptJson(receipt: Receipt, list: 'verdicts' | 'errors'): string {
  const verdicts = receipt.verdicts;
  let listed = '';
  for (let i = 0; i < verdicts.length; i++) listed += (i > 0 ? ',' : '') + verdictJson(verdicts[i]!);
  return (
    `{"batch":${receipt.batch},"recorded_at":"${receipt.recorded_at}","received":${receipt.received}` +
    `,"accepted":${receipt.accepted},"duplicates":${receipt.duplicates},"corrected":${receipt.corrected}` +
    `,"conflicts":${receipt.conflicts},"rejected":${receipt.rejected},"retracted":${receipt.retracted}` +
    `,"${list}":[${listed}]}`
  );
}

function verdictJson(verdict: Verdict): string {
  const id = verdict.id === null ? 'null' : JSON.stringify(verdict.id);
  const head = `{"index":${verdict.index},"id":${id},"verdict":"${verdict.verdict}"`;
  if (verdict.code === undefined) return `${head}}`;
  const field = verdict.field === undefined ? '' : `,"field":${JSON.stringify(verdict.field)}`;
  return `${head},"code":"${verdict.code}"${field},"message":${JSON.stringify(verdict.message ?? '')}}`;
}

export function sendReceipt(reply: FastifyReply, taken: Taken, allVerdicts: boolean): FastifyReply {
  if (isLogged(taken)) return sendLogged(reply, taken);
  return reply.header('content-type', json).send(receiptJson(taken, allVerdicts ? 'verdicts' : 'errors'));
}

/** Accepted for later: nothing is known of verdicts yet. */
function sendLogged(reply: FastifyReply, logged: Logged): FastifyReply {
  return reply.code(202).header('content-type', json).send(JSON.stringify(logged));
}

/**
 * The answer to one record sent alone: the receipt with its one verdict. Where the record was refused, the same
 * as a problem, so that a client that knows only those can tell what to change.
 */
export function sendOneReceipt(reply: FastifyReply, receipt: Taken): FastifyReply {
  if (isLogged(receipt)) return sendLogged(reply, receipt);
  const verdict = receipt.verdicts[0]!;
  const status = statusOfVerdict[verdict.verdict];
  const written = receiptJson(receipt, 'verdicts');
  if (status < 400) return reply.code(status).header('content-type', json).send(written);
  const problem = {
    ...problemOf(new TallybookError('bad_request', verdict.message ?? '')),
    type: `urn:tallybook:problem:${verdict.code}`,
    title: status === 409 ? 'Another record with this id stands' : 'The record was rejected',
    status,
    code: verdict.code,
  };
  const head = JSON.stringify(problem).slice(0, -1);
  return reply
    .code(status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(`${head},${written.slice(1)}`);
}
