/** What is wrong with the sensors: those that are silent or hang where they cannot, and passages of those that hang nowhere. */
import { Type } from 'typebox';
import { formatTimestamp, type Micros, nowMicros, parseTimestamp } from '../../engine/calendar.ts';
import { limits } from '../../engine/limits.ts';
import { cursorOfValues, type Page, pageSize, valuesOfCursor } from '../../engine/pages.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import type { Route } from '../system.ts';
import { buildingOf, type Span } from './building.ts';
import { TimeSchema, time } from './parameters.ts';
import { SensorIndex } from './sensor-index.ts';
import { assignmentFaults, sidesStanding } from './sides.ts';
import { assignmentsStream, doorwaysStream, passagesStream, sensorsStream, spacesStream } from './streams.ts';
import { Totals } from './totals.ts';

const orNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const day: Micros = 86_400_000_000n;
const daySeconds = 86_400;
/** How far back the last passage of a sensor is looked for, one after the other: most were seen lately. */
const looks = [day, 8n * day, 64n * day, 512n * day, undefined];

/** How many passages each sensor has reported. */
async function reported(tallybook: Tallybook): Promise<Map<string, number>> {
  const asked = { by: ['dpu_id'], measures: ['count'], limit: limits.answer_rows };
  const { rows } = await tallybook.ask(passagesStream.name, asked);
  return new Map(rows.map(([dpu, count]) => [dpu as string, count as number]));
}

/** When each sensor that ever reported was seen last, up to an instant. */
async function lastSeen(
  tallybook: Tallybook,
  sensors: Iterable<string>,
  at: Micros,
): Promise<Map<string, string>> {
  const seen = new Map<string, string>();
  const missing = new Set(sensors);
  for (const look of looks) {
    if (missing.size === 0) break;
    const { rows } = await tallybook.ask(passagesStream.name, {
      by: ['dpu_id'],
      measures: ['max(timestamp)'],
      ...(missing.size > 2_000 ? {} : { where: { dpu_id: [...missing] } }),
      ...(look === undefined ? {} : { from: formatTimestamp(at - look) }),
      to: formatTimestamp(at + 1n),
      limit: limits.answer_rows,
    });
    for (const [dpu, timestamp] of rows)
      if (missing.delete(dpu as string)) seen.set(dpu as string, timestamp as string);
  }
  return seen;
}

/** One page of rows that are in the order of their sensors. */
function pageOf<T extends { dpu_id: string }>(
  rows: T[],
  page: Page,
): { body: T[]; next: string | undefined } {
  const after = page.cursor === undefined ? undefined : BigInt(String(valuesOfCursor(page.cursor, 1)[0]));
  const rest = after === undefined ? rows : rows.filter(({ dpu_id }) => BigInt(dpu_id) > after);
  const size = pageSize(page);
  const body = rest.slice(0, size);
  const next = rest.length > size ? cursorOfValues([body.at(-1)!.dpu_id]) : undefined;
  return { body, next };
}

const inOrder = (ids: Iterable<string>): string[] =>
  [...ids]
    .map(BigInt)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .map(String);

export const healthRoute: Route = {
  method: 'GET',
  path: '/v1/sensors/health',
  scope: 'read',
  streams: [sensorsStream, assignmentsStream, doorwaysStream, spacesStream, passagesStream],
  summary: 'Which sensors are silent',
  description:
    'Every sensor that is known, hangs somewhere or has reported: when it was seen last, and whether that is longer ago than its `expected_seconds`. `fault` says what cannot be of where its assignments hang it.',
  query: Type.Object({
    silent: Type.Optional(Type.Enum(['true', 'false'], { description: 'Only these.' })),
    silent_after: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000_000,
        description: 'Seconds, for sensors that say nothing themselves; a day when not given.',
      }),
    ),
  }),
  paged: true,
  answers: Type.Array(
    Type.Object({
      dpu_id: Type.String(),
      name: orNull(Type.String()),
      doorway_id: orNull(Type.String()),
      assigned: Type.Boolean({ description: 'Whether it hangs somewhere now.' }),
      last_seen: Type.Union([TimeSchema, Type.Null()]),
      expected_seconds: Type.Integer(),
      silent: Type.Boolean(),
      fault: Type.Optional(
        Type.String({ description: 'What a plan with its assignments would be refused with.' }),
      ),
    }),
  ),
  async answer({ tallybook, query, page }) {
    const at = nowMicros();
    const sensors = await tallybook.reference.standing(sensorsStream.name);
    const { spans } = await buildingOf(tallybook, undefined);
    const counts = await reported(tallybook);
    const seen = await lastSeen(tallybook, counts.keys(), at);
    const faults = await faultsOfSensors(tallybook);
    const rows = inOrder(new Set([...sensors.keys(), ...spans.keys(), ...counts.keys()])).map((id) => {
      const { name = null, expected_seconds: expected } = sensors.get(id) ?? {};
      const span = spans.get(id)?.find(({ from, to }) => (from ?? at) <= at && (to === undefined || to > at));
      const expectedSeconds = Number(expected ?? query.silent_after ?? daySeconds);
      const last = seen.get(id);
      return {
        dpu_id: id,
        name,
        doorway_id: span?.doorway ?? null,
        assigned: span !== undefined,
        last_seen: last ?? null,
        expected_seconds: expectedSeconds,
        silent: last === undefined || parseTimestamp(last)! < at - BigInt(expectedSeconds) * 1_000_000n,
        fault: faults.get(id)?.join('; '), // no member where there is none
      };
    });
    const chosen =
      query.silent === undefined ? rows : rows.filter(({ silent }) => String(silent) === query.silent);
    return pageOf(chosen, page);
  },
};

/** By sensor, what is wrong with its assignments. */
async function faultsOfSensors({ reference }: Tallybook): Promise<Map<string, string[]>> {
  const [spaces, doorways, assignments] = await Promise.all(
    [spacesStream, doorwaysStream, assignmentsStream].map(({ name }) => reference.standing(name)),
  );
  const known = new Set(spaces!.keys());
  const faults = new Map<string, string[]>();
  for (const [id, assignment] of assignments!) {
    const { dpu_id: dpu, doorway_id, faces, behind } = assignment;
    const sides = sidesStanding({ doorway_id: doorway_id!, faces: faces!, behind: behind! }, doorways!);
    const found = assignmentFaults({ doorway_id, ...sides }, known, doorways!, 'the ledger');
    if (found.length === 0) continue;
    const told = faults.get(dpu!) ?? [];
    told.push(...found.map((fault) => `the assignment ${id}: ${fault}`));
    faults.set(dpu!, told);
  }
  return faults;
}

/** Stretches in which a sensor hangs nowhere. */
function gapsOf(spans: readonly Span[]): { from: Micros | undefined; to: Micros | undefined }[] {
  const gaps: { from: Micros | undefined; to: Micros | undefined }[] = [];
  let from: Micros | undefined;
  for (const [index, span] of spans.entries()) {
    if (span.from !== undefined && (index === 0 || from !== span.from)) gaps.push({ from, to: span.from });
    from = span.to;
    if (from === undefined) return gaps;
  }
  return [...gaps, { from, to: undefined }];
}

export const unassignedRoute: Route = {
  method: 'GET',
  path: '/v1/passages/unassigned',
  scope: 'read',
  streams: [assignmentsStream, passagesStream],
  summary: 'Passages of sensors that hung nowhere',
  description:
    'They are kept, and counted once an assignment covers them: by sensor, how many lie in each stretch without one.',
  paged: true,
  answers: Type.Array(
    Type.Object({
      dpu_id: Type.String(),
      unassigned: Type.Integer({ description: 'Passages.' }),
      stretches: Type.Array(
        Type.Object({
          from: Type.Union([TimeSchema, Type.Null()], { description: 'Null: ever since.' }),
          to: Type.Union([TimeSchema, Type.Null()], { description: 'Exclusive; null: to this day.' }),
          passages: Type.Integer(),
        }),
      ),
    }),
  ),
  async answer({ tallybook, page }) {
    const { spans } = await buildingOf(tallybook, undefined);
    const sensors = new SensorIndex(inOrder((await reported(tallybook)).keys()));
    const totals = new Totals(sensors);
    const stretches: { dpu: string; from: Micros | undefined; to: Micros | undefined }[] = [];
    for (const [slot, dpu] of sensors.ids.entries()) {
      const terms = { slots: Int32Array.of(slot), times: Int8Array.of(1), first: 0, end: 1 };
      for (const gap of gapsOf(spans.get(dpu) ?? [])) {
        totals.add(stretches.length, terms, gap.from, gap.to);
        stretches.push({ dpu, ...gap });
      }
    }
    const counts = stretches.map(() => 0);
    const origin = await totals.addUp(tallybook, 'count', undefined, counts);
    const rows = new Map<string, { dpu_id: string; unassigned: number; stretches: object[] }>();
    for (const [index, { dpu, from, to }] of stretches.entries()) {
      const passages = counts[index]!;
      if (passages === 0) continue;
      const row = rows.get(dpu) ?? { dpu_id: dpu, unassigned: 0, stretches: [] };
      row.unassigned += passages;
      row.stretches.push({ from: timeOrNull(from), to: timeOrNull(to), passages });
      rows.set(dpu, row);
    }
    return { ...pageOf([...rows.values()], page), ...(origin ? { origin } : {}) };
  },
};

const timeOrNull = (instant: Micros | undefined): string | null =>
  instant === undefined ? null : time(instant);
