/**
 * A stream: a declared kind of record (SPEC 1.1). One checker for all declarations, whether they come from
 * TypeScript, from a file or over HTTP.
 */
import { Value } from 'typebox/value';
import { type Every, isTimeZone, type Micros, parseDuration } from './calendar.ts';
import { plainNumber } from './decimal.ts';
import {
  type DeclarationOf,
  DeclarationSchema,
  fieldSchemas,
  identifierPattern,
  type StreamDeclaration,
} from './declaration.ts';
import { TallybookError } from './errors.ts';
import { checkValue, type Field, type FieldDeclaration, fieldTypes } from './field-types.ts';
import { type Form, formFaults, makeForm } from './forms.ts';
import { limits } from './limits.ts';

export interface Rollup {
  name: string;
  every: Every;
  /** Time zone of the buckets. */
  tz: string;
  by: Field[];
  sum: Field[];
}

export interface Stream {
  name: string;
  /** As it was given; `declarationOf` gives it back. */
  declaration: StreamDeclaration;
  fields: Field[];
  field(name: string): Field | undefined;
  /** The field that names a record, if the stream declares one. */
  id: Field | undefined;
  /** The field with the record's own time, if the stream declares one. */
  time: Field | undefined;
  rollups: Rollup[];
  /** Fields by which single records are looked for. */
  lookups: Field[];
  /** Other shapes in which records come and are shown (see forms.ts), by name. */
  forms: ReadonlyMap<string, Form>;
  /** The fields that a record may name: all, but for those that a form fixes. */
  named: Field[];
  /** Where this is a form: its name, and the stream of which it is one. */
  form: string | undefined;
  of: Stream | undefined;
  /** How long records are kept, from their own time. */
  retention: Micros | undefined;
  futureTolerance: Micros | undefined;
  /** Streams of Tallybook's own (rejects, imports, sources); their names start with an underscore. */
  builtIn: boolean;
}

/** Declares a stream in TypeScript. Throws `bad_declaration` with every fault found. */
export function defineStream<F extends StreamDeclaration['fields']>(
  name: string,
  declaration: DeclarationOf<F>,
): Stream {
  return compileStream(name, declaration as StreamDeclaration, false);
}

export function defineBuiltInStream(name: `_${string}`, declaration: StreamDeclaration): Stream {
  return compileStream(name, declaration, true);
}

function compileStream(name: string, declaration: StreamDeclaration, builtIn: boolean): Stream {
  const faults = builtIn ? [] : findFaults(name, declaration);
  if (faults.length > 0) {
    throw new TallybookError('bad_declaration', `stream ${name}: ${faults.slice(0, 20).join('; ')}`);
  }
  const fields = Object.entries(declaration.fields).map(([field, rest]): Field => {
    const longest =
      field === declaration.id && rest.type === 'text' ? { max_length: limits.id_characters } : {};
    return { name: field, ...longest, ...rest };
  });
  const byName = new Map(fields.map((field) => [field.name, field]));
  const forms = new Map<string, Form>();
  const stream: Stream = {
    name,
    declaration,
    fields,
    named: fields,
    form: undefined,
    of: undefined,
    forms,
    field: (wanted) => byName.get(wanted),
    id: declaration.id === undefined ? undefined : byName.get(declaration.id),
    time: declaration.time === undefined ? undefined : byName.get(declaration.time),
    rollups: Object.entries(declaration.rollups ?? {}).map(([rollup, rest]) => ({
      name: rollup,
      every: rest.every,
      tz: rest.tz ?? 'UTC',
      by: (rest.by ?? []).map((field) => byName.get(field)!),
      sum: (rest.sum ?? []).map((field) => byName.get(field)!),
    })),
    retention: declaration.retention && parseDuration(declaration.retention.records),
    futureTolerance:
      declaration.future_tolerance === undefined ? undefined : parseDuration(declaration.future_tolerance),
    lookups: (declaration.lookups ?? []).map((field) => byName.get(field)!),
    builtIn,
  };
  for (const [form, rest] of Object.entries(declaration.forms ?? {}))
    forms.set(form, makeForm(stream, form, rest));
  return stream;
}

/** Names that would collide with the columns of an answer or a record's history. */
const reservedFields = new Set<string>([
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'quarter',
  'year',
  'count',
]);

function findFaults(name: string, given: unknown): string[] {
  const faults: string[] = [];
  if (!new RegExp(identifierPattern).test(name)) {
    faults.push(`the name must match ${identifierPattern}`);
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return [...faults, 'the declaration must be a JSON object with "fields"'];
  }
  const shape = given as Partial<StreamDeclaration>;
  const fields = typeof shape.fields === 'object' && shape.fields !== null ? shape.fields : {};
  for (const [field, declared] of Object.entries(fields)) faults.push(...fieldFaults(field, declared));
  if (faults.length > 0) return faults;
  for (const error of Value.Errors(DeclarationSchema, given)) {
    if (error.keyword === 'boolean') continue;
    const extra = (error.params as { additionalProperties?: string[] }).additionalProperties;
    faults.push(
      `${error.instancePath.slice(1).replaceAll('/', '.') || 'declaration'} ${error.message}${extra ? ` (${extra.join(', ')})` : ''}`,
    );
  }
  return faults.length > 0 ? faults : relationFaults(shape as StreamDeclaration);
}

function fieldFaults(name: string, declared: FieldDeclaration): string[] {
  if (!new RegExp(identifierPattern).test(name))
    return [`field "${name}": a name must match ${identifierPattern}`];
  if (reservedFields.has(name))
    return [`field ${name}: the name is taken by a column of answers; choose another`];
  const known = typeof declared === 'object' && declared !== null && fieldTypes.includes(declared.type);
  const schema = known ? fieldSchemas[declared.type] : undefined;
  if (!schema) return [`field ${name}: "type" must be one of ${fieldTypes.join(', ')}`];
  const faults: string[] = [];
  for (const error of Value.Errors(schema, declared)) {
    if (error.keyword === 'boolean') continue;
    const extra = (error.params as { additionalProperties?: string[] }).additionalProperties;
    faults.push(
      `field ${name}${error.instancePath.replaceAll('/', '.')}: ${error.message}${extra ? ` (${extra.join(', ')})` : ''}`,
    );
  }
  if (faults.length > 0) return faults;
  const field = { name, ...declared } as Field;
  if (field.type === 'decimal' && field.scale > field.precision)
    faults.push(`field ${name}: scale must not exceed precision`);
  if (field.type === 'integer' || field.type === 'decimal') {
    for (const bound of ['min', 'max'] as const) {
      if (field[bound] !== undefined && plainNumber(String(field[bound])) === undefined) {
        faults.push(`field ${name}: ${bound} must be a number`);
      }
    }
  }
  if (field.type === 'integer') {
    const bare: Field = { name, type: 'integer' };
    for (const one of field.one_of ?? [])
      if ('code' in checkValue(bare, { kind: 'cell', text: String(one) }))
        faults.push(`field ${name}: ${one} in one_of must be a whole number of 64 bits`);
  }
  if (field.type === 'text') {
    if ((field.min_length ?? 0) > (field.max_length ?? limits.text_characters)) {
      faults.push(
        `field ${name}: min_length must not exceed max_length (${field.max_length ?? limits.text_characters})`,
      );
    }
    for (const pattern of [field.pattern, field.warn?.pattern])
      if (pattern !== undefined) faults.push(...patternFaults(name, pattern));
  }
  if (field.warn?.missing && (field.required || field.default !== undefined))
    faults.push(
      `field ${name}: a value that is required or has a default is never missing; leave "warn" out`,
    );
  if (field.required && field.default !== undefined)
    faults.push(`field ${name}: give "required" or "default", not both`);
  if (faults.length === 0 && field.default !== undefined && 'code' in checkValue(field, undefined)) {
    faults.push(`field ${name}: the default ${JSON.stringify(field.default)} does not fit the field itself`);
  }
  return faults;
}

/** Patterns must mean the same in JavaScript and in RE2, and take linear time: no look-around, no back-references. */
function patternFaults(name: string, pattern: string): string[] {
  if (/\(\?[=!<]|\\[1-9k]/.test(pattern)) {
    return [`field ${name}: the pattern may not use look-around or back-references`];
  }
  try {
    new RegExp(`^(?:${pattern})$`, 'u');
    return [];
  } catch (error) {
    return [`field ${name}: the pattern is no regular expression: ${(error as Error).message}`];
  }
}

function relationFaults(declaration: StreamDeclaration): string[] {
  const faults: string[] = [];
  const { id, time, rollups = {}, forms = {}, retention, future_tolerance: tolerance } = declaration;
  const names = Object.keys(declaration.fields);
  // With no prototype: a field that is not declared must not be found, whatever it is called.
  const fields: Record<string, FieldDeclaration | undefined> = Object.assign(
    Object.create(null),
    declaration.fields,
  );
  for (const [what, given] of Object.entries({ rollup: rollups, form: forms }))
    for (const name of Object.keys(given))
      if (!new RegExp(identifierPattern).test(name))
        faults.push(`${what} "${name}": a name must match ${identifierPattern}`);
  if (names.length === 0) faults.push('"fields" must declare at least one field');
  if (names.length > limits.stream_fields_max) faults.push(`at most ${limits.stream_fields_max} fields`);
  const idField = id === undefined ? undefined : fields[id];
  if (id !== undefined && !idField) faults.push(`"id" names ${id}, which is not among the fields`);
  if (idField && !['text', 'integer', 'uuid'].includes(idField.type)) {
    faults.push(`"id" names ${id}, a ${idField.type}; an id must be a text, an integer or a uuid`);
  }
  if (idField && idField.type !== 'text' && !idField.required) {
    faults.push(`"id" names ${id}: an id that may be missing must be a text, since it is then made up`);
  }
  if (idField?.type === 'text' && (idField.max_length ?? 0) > limits.id_characters) {
    faults.push(`"id" names ${id}: max_length of an id is at most ${limits.id_characters}`);
  }
  if (idField?.default !== undefined) faults.push(`"id" names ${id}: an id cannot have a default`);
  const timeField = time === undefined ? undefined : fields[time];
  if (time !== undefined && !timeField) faults.push(`"time" names ${time}, which is not among the fields`);
  if (timeField && timeField.type !== 'timestamp' && timeField.type !== 'date') {
    faults.push(`"time" names ${time}, a ${timeField.type}; it must be a timestamp or a date`);
  }
  if (timeField && !timeField.required && timeField.default === undefined) {
    faults.push(`"time" names ${time}: the field must be required`);
  }
  if (Object.keys(rollups).length > limits.stream_rollups_max)
    faults.push(`at most ${limits.stream_rollups_max} rollups`);
  for (const [rollup, { every, tz, by = [], sum = [] }] of Object.entries(rollups)) {
    if (every !== 'all' && time === undefined)
      faults.push(`rollup ${rollup}: "every": "${every}" needs the stream to declare "time"`);
    if (tz !== undefined && !isTimeZone(tz))
      faults.push(`rollup ${rollup}: ${tz} is no time zone such as Europe/Madrid`);
    for (const field of [...by, ...sum])
      if (!fields[field]) faults.push(`rollup ${rollup}: ${field} is not among the fields`);
    for (const field of sum) {
      const type = fields[field]?.type;
      if (type && type !== 'integer' && type !== 'decimal')
        faults.push(`rollup ${rollup}: ${field} is a ${type}; only integers and decimals can be summed`);
    }
    for (const field of by)
      if (fields[field]?.type === 'json')
        faults.push(`rollup ${rollup}: ${field} is json; it cannot be a dimension`);
  }
  for (const field of declaration.lookups ?? []) {
    const type = fields[field]?.type;
    if (!type) faults.push(`"lookups" names ${field}, which is not among the fields`);
    else if (type === 'json' || type === 'decimal' || type === 'boolean' || field === id)
      faults.push(
        `"lookups" names ${field}: records cannot be looked for by ${field === id ? 'it, for it is the id' : `a ${type}`}`,
      );
  }
  if (Object.keys(forms).length > limits.stream_forms_max)
    faults.push(`at most ${limits.stream_forms_max} forms`);
  const byName = new Map(names.map((field) => [field, { name: field, ...fields[field]! } as Field]));
  for (const [form, rest] of Object.entries(forms)) faults.push(...formFaults(form, rest, byName, id));
  if (retention) {
    if (parseDuration(retention.records) === undefined)
      faults.push(`retention.records is "${retention.records}"; expected a length of time such as "90 days"`);
    if (time === undefined) faults.push('retention needs the stream to declare "time"');
  }
  if (tolerance !== undefined) {
    if (parseDuration(tolerance) === undefined)
      faults.push(`future_tolerance is "${tolerance}"; expected a length of time such as "1 hour"`);
    if (time === undefined) faults.push('future_tolerance needs the stream to declare "time"');
  }
  return faults;
}

/**
 * Refuses a new declaration that would alter what is stored under the old one (SPEC 1.1): allowed are new
 * fields that may be null, new rollups and forms, other bounds for records to come, other retention and tolerance.
 */
export function checkEvolution(before: Stream, after: Stream): void {
  const refusals: string[] = [];
  if (before.id?.name !== after.id?.name) refusals.push('"id" cannot change');
  if (before.time?.name !== after.time?.name) refusals.push('"time" cannot change');
  for (const field of before.fields) {
    const now = after.field(field.name);
    if (!now) refusals.push(`field ${field.name} cannot be removed`);
    else if (storedType(now) !== storedType(field)) {
      refusals.push(
        `field ${field.name} is stored as ${storedType(field)} and cannot become ${storedType(now)}`,
      );
    } else if (now.required && !field.required) {
      refusals.push(`field ${field.name} cannot become required: records without it may be stored`);
    }
  }
  for (const field of after.fields) {
    if (before.field(field.name)) continue;
    if (field.required || field.default !== undefined) {
      refusals.push(
        `new field ${field.name} must be nullable (neither required nor with a default): records without it are stored`,
      );
    }
  }
  for (const rollup of before.rollups) {
    const now = after.rollups.find((other) => other.name === rollup.name);
    if (!now) refusals.push(`rollup ${rollup.name} cannot be removed`);
    else if (rollupShape(now) !== rollupShape(rollup)) {
      refusals.push(`rollup ${rollup.name} cannot change; declare another one under a new name`);
    }
  }
  for (const form of before.forms.keys()) {
    if (!after.forms.has(form)) refusals.push(`form ${form} cannot be removed: rejects may remember it`);
  }
  if (refusals.length > 0) {
    throw new TallybookError('incompatible_declaration', `stream ${after.name}: ${refusals.join('; ')}`);
  }
}

function storedType(field: Field): string {
  return field.type === 'decimal' ? `decimal(${field.precision},${field.scale})` : field.type;
}

function rollupShape(rollup: Rollup): string {
  const names = (fields: Field[]) => fields.map((field) => field.name).sort();
  return JSON.stringify([rollup.every, rollup.tz, names(rollup.by), names(rollup.sum)]);
}
