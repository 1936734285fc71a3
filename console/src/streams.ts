/** The declared streams, and what their fields mean for what is shown. */
import type { UseQueryResult } from '@tanstack/react-query';
import { useAnswer } from './api.ts';
import type { FieldDeclaration, Stream, StreamDeclaration } from './wire.ts';

export function useStreams(): UseQueryResult<{ streams: Stream[] }> {
  return useAnswer<{ streams: Stream[] }>('/v1/streams');
}

export function useStream(name: string | undefined): Stream | undefined {
  return useStreams().data?.streams.find((stream) => stream.name === name);
}

const measurePattern = /^(sum|avg|min|max|count_distinct)\((\w+)\)/;

/** Digits after the point that a value of a column has at least, so that money lines up. */
export function scaleOf(declaration: StreamDeclaration | undefined, column: string): number {
  const [, measure, of] = measurePattern.exec(column) ?? [];
  if (measure === 'count_distinct' || measure === 'avg') return 0;
  const field: FieldDeclaration | undefined = declaration?.fields[of ?? column];
  return field?.type === 'decimal' && (field.scale ?? 0) <= 4 ? (field.scale ?? 0) : 0;
}

/** Whether a column of an answer or a field of a record is a number. */
export function isNumber(declaration: StreamDeclaration | undefined, column: string): boolean {
  if (column === 'count' || /^(sum|avg|count_distinct|greatest)\(/.test(column)) return true;
  const [, , of] = measurePattern.exec(column) ?? [];
  return ['integer', 'decimal'].includes(declaration?.fields[of ?? column]?.type ?? '');
}
