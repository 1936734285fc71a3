/**
 * The plan of a building in one document: spaces, doorways, sensors, assignments, reset rules. It is checked as a whole
 * before anything of it is written: what each part names must be in the plan or in the ledger. Sent again, it changes
 * nothing; changed and sent again, it corrects. What it does not name stays as it is.
 */
import { Type } from 'typebox';
import { formatTimestamp, isTimeZone } from '../../engine/calendar.ts';
import { TallybookError } from '../../engine/errors.ts';
import { jsonOf } from '../../engine/exact-json.ts';
import { checkValue, refusalMessage } from '../../engine/field-types.ts';
import { checkInstant } from '../../engine/question.ts';
import type { Stream } from '../../engine/stream.ts';
import type { Tallybook } from '../../engine/tallybook.ts';
import { noCounts, type VerdictCounts } from '../../engine/verdicts.ts';
import type { Route } from '../system.ts';
import { across, assignmentFaults, spaceFault } from './sides.ts';
import {
  assignmentsStream,
  doorwaysStream,
  resetRulesStream,
  sensorsStream,
  spacesStream,
} from './streams.ts';

type Item = Record<string, unknown>;

/** In the order in which they are written: nothing names what is not there yet. */
const parts = {
  spaces: spacesStream,
  doorways: doorwaysStream,
  sensors: sensorsStream,
  assignments: assignmentsStream,
  reset_rules: resetRulesStream,
} as const;
type PartName = keyof typeof parts;
type Plan = Record<PartName, Item[]>;
const partNames = Object.keys(parts) as PartName[];

/** More records are written in several commits. */
const recordsAtOnce = 10_000;
const faultsShown = 20;

const Items = Type.Optional(Type.Array(Type.Record(Type.String(), Type.Unknown())));
const PartCounts = Type.Object({
  received: Type.Integer(),
  accepted: Type.Integer(),
  corrected: Type.Integer(),
  duplicates: Type.Integer(),
});

export const planRoute: Route = {
  method: 'POST',
  path: '/v1/occupancy/plan',
  scope: 'ingest',
  streams: Object.values(parts),
  summary: 'Set up a building from its plan',
  description:
    'Spaces, doorways, sensors, assignments and reset rules in one document. All of it is checked before anything is written; what it does not name stays as it is.',
  takes: {
    json: Type.Object(Object.fromEntries(partNames.map((name) => [name, Items])), {
      additionalProperties: false,
    }),
  },
  paged: false,
  answers: Type.Object(Object.fromEntries(partNames.map((name) => [name, PartCounts]))),
  async answer({ tallybook, body, source }) {
    const plan = await checkedPlan(tallybook, body as Partial<Plan>);
    const total = partNames.reduce((sum, name) => sum + plan[name].length, 0);
    const write = (name: PartName) => writePart(tallybook, parts[name], plan[name], source.name);
    const counts: VerdictCounts[] = [];
    if (total <= recordsAtOnce) counts.push(...(await Promise.all(partNames.map(write))));
    else for (const name of partNames) counts.push(await write(name));
    return {
      body: Object.fromEntries(
        partNames.map((name, index) => {
          const { accepted, corrected, duplicates } = counts[index]!;
          return [name, { received: plan[name].length, accepted, corrected, duplicates }];
        }),
      ),
    };
  },
};

async function writePart(
  tallybook: Tallybook,
  { name }: Stream,
  items: Item[],
  source: string,
): Promise<VerdictCounts> {
  const counts = noCounts();
  for (let at = 0; at < items.length; at += recordsAtOnce) {
    const texts = items.slice(at, at + recordsAtOnce).map(jsonOf);
    const receipt = await tallybook.write({
      stream: tallybook.streams.get(name),
      mode: 'upsert',
      source,
      reason: undefined,
      content: { kind: 'texts', texts, fallbackIds: texts.map(() => '') },
      allVerdicts: false,
    });
    for (const count of Object.keys(counts) as (keyof VerdictCounts)[]) counts[count] += receipt[count];
  }
  return counts;
}

/** The plan with ids and sides filled in. Throws `bad_request` with what is wrong, and nothing is written. */
async function checkedPlan(tallybook: Tallybook, given: Partial<Plan>): Promise<Plan> {
  const plan = Object.fromEntries(partNames.map((name) => [name, given[name] ?? []])) as Plan;
  const doorways = new Map<string, Item>();
  for (const [id, doorway] of await tallybook.reference.standing(doorwaysStream.name))
    doorways.set(id, doorway);
  for (const doorway of plan.doorways) doorways.set(String(doorway.id), doorway);
  const filled: Plan = {
    ...plan,
    assignments: numbered(plan.assignments, 'dpu_id').map((one) => withTimes(withSides(one, doorways))),
    reset_rules: numbered(plan.reset_rules, 'space_id').map(withTimes),
  };
  const faults = partNames.flatMap((name) => faultsOf(name, parts[name], filled[name]));
  if (faults.length === 0) faults.push(...(await relationFaults(tallybook, filled, doorways)));
  if (faults.length > 0) {
    const more = faults.length > faultsShown ? `; and ${faults.length - faultsShown} more` : '';
    throw new TallybookError('bad_request', `the plan: ${faults.slice(0, faultsShown).join('; ')}${more}`);
  }
  return filled;
}

/** An assignment with no id of its own is the first, second … of its sensor: so a corrected plan corrects it. */
function numbered(items: Item[], of: string): Item[] {
  const seen = new Map<string, number>();
  return items.map((item) => {
    const key = String(item[of]);
    const number = (seen.get(key) ?? 0) + 1;
    seen.set(key, number);
    return { ...item, id: item.id ?? `${key}-${number}` };
  });
}

/** Where an assignment names one side of its doorway, the doorway knows the other one. */
function withSides(assignment: Item, doorways: ReadonlyMap<string, Item>): Item {
  const doorway = doorways.get(String(assignment.doorway_id));
  const { faces, behind } = assignment;
  if (!doorway || (faces === undefined) === (behind === undefined)) return assignment;
  return behind === undefined
    ? { ...assignment, behind: across(doorway, faces) }
    : { ...assignment, faces: across(doorway, behind) };
}

/** A date is midnight in UTC. */
function withTimes(item: Item): Item {
  const times = (['from', 'to'] as const).flatMap((name) => {
    const value = item[name];
    if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(value)) return [];
    try {
      return [[name, formatTimestamp(checkInstant(name, value, 'UTC'))]];
    } catch {
      return []; // told with the other faults
    }
  });
  return { ...item, ...Object.fromEntries(times) };
}

function faultsOf(part: PartName, stream: Stream, items: Item[]): string[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const faults = Object.keys(item)
      .filter((name) => !stream.field(name))
      .map((name) => `${name} is not known here; expected ${stream.fields.map((f) => f.name).join(', ')}`);
    for (const field of stream.fields) {
      const value = item[field.name];
      const text = value === undefined ? undefined : jsonOf(value);
      const checked = checkValue(field, text === undefined ? undefined : { kind: 'json', text });
      if ('code' in checked) faults.push(refusalMessage(field, checked.code, text));
    }
    const id = String(item[stream.id!.name]);
    if (seen.has(id)) faults.push(`the id ${id} is there twice`);
    seen.add(id);
    return faults.map((fault) => `${part} ${index + 1}: ${fault}`);
  });
}

async function relationFaults(
  { reference }: Tallybook,
  plan: Plan,
  doorways: ReadonlyMap<string, Item>,
): Promise<string[]> {
  const spaces = new Set([
    ...(await reference.standing(spacesStream.name)).keys(),
    ...plan.spaces.map(({ id }) => id as string),
  ]);
  const faults: string[] = [];
  const check = (part: PartName, judge: (item: Item) => (string | false)[]) => {
    for (const [index, item] of plan[part].entries())
      for (const fault of judge(item)) if (fault) faults.push(`${part} ${index + 1}: ${fault}`);
  };
  const known = 'the plan or the ledger';
  const isSpace = (id: unknown, what: string) => spaceFault(id, what, spaces, known);
  const inOrder = ({ from, to }: Item) =>
    typeof from === 'string' &&
    typeof to === 'string' &&
    checkInstant('from', from, 'UTC') >= checkInstant('to', to, 'UTC') &&
    `from (${from}) does not lie before to (${to})`;
  check('spaces', ({ tz }) => [
    typeof tz === 'string' && !isTimeZone(tz) && `tz is ${tz}, no time zone such as Europe/Madrid`,
  ]);
  check('doorways', ({ one_side: one, other_side: other }) => [
    isSpace(one, 'one_side is'),
    isSpace(other, 'other_side is'),
  ]);
  check('assignments', (item) => [...assignmentFaults(item, spaces, doorways, known), inOrder(item)]);
  check('reset_rules', (item) => [isSpace(item.space_id, 'it resets'), inOrder(item)]);
  return faults;
}
