/** Recounts the ledger and compares: the invariants that a store of plain lines can break. */
import { bucketStart } from '../../engine/calendar.ts';
import { toScaled } from '../../engine/decimal.ts';
import { timeOf } from '../../engine/stage-record.ts';
import type { Check } from '../../engine/store.ts';
import type { Rollup } from '../../engine/stream.ts';
import { countOfVerdict, verdictNames } from '../../engine/verdicts.ts';
import { type Ledger, type Line, type StreamLedger, standingLines, valueIn } from './ledger.ts';
import { scaleOf } from './measure.ts';

export function verify(ledger: Ledger): Check[] {
  const checks: Check[] = [receivedIsAccounted(ledger)];
  for (const kept of ledger.streams.values()) {
    checks.push(idsStandOnce(kept), reversalsMatch(kept));
    for (const rollup of kept.stream.rollups) checks.push(rollupEquals(kept, rollup));
  }
  return checks;
}

function receivedIsAccounted({ batches }: Ledger): Check {
  const wrong = batches.filter(({ receipts }) =>
    receipts.some((receipt) => {
      const counted = verdictNames.reduce((sum, verdict) => sum + receipt[countOfVerdict[verdict]], 0);
      return counted !== receipt.received;
    }),
  );
  return check(
    'every record received has one verdict',
    '',
    batches.length,
    wrong.map(({ batch }) => `batch ${batch}`),
  );
}

function idsStandOnce({ stream, lines }: StreamLedger): Check {
  const standing = standingLines(lines, undefined);
  const seen = new Set<string>();
  const wrong: string[] = [];
  for (const { id } of standing) {
    if (seen.has(id)) wrong.push(`id ${id}`);
    seen.add(id);
  }
  return check('an id stands at most once', stream.name, standing.length, wrong);
}

function reversalsMatch({ stream, lines }: StreamLedger): Check {
  const reversals = lines.filter((line) => line.sign === -1);
  const taken = new Set<number>();
  const wrong = reversals.filter((line) => {
    const reversed = lines.find((other) => other.seq === line.reverses);
    const again = taken.has(line.reverses!);
    taken.add(line.reverses!);
    return (
      again || !reversed || reversed.sign !== 1 || reversed.id !== line.id || reversed.values !== line.values
    );
  });
  return check(
    'what is taken back stood before',
    stream.name,
    reversals.length,
    wrong.map(({ seq }) => `entry ${seq}`),
  );
}

/** The signed sums of all lines equal the sums of the records that stand. */
function rollupEquals(kept: StreamLedger, rollup: Rollup): Check {
  const signed = sums(kept, rollup, kept.lines);
  const standing = sums(kept, rollup, standingLines(kept.lines, undefined));
  const wrong = [...signed].filter(([key, sum]) => sum !== (standing.get(key) ?? 0n)).map(([key]) => key);
  return check(`rollup ${rollup.name} equals the ledger`, kept.stream.name, signed.size, wrong);
}

function sums({ stream }: StreamLedger, rollup: Rollup, lines: Line[]): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const line of lines) {
    const time = timeOf(stream, line);
    const bucket = time === undefined ? 0n : bucketStart(time, rollup.every, rollup.tz);
    const key = [String(bucket), ...rollup.by.map((field) => valueIn(line.values, field.name))];
    const add = (name: string, value: bigint) => {
      const at = JSON.stringify([...key, name]);
      sums.set(at, (sums.get(at) ?? 0n) + BigInt(line.sign) * value);
    };
    add('count', 1n);
    for (const field of rollup.sum)
      add(field.name, toScaled(valueIn(line.values, field.name) ?? '0', scaleOf(field)));
  }
  return sums;
}

function check(name: string, stream: string, compared: number, wrong: string[]): Check {
  const detail =
    wrong.length === 0
      ? `${compared} compared`
      : `${wrong.length} of ${compared} wrong: ${wrong.slice(0, 5).join(', ')}`;
  return { check: name, stream, ok: wrong.length === 0, detail };
}
