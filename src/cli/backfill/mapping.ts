/**
 * Which column becomes which field. The usual names are found by looking; `--column used=kilobytes` names another one,
 * `--column voice.used=seconds` only for the records of one type.
 */
import { TallybookError } from '../../engine/errors.ts';
import type { UsageType } from '../../systems/usage/declarations.ts';
import { usageError } from '../outcome.ts';

/** Those of the usage system's stream. */
export const usageFields = ['id', 'type', 'subscription_id', 'usage_date', 'price', 'used'] as const;
export type UsageField = (typeof usageFields)[number];

/** The column of each field; `type` has none where all rows are of one type. */
export type Mapping = Record<Exclude<UsageField, 'type'>, string> & { type: string | undefined };

/** Names that such tables have, the likeliest first. */
const usualNames: Record<UsageField, readonly string[]> = {
  id: ['id'],
  type: ['type', 'usage_type', 'type_of_usage', 'kind'],
  subscription_id: ['subscription_id', 'subscription'],
  usage_date: ['usage_date', 'used_at', 'date', 'timestamp'],
  price: ['price', 'total_price', 'cost'],
  used: ['used', 'usage', 'amount'],
};
/** Of the tables that hold one type only; a table is known by them, too. */
export const usedNames: Record<UsageType, readonly string[]> = {
  data: ['kilobytes_used', 'kilobytes'],
  voice: ['seconds_used', 'seconds'],
};

export interface ColumnChoice {
  type: UsageType | undefined;
  field: UsageField;
  column: string;
}

/** Reads `field=column` and `type.field=column`. */
export function columnChoices(texts: readonly string[] = []): ColumnChoice[] {
  return texts.map((text) => {
    const [, type, field, column] = /^(?:(data|voice)\.)?([a-z_]+)=(.+)$/.exec(text) ?? [];
    if (!usageFields.includes(field as UsageField)) {
      throw usageError(
        `--column is "${text}"; expected FIELD=COLUMN or TYPE.FIELD=COLUMN, such as used=kilobytes or voice.used=seconds; fields are ${usageFields.join(', ')}`,
      );
    }
    return { type: type as UsageType | undefined, field: field as UsageField, column: column! };
  });
}

/** Finds the column of every field. Throws `bad_settings` for one that is not there, with those that are. */
export function mappingOf(
  name: string,
  type: UsageType | undefined,
  columns: readonly string[],
  choices: readonly ColumnChoice[],
): Mapping {
  const columnOf = (field: UsageField): string => {
    const chosen =
      choices.findLast((choice) => choice.field === field && choice.type === type && type !== undefined) ??
      choices.findLast((choice) => choice.field === field && choice.type === undefined);
    const own = type !== undefined && field === 'used' ? usedNames[type] : [];
    const candidates = chosen ? [chosen.column] : [...own, ...usualNames[field]];
    const found = candidates.find((candidate) => columns.includes(candidate));
    if (found !== undefined) return found;
    const looked = candidates.length === 1 ? `called ${candidates[0]}` : `such as ${candidates.join(' or ')}`;
    const has = columns.length === 0 ? 'no columns' : columns.join(', ');
    const option = `--column ${type === undefined ? '' : `${type}.`}${field}=COLUMN`;
    throw new TallybookError(
      'bad_settings',
      `${name} has no column for ${field} ${looked}; it has ${has}. Name it with ${option}`,
    );
  };
  return {
    id: columnOf('id'),
    type: type === undefined ? columnOf('type') : undefined,
    subscription_id: columnOf('subscription_id'),
    usage_date: columnOf('usage_date'),
    price: columnOf('price'),
    used: columnOf('used'),
  };
}
