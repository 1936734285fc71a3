/**
 * What a building is to its counting system. Spaces are joined by doorways; sensors (DPUs) hang above doorways and report
 * passages; an assignment says where a sensor hangs, from when to when. All but the passages are small streams that are
 * corrected like any other, so what was known at a time can be asked of all of them.
 */
import type { StreamDeclaration } from '../../engine/declaration.ts';

const zone = '[A-Za-z][A-Za-z0-9_+/-]{0,63}';
/** A count that is set; far beyond any crowd, and far within what adds up exactly everywhere. */
const people = { type: 'integer', min: '-1000000000', max: '1000000000' } as const;

/** Somebody crossed a doorway: direction 1 is away from the sensor, into the space that it faces; -1 the reverse. */
export const passagesDeclaration: StreamDeclaration = {
  description: 'People who crossed a doorway: 1 into the space that the sensor faces, -1 out of it',
  id: 'id',
  time: 'timestamp',
  fields: {
    /** May be missing: equal passages all count. */
    id: { type: 'text' },
    timestamp: { type: 'timestamp', required: true },
    direction: { type: 'integer', one_of: [1, -1], required: true },
    dpu_id: { type: 'integer', required: true },
  },
  rollups: {
    daily: { every: 'day', by: ['dpu_id'], sum: ['direction'] },
    // A day may have millions of passages: a count at a time of day reads those of its hour alone.
    hourly: { every: 'hour', by: ['dpu_id'], sum: ['direction'] },
  },
};

export const spacesDeclaration: StreamDeclaration = {
  description: 'Places in which people are counted',
  id: 'id',
  fields: {
    id: { type: 'text', required: true, min_length: 1, max_length: 100 },
    name: { type: 'text', max_length: 200 },
    /** Its time zone: of its days, and of the hour at which it is reset. */
    tz: { type: 'text', pattern: zone, default: 'UTC' },
    /** People that it is made for. */
    capacity: { type: 'integer', min: 0, max: '1000000000' },
  },
};

export const doorwaysDeclaration: StreamDeclaration = {
  description: 'Where people pass from one space into another; a side that is null is the outside',
  id: 'id',
  fields: {
    id: { type: 'text', required: true, min_length: 1, max_length: 100 },
    name: { type: 'text', max_length: 200 },
    one_side: { type: 'text', max_length: 100 },
    other_side: { type: 'text', max_length: 100 },
  },
};

export const sensorsDeclaration: StreamDeclaration = {
  description: 'Sensors (DPUs) that count who passes below them',
  id: 'dpu_id',
  fields: {
    dpu_id: { type: 'integer', required: true },
    name: { type: 'text', max_length: 200 },
    /** It is silent when nothing came for longer. */
    expected_seconds: { type: 'integer', min: 1, max: '1000000000' },
  },
};

export const assignmentsDeclaration: StreamDeclaration = {
  description: 'At which doorway a sensor hangs from when to when, what it faces and what is behind it',
  id: 'id',
  fields: {
    id: { type: 'text', max_length: 200 },
    dpu_id: { type: 'integer', required: true },
    doorway_id: { type: 'text', max_length: 100 },
    /** Null is the outside. */
    faces: { type: 'text', max_length: 100 },
    behind: { type: 'text', max_length: 100 },
    /** Inclusive; null: ever since. */
    from: { type: 'timestamp' },
    /** Exclusive; null: until it is moved. */
    to: { type: 'timestamp' },
  },
};

export const resetsDeclaration: StreamDeclaration = {
  description: 'Counts that were set: somebody looked, and so many people were there',
  id: 'id',
  time: 'ts',
  fields: {
    id: { type: 'text', max_length: 200 },
    space_id: { type: 'text', required: true, max_length: 100 },
    ts: { type: 'timestamp', required: true },
    people: { ...people, required: true },
    reason: { type: 'text', max_length: 1000 },
  },
};

export const resetRulesDeclaration: StreamDeclaration = {
  description: 'Spaces whose count is set every day at the same local time',
  id: 'id',
  fields: {
    id: { type: 'text', max_length: 200 },
    space_id: { type: 'text', required: true, max_length: 100 },
    /** By the clock of the space: 04:00. */
    local_time: { type: 'text', required: true, pattern: '([01][0-9]|2[0-3]):[0-5][0-9]' },
    people: { ...people, default: 0 },
    /** Inclusive; null: ever since. */
    from: { type: 'timestamp' },
    /** Exclusive; null: for ever. */
    to: { type: 'timestamp' },
  },
};
