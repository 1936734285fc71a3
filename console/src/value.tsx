/** A value of a record, or of an answer, as its field has it. */
import { parse, stringify } from 'lossless-json';
import type { ReactElement, ReactNode } from 'react';
import { exact } from './number.ts';
import { scaleOf } from './streams.ts';
import { DayOf, Time } from './time.tsx';
import type { StreamDeclaration, Value } from './wire.ts';

export const jsonText = (value: unknown, indent?: number): string =>
  stringify(value, undefined, indent) ?? '';

export function shownValue(
  declaration: StreamDeclaration | undefined,
  field: string,
  value: Value | undefined,
): ReactNode {
  if (value === null || value === undefined) return <span className="quiet">–</span>;
  const type = declaration?.fields[field]?.type;
  if (type === 'timestamp' && typeof value === 'string') return <Time at={value} />;
  if (type === 'date' && typeof value === 'string') return <DayOf date={value} />;
  if (type === 'decimal' && typeof value === 'string') return exact(value, scaleOf(declaration, field));
  // An integer may be an id; one that is summed is none.
  if (type === 'integer' && Object.values(declaration?.rollups ?? {}).some(({ sum }) => sum?.includes(field)))
    return exact(String(value));
  if (typeof value === 'object') return <span className="mono break">{jsonText(value)}</span>;
  return <span className="break">{String(value)}</span>;
}

/** Undefined where the text is no JSON object. */
export function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** What was sent, laid out where it is a JSON object, untouched where it is not. */
export function originalText(original: string): string {
  const value = parsedObject(original);
  return value ? jsonText(value, 2) : original;
}

const idShort = 40;

/** An id in one piece, unless it is too long for that. */
export function Id({ of }: { of: string }): ReactElement {
  return <span className={of.length > idShort ? 'id long' : 'id'}>{of}</span>;
}
