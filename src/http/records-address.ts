/**
 * An address under which records are written and read: that of every stream, or one of a system's, which means one
 * stream, perhaps in a form of it. The same routes serve both.
 */
import type { FastifyContextConfig, FastifyRequest } from 'fastify';
import { type TObject, Type } from 'typebox';
import { TallybookError } from '../engine/errors.ts';
import { findForm, fitsForm } from '../engine/forms.ts';
import type { Fate } from '../engine/store.ts';
import type { Stream } from '../engine/stream.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import type { RecordsAddress, System } from '../systems/system.ts';
import { RecordParams, StreamParams } from './routes/parameters.ts';

export interface Address {
  /** Where records are listed and sent; one record is below it. */
  records: string;
  retractions: string;
  params: TObject;
  recordParams: TObject;
  tag: string;
  /** For the one who reads the OpenAPI page: `records`, `data records`. */
  plural: string;
  config: Pick<FastifyContextConfig, 'streams'>;
  mode: 'insert' | 'upsert';
  /** The stream, or the form of it, that the request is about. Throws `unknown_stream`. */
  shapeOf(request: FastifyRequest): Stream;
}

/** The address of every stream. */
export function anyStream(tallybook: Tallybook): Address {
  return {
    records: '/v1/streams/:stream/records',
    retractions: '/v1/streams/:stream/retractions',
    params: StreamParams,
    recordParams: RecordParams,
    tag: 'records',
    plural: 'records',
    config: {},
    mode: 'insert',
    shapeOf: (request) => tallybook.streams.get((request.params as { stream: string }).stream),
  };
}

export function systemAddress(tallybook: Tallybook, system: System, address: RecordsAddress): Address {
  const { path, stream, form, plural, mode } = address;
  return {
    records: path,
    retractions: `${path}/retractions`,
    params: Type.Object({}),
    recordParams: Type.Pick(RecordParams, ['id']),
    tag: system.name,
    plural,
    config: { streams: [stream.name] },
    mode,
    shapeOf() {
      const now = tallybook.streams.get(stream.name);
      return form === undefined ? now : findForm(now, form);
    },
  };
}

/** Throws `unknown_record` for a record that stands, but under another address than this one of its forms. */
export function refuseOtherForm(shape: Stream, id: string, { standing, lines }: Fate): void {
  if (!shape.of) return;
  const seen = standing ? [standing.values] : lines.flatMap(({ values }) => (values ? [values] : []));
  if (seen.some((values) => fitsForm(shape, values))) return;
  const shown = shape.form!.replaceAll('_', ' ');
  throw new TallybookError(
    'unknown_record',
    standing
      ? `${id.slice(0, 100)} is no ${shown} record; it stands in the stream ${shape.name} as another kind`
      : `there has never been a ${shown} record with the id ${id.slice(0, 100)}`,
  );
}
