/**
 * The shape of a stream declaration, as TypeBox schemas: the same for `defineStream` in TypeScript, for
 * `PUT /v1/streams/{stream}` and for `serve --streams`; the OpenAPI page shows them too. What a schema cannot
 * say (fields that must exist, patterns that must compile) is checked in `stream.ts`.
 */
import { type Static, Type } from 'typebox';
import { type Every, everyNames } from './calendar.ts';
import type { FieldDeclaration, FieldType } from './field-types.ts';
import { limits } from './limits.ts';

export const identifierPattern = '^[a-z][a-z0-9_]{0,62}$';
export const Identifier = Type.String({ pattern: identifierPattern });

const closed = { additionalProperties: false };
/** The pattern of a text that is matched as a whole. */
const pattern = (description: string) => Type.Optional(Type.String({ maxLength: 1000, description }));
const missing = Type.Optional(Type.Boolean({ description: 'A missing value is counted.' }));
const warn = Type.Optional(
  Type.Object({ missing }, { ...closed, description: 'Taken in, and counted in the receipt of an import.' }),
);
const presence = {
  required: Type.Optional(
    Type.Boolean({ description: 'Reject the record when the field is missing or null.' }),
  ),
  default: Type.Optional(
    Type.Union([Type.String(), Type.Number(), Type.Boolean()], {
      description: 'Taken when the field is missing or null.',
    }),
  ),
  warn,
};
const bound = Type.Union([Type.String({ maxLength: 60 }), Type.Number()], {
  description: 'Write bounds beyond 2^53 as strings.',
});

export const fieldSchemas = {
  text: Type.Object(
    {
      type: Type.Literal('text'),
      min_length: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.json_characters })),
      max_length: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.json_characters })),
      pattern: pattern('A regular expression (RE2) that the whole text must match.'),
      one_of: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: limits.one_of_values })),
      normalize: Type.Optional(
        Type.Literal('code', {
          description: 'Hyphens are dropped, the letters a to z made upper case, first of all.',
        }),
      ),
      varied: Type.Optional(
        Type.Boolean({
          description: 'Most records have another text: kept without a list of its values, which is faster.',
        }),
      ),
      ...presence,
      warn: Type.Optional(
        Type.Object(
          { missing, pattern: pattern('A text that does not match this as a whole is counted.') },
          { ...closed, description: 'Taken in, and counted in the receipt of an import.' },
        ),
      ),
    },
    closed,
  ),
  integer: Type.Object(
    {
      type: Type.Literal('integer'),
      min: Type.Optional(bound),
      max: Type.Optional(bound),
      one_of: Type.Optional(Type.Array(bound, { minItems: 1, maxItems: limits.one_of_values })),
      ...presence,
    },
    closed,
  ),
  decimal: Type.Object(
    {
      type: Type.Literal('decimal'),
      precision: Type.Integer({ minimum: 1, maximum: 38, description: 'Digits in all.' }),
      scale: Type.Integer({ minimum: 0, maximum: 38, description: 'Digits after the point.' }),
      min: Type.Optional(bound),
      max: Type.Optional(bound),
      ...presence,
    },
    closed,
  ),
  boolean: Type.Object({ type: Type.Literal('boolean'), ...presence }, closed),
  timestamp: Type.Object({ type: Type.Literal('timestamp'), ...presence }, closed),
  date: Type.Object({ type: Type.Literal('date'), ...presence }, closed),
  uuid: Type.Object({ type: Type.Literal('uuid'), ...presence }, closed),
  json: Type.Object(
    {
      type: Type.Literal('json'),
      object: Type.Optional(Type.Boolean({ description: 'It must be an object: no list, no plain value.' })),
      max_levels: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1000, description: 'Objects and lists that lie in each other.' }),
      ),
      ...presence,
    },
    closed,
  ),
} satisfies Record<FieldType, unknown>;

export const FieldSchema = Type.Unsafe<FieldDeclaration>(Type.Union(Object.values(fieldSchemas)));

export const EverySchema = Type.Unsafe<Every>(Type.Union(everyNames.map((name) => Type.Literal(name))));

export const RollupSchema = Type.Object(
  {
    every: EverySchema,
    tz: Type.Optional(Type.String({ description: 'Time zone of the buckets; UTC when it is not given.' })),
    by: Type.Optional(Type.Array(Identifier, { maxItems: limits.question_dimensions, uniqueItems: true })),
    sum: Type.Optional(Type.Array(Identifier, { maxItems: limits.question_measures, uniqueItems: true })),
  },
  closed,
);
export type RollupDeclaration = Static<typeof RollupSchema>;

export const FormSchema = Type.Object(
  {
    names: Type.Optional(
      Type.Record(Identifier, Identifier, { description: 'Other names, by the names of the fields.' }),
    ),
    fixed: Type.Optional(
      Type.Record(Identifier, Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
        description: 'Values of fields that records of this form do not name.',
      }),
    ),
  },
  closed,
);
export type FormDeclaration = Static<typeof FormSchema>;

export const DeclarationSchema = Type.Object(
  {
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    id: Type.Optional(
      Type.String({ description: 'The field that names a record; a text, integer or uuid.' }),
    ),
    time: Type.Optional(Type.String({ description: "The field with the record's own time." })),
    fields: Type.Record(Identifier, FieldSchema),
    rollups: Type.Optional(Type.Record(Identifier, RollupSchema)),
    lookups: Type.Optional(
      Type.Array(Identifier, {
        maxItems: limits.stream_lookups_max,
        uniqueItems: true,
        description:
          'Fields by which single records are looked for: such a list is quick, however much is held.',
      }),
    ),
    forms: Type.Optional(
      Type.Record(Identifier, FormSchema, { description: 'Other shapes in which records come, by name.' }),
    ),
    retention: Type.Optional(
      Type.Object({ records: Type.String({ description: 'A length of time, such as "90 days".' }) }, closed),
    ),
    future_tolerance: Type.Optional(
      Type.String({
        description: 'How far ahead of the clock a record may lie, such as "1 hour"; no bound without it.',
      }),
    ),
  },
  closed,
);

export interface StreamDeclaration {
  description?: string;
  id?: string;
  time?: string;
  fields: Record<string, FieldDeclaration>;
  rollups?: Record<string, RollupDeclaration>;
  lookups?: string[];
  forms?: Record<string, FormDeclaration>;
  retention?: { records: string };
  future_tolerance?: string;
}

type Fields = Record<string, FieldDeclaration>;
type NameIn<F extends Fields> = keyof F & string;
/** The names of the fields of some types; any text, where the compiler does not know the fields. */
type NameOf<F extends Fields, T extends FieldType> = string extends keyof F
  ? string
  : { [N in NameIn<F>]: F[N] extends { type: T } ? N : never }[NameIn<F>];

/** A declaration of which the compiler knows the fields: what names one must name one of a type that fits. */
export interface DeclarationOf<F extends Fields>
  extends Omit<StreamDeclaration, 'fields' | 'id' | 'time' | 'rollups' | 'lookups'> {
  fields: F;
  id?: NameOf<F, 'text' | 'integer' | 'uuid'>;
  time?: NameOf<F, 'timestamp' | 'date'>;
  rollups?: Record<
    string,
    Omit<RollupDeclaration, 'by' | 'sum'> & { by?: NameIn<F>[]; sum?: NameOf<F, 'integer' | 'decimal'>[] }
  >;
  lookups?: NameIn<F>[];
}
