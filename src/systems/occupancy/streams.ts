/** The streams of occupancy, checked like those that users declare. */
import { defineStream } from '../../engine/stream.ts';
import {
  assignmentsDeclaration,
  doorwaysDeclaration,
  passagesDeclaration,
  resetRulesDeclaration,
  resetsDeclaration,
  sensorsDeclaration,
  spacesDeclaration,
} from './declarations.ts';

export const passagesStream = defineStream('passages', passagesDeclaration);
export const spacesStream = defineStream('spaces', spacesDeclaration);
export const doorwaysStream = defineStream('doorways', doorwaysDeclaration);
export const sensorsStream = defineStream('sensors', sensorsDeclaration);
export const assignmentsStream = defineStream('assignments', assignmentsDeclaration);
export const resetsStream = defineStream('resets', resetsDeclaration);
export const resetRulesStream = defineStream('reset_rules', resetRulesDeclaration);

/** What an answer about counts tells of: a key must be allowed all of them. */
export const countedStreams = [
  passagesStream,
  spacesStream,
  doorwaysStream,
  assignmentsStream,
  resetsStream,
  resetRulesStream,
];
