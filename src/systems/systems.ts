/** The systems that ship with Tallybook, by hand, in one visible list. */
import { eventsSystem } from './events/index.ts';
import { occupancySystem } from './occupancy/index.ts';
import { reportsSystem } from './reports/index.ts';
import type { System } from './system.ts';
import { usageSystem } from './usage/index.ts';

export const systems: readonly System[] = [usageSystem, eventsSystem, reportsSystem, occupancySystem];
