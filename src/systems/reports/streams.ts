import { defineStream } from '../../engine/stream.ts';
import {
  euroSettingsDeclaration,
  linesDeclaration,
  ratesDeclaration,
  reportsDeclaration,
} from './declarations.ts';

export const linesStream = defineStream('report_lines', linesDeclaration);
export const reportsStream = defineStream('reports', reportsDeclaration);
export const ratesStream = defineStream('exchange_rates', ratesDeclaration);
export const euroSettingsStream = defineStream('euro_settings', euroSettingsDeclaration);
