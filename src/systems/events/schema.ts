/**
 * JSON Schemas (2020-12) of the data of events: given by users, and so not trusted to be cheap. What a schema may say is
 * bounded here (its length, its depth, references within itself alone), and what it may cost is bounded when it is used:
 * a check that does not end in time is cut off, be it for a regular expression that backtracks for ever or for anything
 * else. `format` is told to people and not checked, as the standard has it.
 */
import { createRequire } from 'node:module';
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { endsInTime } from '../../engine/ends-in-time.ts';
import { TallybookError } from '../../engine/errors.ts';
import { jsonLevels } from '../../engine/exact-json.ts';
import { limits } from '../../engine/limits.ts';

/** What does not fit, and where: `data.form.email`. */
export interface Violation {
  field: string;
  message: string;
}

export type JsonSchema = Record<string, unknown>;

const lenient = { strict: false, validateFormats: false, ownProperties: true, logger: false } as const;
type AjvModule = typeof import('ajv/dist/2020.js');
/** Loaded with the first schema: a command that meets none is there sooner. */
let ajv: AjvModule | undefined;
const loadAjv = (): AjvModule => createRequire(import.meta.url)('ajv/dist/2020.js') as AjvModule;
/** What schemas themselves are held against; made when it is needed first. */
let grammar: Ajv2020 | undefined;

const dialect = 'https://json-schema.org/draft/2020-12/schema';
const fieldCharacters = 200;

/** A schema, compiled once. Throws `bad_schema` with what to change. */
export class DataSchema {
  readonly #validate: ValidateFunction;

  /** @param text the schema as it was written, valid JSON */
  constructor(text: string) {
    if (text.length > limits.schema_characters)
      throw bad(`it has ${text.length} characters; expected at most ${limits.schema_characters}`);
    const levels = jsonLevels(text);
    if (levels > limits.schema_levels)
      throw bad(`it has ${levels} levels; expected at most ${limits.schema_levels}`);
    const schema: unknown = JSON.parse(text);
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema))
      throw bad('expected a JSON object such as {"type":"object","required":["path"]}');
    refuseForeign(schema);
    ajv ??= loadAjv();
    grammar ??= new ajv.Ajv2020(lenient);
    if (!grammar.validateSchema(schema)) throw bad(grammar.errorsText(grammar.errors, { dataVar: 'schema' }));
    try {
      // An instance of its own: one that is shared would keep every schema that it was ever given.
      this.#validate = new ajv.Ajv2020({ ...lenient, meta: false, validateSchema: false }).compile(schema);
    } catch (error) {
      throw bad((error as Error).message);
    }
    const [trial] = this.violations(['{}']);
    if (trial?.message.startsWith(uncheckable)) throw bad(trial.message);
  }

  /** Of each data, as JSON text, the first thing that does not fit; undefined where all does. */
  violations(data: readonly string[]): (Violation | undefined)[] {
    const found: (Violation | undefined)[] = [];
    // What is common takes 0.02 ms an event.
    const turns = Math.ceil(
      (limits.schema_checks_milliseconds + data.length / 10) / limits.schema_check_milliseconds,
    );
    for (let turn = 0; found.length < data.length; turn++) {
      if (turn === turns) {
        const late = uncheckedIn('it came with events that took too long');
        while (found.length < data.length) found.push(late);
        break;
      }
      const first = found.length;
      const work = () => {
        while (found.length < data.length) found.push(this.#violation(data[found.length]!));
      };
      // One that uses up all of the time by itself is refused; one that only came last has another turn.
      if (!endsInTime(work, limits.schema_check_milliseconds) && found.length === first)
        found.push(uncheckedIn(`it takes longer than ${limits.schema_check_milliseconds} ms`));
    }
    return found;
  }

  #violation(text: string): Violation | undefined {
    try {
      if (this.#validate(JSON.parse(text))) return undefined;
    } catch (error) {
      // A schema that refers to itself without an end.
      if (!(error instanceof RangeError)) throw error;
      return uncheckedIn(error.message);
    }
    return violationOf(this.#validate.errors![0]!);
  }
}

const uncheckable = 'data cannot be held against the schema';
const uncheckedIn = (why: string): Violation => ({ field: 'data', message: `${uncheckable}: ${why}` });

function violationOf({ instancePath, keyword, params, message }: ErrorObject): Violation {
  const parts = instancePath.split('/').slice(1).map(unescapePointer);
  if (keyword === 'required') parts.push(String(params.missingProperty));
  if (keyword === 'additionalProperties') parts.push(String(params.additionalProperty));
  if (keyword === 'unevaluatedProperties') parts.push(String(params.unevaluatedProperty));
  const field = ['data', ...parts].join('.').slice(0, fieldCharacters);
  const expected =
    keyword === 'enum'
      ? `must be one of ${JSON.stringify(params.allowedValues)}`
      : keyword === 'const'
        ? `must be ${JSON.stringify(params.allowedValue)}`
        : keyword === 'required'
          ? 'is missing'
          : keyword === 'additionalProperties' || keyword === 'unevaluatedProperties'
            ? 'is not among the properties of the schema'
            : (message ?? 'does not fit');
  return { field, message: `${field} ${expected}`.slice(0, 1_000) };
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** Keywords that reach outside of the schema, or change what validation is. */
function refuseForeign(schema: unknown): void {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (
      (keyword === '$ref' || keyword === '$dynamicRef') &&
      typeof value === 'string' &&
      !value.startsWith('#')
    )
      throw bad(`${keyword} is ${value.slice(0, 100)}; expected one within the schema, such as #/$defs/path`);
    if (keyword === '$schema' && value !== dialect && typeof value === 'string')
      throw bad(`$schema is ${value.slice(0, 100)}; expected ${dialect}`);
    if ((keyword === '$id' && typeof value === 'string') || (keyword === '$async' && value === true))
      throw bad(`${keyword} is not taken here; leave it out`);
    refuseForeign(value);
  }
}

function bad(detail: string): TallybookError {
  return new TallybookError('bad_schema', `the schema: ${detail}`);
}
