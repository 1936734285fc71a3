/** `tallybook occupancy`: the plan of a building, passages of its sensors, and who is where. */
import type { Command } from 'commander';
import { jsonOf } from '../../engine/exact-json.ts';
import {
  type ConnectionSettings,
  connectionSettings,
  jsonSetting,
  quietSetting,
  setting,
} from '../config.ts';
import { connected } from '../connect.ts';
import { ask, askJson } from '../connection.ts';
import { readText } from '../input.ts';
import { usageError } from '../outcome.ts';
import { table } from '../table.ts';
import { note, print, write } from '../terminal.ts';
import { importFiles } from './import.ts';

interface OccupancySettings extends ConnectionSettings {
  json?: boolean;
  ts?: string;
}
interface PassagesSettings extends OccupancySettings {
  quiet?: boolean;
}

export function occupancyCommands(program: Command): void {
  const occupancy = program
    .command('occupancy')
    .description('people in spaces: the plan of a building, passages of its sensors, who is where');
  const passages = occupancy
    .command('import')
    .description('take in files of passages: CSV with the header timestamp,direction,dpu_id')
    .argument('<file...>', 'files, plain, gzip or zstd; - is standard input')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook occupancy import 2026-10.csv 2026-11.csv.gz

Every file is one unit, in any order. The same file twice counts once; equal lines inside of a file all count.`,
    )
    .addOption(quietSetting())
    .action(importPassages);
  const plan = occupancy
    .command('plan')
    .description('set up spaces, doorways, sensors, assignments and reset rules from a file')
    .argument('<file>', 'the plan, in YAML or JSON; - is standard input')
    .addHelpText(
      'after',
      `
Example:
  $ tallybook occupancy plan building.yaml

A plan:
  spaces:
    - {id: A, tz: Europe/Madrid, capacity: 80}
    - {id: B, tz: Europe/Madrid}
  doorways:
    - {id: X, one_side: A}
    - {id: Z, one_side: A, other_side: B}
  assignments:
    - {dpu_id: 283, doorway_id: X, faces: A, from: 2026-01-01}
    - {dpu_id: 423, doorway_id: Z, faces: A, from: 2026-01-01}

It is checked as a whole before anything is written. Changed and sent again, it corrects.`,
    )
    .action(setUp);
  const counts = occupancy
    .command('counts')
    .description('list how many people are in every space')
    .addHelpText('after', '\nExample:\n  $ tallybook occupancy counts --ts 2026-10-05T12:00:00Z')
    .addOption(setting('--ts <time>', 'when, such as 2026-10-05T12:00:00Z; now when not given'))
    .action(listCounts);
  for (const command of [passages, plan, counts])
    for (const option of [...connectionSettings(), jsonSetting()]) command.addOption(option);
}

function importPassages(files: string[], settings: PassagesSettings): Promise<void> {
  return importFiles('passages', files, { ...settings, format: 'csv', mode: 'insert' });
}

type Counts = Record<string, { received: number; accepted: number; corrected: number; duplicates: number }>;

async function setUp(file: string, settings: OccupancySettings): Promise<void> {
  const plan = await planOf(await readText(file), file);
  await connected(
    settings,
    async (connection) => {
      const text = await ask(connection, 'POST', '/v1/occupancy/plan', { text: jsonOf(plan) });
      if (settings.json) return write(`${text}\n`);
      const rows = Object.entries(JSON.parse(text) as Counts)
        .filter(([, { received }]) => received > 0)
        .map(([part, { accepted, corrected, duplicates }]) => [
          part.replaceAll('_', ' '),
          accepted,
          corrected,
          duplicates,
        ]);
      if (rows.length === 0) note('The plan is empty.');
      else print(table(['', 'new', 'corrected', 'as before'], rows));
    },
    { create: true },
  );
}

/** Numbers keep all their digits, and a date stays the text that it is. */
async function planOf(text: string, file: string): Promise<unknown> {
  // Only here: it takes a start of every command 60 ms.
  const { parse } = await import('yaml');
  let plan: unknown;
  try {
    plan = parse(text, { intAsBigInt: true, maxAliasCount: 0, prettyErrors: true });
  } catch (error) {
    throw usageError(`${file} is neither YAML nor JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  if (typeof plan === 'object' && plan !== null && !Array.isArray(plan)) return plan;
  throw usageError(`${file} holds no plan; expected "spaces:", "doorways:", "assignments:" and so on`);
}

interface Spaces {
  spaces: {
    space_id: string;
    name: string | null;
    count: number | null;
    capacity: number | null;
    utilisation: number | null;
  }[];
}

async function listCounts(settings: OccupancySettings): Promise<void> {
  await connected(settings, async (connection) => {
    const query = { ts: settings.ts };
    if (settings.json) return write(`${await ask(connection, 'GET', '/v1/spaces/counts', { query })}\n`);
    const { spaces } = await askJson<Spaces>(connection, 'GET', '/v1/spaces/counts', { query });
    if (spaces.length === 0) return note('There is no space yet; "tallybook occupancy plan" sets them up.');
    print(
      table(
        ['space', 'name', 'people', 'capacity', 'per cent'],
        spaces.map(({ space_id, name, count, capacity, utilisation }) => [
          space_id,
          name,
          count,
          capacity,
          utilisation === null ? null : Math.round(utilisation * 100),
        ]),
      ),
    );
  });
}
