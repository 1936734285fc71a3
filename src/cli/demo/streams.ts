/** What the demo fills: a stream of each system that ships. */
import { eventsDeclaration } from '../../systems/events/declarations.ts';
import { passagesDeclaration } from '../../systems/occupancy/declarations.ts';
import { linesDeclaration } from '../../systems/reports/declarations.ts';
import { usageDeclaration } from '../../systems/usage/declarations.ts';

export const demoStreams = {
  usage: usageDeclaration,
  events: eventsDeclaration,
  report_lines: linesDeclaration,
  passages: passagesDeclaration,
};

export type DemoStream = keyof typeof demoStreams;
